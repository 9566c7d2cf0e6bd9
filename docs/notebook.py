"""Write docs/quickstart.ipynb, whose cells are those of docs/quickstart.md."""

import json
import re
from pathlib import Path

PAGE = Path(__file__).resolve().with_name("quickstart.md")
NOTEBOOK = PAGE.with_suffix(".ipynb")
CODE = re.compile(r"```python\n(.*?)```\n", re.DOTALL)


def cells(page: str) -> list[tuple[str, str]]:
    """Kind and text of each cell, in turns of words and code."""
    parts = [part.strip() for part in CODE.split(page)]
    return [(("markdown", "code")[place % 2], part) for place, part in enumerate(parts) if part]


def notebook(page: str) -> str:
    """The text of a notebook of format 4.5, without outputs."""
    made = []
    for number, (kind, text) in enumerate(cells(page)):
        cell = {"cell_type": kind, "id": f"cell-{number}", "metadata": {}}
        cell |= {"execution_count": None, "outputs": []} if kind == "code" else {}
        made.append(cell | {"source": text.splitlines(keepends=True)})
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    whole = {"cells": made, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    NOTEBOOK.write_text(notebook(PAGE.read_text()))
