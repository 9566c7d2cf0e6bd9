"""What the command finds, writes, says and exits with; without training anything."""

import json
from dataclasses import replace

import numpy as np
import pytest

from benchmarks import command, machine
from benchmarks.measure import Candidate, Comparison, Entry, Target, costs
from tests.bench.results import CIRCUMSTANCES, measured

KNOWN = {"low_rank", "one_hypergradient", "parts", "roofline", "runs", "scaling", "seeds"} | {
    "wide_resnet"
}


def made(*values):
    ways = tuple(
        Candidate(f"way {place}", lambda value=value: {"h": np.array([value])})
        for place, value in enumerate(values)
    )
    return Entry("A title", (Comparison("h", ways),))


@pytest.fixture
def bench(monkeypatch, tmp_path):
    """The command on an entry `toy`, away from the cores and the load of this machine."""

    def run(entry, *arguments):
        monkeypatch.setattr(command, "NAMES", ["toy"])
        monkeypatch.setattr(command, "build", lambda name, small: entry)
        monkeypatch.setattr(command, "measure", lambda e, rounds, clock: measured(e, clock, rounds))
        monkeypatch.setattr(machine, "use_cores", lambda number: None)
        monkeypatch.setattr(machine, "describe", lambda: CIRCUMSTANCES["machine"])
        with pytest.raises(SystemExit) as ended:
            command.main(["--rounds", "2", "--output", str(tmp_path), *arguments])
        return ended.value.code

    return run


def test_files_of_the_folder_are_entries():
    assert set(command.NAMES) >= KNOWN


def test_results_are_printed_and_written(bench, tmp_path, capsys):
    assert bench(made(1.0, 1.0)) == 0
    printed = capsys.readouterr().out
    assert (tmp_path / "toy.md").read_text().strip() == printed.strip()
    assert {path.suffix for path in tmp_path.iterdir()} == {".md", ".json", ".pdf", ".png"}
    result = json.loads((tmp_path / "toy.json").read_text())
    assert [len(way["seconds"]) for way in result["comparisons"][0]["candidates"]] == [2, 2]
    assert result["doubtful"] == []


def test_what_is_drawn_again_has_old_times_and_new_targets_and_facts(bench, tmp_path):
    bench(made(1.0, 1.0))
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    (tmp_path / "toy.md").unlink()
    assert bench(made(1.0, 1.0), "--draw") == 0
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    (comparison,) = made(1.0, 1.0).comparisons
    first, second = comparison.candidates
    known = replace(first, facts=lambda: {"fidelity": 0.9})
    target = Target("first / second", 2.0, costs("h", "way 0"), costs("h", "way 1"))
    now = Entry("A title", (replace(comparison, candidates=(known, second)),), (target,))
    assert bench(now, "--draw") == 0
    after = json.loads((tmp_path / "toy.json").read_text())
    old = json.loads(before["toy.json"])["comparisons"][0]["candidates"]
    new = after["comparisons"][0]["candidates"]
    assert [way["seconds"] for way in new] == [way["seconds"] for way in old]
    assert [way["facts"] for way in new] == [{"fidelity": 0.9}, {}]
    ratio = old[0]["seconds"][0] / old[1]["seconds"][0]
    assert after["targets"][0]["ratios"][0] == pytest.approx(ratio)


@pytest.mark.parametrize(
    ("values", "arguments", "words"),
    [([], ["--draw"], "measure it first"), ([1.0, 1.1], [], "h, way 1: h differ by")],
)
def test_what_cannot_be_is_said(bench, tmp_path, capsys, values, arguments, words):
    assert bench(made(*values), *arguments) == 2
    assert words in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("nonsense", [["--rounds", "0"], ["--cores", "0"], ["nothing"]])
def test_nonsense_is_refused(bench, nonsense):
    assert bench(made(1.0), *nonsense) == 2


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"others": 0.3}, "meanwhile"),
        ({"others": None}, "not known"),
        ({"machine": {"cores": 1}}, "1 used"),
        ({"time": "CPU time"}, "CPU time"),
        ({"small": True}, "small"),
    ],
)
def test_doubts_are_named(changes, word):
    calm = CIRCUMSTANCES | {"others": 0.0}
    assert command.doubts(calm) == []
    (doubt,) = command.doubts(calm | changes)
    assert word in doubt
