"""Estimators of the global hypergradient: methods on stored h_t, one a file of configs/estimator.

A new method is compared with the others by its file in glocal_exp/methods and its own YAML here.
"""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from glocal_exp.errors import UserError
from glocal_exp.methods.method import Estimate, Method
from glocal_exp.report.objects import entries, instantiate
from glocal_exp.report.points import Point
from glocal_exp.report.vectors import Vector


@dataclass(frozen=True)
class Estimator:
    """A way from an interval's trajectory to a hypergradient.

    Attributes:
        label: as printed.
        method: what makes it.
        validation: images that h_t is taken on; all of them if None.
        order: its place among the others; without one it is the last.
    """

    label: str
    method: Method
    validation: int | None = None
    order: float = math.inf

    def __call__(self, point: Point, interval: str | None = None) -> Vector:
        """The estimate at a point, of its interval of this name; NaN where there is none."""
        name = interval or str(self.validation or "all")
        found = self.estimate(point, name).hypergradient if name in point.intervals else None
        return np.full(len(point.names), np.nan) if found is None else found

    def estimate(self, point: Point, interval: str) -> Estimate:
        """With what the method says about it."""
        wanted = self.method.wanted(point.interval)
        return self.method.estimate(point.measured(interval, wanted), point.moment)

    def gradients(self, point: Point) -> int:
        """Validation gradients an interval."""
        wanted = self.method.wanted(point.interval)
        return len(wanted.steps) + bool(wanted.mean)

    def fits(self, point: Point) -> bool:
        """Whether what is stored of an interval is all that it needs."""
        ahead = self.method.intervals_ahead(1, point.outer_steps)
        return point.holds(self.method.wanted(point.interval)) and not ahead


def load_estimator(configs: Path, name: str) -> Estimator:
    """That of configs/estimator/<name>.yaml.

    Raises:
        UserError: it cannot be made.
    """
    config = configs / "estimator" / f"{name}.yaml"
    found = entries(config)
    # Other groups stand beside the method because its settings refer to them.
    own = {key: value for key, value in found.items() if not (configs / key).is_dir()}
    if "method" not in found:
        raise UserError(f"{config} names no method; give it one, as the files beside it do")
    target = {"_target_": f"{__name__}.{Estimator.__name__}", "method": found["method"]}
    return instantiate(own | target, config)


def estimators(
    configs: Path,
    found: Sequence[Point],
    ids: Collection[str] | None = None,
    without: Collection[str] = (),
) -> tuple[list[Estimator], list[str]]:
    """Those to compare at these points in their order, and a sentence about those that cannot be.

    Args:
        ids: names of files; all for None.

    Raises:
        UserError: one cannot be made.
    """
    names = sorted(path.stem for path in (configs / "estimator").glob("*.yaml"))
    chosen = [name for name in (names if ids is None else ids) if name not in without]
    made = sorted((load_estimator(configs, name) for name in chosen), key=lambda one: one.order)
    lacking = [one.label for one in made if not all(map(one.fits, found))]
    if len(lacking) == len(made):
        raise UserError("no estimator can be made from what is stored; name others")
    sentence = f"Left out, since they need more than is stored: {'; '.join(lacking)}."
    return [one for one in made if one.label not in lacking], [sentence] if lacking else []
