"""Table 1 measured: how time and memory of the engine grow with S, T, tau, p and q."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, PRNGKeyArray

from glocal_exp.engine import Hooks, Loop, Numerics, Splits, run
from glocal_exp.engine.compiled import Programs
from glocal_exp.koopman import HankelDMD, SteadyStateEstimator
from glocal_exp.methods.global_ import Global
from glocal_exp.methods.glocal import Glocal
from glocal_exp.methods.local import Local
from glocal_exp.studies.lab import Lab, Measurement, Row, Unit
from glocal_exp.types import Batch, Hyperparams, InnerProblem, InnerState, Named, Scalar, Stepped

FEATURES, EXAMPLES = 16, 8
STILL = optax.sgd(0.0)
DELAYS, RANK = 2, 4  # of a decomposition whose cost is small beside training, as in the paper


class Blocks(InnerProblem):
    """A linear regression with many outputs whose p weights are in q blocks, each with its rate.

    The work of a step is proportional to p, and of its tangents to p q, with nothing else in it.
    """

    size: int = eqx.field(static=True)  # p, a multiple of 16
    rates: int = eqx.field(static=True)  # q, at most p

    def init(self, key: PRNGKeyArray) -> tuple[InnerState, Hyperparams]:
        weights = jax.random.normal(key, (FEATURES, self.size // FEATURES)) / FEATURES
        return InnerState(weights, (), jnp.array(0)), jnp.full(self.rates, -4.0)

    def step(self, state: InnerState, phi: Hyperparams, batch: Batch, key: PRNGKeyArray) -> Stepped:
        loss, gradient = jax.value_and_grad(self._loss)(state.params, batch)
        block = jnp.arange(self.size) * self.rates // self.size
        rates = jnp.exp(phi)[block].reshape(gradient.shape)
        return InnerState(state.params - rates * gradient, (), state.step + 1), loss

    def meta_loss(self, state: InnerState, phi: Hyperparams, batch: Batch) -> Scalar:
        return self._loss(state.params, batch)

    def describe(self, phi: Hyperparams) -> Named:
        return {"learning_rate": jnp.exp(phi)}

    def _loss(self, weights: Float[Array, "16 o"], batch: Batch) -> Scalar:
        # The sine, so that second derivatives are no constants to be folded.
        return jnp.mean((jnp.sin(batch["x"] @ weights) - batch["y"]) ** 2)


@dataclass(frozen=True)
class Size:
    """The five numbers of Table 1; T = S tau."""

    outer_steps: int
    interval: int
    parameters: int
    hyperparameters: int

    def columns(self) -> Row:
        """By the paper's letters."""
        s, tau = self.outer_steps, self.interval
        return {"S": s, "T": s * tau, "tau": tau, "p": self.parameters, "q": self.hyperparameters}


@dataclass(frozen=True)
class Complexity:
    """CPU time and memory of whole runs, one row a run.

    `configs/study/complexity.yaml` explains the settings.
    """

    base: Mapping[str, int]
    sweeps: Mapping[str, Mapping[str, Sequence[int]]]
    grid: Mapping[str, Sequence[int]]
    repeats: int
    window: float
    trains: ClassVar[bool] = False

    def units(self, lab: Lab) -> Iterator[Unit]:
        for letter, lists in self.sweeps.items():
            sizes = [self._size(lists, values) for values in zip(*lists.values(), strict=True)]
            yield Unit(f"sweep-{letter}", partial(self._measure, letter, sizes, self.repeats))
        sizes = [self._size(self.grid, values) for values in product(*self.grid.values())]
        yield Unit("grid", partial(self._measure, "grid", sizes, 1))

    def _size(self, names: Iterable[str], values: Iterable[int]) -> Size:
        return Size(**{**self.base, **dict(zip(names, values, strict=True))})

    def _measure(self, sweep: str, sizes: Sequence[Size], repeats: int) -> Measurement:
        # All methods train by the same program, however many outer steps there are.
        programs = {replace(size, outer_steps=1): Programs() for size in sizes}
        rows: list[Row] = []
        for repeat, size in product(range(repeats), sizes):
            for name, method in self._methods(size.interval).items():
                row = measure_run(size, method, programs[replace(size, outer_steps=1)])
                rows.append({"sweep": sweep, "method": name, "repeat": repeat} | row)
        return Measurement(rows)

    def _methods(self, interval: int) -> dict[str, Any]:
        window = max(DELAYS + 1, round(self.window * interval))
        glocal = Glocal(window, DELAYS, 1, HankelDMD(rank=RANK), SteadyStateEstimator())
        return {"local": Local(), "global": Global(), "glocal": glocal}


def measure_run(size: Size, method: Any, programs: Programs) -> Row:
    """One run of S outer steps, after one more in which whatever is left to compile is compiled.

    Of a global method the steps after the first cost what a run of S steps costs. The row has the
    size; `cpu_seconds` of all threads; `tangent_steps` and `validation_gradients`; `program_bytes`,
    arguments, results and scratch of the compiled training; and `held_bytes`, which the outer loop
    holds beside that at its fullest: the hypergradients so far, and the state to come back to after
    a playout.
    """
    held: list[int] = []
    loop = start(size, method, lambda done, total: held.append(_held(loop)), programs)
    next(loop)  # before training
    first = next(loop)
    began = time.process_time()
    records = list(loop)
    seconds = time.process_time() - began
    costs, before = records[-1].costs, first.costs
    return size.columns() | {
        "cpu_seconds": seconds,
        "tangent_steps": costs.tangent_steps - before.tangent_steps,
        "validation_gradients": costs.validation_gradients - before.validation_gradients,
        "program_bytes": programs.memory()["forward"],
        "held_bytes": max(held),
    }


def start(
    size: Size,
    method: Any,
    progress: Callable[[int, int], None] | None = None,
    programs: Programs | None = None,
) -> Loop:
    """A run of S + 1 outer steps whose hyperparameters stay, so that all steps are alike."""
    rng = np.random.default_rng(0)

    def examples() -> Batch:
        x = rng.standard_normal((EXAMPLES, FEATURES))
        return {"x": x.astype(np.float32), "y": np.ones((EXAMPLES, 1), np.float32)}

    steps = (size.outer_steps + 1) * size.interval
    return run(
        Blocks(size.parameters, size.hyperparameters),
        Splits(train=examples(), validation=examples()),
        method,
        steps=steps,
        interval=size.interval,
        batch_size=EXAMPLES,
        eval_every=steps,
        meta_optimizer=STILL,
        numerics=Numerics(segment=size.interval),
        hooks=Hooks(progress=progress),
        programs=programs,
    )


def _held(loop: Loop) -> int:
    trees = [(dict(s.measured), s.kept) for s in loop.snapshots.values()]
    return sum(leaf.nbytes for leaf in jax.tree.leaves(trees))
