"""Estimators."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from glocal_exp.errors import UserError
from glocal_exp.koopman import HankelDMD, SteadyStateEstimator
from glocal_exp.report.fidelity_points import Point
from glocal_exp.report.vectors import Vector


@dataclass(frozen=True)
class Estimator:
    """One way from an interval's trajectory to a hypergradient; an entry of a YAML file.

    Attributes:
        label: as printed.
        kind: `last`, `mean` or `glocal`.
        window, stride, delays: as the methods have them.
        dmd: settings of `HankelDMD`.
        steady: settings of `SteadyStateEstimator`.
        validation: images that h_t is taken on; all of them if None.
    """

    label: str
    kind: str = "glocal"
    window: int = 80
    stride: int = 1
    delays: int = 10
    dmd: Mapping[str, Any] = field(default_factory=dict)
    steady: Mapping[str, Any] = field(default_factory=dict)
    validation: int | None = None

    def estimate(self, point: Point, interval: str | None = None) -> Vector:
        """The estimate from h_1, ..., h_tau; NaN where there is none."""
        h, steps_left = (
            point.intervals.get(interval or str(self.validation or "all")),
            point.steps_left,
        )
        if h is None:
            return np.full(len(point.names), np.nan)
        seen = h[-self.window :][:: -self.stride][::-1]
        if self.kind == "last":
            return h[-1]
        if self.kind == "mean":
            return seen.mean(axis=0)
        if self.kind != "glocal":
            raise UserError(f"{self.label}: kind={self.kind} is none of last, mean and glocal.")
        spectrum = HankelDMD(**self.dmd).fit(seen, self.delays, self.stride)
        return SteadyStateEstimator(**self.steady).estimate(spectrum, seen, steps_left)[0]

    @property
    def gradients(self) -> int:
        """Validation gradients an interval."""
        return 1 if self.kind == "last" else (self.window - 1) // self.stride + 1


THRESHOLD = {"rank": "hard_threshold"}
ESTIMATORS = (
    Estimator("local", kind="last"),
    Estimator("window mean", kind="mean"),
    Estimator("glocal"),  # the paper's: window 80, 10 delays, infinite horizon
    Estimator("glocal, finite horizon", steady={"horizon": "finite"}),
    Estimator("glocal, fit to all", dmd={"amplitudes": "all"}),
    Estimator("glocal, rank by threshold", dmd=THRESHOLD),
    Estimator("glocal, total least squares", dmd={"regression": "total_least_squares"}),
    Estimator("glocal, forward-backward", dmd={"regression": "forward_backward"}),
    # The next two are `dmd=total_least_squares` and `dmd=forward_backward` as they are configured.
    Estimator("glocal, threshold, total", dmd=THRESHOLD | {"regression": "total_least_squares"}),
    Estimator("glocal, threshold, backward", dmd=THRESHOLD | {"regression": "forward_backward"}),
    Estimator("glocal, scaled", dmd={"scaling": "component"}),
    Estimator("glocal, window 60", window=60),
    Estimator("glocal, window 40", window=40),
    Estimator("glocal, 5 delays", delays=5),
    Estimator("glocal, 20 delays", delays=20),
    Estimator("glocal, stride 2", stride=2, delays=5),  # 8 steps of delays, like the paper's 9
    Estimator("glocal, stride 4", stride=4, delays=3),
    Estimator("glocal, stride 4, 5 delays", stride=4, delays=5),
    Estimator("local, 1,000 images", kind="last", validation=1000),
    Estimator("glocal, 1,000 images", validation=1000),
    Estimator("glocal, 250 images", validation=250),
    Estimator("glocal, stride 4, 1,000 images", stride=4, delays=3, validation=1000),
)
"""Those that the figure of fidelity compares, unless its YAML lists others."""
VARIANTS = (
    *ESTIMATORS,
    Estimator("glocal, stride 4, 2 delays", stride=4, delays=2),
    Estimator("glocal, stride 4, 4 delays", stride=4, delays=4),
    Estimator("glocal, else local", steady={"fallback": "local"}),
    Estimator(
        "glocal, stride 4, 1,000 images, else local",
        stride=4,
        delays=3,
        validation=1000,
        steady={"fallback": "local"},
    ),
)
"""Those of the table of all points: what else was tried besides."""


def estimators(
    entries: Sequence[Mapping[str, Any]] | None, default: Sequence[Estimator] = ESTIMATORS
) -> list[Estimator]:
    """Estimators from their entries in a YAML file; the default for None.

    Raises:
        UserError: an entry has a setting that there is not.
    """
    if entries is None:
        return list(default)
    try:
        return [Estimator(**entry) for entry in entries]
    except TypeError as error:
        raise UserError(f"An estimator cannot be made: {error}; correct its entry.") from error
