"""The table of precisions, from invented trajectories."""

import numpy as np
import pytest

from glocal_exp.report.artifact import Context, MissingStudy

from .synthetic import table, write_study

TRUE = np.tile([3.0, 4.0], (12, 1))
TABLE = table("precision", labels={"start1": "moved", "base": "float32"})


def store(root, seed, batch=128, **found):
    config = {"batch_size": batch, "model": {"depth": 10, "width": 1}, "precision": "float32"}
    config["study"] = {"start_size": 1e-6}
    units = {f"s1.{name}": ([{"s": 1, "variation": name}], {"h": h}) for name, h in found.items()}
    facts = {"choices": {"model": "some_net"}, "data": {"title": "Data", "notice": "Data (copy)"}}
    write_study(root, "precision", units, config, f"a{batch}", seed, **facts)


def test_distances_are_relative_to_float64_and_means_over_seeds(tmp_path):
    store(tmp_path, 0, float64=TRUE, base=TRUE * 1.1, other=TRUE[:, ::-1] * [1, -1])
    store(tmp_path, 1, float64=TRUE, base=TRUE * 1.3)
    sheet = TABLE.make(Context(tmp_path, studies=tmp_path))
    columns = ["s = 1, t = 1", "s = 1, t = 10", "s = 1, t = 12", "s = 1, signs"]
    assert sheet.header == ["computed in", *columns]
    assert sheet.rows == [
        ["float32", *["2.0e-01 (1.00)"] * 3, "100 %"],
        ["other", *["1.4e+00 (0.00)"] * 3, "50 %"],  # (4, -3) instead of (3, 4)
    ]
    assert "some_net 10-1 on Data (copy), trained in float32 with batches of 128;" in sheet.caption
    assert "starts moved by 1e-06 of each weight array's deviation." in sheet.caption
    assert set(sheet.data["seed"]) == {0, 1}


def test_other_trainings_have_rows_of_their_own(tmp_path):
    store(tmp_path, 0, float64=TRUE, base=TRUE * 1.1)
    store(tmp_path, 0, batch=64, float64=TRUE, base=TRUE * 1.5)
    sheet = TABLE.make(Context(tmp_path, studies=tmp_path))
    assert [row[:2] for row in sheet.rows] == [
        ["[1] float32", "1.0e-01 (1.00)"], ["[2] float32", "5.0e-01 (1.00)"]
    ]  # fmt: skip
    listed = "[2] some_net 10-1 on Data (copy), trained in float32 with batches of 64;"
    assert listed in sheet.caption


@pytest.mark.parametrize("shown", [TABLE, table("precision_spread", labels={})])
def test_without_the_true_values_there_is_nothing_to_show(tmp_path, shown):
    store(tmp_path, 0, base=TRUE)
    with pytest.raises(MissingStudy):
        shown.make(Context(tmp_path, studies=tmp_path))


def test_the_spread_is_over_all_steps_and_sign_by_sign(tmp_path):
    """Twelve steps: one of them reversed, and the second part wrong in three others."""
    h = TRUE * 1.1
    h[4] *= -1
    h[6:9, 1] *= -1
    store(tmp_path, 0, float64=TRUE, base=h)
    sheet = table("precision_spread", labels={"base": "float32"}).make(
        Context(tmp_path, studies=tmp_path)
    )
    assert sheet.header[-2:] == ["sign of part 1", "sign of part 2"]
    row = ["float32", "1", "0", "1.0e-01", "2.1e+00", "-1.00", "11 of 12", "8 of 12"]
    assert sheet.rows == [row]
