"""Numbers and tables as text: Markdown, CSV and LaTeX of the same sheet."""

import math
from collections.abc import Mapping
from typing import Any

from glocal_exp.report.tables.grouped import ABSENT, Sheet

DAGGER = "\N{DAGGER}"  # marks a mean or a seed with a run that diverged
TEX = str.maketrans({
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "#": r"\#", "_": r"\_", "{": r"\{",
    "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "\N{PLUS-MINUS SIGN}": r"$\pm$", "\N{MINUS SIGN}": r"$-$", ABSENT: "--",
    DAGGER: r"\dag{}", "<": r"$<$", ">": r"$>$",
})  # fmt: skip


def network(name: Any, settings: Any) -> str:
    """A model's choice with its depth and width, if it has them: `wide_resnet 28-2`."""
    found = settings if isinstance(settings, Mapping) else {}
    size = "-".join(str(found[key]) for key in ("depth", "width") if key in found)
    return f"{name or 'an unknown model'} {size}".rstrip()


def spread(mean: float, deviation: float, digits: int = 1) -> str:
    """mean ± standard deviation; the mean alone for one seed."""
    both = [mean, deviation] if math.isfinite(deviation) else [mean]
    return " \N{PLUS-MINUS SIGN} ".join(f"{value:,.{digits}f}" for value in both)


def spread_2(mean: float, deviation: float) -> str:
    """`spread` with two digits."""
    return spread(mean, deviation, 2)


def share_and_size(share: float, number: float, ratio: float) -> str:
    """`0.83 of 6; 1.2`, without the ratio where there is none."""
    return f"{share:.2f} of {number:g}" + (f"; {ratio:.1f}" if math.isfinite(ratio) else "")


def signed(value: float, low: float = math.nan, high: float = math.nan) -> str:
    """A difference with its sign, and its interval if it has one."""
    interval = f" [{low:+.2f}, {high:+.2f}]" if math.isfinite(low) else ""
    return minus(f"{value:+.2f}{interval}")


def minus(text: str) -> str:
    """A number with a real minus sign."""
    return text.replace("-", "\N{MINUS SIGN}")


def brief(value: float) -> str:
    """Two digits that count; what is rounding alone is called 0."""
    return "0" if abs(value) < 1e-12 else f"{value:.2g}"


def clean(value: float) -> str:
    """`brief` of a residual: what is below 1e-9 is rounding."""
    return brief(value if value > 1e-9 else 0.0)


def with_strict(value: float, strict: float) -> str:
    """`brief`, and in brackets what it is if the theorem is taken by its words."""
    return f"{brief(value)} ({brief(strict)})"


def percent(share: float) -> str:
    """A share in whole per cent."""
    return f"{100 * share:.0f} %"


def of(right: float, number: float) -> str:
    """So many of so many; nothing of none."""
    return f"{right:.0f} of {number:.0f}" if number else ABSENT


def with_share(mean: float, share: float, number: float) -> str:
    """A mean, and in brackets a share if it is one of several."""
    return f"{mean:,.2f}" + (f" [{share:.2f}]" if number > 1 else "")


def markdown(sheet: Sheet) -> str:
    """A Markdown table, its caption below."""
    cells = [[cell.replace("|", r"\|") for cell in row] for row in [sheet.header, *sheet.rows]]
    widths = [max(3, *map(len, column)) for column in zip(*cells, strict=True)]
    sides = ["<" if column.words else ">" for column in sheet.columns]
    line = " | ".join(f"{{:{side}{width}}}" for side, width in zip(sides, widths, strict=True))
    rules = ["-" * (width + 1) for width in widths]
    marked = [f":{r}" if side == "<" else f"{r}:" for side, r in zip(sides, rules, strict=True)]
    head, *body = [f"| {line.format(*row)} |" for row in cells]
    return "\n".join([head, f"|{'|'.join(marked)}|", *body, "", sheet.caption])


def csv_text(sheet: Sheet) -> str:
    """The sheet's data to six digits: what comes after is the machine's rounding."""
    return sheet.data.to_csv(index=False, lineterminator="\n", float_format="%.6g")


def latex(sheet: Sheet) -> str:
    """A tabular for the booktabs package; its caption as comments above."""
    comments = [f"% {line}".rstrip() for line in sheet.caption.splitlines()]
    columns = "".join("l" if column.words else "r" for column in sheet.columns)
    head, *body = [" & ".join(map(_tex, row)) + r" \\" for row in [sheet.header, *sheet.rows]]
    begin = ["% \\usepackage{booktabs}", f"\\begin{{tabular}}{{{columns}}}", r"\toprule"]
    end = [r"\bottomrule", r"\end{tabular}", ""]
    return "\n".join([*comments, *begin, head, r"\midrule", *body, *end])


def _tex(text: str) -> str:
    """With what is special to TeX escaped, but for formulas between dollar signs."""
    parts = text.split("$")
    parts[::2] = [part.translate(TEX) for part in parts[::2]]
    return "$".join(parts)
