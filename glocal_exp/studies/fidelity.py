"""How close an estimate comes to the true global hypergradient, along real training.

At chosen outer steps s of a training run this records, raw, all that a comparison needs:

- `h_t` at every step of the interval, on validation sets of several sizes, and once more in float64
  and from slightly different starts: how reproducible a hypergradient is;
- the truth `h_T`: training played out to T with the hyperparameters held, with tangents; and again
  in float64, from other starts and with other orders of the batches, for a truth has an error too;
- a second truth: slopes of the final validation loss by finite differences.

Which estimate does best is read off these records afterwards (`report.fidelity`), so that a new
estimator needs no new playout.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np

from glocal_exp.errors import UserError
from glocal_exp.studies.lab import Lab, Measurement, Unit
from glocal_exp.studies.origin import BASE, Origin, Origins, Variation


@dataclass(frozen=True)
class Fidelity:
    """Settings of the study; `configs/study/fidelity.yaml` explains them."""

    outer_steps: Sequence[int]
    validation_sizes: Sequence[int]
    starts: int
    start_size: float
    orders: int
    radii: Sequence[float]
    slope_starts: int
    trains: ClassVar[bool] = True

    def __post_init__(self):
        for name in ("starts", "orders", "slope_starts"):
            if getattr(self, name) < 0:
                raise UserError(f"study.{name}={getattr(self, name)} is negative; give 0 or more.")
        if not self.outer_steps or min(self.outer_steps) < 1:
            raise UserError(
                f"study.outer_steps={self.outer_steps} should name intervals from 1 on."
            )
        if any(radius <= 0 for radius in self.radii):
            raise UserError(f"study.radii={self.radii} should be above 0.")

    def units(self, lab: Lab) -> Iterable[Unit]:
        origins = Origins(lab)
        variations = self._variations()
        for s in sorted(self.outer_steps):
            at = partial(origins.at, s)
            yield Unit(f"s{s}.origin", lambda at=at: _describe(at()))
            sizes = {"all": None} | {str(size): size for size in self.validation_sizes}
            for name, size in sizes.items():
                measure = partial(_interval, at, BASE, size)
                yield Unit(f"s{s}.interval.{name}", measure)
            repeatable = [v for v in variations if v.order == 0 and v != BASE]
            for variation in repeatable:
                smallest = max(self.validation_sizes, default=None)
                measure = partial(_interval, at, variation, smallest)
                yield Unit(f"s{s}.interval.{variation.name}", measure)
            for variation in variations:
                yield Unit(f"s{s}.truth.{variation.name}", partial(_truth, at, variation))
            for radius in self.radii:
                for number in range(self.slope_starts):
                    variation = Variation(start=number, start_size=self.start_size)
                    measure = partial(_slope, at, variation, radius)
                    yield Unit(f"s{s}.slope.{radius:g}.{variation.name}", measure)

    def _variations(self) -> list[Variation]:
        """The playouts: as trained, in float64, from other starts, in other orders."""
        return [
            BASE,
            Variation(float64=True),
            *(Variation(start=n + 1, start_size=self.start_size) for n in range(self.starts)),
            *(Variation(order=n + 1) for n in range(self.orders)),
        ]


At = Callable[[], Origin]


def _describe(origin: Origin) -> Measurement:
    """Where the interval starts: hyperparameters in natural units, and the validation loss."""
    return Measurement([{"s": origin.outer_step, "kind": "origin", **origin.describe()}])


def _interval(at: At, variation: Variation, validation: int | None) -> Measurement:
    """h_t at every step of the interval, `h` (tau, q)."""
    origin = at()
    h = origin.interval(variation, validation)
    row = {"s": origin.outer_step, "kind": "interval", "variation": variation.name}
    return Measurement([row | {"validation": validation or origin.validation_size}], {"h": h})


def _truth(at: At, variation: Variation) -> Measurement:
    """h at the end of each interval up to T, `h` (S - s + 1, q), with the final validation loss."""
    origin = at()
    h, loss = origin.playout(variation)
    row = {"s": origin.outer_step, "kind": "truth", "variation": variation.name, "loss": loss}
    return Measurement([row | {"finite": int(np.isfinite(h).all())}], {"h": h})


def _slope(at: At, variation: Variation, radius: float) -> Measurement:
    """A row for each hyperparameter: the final loss on both sides of it."""
    origin = at()
    rows = []
    for index, name in enumerate(origin.names):
        below, above = (origin.final_loss(variation, index, sign * radius) for sign in (-1, 1))
        rows.append(
            {
                "s": origin.outer_step,
                "kind": "slope",
                "variation": variation.name,
                "radius": radius,
                "hyperparameter": name,
                "below": below,
                "above": above,
                "slope": (above - below) / (2 * radius),
            }
        )
    return Measurement(rows)
