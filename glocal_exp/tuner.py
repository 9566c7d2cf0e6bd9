"""Hyperparameters tuned inside a training loop of one's own, with batches from any iterator.

    tuner = Tuner(problem, method, meta_optimizer, interval=100, steps=10_000)
    state = tuner.init(key)
    for t, batch in enumerate(batches, start=1):
        state = tuner.step(state, batch)
        if t % 100 == 0:
            state = tuner.update(state, validation)

A step is plain training, one compiled program, and keeps its batch. At an interval's end the
engine trains along the kept batches once more from where the interval began, now with derivatives:
all methods but those that play out what is to come, in every mode of differentiation, by the very
programs of `glocal_exp.engine.run`. So numbers are `run`'s, and so is the cost but for that plain
step; in memory it takes an interval's batches.
"""

from collections.abc import Callable
from dataclasses import astuple, replace
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

from glocal_exp.engine.checkpoint import Position, Snapshot
from glocal_exp.engine.contract import check_kinds
from glocal_exp.engine.examples import Examples, Splits
from glocal_exp.engine.loop import Hooks, Loop
from glocal_exp.engine.modes.forward import Forward
from glocal_exp.engine.plan import Choice, Plan
from glocal_exp.engine.playout import Playout
from glocal_exp.engine.settings import Numerics, Schedule
from glocal_exp.engine.work import Work
from glocal_exp.errors import UserError
from glocal_exp.hypergrad.forward import count
from glocal_exp.methods.method import Method
from glocal_exp.records import Costs, IntervalRecord
from glocal_exp.types import Batch, Hyperparams, InnerProblem, InnerState, Scalar, Stepped

SEED = 0  # of the run that the engine is made for; each that it takes has its key's


class TunerState(eqx.Module):
    """A run between two steps: arrays alone, to be saved as any tree.

    It has the shapes of `Tuner.init` after each update, unless a method's memory grows, or it
    trains copies on.

    Attributes:
        inner: the training state after the newest step.
        phi: the hyperparameters in use.
        loss: of the newest step; NaN before.
        hypergradient: what phi followed last, with respect to the unconstrained hyperparameters;
            NaN before, and where there was none.
        batches: those of the interval's steps so far.
        start: the training state where the interval began.
        carry: what the mode of differentiation carries beside it.
        memory: the method's.
        outer_step: s, from 1.
        costs: the fields of `records.Costs`.
        key: the numbers of the steps' key, since libraries that save trees know no typed ones.
    """

    inner: InnerState
    phi: Hyperparams
    loss: Scalar
    hypergradient: Float[np.ndarray, " q"]
    batches: tuple[Batch, ...]
    start: InnerState
    carry: PyTree
    meta_state: PyTree
    memory: dict[str, np.ndarray]
    outer_step: Int[np.ndarray, ""]
    costs: Int[np.ndarray, "4"]
    key: Array


class Tuner:
    """A problem and how its hyperparameters are learned; what differs by step is in the state."""

    def __init__(
        self,
        problem: InnerProblem,
        method: Method,
        meta_optimizer: optax.GradientTransformation | None = None,
        *,
        interval: int,
        steps: int,
        mode: Choice | None = None,
        numerics: Numerics | None = None,
        carry_tangents: bool = False,
        show: Callable[[IntervalRecord], None] | None = None,
    ):
        """Check what is wanted; arguments are as of `glocal_exp.engine.run`.

        Args:
            show: is given each interval's record, as `run` yields it: metrics on the validation
                examples, diagnostics, remarks; a sink's `record`, for example.

        Raises:
            UserError: when the settings do not fit each other, or need batches that are to come.
        """
        check_kinds(
            problem=(problem, InnerProblem),
            meta_optimizer=(meta_optimizer, optax.GradientTransformation),
            numerics=(numerics, Numerics),
        )
        schedule, numerics = Schedule(steps, interval, batch_size=1), numerics or Numerics()
        plan = Plan(schedule, method, mode or Forward(), numerics, carry_tangents)
        fit = plan.wanted.distilled
        ahead = plan.lookahead(1) or not method.keeps or plan.wanted.training
        if ahead or (fit and fit.horizon > interval):
            raise UserError(
                f"{type(method).__name__} looks at batches that are to come, and a training loop "
                "of one's own has not drawn them; take another method, or engine.run."
            )
        self.problem, self.plan = problem, plan
        self._show = show or (lambda record: None)
        self._outer = _OuterStep(problem, plan, meta_optimizer or optax.adam(0.1))
        self._train = jax.jit(self._train_once)

    def init(self, key: PRNGKeyArray) -> TunerState:
        """Before training; `jax.random.key(seed)` is the start of `run`'s seed."""
        inner, phi = self.problem.init(key)
        first = self._outer.begin(inner, phi)
        numbers, nan = jax.random.key_data(key), jnp.full((), jnp.nan)
        return self._between(first, np.full(count(phi), np.nan), numbers, nan)

    def step(self, state: TunerState, batch: Batch) -> TunerState:
        """After one training step, its random draws from the key and the number of the step.

        Raises:
            UserError: when the interval, or all of training, is over.
        """
        schedule = self.plan.schedule
        if len(state.batches) == schedule.interval:
            raise UserError(f"The interval of {schedule.interval} steps is over; call update.")
        if state.outer_step > schedule.outer_steps:
            raise UserError(f"All steps={schedule.steps} are taken; make a Tuner of more.")
        inner, loss = self._train(state.inner, state.phi, batch, state.key)
        return replace(state, inner=inner, loss=loss, batches=(*state.batches, batch))

    def update(self, state: TunerState, validation: Batch) -> TunerState:
        """After the hyperparameters' step at an interval's end.

        The training state is the one that the derivatives belong to: up to rounding the last
        step's.

        Args:
            validation: examples that hypergradients, and metrics, are taken on.

        Raises:
            UserError: when there is still to train, or the batches differ in shape.
        """
        interval, taken = self.plan.schedule.interval, len(state.batches)
        if taken < interval:
            raise UserError(f"update comes after interval={interval} steps, not after {taken}.")
        shapes = {tuple(map(np.shape, jax.tree.leaves(batch))) for batch in state.batches}
        if len(shapes) > 1:
            raise UserError("The interval's batches differ in shape; leave out an epoch's last.")
        place = Position(int(state.outer_step))
        arrays = state.start, state.carry, None, state.phi, state.meta_state
        snapshot = Snapshot(place, *arrays, memory=state.memory, costs=Costs(*state.costs.tolist()))
        given = _Given(state.batches, validation, jax.random.wrap_key_data(state.key))
        after, record = self._outer.take(snapshot, given)
        self._show(record)
        h = record.arrays.get("hypergradient", state.hypergradient * np.nan)
        return self._between(after, h, state.key, state.loss)

    def _between(self, snapshot: Snapshot, h: np.ndarray, key: Array, loss: Scalar) -> TunerState:
        """A state where an interval begins."""
        return TunerState(
            inner=snapshot.state,
            phi=snapshot.phi,
            loss=loss,
            hypergradient=h,
            batches=(),
            start=snapshot.state,
            carry=snapshot.carry,
            meta_state=snapshot.meta_state,
            memory=dict(snapshot.memory),
            outer_step=np.array(snapshot.position.outer_step),
            costs=np.array(astuple(snapshot.costs)),
            key=key,
        )

    def _train_once(self, inner: InnerState, phi: Hyperparams, batch: Batch, key: Array) -> Stepped:
        key = jax.random.fold_in(jax.random.wrap_key_data(key), inner.step)
        return self.problem.step(inner, phi, batch, key)


class _Keyed(Splits):
    """Examples with the key of the steps that see them."""

    key: Any = None  # not optional, but after fields that are


class _Given(Examples):
    """An interval's batches, one after another."""

    def __init__(self, batches: tuple[Batch, ...], validation: Batch, key: PRNGKeyArray):
        self._rows = np.arange(len(batches) * len(jax.tree.leaves(batches[0])[0]), dtype=np.int32)
        self._rows = self._rows.reshape(len(batches), -1)
        train = jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *batches)
        self.seed = int(np.ravel(jax.random.key_data(key))[-1])  # of `jax.random.key(seed)`
        self._examples = _Keyed(train, jax.tree.map(jnp.asarray, validation), key=key)

    def data(self, seeds) -> Splits:
        return self._examples

    def indices(self, seed: int, start: int, count: int) -> jax.Array:
        place = start % len(self._rows)
        return jnp.asarray(self._rows[place : place + count])


class _Work(Work):
    """Draws from the key that comes with the examples."""

    def batch(
        self, data: _Keyed, key: PRNGKeyArray, step: Int[Array, ""], chosen: Int[Array, " batch"]
    ) -> tuple[Batch, PRNGKeyArray]:
        return super().batch(data, data.key, step, chosen)


class _OuterStep(Loop):
    """The engine's loop, taken a step at a time from wherever it is put."""

    def __init__(
        self, problem: InnerProblem, plan: Plan, meta_optimizer: optax.GradientTransformation
    ):
        nothing = {SEED: Splits(np.zeros(1), np.zeros(1))}
        hooks = Hooks(keep=lambda outer_step: True)
        super().__init__(problem, nothing, plan, meta_optimizer=meta_optimizer, hooks=hooks)
        self._optimizer, self._start = meta_optimizer, partial(self.mode.start, plan)

    def begin(self, inner: InnerState, phi: Hyperparams) -> Snapshot:
        """Where training starts."""
        carry, meta_state = self._start(inner, phi), self._optimizer.init(phi)
        return Snapshot(Position(), inner, carry, None, phi, meta_state)

    def take(self, snapshot: Snapshot, given: _Given) -> tuple[Snapshot, IntervalRecord]:
        """One outer step on these batches."""
        self.work = _Work(self.work.problem, self.work.plan, given, self.work.programs)
        self._playout = Playout(self.work, self.mode, self._after_segment)
        (initial,) = self._initial.values()
        self._initial, self.snapshots = {given.seed: initial}, {given.seed: snapshot}
        (record,) = self._outer_step()
        return self.snapshots[given.seed], record
