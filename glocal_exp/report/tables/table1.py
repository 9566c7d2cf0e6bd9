"""Table 1: exponents of time and space, measured, beside those of the paper's expressions."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from glocal_exp.report.artifact import Context, Sheet
from glocal_exp.report.formats import ABSENT
from glocal_exp.report.study import chosen, provenance, rows
from glocal_exp.stats import log_log_slope

Law = Callable[[pd.DataFrame], Any]
METHODS = ("local", "global", "glocal")
LETTERS = ("S", "T", "tau", "p", "q")
MEASURED = {"time": "cpu_seconds", "space": "bytes"}

# Table 1 of the paper, as far as it could be read, and its section 3 for glocal's time.
PAPER: dict[tuple[str, str], Law] = {
    ("time", "global"): lambda d: d["S"] * d["T"] * d["p"] * d["q"],
    ("time", "glocal"): lambda d: d["T"] * d["p"] * d["q"],
    ("space", "local"): lambda d: d["p"] + d["q"],
    ("space", "global"): lambda d: d["p"] + d["q"],
    ("space", "glocal"): lambda d: d["p"] + d["tau"] * d["q"],
}
# Forward mode pushes q tangents of p numbers at every step, and h is q numbers a step.
DERIVED: dict[tuple[str, str], Law] = {
    ("time", "local"): lambda d: d["T"] * d["p"] * d["q"],
    ("time", "global"): lambda d: d["T"] * (d["S"] + 1) / 2 * d["p"] * d["q"],
    ("time", "glocal"): lambda d: d["T"] * d["p"] * d["q"],
    ("space", "local"): lambda d: d["p"] * d["q"] + d["p"],
    ("space", "global"): lambda d: d["p"] * d["q"] + d["p"],
    ("space", "glocal"): lambda d: d["p"] * d["q"] + d["p"] + d["tau"] * d["q"],
}
TERMS: dict[str, Law] = {
    "1": lambda d: 0 * d["p"] + 1,
    "p": lambda d: d["p"],
    "q": lambda d: d["q"],
    "pq": lambda d: d["p"] * d["q"],
    "tau": lambda d: d["tau"],
    "tau q": lambda d: d["tau"] * d["q"],
}
READING = (
    "Exponents a of size^a by least squares of logarithms, one letter varied: S at fixed T (so "
    "tau = T/S), T at fixed tau (so S = T/tau), tau at fixed S (so T = S tau), p and q alone. "
    "Measured: CPU time of whole runs of the engine without compilation ({repeats} repeats, "
    "interleaved; 95 % t interval), and memory of the compiled training as the compiler states it "
    "with what the outer loop holds beside it, which has no noise. Paper / derived: the exponents, "
    "over the very same sizes, of the paper's expressions (local O(p + q) space; global O(STpq) "
    "and O(p + q); glocal O(Tpq) and O(p + tau q); local's time could not be read) and of what "
    "forward mode needs: time O(Tpq) for local and glocal and O(T(S + 1)/2 pq) for the greedy "
    "global, space O(pq), and tau q more for glocal. Since Z is q tangents of p numbers, O(p + q) "
    "cannot hold. {memory} The problem is a regression with a learning rate for each of q "
    "blocks of its p weights; base S = {S}, tau = {tau}, p = {p:,}, q = {q}."
)


@dataclass(frozen=True)
class Complexity:
    """One row a quantity and letter.

    Attributes:
        title: the caption's first sentence.
    """

    title: str
    study: str = "complexity"

    def make(self, context: Context) -> Sheet:
        frame = rows(context, self.study)
        frame = frame.assign(bytes=frame["program_bytes"] + frame["held_bytes"])
        records = [
            exponents(chosen(frame, {"sweep": letter, "method": method}), quantity, letter, method)
            for quantity in MEASURED
            for letter in LETTERS
            for method in METHODS
            if len(chosen(frame, {"sweep": letter, "method": method}))
        ]
        lines = []
        for quantity in MEASURED:
            for letter in LETTERS:
                one = {r["method"]: r for r in records
                       if (r["quantity"], r["letter"]) == (quantity, letter)}  # fmt: skip
                cells = [_cells(one.get(method)) for method in METHODS]
                lines.append([quantity, letter, *(cell for pair in cells for cell in pair)])
        header = ["", "in"]
        for method in METHODS:
            header += [f"{method}: measured", "paper / derived"]
        text = "\n\n".join([self.title, self._reading(frame), provenance(frame)]) + "\n"
        return Sheet(header, lines, pd.DataFrame(records), text, words=2)

    def _reading(self, frame: pd.DataFrame) -> str:
        smallest: Any = chosen(frame, {"sweep": "p"}).sort_values("p").iloc[0]
        return READING.format(
            repeats=len(set(frame["repeat"])),
            memory=memory_in_words(frame),
            S=int(smallest["S"]),
            tau=int(smallest["tau"]),
            p=int(smallest["p"]),
            q=int(smallest["q"]),
        )


def exponents(
    frame: pd.DataFrame, quantity: str, letter: str, method: str
) -> dict[str, float | str | None]:
    """The measured exponent with its interval, the paper's and the derived one."""
    sizes = frame[letter]
    found = log_log_slope(sizes, frame[MEASURED[quantity]])
    laws = {"paper": PAPER.get((quantity, method)), "derived": DERIVED[quantity, method]}
    stated = {
        name: log_log_slope(sizes, law(frame)).value if law else None for name, law in laws.items()
    }
    return {
        "quantity": quantity, "letter": letter, "method": method,
        "measured": found.value, "low": found.low, "high": found.high, **stated,
    }  # fmt: skip


def memory_terms(frame: pd.DataFrame, column: str) -> tuple[Mapping[str, float], float]:
    """Float32 numbers of memory for each term of `TERMS`, and the largest relative misfit."""
    sizes = frame.drop_duplicates(["S", "tau", "p", "q"])
    matrix = np.stack([law(sizes).to_numpy(float) for law in TERMS.values()], axis=1)
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
        terms, misfit = memory_terms(chosen(frame, {"method": method}), column)
        formula = " + ".join(
            f"{value:.3g}" if term == "1" else f"{value:.3g} {term}"
            for term, value in terms.items()
            if abs(value) > 1e-3
        )
        parts.append(f"{name} {formula} (misfit {misfit:.0e})")
    return f"{parts[0]} numbers of 4 bytes; {'; '.join(parts[1:])}."


def _cells(record: Mapping | None) -> tuple[str, str]:
    if record is None:
        return ABSENT, ABSENT
    exact = record["quantity"] == "space"
    measured = _number(record["measured"])
    if not exact:
        measured += f" [{_number(record['low'])}, {_number(record['high'])}]"
    paper = ABSENT if record["paper"] is None else _number(record["paper"])
    return measured, f"{paper} / {_number(record['derived'])}"


def _number(value: float) -> str:
    return f"{round(value, 2) + 0.0:.2f}".replace("-", "\N{MINUS SIGN}")
