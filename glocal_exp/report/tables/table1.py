"""Table 1: exponents of time and space, measured, beside those of the paper's expressions."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from glocal_exp.report import study_rows
from glocal_exp.report.artifact import Context
from glocal_exp.report.formats import ABSENT, minus
from glocal_exp.report.tables.grouped import Found
from glocal_exp.stats import log_log_slope

STUDY = "complexity"
METHODS = ("local", "global", "glocal")
LETTERS = ("S", "T", "tau", "p", "q")
MEASURED = {"time": "cpu_seconds", "space": "bytes"}

# Table 1 of the paper, as far as it could be read, with its section 3 for glocal's time; and what
# follows: forward mode pushes q tangents of p numbers at every step, and h is q numbers a step.
LAWS: dict[tuple[str, str], tuple[str | None, str]] = {
    ("time", "local"): (None, "T * p * q"),
    ("time", "global"): ("S * T * p * q", "T * (S + 1) / 2 * p * q"),
    ("time", "glocal"): ("T * p * q", "T * p * q"),
    ("space", "local"): ("p + q", "p * q + p"),
    ("space", "global"): ("p + q", "p * q + p"),
    ("space", "glocal"): ("p + tau * q", "p * q + p + tau * q"),
}
TERMS = {"1": "0 * p + 1", "p": "p", "q": "q", "pq": "p * q", "tau": "tau", "tau q": "tau * q"}


def complexity(context: Context) -> Found:
    """A row a quantity, letter and method."""
    frame = study_rows.load(context, STUDY)
    frame = frame.assign(bytes=frame["program_bytes"] + frame["held_bytes"])
    rows = [
        exponents(found, quantity, letter, method)
        for quantity in MEASURED
        for letter in LETTERS
        for method in METHODS
        if len(found := study_rows.chosen(frame, {"sweep": letter, "method": method}))
    ]
    smallest = study_rows.needed(frame, STUDY, {"sweep": "p"}).sort_values("p").iloc[0]
    words: dict[str, Any] = {name: int(smallest[name]) for name in ("S", "tau", "p", "q")}
    words |= {"repeats": len(set(frame["repeat"])), "memory": memory_in_words(frame)}
    labels = {"method": {name: name for name in METHODS}}
    return Found(pd.DataFrame(rows), [study_rows.provenance(frame)], words, labels)


def exponents(
    frame: pd.DataFrame, quantity: str, letter: str, method: str
) -> dict[str, float | str | None]:
    """The measured exponent with its interval, the paper's and the derived one."""
    sizes = frame[letter]
    found = log_log_slope(sizes, frame[MEASURED[quantity]])
    paper, derived = (
        log_log_slope(sizes, frame.eval(law)).value if law else None
        for law in LAWS[quantity, method]
    )
    return {
        "quantity": quantity, "letter": letter, "method": method, "measured": found.value,
        "low": found.low, "high": found.high, "paper": paper, "derived": derived,
    }  # fmt: skip


def memory_terms(frame: pd.DataFrame, column: str) -> tuple[Mapping[str, float], float]:
    """Float32 numbers of memory for each term of `TERMS`, and the largest relative misfit."""
    sizes = frame.drop_duplicates(["S", "tau", "p", "q"])
    matrix = np.stack([sizes.eval(law).to_numpy(float) for law in TERMS.values()], axis=1)
    numbers = sizes[column].to_numpy(float) / 4
    scales = matrix.max(axis=0)
    solution = np.linalg.lstsq(matrix / scales, numbers, rcond=None)[0] / scales
    misfit = float(np.max(np.abs(matrix @ solution - numbers) / np.maximum(numbers, 1)))
    return dict(zip(TERMS, solution, strict=True)), misfit


def memory_in_words(frame: pd.DataFrame) -> str:
    """The memory of each method as a formula, where one fits."""
    parts = []
    for name, method, column in (
        ("The compiled training holds", "local", "program_bytes"),
        ("beside it the outer loop holds, local:", "local", "held_bytes"),
        ("global:", "global", "held_bytes"),
        ("glocal:", "glocal", "held_bytes"),
    ):
        own = study_rows.needed(frame, STUDY, {"method": method})
        terms, misfit = memory_terms(own, column)
        formula = " + ".join(
            f"{value:.3g}" if term == "1" else f"{value:.3g} {term}"
            for term, value in terms.items()
            if abs(value) > 1e-3
        )
        parts.append(f"{name} {formula} (misfit {misfit:.0e})")
    return f"{parts[0]} numbers of 4 bytes; {'; '.join(parts[1:])}."


def measured(value: float, low: float, high: float, quantity: str) -> str:
    """An exponent; space is known exactly."""
    interval = f" [{_number(low)}, {_number(high)}]" if quantity == "time" else ""
    return _number(value) + interval


def stated(derived: float, paper: float) -> str:
    """The paper's exponent and that of what forward mode needs."""
    return f"{ABSENT if np.isnan(paper) else _number(paper)} / {_number(derived)}"


def _number(value: float) -> str:
    return minus(f"{round(value, 2) + 0.0:.2f}")
