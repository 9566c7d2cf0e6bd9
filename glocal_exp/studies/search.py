"""Black-box search over constant hyperparameters: what a user without hypergradients would do."""

import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from glocal_exp.errors import UserError
from glocal_exp.studies.lab import Lab, Measurement, Row, Setting, Unit
from glocal_exp.studies.origin import precision

try:
    import optuna
except ModuleNotFoundError as error:
    raise UserError("study=search needs optuna; run make setup EXTRAS=search.") from error

TUNED, SHOWN = "validation_accuracy", "test_accuracy"


@dataclass(frozen=True, kw_only=True)
class Search:
    """Plain trainings one after another, the best by validation: a record with all its trials.

    The test accuracy of the best trial so far is what a search of that many trials comes to; test
    accuracies of others decide nothing.
    """

    sampler: Callable[..., optuna.samplers.BaseSampler]  # makes an optuna sampler, given its `seed`
    # by setting of the config (`task.init.learning_rate`), keyword arguments of optuna's
    # `FloatDistribution`
    space: Mapping[str, Mapping[str, Any]]
    trials: int  # trainings in all
    trains: ClassVar[bool] = True

    def __post_init__(self):
        if self.trials < 1:
            raise UserError(f"study.trials={self.trials} is not at least 1.")
        if not self.space:
            raise UserError("study.space is empty; name a setting to search over.")
        try:
            self._distributions()
        except (TypeError, ValueError) as error:
            raise UserError(f"study.space does not fit: {error}.") from error

    def units(self, lab: Lab) -> Iterable[Unit]:
        yield Unit("search", lambda: self._search(lab))

    def _distributions(self) -> dict[str, Any]:
        make = optuna.distributions.FloatDistribution
        return {name: make(**dict(settings)) for name, settings in self.space.items()}

    def _search(self, lab: Lab) -> Measurement:
        """A row a trial; `chosen_test_accuracy` is that of the best by validation so far."""
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # of QMC
        study = optuna.create_study(direction="maximize", sampler=self.sampler(seed=lab.seed))
        rows: list[Row] = []
        for number in range(self.trials):
            trial = study.ask(self._distributions())
            ends = _train(lab.build(trial.params))
            finite = np.isfinite(ends[TUNED])
            study.tell(trial, ends[TUNED] if finite else 0.0)
            short = {name.rpartition(".")[2]: value for name, value in trial.params.items()}
            rows.append({"trial": number, **short, **ends})
            best = max(rows, key=lambda row: np.nan_to_num(float(row[TUNED])))
            rows[-1]["chosen_test_accuracy"] = best[SHOWN]
        return Measurement(rows)


def _train(setting: Setting) -> dict[str, float]:
    """The accuracies at the end of training, and what it cost."""
    with precision(setting):
        records = list(setting.start())
    last = records[-1]
    seconds = sum(record.seconds for record in records)
    found = {name: last.metrics.get(name, np.nan) for name in (TUNED, SHOWN)}
    return {**found, "plain_steps": last.costs.plain_steps, "seconds": seconds}
