"""The reweighting task where training has led it: one interval by any mode of differentiation."""

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from typing import Any

import jax
import optax
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from glocal_exp.app.build import build
from glocal_exp.app.compose import jobs
from glocal_exp.bench.comparison import Outcome
from glocal_exp.bench.runs import image_splits
from glocal_exp.bench.work import Scale
from glocal_exp.engine import Hooks, Splits, run
from glocal_exp.records import IntervalRecord
from glocal_exp.types import Batch, Hyperparams, InnerProblem, InnerState

SEED = 0
Run = Callable[[], IntervalRecord]


class Started(InnerProblem):
    """A problem that starts where training has led it."""

    problem: InnerProblem
    start: tuple[InnerState, Hyperparams]

    def init(self, key: PRNGKeyArray) -> tuple[InnerState, Hyperparams]:
        return self.start

    def step(self, state: InnerState, phi: Hyperparams, batch: Batch, key: PRNGKeyArray) -> tuple:
        return self.problem.step(state, phi, batch, key)

    def meta_loss(self, state: InnerState, phi: Hyperparams, batch: Batch) -> Float[Array, ""]:
        return self.problem.meta_loss(state, phi, batch)

    def describe(self, phi: Hyperparams) -> dict[str, Float[Array, "..."]]:
        return {}

    def signals(
        self, state: InnerState, phi: Hyperparams, batch: Batch, key: PRNGKeyArray
    ) -> Float[Array, " n"] | None:
        return self.problem.signals(state, phi, batch, key)

    def tangent_rows(self, phi: Hyperparams, signals: Float[Array, " n"]) -> PyTree:
        return self.problem.tangent_rows(phi, signals)


class Exercise:
    """One interval of the task, from a state so many intervals after the start.

    Training up to there happens when it is first needed.
    """

    def __init__(self, scale: Scale, intervals: int, meta_rate: float):
        common = ["source=bundled", "device=cpu", "tracker=none", f"batch_size={scale.batch}"]
        job = jobs([*common, "task=reweight", "method=local"], sweep=False)[0]
        self._experiment = build(job.config, job.choices)
        splits = image_splits(self._experiment.data, scale, scale.subset)
        self._splits = replace(splits, validation=splits.meta, test=None)
        self._scale, self._intervals, self._meta_rate = scale, intervals, meta_rate
        self._latest: dict[str, IntervalRecord] = {}

    def way(self, mode: str) -> Run:
        """A call that makes the interval's local hypergradient; compiled by its first call."""
        loops = []

        def call() -> IntervalRecord:
            if not loops:
                loops.append(self._loop(self._problem, mode, 1, self._scale.steps, 0.1))
            loops[0].restart()
            self._latest[mode] = list(loops[0])[-1]
            return self._latest[mode]

        return call

    def facts(self, mode: str) -> dict[str, float]:
        """How many tangents the last call pushed, and the error that it estimated; if any did."""
        found = self._latest[mode].diagnostics if mode in self._latest else {}
        names = {"tangents": "low_rank_tangents", "estimated error": "low_rank_error"}
        return {name: found[key] for name, key in names.items() if key in found}

    @cached_property
    def _problem(self) -> InnerProblem:
        problem = self._experiment.problem
        if not self._intervals:
            return Started(problem, problem.init(jax.random.key(SEED)))
        tau = self._scale.interval
        loop = self._loop(problem, "reverse", self._intervals, tau, self._meta_rate)
        for _ in loop:
            pass
        return Started(problem, (loop.states[SEED], loop.hyperparams[SEED]))

    def _loop(self, problem: InnerProblem, mode: str, intervals: int, tau: int, rate: float) -> Any:
        splits: Splits = self._splits
        return run(
            problem,
            {SEED: splits},
            self._experiment.method,
            steps=intervals * tau,
            interval=tau,
            batch_size=self._scale.batch,
            meta_optimizer=optax.adam(rate),
            numerics=replace(self._experiment.numerics, mode=mode),
            hooks=Hooks(keep=lambda outer_step: True),
        )


def outcome(record: IntervalRecord) -> Outcome:
    """Its hypergradient as a result to be compared."""
    return {"all hypergradients": record.arrays["hypergradient"]}
