"""A new model is one class and one config file."""

import pytest

from .commands import TINY, Shell, manifest, rows, runs


@pytest.mark.slow  # a whole process that compiles
def test_a_model_needs_no_setting_of_another(shell: Shell, tmp_path):
    overrides = [*TINY, "source=bundled", "method=local", f"output_dir={tmp_path}"]
    command = shell.run(*overrides)
    assert command.code == 0, command.err
    (run,) = runs(tmp_path).values()
    assert manifest(run)["status"] == "complete"
    assert "tests.app.toy" not in manifest(run)["source_modules"]  # outside of the package
    losses = [float(row["validation_loss"]) for row in rows(run)]
    assert losses[-1] < losses[0]
