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

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product

import numpy as np

from glocal_exp.errors import UserError
from glocal_exp.hypergrad import names
from glocal_exp.studies.lab import Lab, Measurement, Row, Unit
from glocal_exp.studies.origin import Origin, Origins, central_differences
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
        starts = [Variation(start=n, start_size=self.start_size) for n in range(self.slope_starts)]
        largest = max(self.validation_sizes, default=None)
        for s in sorted(self.outer_steps):
            unit = partial(origins.unit, s)
            yield unit("origin", _describe)
            yield unit("interval.all", _interval, BASE, None)
            for size in self.validation_sizes:
                yield unit(f"interval.{size}", _interval, BASE, size)
            for variation in variations[1:]:
                yield unit(f"interval.{variation.name}", _interval, variation, largest)
            for variation in (*variations, *orders):
                yield unit(f"truth.{variation.name}", _truth, variation)
            for radius, variation in product(self.radii, starts):
                yield unit(f"slope.{radius:g}.{variation.name}", _slope, variation, radius)


def _describe(origin: Origin) -> Measurement:
    """Where the interval starts: hyperparameters in natural units, and the validation loss."""
    return Measurement([{"s": origin.outer_step, "kind": "origin", **origin.describe()}])


def _interval(origin: Origin, variation: Variation, validation: int | None) -> Measurement:
    """h_t at every step of the interval, `h` (tau, q)."""
    row = {"s": origin.outer_step, "kind": "interval", "variation": variation.name}
    row |= {"validation": validation or origin.validation_size}
    return Measurement([row], {"h": origin.interval(variation, validation)})


def _truth(origin: Origin, variation: Variation) -> Measurement:
    """h at the end of each interval up to T, `h` (S - s + 1, q), with the final validation loss."""
    h, loss = origin.playout(variation)
    row = {"s": origin.outer_step, "kind": "truth", "variation": variation.name, "loss": loss}
    return Measurement([row | {"finite": int(np.isfinite(h).all())}], {"h": h})


def _slope(origin: Origin, variation: Variation, radius: float) -> Measurement:
    """A row for each hyperparameter: the final loss on both sides of it."""
    about: Row = {
        "s": origin.outer_step,
        "kind": "slope",
        "variation": variation.name,
        "radius": radius,
    }
    places = {name: place for place, name in enumerate(names(origin.phi))}
    rows = central_differences(partial(origin.final_loss, variation), places, radius, "slope")
    return Measurement([about | row for row in rows])
