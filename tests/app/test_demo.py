"""The demonstration, reproduce and W&B, each as one real command of a tiny size."""

import numpy as np
import pytest

from .commands import TINY, TOY, manifest, rows, runs


@pytest.mark.slow
def test_the_demonstration_draws_sums_up_and_does_nothing_twice(shell, tmp_path):
    sizes = [*TINY[1:], "method=none,glocal", "method.window=80", "seeds=[0,1]", "eval_every=80"]
    sizes += ["source.more_test=5000", "validation.size=20", "problem.words=40"]
    sizes += ["problem.telling=4", "problem.documents=[1000,50,50]", "study.counts=[1,40]"]
    sizes += [f"output_dir={tmp_path}"]
    command = shell.run(*sizes, script="demo")
    assert (command.code, command.err) == (0, "")
    names = {f"{method}/{seed}" for method in ("none", "glocal", "local") for seed in (0, 1)}
    assert set(runs(tmp_path)) == names
    found = {name: rows(run)[-1] for name, run in runs(tmp_path).items()}
    ends = [100 * float(found[f"glocal/{seed}"]["test_accuracy"]) for seed in (0, 1)]
    said = " ".join(command.out.split())
    assert f"{np.mean(ends):.1f} ± {np.std(ends, ddof=1):.1f} by glocal (" in said
    losses = [float(found[f"local/{seed}"]["test_loss"]) for seed in (0, 1)]
    assert f" to {np.mean(losses):.3f} ± {np.std(losses, ddof=1):.3f}; the same time" in said
    assert " by TPE, 1 penalty" in said
    assert str(tmp_path / "demo.png") in command.out
    (tmp_path / "demo.png").unlink()
    again = shell.run(*sizes, script="demo")
    assert again.out.count("complete already: ") == 6 + 2  # of them two of another experiment
    assert "2 of 2 units are stored" in again.out
    assert again.out.partition("Learning rate, momentum")[2] in command.out
    assert (tmp_path / "demo.png").exists()


def test_the_demonstration_takes_settings_only(shell):
    command = shell.run("--nosuch", script="demo")
    assert command.code == 2
    assert command.err == "error: '--nosuch' is no setting; write KEY=VALUE, or nothing.\n"


def test_reproduce_runs_the_sweep_of_an_experiment(shell, tmp_path):
    settings = [*TOY, "source=bundled", "seed=0,1", f"output_dir={tmp_path}"]
    settings.remove("preset=smoke")
    command = shell.run("c3_fmnist", *settings, script="reproduce")
    assert (command.code, command.err) == (0, "")
    assert set(runs(tmp_path)) == {"local/0", "local/1"}
    assert manifest(runs(tmp_path)["local/0"])["experiment"] == "c3_fmnist"
    table = command.out[command.out.index("| seeds") :]
    assert "| 0, 1" in table
    assert "complete" in table


@pytest.mark.slow
def test_wandb_without_a_key_keeps_the_run_offline(shell, tmp_path):
    command = shell.run(*TOY, "tracker=auto", f"output_dir={tmp_path}")
    assert (command.code, command.err) == (0, "")
    (stored,) = (tmp_path / "wandb").glob("offline-run-*/*.wandb")
    assert stored.stat().st_size > 0
    assert manifest(runs(tmp_path)["local/0"])["status"] == "complete"
