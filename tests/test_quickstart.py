"""The quick start in Python: the notebook is the page's, and its cells do what it says."""

import json
import sys
from types import ModuleType

import matplotlib
import pytest

from docs.notebook import NOTEBOOK, PAGE, notebook


def test_the_notebook_is_the_pages():
    assert NOTEBOOK.read_text() == notebook(PAGE.read_text()), "python docs/notebook.py"


@pytest.mark.slow
def test_its_cells_find_the_best_penalty(tmp_path, monkeypatch, capsys):
    matplotlib.use("agg")
    monkeypatch.chdir(tmp_path)
    main = ModuleType("__main__")  # of a notebook, which is no file
    monkeypatch.setitem(sys.modules, "__main__", main)
    cells = json.loads(NOTEBOOK.read_text())["cells"]
    for cell in cells:
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), vars(main))
    assert main.ends["none"]["hyperparameter/penalty"] == 1.0
    for name in ("local", "glocal"):
        # Adam's steps of 0.1 still go up and down.
        assert main.ends[name]["hyperparameter/penalty"] == pytest.approx(main.best, rel=0.2)
        assert main.ends[name]["validation_loss"] < main.ends["none"]["validation_loss"]
    (storing,) = ("".join(c["source"]) for c in cells if "own.run" in "".join(c["source"]))
    capsys.readouterr()
    exec(storing, vars(main))
    assert capsys.readouterr().out.count("complete already") == 3
    # A class that is typed anew, with another step, is another problem.
    text = "".join(cells[1]["source"])
    assert "0.1 * gradient" in text
    exec(text.replace("0.1 * gradient", "0.05 * gradient"), vars(main))
    exec(storing, vars(main))
    assert "complete already" not in capsys.readouterr().out
