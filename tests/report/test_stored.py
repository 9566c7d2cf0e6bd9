"""The matrix of runs against what experiments ask for."""

import pytest

from glocal_exp.report.artifact import Context, MissingRuns

from .synthetic import CONFIGS, table, write_run


def test_what_is_missing_is_counted_with_its_command(tmp_path):
    context = Context(tmp_path, configs=CONFIGS)
    with pytest.raises(MissingRuns):
        table("runs").make(context)
    write_run(tmp_path, "fig2_sgd", "local", 0, steps=10_000)
    write_run(tmp_path, "fig2_sgd", "local", 1, steps=10_000)
    write_run(tmp_path, "fig2_sgd", "local", 2, steps=10_000, stop_at=3)  # unfinished
    write_run(tmp_path, "fig2_sgd", "window_mean", 0)  # which the experiment does not ask for
    sheet = table("runs").make(context)
    rows = sheet.data[sheet.data["experiment"] == "fig2_sgd"].set_index("method")
    assert rows.loc["local", ["steps", "seeds", "lacking", "lacking_seeds"]].tolist() == [
        10_000, "0, 1", 1, "2",
    ]  # fmt: skip
    assert rows.loc["local", "command"] == "python scripts/reproduce.py fig2_sgd method=local"
    assert rows.loc["window_mean", ["steps", "stored", "lacking"]].tolist() == [2000, 1, 0]
    assert rows.loc["global", "lacking_seeds"] == "0, 1, 2"
    other = sheet.data[sheet.data["experiment"] == "table2_cifar100"].set_index("method")
    assert other.loc["glocal", "lacking"] == 24  # 2 x 4 settings, which its defaults sweep over
    assert f"3 runs are stored, {sheet.data['lacking'].sum()} of those" in sheet.caption
