"""The terms of Theorem 3.1 that stored runs let us compute, on hypergradients of real training."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float

from glocal_exp.koopman import Spectrum
from glocal_exp.koopman.hankel import delay_embedding
from glocal_exp.report import caption
from glocal_exp.report.artifact import Context, MissingRuns, Sheet
from glocal_exp.report.selection import Run, select
from glocal_exp.report.tables.theorem_gaps import brief

READING = (
    "Medians over the seeds, each interval s whose arrays are stored, of terms divided by the "
    "norm of the newest hypergradient. rho: spectral radius of K. |U| |U^+|: modes scaled to norm "
    "1. e: one-step error of the last snapshot g, and |e_tau|, that of its first block alone, "
    "which the theorem has (with delays it is zero by construction; what is below 1e-9 is rounding "
    "and printed as 0). Second term: the sum of "
    "|b_j| |lambda_j|^tau |u_j| over |lambda_j| < 1, without the modes within {tolerance:g} of 1, "
    "b_j at the last snapshot; in brackets, with those of them that are below 1, as the theorem is "
    "written. First term: |U| |U^+| |e| of the snapshot, without (T - s tau) eps_tau, which needs "
    "the true operator; the left side needs h_T (table theorem_real)."
)


@dataclass(frozen=True)
class TheoremTerms:
    """One row an experiment and outer step.

    Attributes:
        title: the caption's first sentence.
        experiments: experiment -> its label.
        unit_tolerance: within which a mode is steady.
        method: whose runs are read.
    """

    title: str
    experiments: Mapping[str, str]
    unit_tolerance: float = 0.02
    method: str = "glocal"

    def make(self, context: Context) -> Sheet:
        records, selections, missing = [], [], []
        for experiment, label in self.experiments.items():
            selection = select(context.runs, experiment, where={"method": self.method})
            if selection is None:
                missing.append(experiment)
                continue
            selections.append(selection)
            records += self._records(label, selection.runs)
        if not records:
            raise MissingRuns(list(self.experiments))
        header = ["experiment", "s", "seeds", "rho", "|U| |U^+|", "|e|", "|e_tau|", "first term",
                  "second term", "|h_inf|"]  # fmt: skip
        reading = READING.format(tolerance=self.unit_tolerance)
        text = caption.join(self.title, reading, selections, context)
        rows = [_row(record) for record in records]
        return Sheet(header, rows, pd.DataFrame(records), text, tuple(missing))

    def _records(self, label: str, runs: Sequence[Run]) -> list[dict]:
        found: dict[int, list[dict[str, float]]] = {}
        for run in runs:
            arrays = run.stored.arrays()
            for name in arrays:
                step, _, what = name.partition("/")
                if what == "modes" and np.isfinite(arrays[name]).all():
                    one = {key: arrays[f"{step}/{key}"] for key in NEEDED}
                    interval = int(run.stored.column("interval"))
                    terms = computable_terms(one, interval, self.unit_tolerance)
                    found.setdefault(int(step[1:]), []).append(terms)
        return [
            {"experiment": label, "s": step, "seeds": len(terms)}
            | {key: float(np.median([one[key] for one in terms])) for key in terms[0]}
            for step, terms in sorted(found.items())
        ]


NEEDED = ("trajectory", "eigenvalues", "modes", "amplitudes", "hypergradient")


def computable_terms(
    arrays: Mapping[str, np.ndarray], interval: int, unit_tolerance: float
) -> dict[str, float]:
    """What of Eq. 15 follows from one interval's trajectory and spectrum, over |h_tau|."""
    trajectory: Float[np.ndarray, "sigma q"] = np.asarray(arrays["trajectory"], np.float64)
    size, sizes = trajectory.shape[1], np.linalg.norm(arrays["modes"], axis=0)
    delays = arrays["modes"].shape[0] // size
    snapshots = delay_embedding(trajectory, delays)
    spectrum = Spectrum(
        arrays["eigenvalues"], arrays["modes"], arrays["amplitudes"], size, snapshots.shape[1]
    )
    modes, moduli = arrays["modes"] / sizes, np.abs(spectrum.eigenvalues)
    inverse = np.linalg.pinv(modes)
    b = inverse @ snapshots[:, -2] * spectrum.eigenvalues
    residual = snapshots[:, -1] - np.real(modes @ b)
    scale = float(np.linalg.norm(trajectory[-1]))
    condition = float(np.linalg.norm(modes, 2) * np.linalg.norm(inverse, 2))
    decayed = np.where(moduli < 1, np.abs(b) * moduli**interval, 0)
    dropped = ~spectrum.steady(unit_tolerance)
    return {
        "radius": spectrum.spectral_radius,
        "condition": condition,
        "residual_embedded": float(np.linalg.norm(residual)) / scale,
        "residual": float(np.linalg.norm(residual[:size])) / scale,
        "first_term": condition * float(np.linalg.norm(residual)) / scale,
        "second_term": float(np.sum(decayed[dropped])) / scale,
        "second_term_strict": float(np.sum(decayed)) / scale,
        "estimate": float(np.linalg.norm(arrays["hypergradient"])) / scale,
    }


def _row(record: dict) -> list[str]:
    return [
        record["experiment"],
        str(record["s"]),
        str(record["seeds"]),
        f"{record['radius']:.3f}",
        brief(record["condition"]),
        brief(record["residual_embedded"]),
        brief(record["residual"] if record["residual"] > 1e-9 else 0.0),
        brief(record["first_term"]),
        f"{brief(record['second_term'])} ({brief(record['second_term_strict'])})",
        brief(record["estimate"]),
    ]
