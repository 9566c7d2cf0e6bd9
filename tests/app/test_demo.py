"""The demonstration, reproduce and W&B, each as one real command of a tiny size."""

import pytest

from .commands import TINY, TOY, manifest, rows, runs, shell

__all__ = ["shell"]


@pytest.mark.slow
def test_the_demonstration_draws_sums_up_and_does_nothing_twice(shell, tmp_path):
    sizes = [*TINY[1:], "method=none,glocal", f"output_dir={tmp_path}"]
    command = shell.run(*sizes, script="demo")
    assert (command.code, command.err) == (0, "")
    assert set(runs(tmp_path)) == {"none/0", "glocal/0"}
    for name in ("demo.png", "demo.pdf", "demo_accuracy.md", "demo_run_time.md"):
        assert (tmp_path / name).stat().st_size > 0
        assert name.endswith("pdf") or str(tmp_path / name) in command.out
    for name, run in runs(tmp_path).items():
        method, accuracy = name.split("/")[0], float(rows(run)[-1]["test_accuracy"])
        assert f"  {method:<8} seed 0  {accuracy:.3f}\n" in command.out
    (tmp_path / "demo.png").unlink()
    again = shell.run(*sizes, script="demo")
    assert again.out.count("complete already: ") == 2
    assert "done: " not in again.out
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
