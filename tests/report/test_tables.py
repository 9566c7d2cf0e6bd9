import shutil

import numpy as np
import pandas as pd
import pytest

from glocal_exp.report.artifact import Context, MissingRuns

from .synthetic import CONFIGS, overwrite, table, write_run

DASH = "\N{EN DASH}"
PAPER = pd.DataFrame(
    [("table3", "run_time", "none", 11.4), ("table3", "run_time", "glocal", 58.3)],
    columns=["artifact", "quantity", "setting", "value"],
)


def test_run_times_and_counts(tmp_path):
    for seed, seconds in enumerate((2.0, 4.0)):
        write_run(tmp_path, "table3", "none", seed, steps=500, seconds=seconds)
        write_run(tmp_path, "table3", "glocal", seed, steps=500, seconds=3 * seconds)
    write_run(tmp_path, "table3", "local", 0, steps=500, seconds=5)
    write_run(tmp_path, "table3", "local", 0, steps=500, seconds=6, gradients_an_interval=100,
              config={"method": {"evaluate": "every"}})  # fmt: skip
    write_run(tmp_path, "table3", "global", 0, steps=500, seconds=9, stop_at=2)
    sheet = table("table3", experiments=["table3"]).make(Context(tmp_path, PAPER))
    data = sheet.data.set_index("method")
    assert list(data.index) == ["none", "local", "local_every", "glocal"]  # global is unfinished
    # 5 intervals of 2 and of 4 seconds: 10 and 20
    assert data.loc["none", "seconds_mean"] == 15
    assert data.loc["none", "seconds_deviation"] == pytest.approx(np.sqrt(50))
    assert data.loc["glocal", "times_none"] == pytest.approx(3)
    assert data.loc["glocal", "seconds_per_1000_steps"] == pytest.approx(90)
    assert data.loc["local", "compile_seconds_mean"] == 7.5
    assert data["validation_gradients"].tolist() == [0, 5, 500, 400]
    assert data["tangent_steps"].tolist() == [0, 500, 500, 500]
    assert data.loc["glocal", "paper_seconds"] == 58.3
    assert data.loc["glocal", "paper_times_none"] == pytest.approx(58.3 / 11.4)
    assert np.isnan(data.loc["local_every", "paper_seconds"])
    assert sheet.rows[3] == [
        "glocal", "45.0 ± 21.2", "90.0", "3.0", "7.5", "500", "400", "58.3", "5.1",
    ]  # fmt: skip
    assert sheet.rows[2][0] == "local, every $h_t$"
    assert sheet.rows[2][-2:] == [DASH, DASH]
    assert "unfinished" in sheet.caption
    assert sheet.missing == ("table3",)


def test_times_of_another_experiment_are_said_to_be_so(tmp_path):
    write_run(tmp_path, "fig2_sgd", "none", 0, steps=300)
    sheet = table("table3").make(Context(tmp_path))
    assert "No run of table3 is stored: these are the times of fig2_sgd" in sheet.caption
    assert sheet.missing == ("table3",)


def test_no_run_time_without_runs(tmp_path):
    with pytest.raises(MissingRuns, match="table3"):
        table("table3").make(Context(tmp_path))
    write_run(tmp_path, "table3", "none", 0, steps=300, stop_at=1)
    with pytest.raises(MissingRuns):
        table("table3", experiments=["table3"]).make(Context(tmp_path))


def test_final_accuracies_and_paired_differences(tmp_path):
    finals = {
        "none": {0: 0.80, 1: 0.82, 2: 0.81},
        "local": {0: 0.84, 1: 0.10},
        "glocal": {0: 0.85, 1: 0.89, 2: 0.86},
    }
    for method, by_seed in finals.items():
        for seed, value in by_seed.items():
            lost = 2 if value < 0.5 else None
            path = write_run(tmp_path, "a", method, seed, steps=300, diverge_at=lost)
            overwrite(path, "test_accuracy", [value])
    write_run(tmp_path, "a", "local", 2, steps=300, stop_at=2)
    sheet = table("final_accuracy", experiments={"a": "Label", "b": "Other"}).make(
        Context(tmp_path)
    )
    data = sheet.data.set_index("method")
    assert data.loc["none", "mean"] == pytest.approx(81)
    assert data.loc["none", "deviation"] == pytest.approx(1)
    assert data.loc["none", ["seed_0", "seed_1", "seed_2"]].tolist() == pytest.approx([80, 82, 81])
    assert data.loc["local", "seeds"] == 2
    assert data.loc["local", "diverged"] == 1
    # glocal - none: 5, 7, 5 points; mean 17/3, sd 2/sqrt(3), se 2/3, t_{0.975, 2} in closed form
    half = 0.95 * np.sqrt(2 / 0.0975) * 2 / 3
    assert data.loc["none", "difference"] == pytest.approx(17 / 3)
    assert data.loc["none", "difference_high"] == pytest.approx(17 / 3 + half)
    assert data.loc["none", "difference_low"] == pytest.approx(17 / 3 - half)
    # glocal - local: only over seeds 0 and 1
    assert data.loc["local", "difference"] == pytest.approx((1 + 79) / 2)
    assert data.loc["local", "difference_seeds"] == 2
    assert np.isnan(data.loc["glocal", "difference"])
    assert sheet.rows[0] == ["Label", "300", "none (constant)", "81.00 ± 1.00",
                             "80.00, 82.00, 81.00",
                             f"+5.67 [+{17 / 3 - half:.2f}, +{17 / 3 + half:.2f}]"]  # fmt: skip
    assert sheet.rows[1][:5] == ["", "", "local", "47.00 ± 52.33", "84.00, 10.00†"]
    assert sheet.rows[2][-1] == DASH
    assert sheet.missing == ("b",)


def test_the_last_accuracy_counts_not_the_best(tmp_path):
    path = write_run(tmp_path, "a", "glocal", 0, steps=300)
    overwrite(path, "test_accuracy", [0.2])
    sheet = table("final_accuracy", experiments={"a": "Label"}).make(Context(tmp_path))
    assert sheet.data["mean"].tolist() == [20.0]
    assert sheet.rows[0][3:] == ["20.00", "20.00", DASH]
    assert sheet.missing == ("a",)


def test_no_accuracy_without_finished_runs(tmp_path):
    write_run(tmp_path, "a", "glocal", 0, steps=300, stop_at=1)
    with pytest.raises(MissingRuns):
        table("final_accuracy", experiments={"a": "Label"}).make(Context(tmp_path))


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
    (tmp_path / "configs" / "experiment").mkdir(parents=True)
    shutil.copytree(CONFIGS / "preset", tmp_path / "configs" / "preset")
    (tmp_path / "configs" / "experiment" / "fig2_sgd.yaml").write_text("steps: 10000\n")
    one = table("runs").make(Context(tmp_path, configs=tmp_path / "configs")).data
    assert one.set_index("method").loc["none", "lacking_seeds"] == "0", "which sweeps over nothing"
    assert f"3 runs are stored, {sheet.data['lacking'].sum()} of those" in sheet.caption
