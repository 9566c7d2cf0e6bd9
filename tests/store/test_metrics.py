import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glocal_exp.errors import UserError
from glocal_exp.store.files import format_cell, format_rows, read_frame, read_rows


@given(st.lists(st.floats(width=64), min_size=1, max_size=20))
def test_floats_come_back_to_the_same_bits(tmp_path_factory, values):
    path = tmp_path_factory.mktemp("floats") / "metrics.csv"
    path.write_bytes(format_rows([{"value": format_cell(value)} for value in values]))
    found = read_frame(path)["value"].to_numpy(np.float64)
    expected = np.array(values)
    same = found.view(np.int64) == expected.view(np.int64)
    assert np.all(same | (np.isnan(found) & np.isnan(expected)))


def test_numpy_scalars_lose_nothing():
    assert format_cell(np.float32(0.1)) == "0.10000000149011612"
    assert format_cell(np.float64(1) / 3) == "0.3333333333333333"
    assert format_cell(np.bool_(True)) == "True"
    assert format_cell(np.int32(7)) == "7"
    assert format_cell(np.array(2.5)) == "2.5"
    assert format_cell(float("nan")) == "nan"
    assert format_cell(None) == ""


def test_reading_and_writing_again_gives_the_same_bytes(tmp_path):
    rows = [
        {"step": "0", "accuracy": "0.1", "seconds": "0.0"},
        {"step": "100", "accuracy": "nan", "gradient": "-0.0", "seconds": "0.25"},
        {"step": "200", "accuracy": "0.3", "gradient": "1e-17", "rank": "3.0", "seconds": "0.25"},
    ]
    path = tmp_path / "metrics.csv"
    path.write_bytes(format_rows(rows))
    again = read_rows(path)
    assert again == rows
    assert format_rows(again) == path.read_bytes()
    # what a resumed run writes: the first rows as read, the rest as new
    assert format_rows([*again[:1], *rows[1:]]) == path.read_bytes()


def test_columns_that_come_later_are_empty_before(tmp_path):
    path = tmp_path / "metrics.csv"
    path.write_bytes(format_rows([{"step": "0"}, {"step": "1", "rank": "2.0"}]))
    assert path.read_text() == "step,rank\n0,\n1,2.0\n"
    assert read_frame(path)["rank"].isna().tolist() == [True, False]


def test_a_name_is_no_number(tmp_path):
    path = tmp_path / "b.csv"
    path.write_bytes(format_rows([{"name": "1_000", "size": 1}, {"name": "2_5", "size": 2}]))
    frame = read_frame(path)
    assert frame["name"].tolist() == ["1_000", "2_5"]
    assert frame["size"].tolist() == [1, 2]


def test_no_file_is_no_row(tmp_path):
    assert read_rows(tmp_path / "metrics.csv") == []
    assert read_frame(tmp_path / "metrics.csv").equals(pd.DataFrame())


def test_a_damaged_file_is_named(tmp_path):
    path = tmp_path / "metrics.csv"
    path.write_bytes(b"a,b\n1,2\n1,2,3,4\n")
    with pytest.raises(UserError, match=r"cannot read .*metrics\.csv"):
        read_frame(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="delete its run directory"):
        read_rows(path)
