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

import numpy as np

from glocal_exp.errors import UserError
from glocal_exp.studies.lab import Lab, Measurement, Unit
from glocal_exp.studies.origin import Origin, Origins
from glocal_exp.studies.variation import BASE, Variation, Varied


@dataclass(frozen=True, kw_only=True)
class Fidelity(Varied):
    """Settings of the study; `configs/study/fidelity.yaml` explains them."""

    validation_sizes: Sequence[int]
    orders: int
    radii: Sequence[float]
    slope_starts: int

    def __post_init__(self):
        super().__post_init__()
        if any(radius <= 0 for radius in self.radii):
            raise UserError(f"study.radii={self.radii} should be above 0.")

    def units(self, lab: Lab) -> Iterable[Unit]:
        origins, variations = Origins(lab), self.variations()
        orders = [Variation(order=n + 1) for n in range(self.orders)]
        for s in sorted(self.outer_steps):
            at = partial(origins.at, s)
            yield Unit(f"s{s}.origin", lambda at=at: _describe(at()))
            sizes = {"all": None} | {str(size): size for size in self.validation_sizes}
            for name, size in sizes.items():
                yield Unit(f"s{s}.interval.{name}", partial(_interval, at, BASE, size))
            largest = max(self.validation_sizes, default=None)
            for variation in variations[1:]:
                measure = partial(_interval, at, variation, largest)
                yield Unit(f"s{s}.interval.{variation.name}", measure)
            for variation in (*variations, *orders):
                yield Unit(f"s{s}.truth.{variation.name}", partial(_truth, at, variation))
            for radius in self.radii:
                for number in range(self.slope_starts):
                    variation = Variation(start=number, start_size=self.start_size)
                    measure = partial(_slope, at, variation, radius)
                    yield Unit(f"s{s}.slope.{radius:g}.{variation.name}", measure)


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
    about = {"s": origin.outer_step, "kind": "slope", "variation": variation.name, "radius": radius}
    rows = []
    for index, name in enumerate(origin.names):
        below, above = (origin.final_loss(variation, index, sign * radius) for sign in (-1, 1))
        sides = {"hyperparameter": name, "below": below, "above": above}
        rows.append(about | sides | {"slope": (above - below) / (2 * radius)})
    return Measurement(rows)
