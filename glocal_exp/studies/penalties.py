"""What black-box search over penalties comes to in the time that hypergradients take."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from glocal_exp.errors import UserError
from glocal_exp.studies.lab import Lab, Measurement, Row, Setting, Unit
from glocal_exp.studies.origin import precision

try:
    import optuna
except ModuleNotFoundError as error:
    raise UserError("study=penalties needs optuna; run make setup EXTRAS=search.") from error


@dataclass(frozen=True, kw_only=True)
class PenaltySearch:
    """Plain trainings by tree-structured Parzen estimators (Bergstra et al. 2011) while time lasts.

    `configs/study/penalties.yaml` explains the settings.
    """

    seconds: float
    counts: Sequence[int]
    low: float
    high: float
    trains: ClassVar[bool] = True

    def __post_init__(self):
        if not 0 < self.low < self.high:
            raise UserError(
                f"study.low={self.low} and study.high={self.high} bound no penalties; give "
                "0 < low < high."
            )
        if min(self.counts, default=0) < 1:
            raise UserError(f"study.counts={list(self.counts)} is no list of numbers from 1 on.")

    def units(self, lab: Lab) -> Iterable[Unit]:
        for count in self.counts:
            yield Unit(f"tpe-{count}", partial(self._search, lab, count))

    def _search(self, lab: Lab, count: int) -> Measurement:
        """A row a trial, with the test loss of the best by validation so far."""
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=lab.seed))
        distribution = optuna.distributions.FloatDistribution(self.low, self.high, log=True)
        space: Any = {str(number): distribution for number in range(count)}
        with precision(lab.setting):
            losses, rows, best = _trained(lab.setting), list[Row](), Row()
            losses(np.ones(count))  # compiled before the clock starts
            start = time.perf_counter()
            while not rows or time.perf_counter() < start + self.seconds:
                trial = study.ask(space)
                penalties = np.array([trial.params[name] for name in space])
                validation, test = map(float, losses(penalties))
                study.tell(trial, validation)
                row: Row = {"limit": self.seconds, "penalties": count, "trial": len(rows)}
                row |= {"seconds": time.perf_counter() - start}
                row |= {"validation_loss": validation, "test_loss": test}
                best = min(best or row, row, key=lambda one: one["validation_loss"])
                rows.append(row | {"chosen_test_loss": best["test_loss"]})
        return Measurement(rows)


def _trained(setting: Setting) -> Callable[[np.ndarray], tuple[jax.Array, jax.Array]]:
    """From penalties to validation and test loss after the setting's steps; compiled."""
    problem, data = setting.problem, jax.tree.map(jnp.asarray, setting.splits)
    state, phi = problem.init(jax.random.key(0))

    @jax.jit
    def losses(penalties: jax.Array) -> tuple[jax.Array, jax.Array]:
        chosen = {"log_penalty": jnp.resize(jnp.log(penalties), phi["log_penalty"].shape)}

        def step(_: jax.Array, state: Any) -> Any:
            return problem.step(state, chosen, data.train, jax.random.key(0))[0]

        end = jax.lax.fori_loop(0, setting.plan.schedule.steps, step, state)
        loss = partial(problem.meta_loss, end, chosen)
        return loss(data.validation), loss(data.test)

    return losses
