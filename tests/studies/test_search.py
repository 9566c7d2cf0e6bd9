"""Search over constant hyperparameters, on an accuracy that is known."""

from types import SimpleNamespace

import numpy as np
import optuna
import pytest
import yaml

from glocal_exp.errors import UserError
from glocal_exp.studies.lab import Lab
from glocal_exp.studies.search import Search
from tests.report.synthetic import CONFIGS

RATE = "task.init.learning_rate"
SPACE = {RATE: {"low": 1e-3, "high": 1.0, "log": True}}


def accuracy(rate: float) -> float:
    """Best at 0.1; above 0.5 training diverges."""
    return float("nan") if rate > 0.5 else 0.9 - 0.1 * abs(np.log10(rate) + 1)


def build(changes):
    found = accuracy(changes[RATE])
    metrics = {"validation_accuracy": found, "test_accuracy": found - 0.05}
    record = SimpleNamespace(metrics=metrics, costs=SimpleNamespace(plain_steps=7), seconds=2.0)
    return SimpleNamespace(start=lambda: iter([record]), matmul_precision=None)


def search(sampler, trials=12, seed=0):
    (unit,) = Search(sampler=sampler, space=SPACE, trials=trials).units(Lab(seed, build))
    return unit.measure().rows


@pytest.mark.parametrize("sampler", [optuna.samplers.RandomSampler, optuna.samplers.TPESampler])
def test_the_best_by_validation_is_what_counts(sampler):
    rows = search(sampler)
    assert [row["trial"] for row in rows] == list(range(12))
    so_far = 0.0
    for row in rows:
        assert row["validation_accuracy"] == pytest.approx(
            accuracy(row["learning_rate"]), nan_ok=True
        )
        so_far = max(so_far, np.nan_to_num(row["validation_accuracy"]))
        assert row["chosen_test_accuracy"] == pytest.approx(so_far - 0.05)
    assert (rows[0]["plain_steps"], rows[0]["seconds"]) == (7, 2.0)
    assert [row["learning_rate"] for row in search(sampler)] == [
        row["learning_rate"] for row in rows
    ]
    assert search(sampler, seed=1)[0]["learning_rate"] != rows[0]["learning_rate"]


def test_the_configs_name_samplers_and_spaces_of_optuna():
    for file in (CONFIGS / "search").glob("*.yaml"):
        settings = yaml.safe_load(file.read_text())
        name = settings["sampler"]["_target_"].removeprefix("optuna.samplers.")
        assert issubclass(getattr(optuna.samplers, name), optuna.samplers.BaseSampler)
        Search(sampler=print, space=settings.get("space", SPACE), trials=1)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"trials": 0}, "not at least 1"),
        ({"space": {}}, "is empty"),
        ({"space": {RATE: {"low": 1.0, "high": 0.1}}}, "does not fit"),
        ({"space": {RATE: {"lowest": 0.1}}}, "does not fit"),
    ],
)
def test_settings_that_make_no_sense(settings, said):
    with pytest.raises(UserError, match=said):
        Search(**{"sampler": print, "space": SPACE, "trials": 1} | settings)
