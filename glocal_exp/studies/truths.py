"""Three derivatives of the final loss by an interval's hyperparameters, and all that it tells.

Along a training run this records, raw, at chosen outer steps s:

- `interval`: h at every step and at the mean of the iterates, of which every estimate from one
  interval is made afterwards (`report.truth_points`);
- for each named future of the hyperparameters (kept, falling, ...) the expected final loss with one
  of them moved down and up, once for each of several orders of the batches: a derivative that has
  an interval;

and of training with its first hyperparameters throughout, the exact derivative of the final loss by
those of each interval alone (Maclaurin et al. 2015): one sweep back, for each order of the batches.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import equinox as eqx
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, PyTree

from glocal_exp.engine.checkpoint import Snapshot
from glocal_exp.engine.evaluation import evaluate
from glocal_exp.engine.modes.forward import Forward
from glocal_exp.engine.playout import Playout
from glocal_exp.engine.work import Work
from glocal_exp.errors import UserError
from glocal_exp.hypergrad import names
from glocal_exp.hypergrad.forward import mean_gradient
from glocal_exp.hypergrad.reverse import train_ahead
from glocal_exp.methods.ahead import Ahead
from glocal_exp.methods.method import Estimate, Measured, Method, Moment, Wanted
from glocal_exp.studies.lab import Lab, Measurement, Unit
from glocal_exp.studies.origin import Origin, Origins, central_differences, precision
from glocal_exp.studies.variation import check_outer_steps


class Everything(Method):
    """Measures whatever an estimate from one interval may be made of."""

    def wanted(self, interval: int) -> Wanted:
        return Wanted(range(interval), mean=interval, sharpness=True)

    def estimate(self, measured: Measured, moment: Moment) -> Estimate:
        return Estimate(None)


class Future(Ahead):
    """Hyperparameters as they are to be in a playout, of which nothing is measured."""

    def wanted(self, interval: int) -> Wanted:
        return Wanted()


@dataclass(frozen=True, kw_only=True)
class Truths:
    """Settings of the study; `configs/study/truths.yaml` explains them."""

    outer_steps: Sequence[int]
    validation_sizes: Sequence[int]
    orders: int
    radius: float
    moved: Sequence[str]
    futures: Mapping[str, Future]
    trains: ClassVar[bool] = True

    def __post_init__(self):
        check_outer_steps(self.outer_steps)
        for name in ("orders", "radius"):
            if not getattr(self, name) > 0:
                raise UserError(f"study.{name}={getattr(self, name)} should be above 0.")

    def units(self, lab: Lab) -> Iterable[Unit]:
        origins, orders = Origins(lab), range(1, self.orders + 1)
        for order in orders:
            yield origins.unit(1, f"schedule.order{order}", _schedule, order)
        for s in sorted(self.outer_steps):
            yield origins.unit(s, "interval.all", _interval, None)
            for size in self.validation_sizes:
                yield origins.unit(s, f"interval.{size}", _interval, size)
            for name, future in self.futures.items():
                for order in orders:
                    how = name, future, order, self.radius, self.moved
                    yield origins.unit(s, f"{name}.order{order}", _difference, *how)


def _interval(origin: Origin, validation: int | None) -> Measurement:
    """Where the interval starts, and the fields of `Measured`."""
    work, mode = _work(origin, Everything(), 0, validation), Forward()
    with precision(origin.setting):
        place = replace(origin.start(), carry=mode.start(work.plan, origin.state, origin.phi))
        played = _play(work, origin, place, mode)
        measured, _ = mode.read(played)
        row = {"s": origin.outer_step, "kind": "interval", **origin.describe()}
    row["validation"] = validation or origin.validation_size
    return Measurement([row], {k: np.asarray(v) for k, v in vars(measured).items() if np.size(v)})


def _difference(
    origin: Origin, name: str, future: Future, order: int, radius: float, moved: Sequence[str]
) -> Measurement:
    """A row for each of the moved hyperparameters: the final loss on both sides of it."""
    known, work = names(origin.phi), _work(origin, future, order)
    flat, unravel = ravel_pytree(origin.phi)
    named = {f"futures.{name}.{key}": some for key, some in future.chosen().items()}
    for key, some in {"moved": moved, **named}.items():
        if unknown := [one for one in some if one not in known]:
            words = ", ".join(unknown)
            raise UserError(f"study.{key} names {words}; choose from {', '.join(known)}.")

    def final_loss(index: int, move: float) -> float:
        place = replace(origin.start(), phi=unravel(flat.at[index].add(move)))
        with precision(origin.setting):
            played = _play(work, origin, place, Forward())
            return evaluate(work, {origin.seed: played})[origin.seed]["validation_loss"]

    places = {one: known.index(one) for one in moved}
    about = {"s": origin.outer_step, "kind": name, "order": order, "radius": radius}
    rows = central_differences(final_loss, places, radius, "value")
    return Measurement([about | row for row in rows])


def _schedule(origin: Origin, order: int) -> Measurement:
    """A row for each interval and hyperparameter: what the final loss owes to it there."""
    schedule, work = origin.setting.plan.schedule, _work(origin, Everything(), order)
    with precision(origin.setting):
        derivatives = _by_interval(work, origin.start(), origin.seed)
    about = {"kind": "schedule", "order": order}
    return Measurement(
        [
            {"s": s, **about, "hyperparameter": name, "value": float(value)}
            for s, row in zip(range(1, schedule.outer_steps + 1), derivatives, strict=True)
            for name, value in zip(names(origin.phi), row, strict=True)
        ]
    )


def _by_interval(work: Work, place: Snapshot, seed: int) -> Float[np.ndarray, "intervals q"]:
    """dL_T / dphi_s of all s, of training with constant hyperparameters from its first step on."""
    problem, schedule = work.problem, work.plan.schedule
    starts = []
    for first in range(0, schedule.steps, schedule.interval):
        starts.append(place)
        trained = work.train({seed: place}, first, schedule.interval)[seed]
        place = replace(place, state=trained.state)

    def at_end(state, phi, carry, key, indices, data) -> tuple[PyTree, Array]:
        inexact, rest = eqx.partition(state, eqx.is_inexact_array)

        def loss(point, phi, batch):
            return problem.meta_loss(eqx.combine(point, rest), phi, batch)

        gradient = mean_gradient(
            loss, inexact, phi, data.validation, work.chunks["chunk"], at_once=1
        )[1]
        return gradient[0], ravel_pytree(gradient[1])[0]

    def sweep(state, phi, cotangent, key, indices, data) -> tuple[PyTree, Array]:
        def step(state, phi, chosen):
            return problem.step(state, phi, *work.batch(data, key, state.step, chosen))

        by_state, by_phi = train_ahead(step, state, phi, indices)[2](cotangent)
        return by_state, ravel_pytree(by_phi)[0]

    def call(function: Any, name: str, place: Snapshot, first: int) -> tuple[PyTree, np.ndarray]:
        there = {seed: place}
        carried, row = work.stretch(name, function, there, first, schedule.interval)[seed]
        return carried, np.asarray(row, np.float64)

    cotangent, direct = call(at_end, "truths.end", place, 0)
    rows = []
    for number in reversed(range(schedule.outer_steps)):
        there = replace(starts[number], carry=cotangent)
        cotangent, row = call(sweep, "truths.sweep", there, number * schedule.interval)
        rows.insert(0, row)
    rows[-1] = rows[-1] + direct
    return np.stack(rows)


def _work(origin: Origin, method: Method, order: int, validation: int | None = None) -> Work:
    """The engine's part with another method, order of the batches and validation set."""
    plan = replace(origin.setting.plan, method=method, mode=Forward())
    return replace(origin.varied(order, validation), plan=plan)


def _play(work: Work, origin: Origin, place: Snapshot, mode: Forward) -> Snapshot:
    """The end of a playout, as if it were all real."""
    end = Playout(work, mode, lambda *_: None).play({origin.seed: place})[origin.seed]
    phi = work.phi_in(place, work.plan.lookahead(origin.outer_step))
    return replace(end, kept=None, phi=phi)
