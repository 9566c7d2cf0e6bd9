import pandas as pd

from glocal_exp.report.artifact import Sheet
from glocal_exp.report.formats import count, csv_text, latex, markdown, method_label, signed, spread

MINUS, DASH = "\N{MINUS SIGN}", "\N{EN DASH}"
SHEET = Sheet(
    header=["method", "share (%)", "x|y"],
    rows=[["local, every $h_t$", "1.0 ± 0.5", f"{MINUS}3"], ["a_b & c", DASH, "7†"]],
    data=pd.DataFrame({"method": ["local_every", "a_b"], "value": [1 / 3, float("nan")]}),
    caption="First line.\n\nSecond 100 % line.\n",
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


def test_csv_keeps_every_bit():
    second = csv_text(SHEET).splitlines()[1]
    assert second.split(",")[0] == "local_every"
    assert float(second.split(",")[1]) == 1 / 3


def test_numbers():
    assert count(2891.24) == "2,891.2"
    assert count(None) == count(float("nan")) == DASH
    assert spread(1.25, 0.5, 2) == "1.25 ± 0.50"
    assert spread(1.25, float("nan"), 2) == "1.25"
    assert signed(-0.5) == f"{MINUS}0.50"
    assert signed(0.5) == "+0.50"
    assert method_label("window_mean") == "window mean"
