"""Runs of a few milliseconds, and what they ought to give, by reverse mode."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.flatten_util import ravel_pytree

from glocal_exp.engine import Loop, Numerics, Splits, run
from glocal_exp.engine.batches import batch_indices
from glocal_exp.engine.plan import Choice
from glocal_exp.koopman.dmd import HankelDMD
from glocal_exp.koopman.steady import SteadyStateEstimator
from glocal_exp.methods.global_ import Global
from glocal_exp.methods.glocal import Glocal
from glocal_exp.methods.local import Local
from glocal_exp.methods.none import NoHPO
from glocal_exp.methods.window_mean import WindowMean
from glocal_exp.records import IntervalRecord
from glocal_exp.types import InnerProblem, InnerState
from tests.problems import KEY, Network, regression

STEPS, INTERVAL, BATCH = 18, 6, 8
SGD = Network("sgd")
SPLITS = {seed: regression(seed) for seed in (0, 1)}
# Two segments to an interval, so that every run also crosses a border inside of one.
NUMERICS = Numerics(segment=3)
META = optax.adam(0.1)

METHODS = {
    "none": NoHPO(),
    "local": Local(),
    "window_mean": WindowMean(window=4, stride=1),
    # Rank 2: the four singular values of so short a trajectory span ten orders of magnitude.
    "glocal": Glocal(6, 2, 1, HankelDMD(rank=2), SteadyStateEstimator()),
    "global": Global(),
    "non_greedy": Global(greedy=False),
}

_compiled: dict[Any, Any] = {}


def begin(
    problem: InnerProblem = SGD,
    splits: Splits | dict[int, Splits] = SPLITS[0],
    method: Any = METHODS["local"],
    *,
    steps: int = STEPS,
    interval: int = INTERVAL,
    batch_size: int = BATCH,
    mode: Choice | None = None,
    numerics: Numerics = NUMERICS,
    meta_optimizer: optax.GradientTransformation | None = None,
    share: bool = True,
    **settings: Any,
) -> Loop:
    """`run` with defaults; runs of one problem share compiled programs unless told not to.

    Compiling is all the time that these tests take. Programs are looked up by the shapes of what
    they are given, so sharing them changes no number.
    """
    loop = run(
        problem,
        splits,
        method,
        steps=steps,
        interval=interval,
        batch_size=batch_size,
        mode=mode,
        numerics=numerics,
        meta_optimizer=meta_optimizer or META,
        **settings,
    )
    if share:
        sizes = replace(numerics, segment=1, checkpoint_seconds=0.0, playout_gib=0.0)
        key = (jax.tree.structure(problem), sizes)
        programs = loop.work.programs
        programs._compiled = _compiled.setdefault(key, programs._compiled)
    return loop


def by_seed(records: list[IntervalRecord], seed: int = 0) -> list[IntervalRecord]:
    return [record for record in records if record.seed == seed]


def same(a: IntervalRecord, b: IntervalRecord) -> bool:
    """Whether two records agree bit by bit, times aside."""
    fields = {**vars(a)}, {**vars(b)}
    for values in fields:
        for name in ("seconds", "compile_seconds", "evaluation_seconds"):
            values.pop(name)
        arrays = values.pop("arrays")
        values["arrays"] = {name: (array.shape, array.tobytes()) for name, array in arrays.items()}
    # repr gives every bit of a float, and NaN equals NaN.
    return repr(fields[0]) == repr(fields[1])


def equal(a: Any, b: Any) -> bool:
    """Whether two trees of arrays agree bit by bit."""
    leaves = jax.tree.leaves(a), jax.tree.leaves(b)
    return jax.tree.structure(a) == jax.tree.structure(b) and all(
        np.asarray(x).tobytes() == np.asarray(y).tobytes() for x, y in zip(*leaves, strict=True)
    )


def close(a: Any, b: Any, rtol: float) -> None:
    """Leaf by leaf; what is 0 but for rounding is compared with the rest of its leaf."""
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        y = np.asarray(y)
        scale = np.max(np.abs(y[np.isfinite(y)]), initial=0.0)
        np.testing.assert_allclose(x, y, rtol=rtol, atol=rtol * scale)


def vector(named: dict[str, float]) -> np.ndarray:
    return np.asarray(list(named.values()))


def batches(splits: Splits, start: int, count: int, seed: int = 0) -> Any:
    size = len(jax.tree.leaves(splits.train)[0])
    indices = batch_indices(seed, size, BATCH, start, count)
    return jax.tree.map(lambda leaf: jnp.asarray(leaf)[indices], splits.train)


class Unrolled(NamedTuple):
    """After every step of a stretch: its hypergradient (steps, q) and the state."""

    h: jax.Array
    states: InnerState

    def state(self, step: int) -> InnerState:
        """The state after `step` steps, from 1."""
        return jax.tree.map(lambda leaf: leaf[step - 1], self.states)


@partial(jax.jit, static_argnames="problem")
def unroll(
    problem: InnerProblem, state: InnerState, phis: Any, batches: Any, validation: Any
) -> Unrolled:
    """Plain training along `batches`, differentiated in reverse mode.

    `phis` holds each step's hyperparameters; h is the derivative with respect to what is added to
    all of them.
    """
    first = jax.tree.map(lambda leaf: leaf[0], phis)
    flat, unravel = ravel_pytree(first)

    def losses(shift):
        def body(state, inputs):
            phi, batch = inputs
            phi = jax.tree.map(jnp.add, phi, unravel(shift))
            state, _ = problem.step(state, phi, batch, KEY)
            return state, (problem.meta_loss(state, phi, validation), state)

        return jax.lax.scan(body, state, (phis, batches))[1]

    return Unrolled(*jax.jacrev(losses, has_aux=True)(jnp.zeros_like(flat)))


def train(problem: InnerProblem, state: InnerState, phi: Any, start: int = 0) -> Unrolled:
    """`STEPS` steps from step `start` on, of seed 0, with the same hyperparameters throughout.

    What is asked of it may be less: one length for all compiles once.
    """
    phis = jax.tree.map(lambda leaf: jnp.stack([leaf] * STEPS), phi)
    return unroll(problem, state, phis, batches(SPLITS[0], start, STEPS), SPLITS[0].validation)


class Expected(NamedTuple):
    """After one outer step: its h_t, the estimate, hyperparameters before and the state after."""

    h: np.ndarray
    estimate: np.ndarray
    phi: Any
    state: InnerState


def expected(
    problem: InnerProblem,
    estimate: Callable[[np.ndarray, int], np.ndarray],
    optimizer: optax.GradientTransformation,
) -> Iterator[Expected]:
    """Greedy hyperparameter optimization as a plain loop; `estimate` maps (h, steps left)."""
    state, phi = problem.init(jax.random.key(0))
    meta_state = optimizer.init(phi)
    for start in range(0, STEPS, INTERVAL):
        unrolled = train(problem, state, phi, start)
        h, state = np.asarray(unrolled.h)[:INTERVAL], unrolled.state(INTERVAL)
        value = estimate(h, STEPS - start - INTERVAL)
        yield Expected(h, value, phi, state)
        gradient = ravel_pytree(phi)[1](jnp.asarray(value))
        updates, meta_state = optimizer.update(gradient, meta_state, phi)
        phi = optax.apply_updates(phi, updates)
