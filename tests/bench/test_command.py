"""What the command finds, writes, says and exits with; without training anything."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from glocal_exp.bench import command, entries, machine
from glocal_exp.bench.comparison import Candidate, Comparison, Entry, Target
from glocal_exp.bench.measure import measure
from tests.bench.results import CIRCUMSTANCES


def made(*values):
    ways = tuple(
        Candidate(f"way {place}", lambda: None, lambda value=value: {"h": np.array([value])})
        for place, value in enumerate(values)
    )
    return Entry("A title", (Comparison("h", ways),))


@pytest.fixture
def bench(monkeypatch, tmp_path):
    """The command on an entry `toy`, away from the cores and the load of this machine."""

    def run(entry, *arguments, load=0.1):
        monkeypatch.setattr(command, "names", lambda: ["toy"])
        monkeypatch.setattr(command, "build", lambda name, small: entry)
        monkeypatch.setattr(command, "use_cores", lambda number: None)
        monkeypatch.setattr(command, "measure", partial(measure, warm_up=0.0))
        monkeypatch.setattr(machine, "matmul_peak", lambda clock: 1e9)
        monkeypatch.setattr(machine, "load", lambda: load)
        monkeypatch.setattr(machine.Others, "share", lambda self: 0.0)
        monkeypatch.setattr(machine, "describe", lambda: CIRCUMSTANCES["machine"])
        return command.main(["--rounds", "2", "--output", str(tmp_path), *arguments])

    return run


def test_every_file_of_the_folder_is_an_entry():
    files = {path.stem for path in Path(entries.__file__).parent.glob("*.py")} - {"__init__"}
    assert set(command.names()) == files
    assert {"parts", "one_hypergradient", "scaling", "seeds", "runs"} <= files


def test_results_are_printed_and_written(bench, tmp_path, capsys):
    assert bench(made(1.0, 1.0)) == 0
    printed = capsys.readouterr().out
    assert (tmp_path / "toy.md").read_text().strip() == printed.strip()
    assert {path.suffix for path in tmp_path.iterdir()} == {".md", ".json", ".pdf", ".png"}
    result = json.loads((tmp_path / "toy.json").read_text())
    assert [len(way["seconds"]) for way in result["comparisons"][0]["candidates"]] == [2, 2]
    assert result["doubtful"] == []


def test_stored_results_are_drawn_again_without_measuring(bench, tmp_path):
    bench(made(1.0))
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    (tmp_path / "toy.md").unlink()
    assert bench(made(1.0), "--draw") == 0
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_what_is_drawn_again_has_the_targets_and_facts_of_now(bench, tmp_path):
    bench(made(1.0, 1.0))
    before = json.loads((tmp_path / "toy.json").read_text())
    (comparison,) = made(1.0, 1.0).comparisons
    first, second = comparison.candidates
    known = replace(first, facts=lambda: {"fidelity": 0.9})
    target = Target("first / second", 2.0, ({("h", "way 0"): 1.0},), ({("h", "way 1"): 1.0},))
    now = Entry("A title", (replace(comparison, candidates=(known, second)),), (target,))
    assert bench(now, "--draw") == 0
    after = json.loads((tmp_path / "toy.json").read_text())
    ways = [result["comparisons"][0]["candidates"] for result in (before, after)]
    assert [[way["seconds"] for way in found] for found in ways] == [
        [way["seconds"] for way in ways[0]]
    ] * 2
    assert [way["facts"] for way in ways[1]] == [{"fidelity": 0.9}, {}]
    ratio = ways[0][0]["seconds"][0] / ways[0][1]["seconds"][0]
    assert after["targets"][0]["ratios"][0] == pytest.approx(ratio)


def test_drawing_what_was_not_measured_is_refused(bench, capsys):
    assert bench(None, "--draw") == 2
    assert "measure it first" in capsys.readouterr().err


def test_different_work_is_not_timed(bench, tmp_path, capsys):
    assert bench(made(1.0, 1.1)) == 1
    assert "h, way 1: h differ by" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("nonsense", [["--rounds", "0"], ["--cores", "0"], ["nothing"]])
def test_nonsense_is_refused(bench, nonsense):
    with pytest.raises(SystemExit) as stop:
        bench(made(1.0), *nonsense)
    assert stop.value.code == 2


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"load_before": 0.6, "others": None}, "before the start"),
        ({"others": 0.3}, "meanwhile"),
        ({"machine": {"cores": 1}}, "1 used"),
        ({"time": "CPU time"}, "CPU time"),
        ({"small": True}, "small"),
    ],
)
def test_doubts_are_named(changes, word):
    calm = CIRCUMSTANCES | {"others": 0.0}
    assert command.doubts(calm) == command.doubts(calm | {"load_before": 0.6}) == []
    (doubt,) = command.doubts(calm | changes)
    assert word in doubt
