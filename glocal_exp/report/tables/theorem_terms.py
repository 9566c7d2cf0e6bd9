"""The terms of Theorem 3.1 that stored runs let us compute, on hypergradients of real training."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from glocal_exp.koopman import Spectrum
from glocal_exp.koopman.hankel import delay_embedding
from glocal_exp.report import caption
from glocal_exp.report.artifact import Artifact, Context, MissingRuns
from glocal_exp.report.formats import brief
from glocal_exp.report.runs import Run
from glocal_exp.report.selection import select_all
from glocal_exp.report.sheet import Column, Sheet

NEEDED = ("trajectory", "eigenvalues", "modes", "amplitudes", "hypergradient")
COLUMNS = (
    Column("experiment", "experiment", words=True),
    Column("s", "s"),
    Column("seeds", "seeds"),
    Column("rho", "radius", "{:.3f}"),
    Column("|U| |U^+|", "condition", brief),
    Column("|e|", "residual_embedded", brief),
    Column("|e_tau|", "residual", lambda value: brief(value if value > 1e-9 else 0.0)),
    Column("first term", "first_term", brief),
    Column(
        "second term", ("second_term", "second_term_strict"),
        lambda value, strict: f"{brief(value)} ({brief(strict)})",
    ),
    Column("|h_inf|", "estimate", brief),
)  # fmt: skip


@dataclass(frozen=True)
class TheoremTerms(Artifact):
    """One row an experiment and outer step.

    Attributes:
        experiments: experiment -> its label.
        unit_tolerance: within which a mode is steady.
        method: whose runs are read.
    """

    experiments: Mapping[str, str]
    unit_tolerance: float = 0.02
    method: str = "glocal"

    def make(self, context: Context) -> Sheet:
        found, missing = select_all(context, self.experiments, where={"method": self.method})
        records = [
            {"experiment": self.experiments[name]} | record
            for name, selection in found.items()
            for run in selection.runs
            for record in self._records(run)
        ]
        if not records:
            raise MissingRuns(list(self.experiments))
        labels = list(self.experiments.values())
        records.sort(key=lambda record: (labels.index(record["experiment"]), record["s"]))
        groups = pd.DataFrame(records).groupby(["experiment", "s"], sort=False)
        data = groups.median().reset_index()
        data.insert(2, "seeds", groups.size().to_numpy())
        text = self.caption(*caption.paragraphs(found.values(), context))
        return Sheet(data, COLUMNS, text, missing)

    def _records(self, run: Run) -> Iterator[dict[str, Any]]:
        """The terms of each interval of a run whose arrays are stored."""
        arrays = run.stored.arrays()
        for name in arrays:
            step, _, what = name.partition("/")
            if what == "modes" and np.isfinite(arrays[name]).all():
                one = {key: arrays[f"{step}/{key}"] for key in NEEDED}
                interval = int(run.stored.column("interval"))
                yield {"s": int(step[1:])} | computable_terms(one, interval, self.unit_tolerance)


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
