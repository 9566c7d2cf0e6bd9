"""The reweighting task from the command line, with few tangents, with all, and in reverse mode."""

import pytest

from .commands import TINY, Shell, manifest, rows, runs

REWEIGHT = [*TINY, "task=reweight", "steps=40", "interval=20", "device.cpu.segment=10"]
REWEIGHT += ["task.weight.hidden=32"]  # q = 97
WINDOW = ["method=glocal", "method.window=16", "method.delays=4"]


@pytest.mark.parametrize(
    ("method", "mode", "used"),
    [
        (["method=none"], "forward", "forward"),
        (["method=local"], "auto", "reverse"),
        pytest.param(WINDOW, "auto", "low_rank", marks=pytest.mark.slow),
        (WINDOW, None, "low_rank"),  # what the task chooses
    ],
)
def test_it_runs_and_says_how(shell: Shell, tmp_path, method, mode, used):
    chosen = [f"hypergradient={mode}"] if mode else []
    shell.done(*REWEIGHT, *method, *chosen, f"output_dir={tmp_path}")
    (run,) = runs(tmp_path).values()
    found = manifest(run)
    assert (found["status"], found["differentiation"]) == ("complete", used)
    first, *_, last = rows(run)
    moved = first["hyperparameter/weight_at_1"] != last["hyperparameter/weight_at_1"]
    assert moved == (method != ["method=none"])
    assert last["skipped"] == "False"
    if used == "low_rank":
        assert int(last["plain_steps"]) == int(last["tangent_steps"]) == 40
        assert 0 <= float(last["diagnostic/low_rank_error"]) < 1e-3
        assert float(last["diagnostic/low_rank_tangents"]) < 97


def test_wrong_settings_end_in_a_sentence(shell: Shell, tmp_path):
    for settings, sentence in [
        (["hypergradient=low_rank", "carry_tangents=true"], "these tangents are kept"),
        (["hypergradient=low_rank", "hypergradient.tolerance=2"], "tolerance=2 is not a share"),
        (["hypergradient=low_rank", "hypergradient.sizes=12"], "sizes=12 should be a list"),
        (["task=sgd", "hypergradient=low_rank"], "There is no setting task.weight"),
        (["task.weight.initializer=normal"], "torch or lecun_uniform or he_normal"),
    ]:
        assert sentence in shell.refused(*REWEIGHT, *WINDOW, *settings, f"output_dir={tmp_path}")
