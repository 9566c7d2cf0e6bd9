"""The start of an interval of real training, and what can be played out from it."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import cached_property

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Float

from glocal_exp.engine.batches import batch_indices
from glocal_exp.engine.examples import Data
from glocal_exp.engine.segment import Programs
from glocal_exp.errors import UserError
from glocal_exp.hypergrad import count, names, zero_tangents
from glocal_exp.studies.study import Lab, Setting
from glocal_exp.types import Hyperparams, InnerState, Tangents

ORDERS = 10_000
"""Seeds of other batch orders lie so far above the runs' own."""


@dataclass(frozen=True)
class Variation:
    """What differs from the training run itself.

    Attributes:
        float64: compute in it, from the same numbers.
        start: 0 for the run's own weights, else the number of a random perturbation of them.
        start_size: its size, relative to the standard deviation of each array of weights.
        order: 0 for the run's own batches, else the number of another order of them.
    """

    float64: bool = False
    start: int = 0
    start_size: float = 0.0
    order: int = 0

    @property
    def name(self) -> str:
        """`base`, `float64`, `start1`, `order1`, ..."""
        parts = ["float64"] if self.float64 else []
        parts += [f"start{self.start}"] if self.start else []
        parts += [f"order{self.order}"] if self.order else []
        return "-".join(parts) or "base"


BASE = Variation()


class Origins:
    """The states at the starts of intervals of the run; trained to once, in ascending order."""

    def __init__(self, lab: Lab):
        self._lab = lab
        self._found: dict[int, Origin] = {}
        self._training: Iterator[None] | None = None

    def at(self, outer_step: int) -> "Origin":
        """The start of interval `outer_step`.

        Raises:
            UserError: when training is shorter, or has diverged before.
        """
        last = self._lab.setting.schedule.outer_steps
        if outer_step > last:
            raise UserError(
                f"study.outer_steps names interval {outer_step}, and training has {last}; lower it "
                "or raise steps."
            )
        if self._training is None:
            self._training = self._train()
        with precision(self._lab.setting):
            while outer_step not in self._found:
                next(self._training)
        return self._found[outer_step]

    def _train(self) -> Iterator[None]:
        setting, seed = self._lab.setting, self._lab.seed
        programs, data = Programs(setting.problem, setting.numerics), {}
        loop = setting.start()
        for _ in loop:
            if seed not in loop.snapshots:
                break
            snapshot = loop.snapshots[seed]
            s = snapshot.position.outer_step
            if snapshot.diverged:
                raise UserError(f"Training diverged before interval {s}; choose earlier ones.")
            self._found[s] = Origin(setting, seed, s, snapshot.state, snapshot.phi, programs, data)
            yield


@dataclass(frozen=True, eq=False)
class Origin:
    """Inner state and hyperparameters at the start of interval `outer_step`."""

    setting: Setting
    seed: int
    outer_step: int
    state: InnerState
    phi: Hyperparams
    programs: Programs = field(repr=False)
    data: dict[int | None, Data] = field(default_factory=dict, repr=False)

    @property
    def names(self) -> tuple[str, ...]:
        """The hyperparameters, in the hypergradient's order."""
        return names(self.phi)

    @cached_property
    def validation_size(self) -> int:
        """Images of the whole validation set."""
        return len(jax.tree.leaves(self.setting.splits.validation)[0])

    def describe(self) -> dict[str, float]:
        """Hyperparameters in natural units and the validation loss."""
        natural = {k: float(v) for k, v in self.setting.problem.describe(self.phi).items()}
        return natural | {"loss": self._loss(BASE, self.state, self.phi)}

    def interval(
        self, variation: Variation, validation: int | None
    ) -> Float[np.ndarray, "interval q"]:
        """h_t at every step of the interval, on the first `validation` images or on all."""
        steps = self.setting.schedule.interval
        with precision(self.setting, float64=variation.float64):
            state, phi = self._start(variation)
            tangents = zero_tangents(state, count(phi))
            record = np.ones(steps, bool)
            return self._train(variation, (state, phi, tangents), 0, record, validation)[1]

    def playout(self, variation: Variation) -> tuple[Float[np.ndarray, "intervals q"], float]:
        """h at the end of each interval up to T, on all validation images, and the final loss."""
        interval = self.setting.schedule.interval
        record = np.arange(interval) == interval - 1
        with precision(self.setting, float64=variation.float64):
            state, phi = self._start(variation)
            tangents, found = zero_tangents(state, count(phi)), []
            for number in range(self._intervals):
                (state, tangents), h = self._train(
                    variation, (state, phi, tangents), number * interval, record, None
                )
                found.append(h[-1])
            return np.array(found), self._loss(variation, state, phi)

    def final_loss(self, variation: Variation, index: int, move: float) -> float:
        """The validation loss at T with hyperparameter `index` moved, in unconstrained units."""
        interval = self.setting.schedule.interval
        record = np.zeros(interval, bool)
        with precision(self.setting, float64=variation.float64):
            state, phi = self._start(variation)
            flat, unravel = ravel_pytree(phi)
            phi = unravel(flat.at[index].add(move))
            for number in range(self._intervals):
                given = (state, phi, None)
                (state, _), _ = self._train(variation, given, number * interval, record, None)
            return self._loss(variation, state, phi)

    @property
    def _intervals(self) -> int:
        return self.setting.schedule.outer_steps - self.outer_step + 1

    def _start(self, variation: Variation) -> tuple[InnerState, Hyperparams]:
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
        start = (eqx.tree_at(lambda s: s.params, self.state, params), self.phi)
        if not variation.float64:
            return start
        return jax.tree.map(
            lambda leaf: leaf.astype(float) if eqx.is_inexact_array(leaf) else leaf, start
        )

    def _train(
        self,
        variation: Variation,
        start: tuple[InnerState, Hyperparams, Tangents | None],
        done: int,
        record: np.ndarray,
        validation: int | None,
    ) -> tuple[tuple[InnerState, Tangents], Float[np.ndarray, "recorded q"]]:
        """One interval's steps, `done` steps after the origin, in the run's own segments."""
        schedule, (state, phi, tangents) = self.setting.schedule, start
        first = (self.outer_step - 1) * schedule.interval + done
        seed = self.seed + ORDERS * variation.order
        size = len(jax.tree.leaves(self.setting.splits.train)[0])
        data, key, found = self._data(validation), jax.random.key(self.seed), []
        for length in self.setting.numerics.pieces(schedule.interval):
            indices = batch_indices(seed, size, schedule.batch_size, first, length)
            wanted, record = record[:length], record[length:]
            stretch = self.programs.train(
                state,
                phi,
                tangents,
                data,
                key,
                jnp.asarray(indices),
                jnp.asarray(wanted),
                batched=False,
            )
            state, tangents, first = stretch.state, stretch.tangents, first + length
            found.append(np.asarray(stretch.hypergradients, np.float64)[wanted])
        return (state, tangents), np.concatenate(found)

    def _data(self, validation: int | None) -> Data:
        """The examples on the device, with so many validation images."""
        if validation not in self.data:
            splits = self.setting.splits
            part = jax.tree.map(lambda leaf: leaf[:validation], splits.validation)
            train = next(iter(self.data.values())).train if self.data else splits.train
            self.data[validation] = jax.tree.map(jnp.asarray, Data(train, part, None, None))
        return self.data[validation]

    def _loss(self, variation: Variation, state: InnerState, phi: Hyperparams) -> float:
        data = self._data(None)
        found = self.programs.evaluate(state, phi, data.validation, batched=False)
        return float(found["meta_loss"])


@contextmanager
def precision(setting: Setting, *, float64: bool = False) -> Iterator[None]:
    """The setting's own for products, whatever another setting has chosen since; or float64."""
    before = jax.config.jax_enable_x64  # pyright: ignore[reportAttributeAccessIssue]
    products = setting.matmul_precision
    jax.config.update("jax_enable_x64", before or float64)
    try:
        with jax.default_matmul_precision(products) if products else nullcontext():
            yield
    finally:
        jax.config.update("jax_enable_x64", before)
