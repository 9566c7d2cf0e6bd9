"""What the command concludes, prints, writes and exits with; without training anything."""

import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from glocal_exp.bench import lenet, machine
from glocal_exp.bench.interleave import Timing

OUTCOME = {
    "losses": np.array([2.0, 1.0]),
    "conv1.weight gradients": np.array([3.0, 0.0]),
    "conv1.bias gradients": np.array([4.0]),
}


def part(**peers):
    candidates = {name: lambda outcome=outcome: outcome for name, outcome in peers.items()}
    return lenet.Part("a step", 0.9, 10, lambda: OUTCOME, {"ours": lambda: None, **candidates})


@pytest.fixture
def command(monkeypatch, tmp_path):
    """The command on given parts, away from the cores and the load of this machine."""

    def run(*built, load=0.1, arguments=()):
        torch = SimpleNamespace(get_num_threads=lambda: 2)
        monkeypatch.setitem(sys.modules, "torch", torch)
        monkeypatch.setattr(lenet, "parts", lambda: list(built))
        monkeypatch.setattr(lenet, "use_cores", lambda number: None)
        monkeypatch.setattr(machine, "load", lambda: load)
        facts = {"processor": "a processor", "cores": 2, "packages": {"jax": "1.2"}}
        monkeypatch.setattr(machine, "describe", lambda: facts)
        return lenet.main(["--rounds", "2", "--output", str(tmp_path), *arguments])

    return run


def test_kinds_of_results_are_compared_as_whole_vectors():
    small = OUTCOME | {"conv1.weight gradients": np.array([3.0, 4e-3])}  # 8e-4 of the norm 5
    assert lenet.disagreements(small, OUTCOME) == []
    large = OUTCOME | {"conv1.bias gradients": np.array([4.05])}
    assert lenet.disagreements(large, OUTCOME) == ["gradients differ by 1.0e-02"]


def test_what_is_not_a_number_agrees_with_nothing():
    broken = OUTCOME | {"losses": np.array([np.nan, 1.0])}
    assert lenet.disagreements(broken, OUTCOME) == ["losses differ by nan"]


def test_a_row_compares_with_the_fastest_peer_round_by_round():
    timings = {
        "ours": Timing((0.1, 0.4, 0.1)),
        "slow": Timing((1.0, 1.0, 1.0)),
        "quick": Timing((0.2, 0.4, 0.1)),
    }
    row = lenet.row(part(slow=OUTCOME, quick=OUTCOME), timings)
    assert row["fastest_peer"] == "quick"
    assert row["ratio"] == {"min": 0.5, "median": 1.0, "max": 1.0}
    assert row["milliseconds"]["ours"] == pytest.approx([10.0, 40.0, 10.0])
    assert not row["met"]


def test_results_are_printed_and_written(command, tmp_path, capsys):
    assert command(part(eager=OUTCOME)) == 0
    printed = capsys.readouterr().out
    assert (tmp_path / "lenet_parts.md").read_text() == printed
    assert "a processor" in printed
    assert "busy" not in printed
    result = json.loads((tmp_path / "lenet_parts.json").read_text())
    assert result["rounds"] == len(result["parts"][0]["ratios"]) == 2
    assert result["parts"][0]["ratio"]["median"] == pytest.approx(
        np.median(result["parts"][0]["ratios"])
    )


def test_a_busy_machine_is_warned_of_and_no_target_is_called_met(command, capsys):
    assert command(part(eager=OUTCOME), load=0.6) == 0
    printed = capsys.readouterr().out
    assert "Warning: the machine was busy" in printed
    assert "| doubtful |" in printed


def test_different_work_is_not_timed(command, tmp_path, capsys):
    other = OUTCOME | {"losses": np.array([2.0, 1.1])}
    assert command(part(eager=OUTCOME, other=other)) == 1
    assert "a step, other: losses differ by" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_nonsense_is_refused(command):
    with pytest.raises(SystemExit) as stop:
        command(part(eager=OUTCOME), arguments=["--rounds", "0"])
    assert stop.value.code == 2
