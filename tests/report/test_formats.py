import csv

import numpy as np
import pandas as pd
import pytest

from glocal_exp.report.formats import brief, csv_text, latex, markdown, minus, signed, spread
from glocal_exp.report.tables.grouped import Column, Sheet

MINUS, DASH = "\N{MINUS SIGN}", "\N{EN DASH}"
SHEET = Sheet(
    pd.DataFrame(
        {
            "method": ["local_every", "a_b"],
            "name": ["local, every $h_t$", "a_b & c"],
            "value": [1 / 3, float("nan")],
            "cell": ["1.0 ± 0.5", None],
            "difference": [-3, 7],
        }
    ),
    [
        Column("method", "name", words=True),
        Column("share (%)", "cell"),
        Column("x|y", "difference", lambda n: minus(str(n)) if n < 0 else f"{n}†"),
    ],
    "First line.\n\nSecond 100 % line.\n",
)


def test_markdown_is_a_table_with_its_caption():
    lines = markdown(SHEET).splitlines()
    assert lines[0] == r"| method             | share (%) | x\|y |"
    assert lines[1] == "|:-------------------|----------:|-----:|"
    assert lines[2] == f"| local, every $h_t$ | 1.0 ± 0.5 |   {MINUS}3 |"
    assert lines[3] == f"| a_b & c            |         {DASH} |   7† |"
    assert lines[5:] == ["First line.", "", "Second 100 % line."]


def test_latex_escapes_words_and_leaves_formulas():
    text = latex(SHEET)
    assert r"local, every $h_t$ & 1.0 $\pm$ 0.5 & $-$3 \\" in text
    assert r"a\_b \& c & -- & 7\dag{} \\" in text
    assert r"method & share (\%) & x|y \\" in text
    assert r"\begin{tabular}{lrr}" in text
    body = [line for line in text.splitlines() if not line.startswith("%")]
    assert body[0].startswith(r"\begin")
    assert body[-1] == r"\end{tabular}"
    assert text.isascii()


def test_csv_keeps_six_digits():
    second = csv_text(SHEET).splitlines()[1]
    assert second.split(",")[0] == "local_every"
    assert next(csv.reader([second]))[2] == "0.333333"


TIDY = pd.DataFrame(
    [("a", 1, 0, 2.0, "x"), ("a", 1, 1, 3.0, "x"), ("a", 2, 0, 5.0, "y"), ("b", 1, 0, np.inf, "x"),
     ("b", 3, 0, 7.0, "x")],
    columns=["who", "t", "seed", "value", "text"],
)  # fmt: skip


@pytest.mark.parametrize(
    ("column", "cells"),
    [
        (Column("", "who"), ["a", "b"]),
        (Column("", "value", "{:.1f}", {"t": 1}), ["2.5", DASH]),  # a mean; not finite
        (Column("", "value", "{:.1f}", {"t": 2}), ["5.0", DASH]),  # no such record
        (Column("", "value", "{:.0f}", {"t": 1, "seed": 1}), ["3", DASH]),
        (Column("", "nothing"), [DASH, DASH]),
        (Column("", ("t", "value"), "{:.0f}: {}", {"seed": 1}), ["1: 3.0", DASH]),
        (Column("", ("t", "value"), lambda t, value: f"{t * value:g}", {"t": 2}), ["10", DASH]),
    ],
)
def test_cells_are_read_off_the_records_of_a_row(column, cells):
    row, other = Column("", "who", words=True), Column("", "value", at={"t": 1})
    assert [cells[-1] for cells in Sheet(TIDY, [row, other, column], "").rows] == cells


def test_what_stands_above_is_left_out_from_the_left():
    columns = [Column("", "who", once=True), Column("", "text", once=True), Column("", "t")]
    assert Sheet(TIDY, columns, "").rows == [
        ["a", "x", "1"], ["", "", "1"], ["", "y", "2"], ["b", "x", "1"], ["", "", "3"],
    ]  # fmt: skip


def test_numbers():
    assert spread(1.25, 0.5, 2) == "1.25 ± 0.50"
    assert spread(1.25, float("nan"), 2) == "1.25"
    assert spread(2891.24, float("nan")) == "2,891.2"
    assert (brief(1e-13), brief(0.0123)) == ("0", "0.012")
    assert signed(-0.5) == f"{MINUS}0.50"
    assert signed(0.5) == "+0.50"
