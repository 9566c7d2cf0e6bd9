"""The start of an interval of real training, and what can be played out from it."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Bool, Float

from glocal_exp.engine.checkpoint import Position, Snapshot
from glocal_exp.engine.compiled import Programs
from glocal_exp.engine.evaluation import evaluate
from glocal_exp.engine.examples import Examples
from glocal_exp.engine.modes.forward import Forward, start_tangents
from glocal_exp.engine.work import Marks, Work
from glocal_exp.errors import UserError
from glocal_exp.hypergrad import count
from glocal_exp.methods.local import Local
from glocal_exp.studies.lab import Lab, Measurement, Row, Setting, Unit
from glocal_exp.studies.variation import BASE, Variation
from glocal_exp.types import Hyperparams, InnerState

ORDERS = 10_000
"""Seeds of other batch orders lie so far above the runs' own."""


class Origins:
    """The states at the starts of intervals of the run; trained to once, in ascending order."""

    def __init__(self, lab: Lab):
        self._lab = lab
        self._reached: dict[int, Origin] = {}
        self._training = self._train()

    def at(self, outer_step: int) -> "Origin":
        """The start of interval `outer_step`; `UserError` if training ends or diverges before."""
        last = self._lab.setting.plan.schedule.outer_steps
        if outer_step > last:
            raise UserError(
                f"study.outer_steps names interval {outer_step}, and training has {last}; lower it "
                "or raise steps."
            )
        with precision(self._lab.setting):
            while outer_step not in self._reached:
                next(self._training)
        return self._reached[outer_step]

    def unit(
        self, outer_step: int, name: str, measure: Callable[..., Measurement], *how: Any
    ) -> Unit:
        """One that measures something at the start of an interval."""
        return Unit(f"s{outer_step}.{name}", lambda: measure(self.at(outer_step), *how))

    def _train(self) -> Iterator[None]:
        setting, seed = self._lab.setting, self._lab.seed
        if not setting.plan.method.keeps:
            raise UserError(
                "The study follows one training, and the method starts anew in every outer step; "
                "choose another method."
            )
        work, loop = work_of(setting, seed), setting.start()
        for _ in loop:
            if seed not in loop.snapshots:
                break
            snapshot, s = loop.snapshots[seed], loop.position.outer_step
            if snapshot.diverged:
                raise UserError(f"Training diverged before interval {s}; choose earlier ones.")
            self._reached[s] = Origin(setting, work, seed, s, snapshot.state, snapshot.phi)
            yield


def work_of(setting: Setting, seed: int) -> Work:
    """The engine's part of a setting."""
    examples = Examples({seed: setting.splits}, setting.plan.schedule.batch_size)
    return Work(setting.problem, setting.plan, examples, Programs())


@dataclass(frozen=True, eq=False)
class Origin:
    """Inner state and hyperparameters at the start of interval `outer_step`."""

    setting: Setting
    work: Work = field(repr=False)
    seed: int
    outer_step: int
    state: InnerState
    phi: Hyperparams

    @cached_property
    def validation_size(self) -> int:
        """Images of the whole validation set."""
        return len(jax.tree.leaves(self.setting.splits.validation)[0])

    def describe(self) -> dict[str, float]:
        """Hyperparameters in natural units and the validation loss."""
        named = self.setting.problem.describe(self.phi).items()
        natural = {name: float(value) for name, value in named if jnp.ndim(value) == 0}
        return natural | {"loss": self._loss(self.start())}

    def interval(
        self, variation: Variation, validation: int | None
    ) -> Float[np.ndarray, "interval q"]:
        """h_t at every step of the interval, on the first `validation` images or on all."""
        every = np.ones(self.setting.plan.schedule.interval, bool)
        with precision(self.setting, float64=variation.float64):
            start = self.start(variation, tangents=True)
            return self._train(variation, start, every, validation)[1]

    def playout(self, variation: Variation) -> tuple[Float[np.ndarray, "intervals q"], float]:
        """h at the end of each interval up to T, on all validation images, and the final loss."""
        with precision(self.setting, float64=variation.float64):
            start = self.start(variation, tangents=True)
            end, h = self._train(variation, start, self._ends)
            return h, self._loss(end)

    def final_loss(self, variation: Variation, index: int, move: float) -> float:
        """The validation loss at T with hyperparameter `index` moved, in unconstrained units."""
        with precision(self.setting, float64=variation.float64):
            place = self.start(variation)
            flat, unravel = ravel_pytree(place.phi)
            place = replace(place, phi=unravel(flat.at[index].add(move)))
            return self._loss(self._train(variation, place, self._ends)[0])

    @property
    def _ends(self) -> Bool[np.ndarray, " steps"]:
        """Of all steps up to T, those that end an interval."""
        schedule = self.setting.plan.schedule
        intervals = schedule.outer_steps - self.outer_step + 1
        return np.arange(1, intervals * schedule.interval + 1) % schedule.interval == 0

    def start(self, variation: Variation = BASE, *, tangents: bool = False) -> Snapshot:
        """State and hyperparameters, in the variation's precision and with its perturbation."""
        params = self.state.params
        if variation.start:
            leaves, structure = jax.tree.flatten(params)
            keys = jax.random.split(jax.random.key(variation.start), len(leaves))
            size = variation.start_size
            moved = [
                leaf + size * jnp.std(leaf) * jax.random.normal(key, leaf.shape, leaf.dtype)
                for leaf, key in zip(leaves, keys, strict=True)
            ]
            params = jax.tree.unflatten(structure, moved)
        state, phi = eqx.tree_at(lambda s: s.params, self.state, params), self.phi
        if variation.float64:
            inexact, rest = eqx.partition((state, phi), eqx.is_inexact_array)
            state, phi = eqx.combine(jax.tree.map(lambda x: x.astype(float), inexact), rest)
        carry = start_tangents(state, count(phi)) if tangents else None
        return Snapshot(Position(self.outer_step), state, carry, None, phi, None)

    def _train(
        self,
        variation: Variation,
        place: Snapshot,
        wanted: Bool[np.ndarray, " steps"],
        validation: int | None = None,
    ) -> tuple[Snapshot, Float[np.ndarray, "recorded q"]]:
        """Intervals from the origin on; h at the wanted of their steps, if there are tangents."""
        plan, interval = self.setting.plan, self.setting.plan.schedule.interval
        mode = plan.mode if isinstance(plan.mode, Forward) else Forward()
        work, recorded = self.varied(variation.order, validation), []
        first = (self.outer_step - 1) * interval
        for length in plan.numerics.pieces(interval) * (len(wanted) // interval):
            snapshots = {self.seed: place}
            marks, wanted = Marks(wanted[:length]), wanted[length:]
            if place.carry is None:
                segment = work.train(snapshots, first, length)[self.seed]
            else:
                segment = mode.segment(work, snapshots, first, marks, length)[self.seed]
                recorded.append(np.asarray(segment.rows["h"], np.float64)[marks.steps])
            place, first = replace(place, state=segment.state, carry=segment.carry), first + length
        return place, np.concatenate(recorded or [np.zeros((0, count(self.phi)))])

    def varied(self, order: int, validation: int | None) -> Work:
        """The engine's part with another order of the batches and so many validation images.

        Its tangents are those of training, whatever the method of the run makes of them.
        """
        if validation is not None and not 1 <= validation <= self.validation_size:
            raise UserError(
                f"The study asks for {validation} validation images; choose from 1 to "
                f"{self.validation_size}, or raise validation.size."
            )
        examples = self.work.examples.varied(order=ORDERS * order, meta=validation)
        plan = replace(self.work.plan, method=Local(), mode=Forward())
        return replace(self.work, examples=examples, plan=plan)

    def _loss(self, place: Snapshot) -> float:
        metrics = evaluate(self.varied(0, None), {self.seed: place})
        return metrics[self.seed]["validation_loss"]


def central_differences(
    final_loss: Callable[[int, float], float],
    places: Mapping[str, int],
    radius: float,
    slope: str,
) -> Iterator[Row]:
    """A row for each hyperparameter: the final loss on both sides of it, and by name its slope.

    Args:
        final_loss: with the hyperparameter at a place moved, in unconstrained units.
    """
    for name, place in places.items():
        below, above = (final_loss(place, move) for move in (-radius, radius))
        sides: Row = {"hyperparameter": name, "below": below, "above": above}
        yield sides | {slope: (above - below) / (2 * radius)}


@contextmanager
def precision(setting: Setting, *, float64: bool = False) -> Iterator[None]:
    """The setting's own for products, whatever another setting has chosen since; or float64."""
    products = setting.matmul_precision
    with (
        jax.enable_x64(True) if float64 else nullcontext(),
        jax.default_matmul_precision(products) if products else nullcontext(),
    ):
        yield
