"""Numbers and tables as text: Markdown, CSV and LaTeX of the same sheet."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from glocal_exp.report.artifact import Sheet
from glocal_exp.report.style import method_styles

ABSENT = "\N{EN DASH}"
DAGGER = "\N{DAGGER}"
"""Marks a mean or a seed with a run that diverged."""
TEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "#": r"\#", "_": r"\_", "{": r"\{",
    "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "\N{PLUS-MINUS SIGN}": r"$\pm$", "\N{MINUS SIGN}": r"$-$", "\N{EN DASH}": "--",
    "\N{DAGGER}": r"\dag{}", "<": r"$<$", ">": r"$>$",
}  # fmt: skip


def method_label(method: str) -> str:
    """A method's name as in the legends."""
    return method_styles([method])[method].label


def network(name: Any, settings: Any) -> str:
    """A model's choice with its depth and width, if it has them: `wide_resnet 28-2`."""
    found = settings if isinstance(settings, Mapping) else {}
    size = "-".join(str(found[key]) for key in ("depth", "width") if key in found)
    return f"{name or 'an unknown model'} {size}".rstrip()


def count(value: float | None, digits: int = 1) -> str:
    """A number with thousands separators; a dash where there is none."""
    if value is None or not math.isfinite(value):
        return ABSENT
    return f"{value:,.{digits}f}"


def spread(mean: float, deviation: float, digits: int = 1) -> str:
    """mean ± standard deviation; the mean alone for one seed."""
    if not math.isfinite(deviation):
        return count(mean, digits)
    return f"{count(mean, digits)} \N{PLUS-MINUS SIGN} {count(deviation, digits)}"


def signed(value: float, digits: int = 2) -> str:
    """A difference with its sign."""
    return f"{value:+.{digits}f}".replace("-", "\N{MINUS SIGN}")


def markdown(sheet: Sheet) -> str:
    """A Markdown table, its caption below."""
    cells = [[cell.replace("|", r"\|") for cell in row] for row in [sheet.header, *sheet.rows]]
    widths = [max(3, *(len(row[place]) for row in cells)) for place in range(len(sheet.header))]
    lines = [_line(row, widths, sheet.words) for row in cells]
    rules = [
        f":{'-' * (width + 1)}" if place < sheet.words else f"{'-' * (width + 1)}:"
        for place, width in enumerate(widths)
    ]
    lines.insert(1, f"|{'|'.join(rules)}|")
    return "\n".join(lines) + "\n\n" + sheet.caption


def csv_text(sheet: Sheet) -> str:
    """The sheet's data in full precision."""
    return sheet.data.to_csv(index=False, lineterminator="\n")


def latex(sheet: Sheet) -> str:
    """A tabular for the booktabs package; its caption as comments above."""
    comments = [f"% {line}".rstrip() for line in sheet.caption.splitlines()]
    columns = "l" * sheet.words + "r" * (len(sheet.header) - sheet.words)
    body = [" & ".join(_tex(cell) for cell in row) + r" \\" for row in [sheet.header, *sheet.rows]]
    return "\n".join(
        [
            *comments,
            "% \\usepackage{booktabs}",
            f"\\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            body[0],
            r"\midrule",
            *body[1:],
            r"\bottomrule",
            r"\end{tabular}",
            "",
        ]
    )


def _tex(text: str) -> str:
    parts = text.split("$")
    return "$".join(
        part if place % 2 else "".join(TEX.get(letter, letter) for letter in part)
        for place, part in enumerate(parts)
    )


def _line(cells: Sequence[str], widths: Sequence[int], words: int) -> str:
    padded = [
        cell.ljust(width) if place < words else cell.rjust(width)
        for place, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return f"| {' | '.join(padded)} |"
