"""What the records hold, and the hooks."""

import jax
import numpy as np
import pytest

from glocal_exp.engine import Hooks, Splits
from tests.engine.runs import (
    INTERVAL,
    METHODS,
    SGD,
    SPLITS,
    STEPS,
    begin,
    close,
    train,
    vector,
)
from tests.problems import Descent

S = STEPS // INTERVAL
NAMES = ["learning_rate", "momentum", "weight_decay"]
LOSSES = {"validation_loss", "train_loss"}


def test_the_record_before_training():
    record = next(begin())
    state, phi = SGD.init(jax.random.key(0))
    assert (record.outer_step, record.step, record.hypergradient) == (0, 0, {})
    assert np.isnan(record.metrics["train_loss"])
    loss = float(SGD.meta_loss(state, phi, SPLITS[0].validation))
    assert record.metrics["validation_loss"] == pytest.approx(loss, rel=1e-12)
    expected = {"learning_rate": 0.05, "momentum": 0.7, "weight_decay": 0.01}
    assert record.hyperparameters == pytest.approx(expected, rel=1e-12)


def test_hypergradients_are_taken_on_the_meta_part_and_metrics_on_all_of_validation():
    part = SPLITS[0].validation
    whole = jax.tree.map(lambda a, b: np.concatenate([a, b]), part, SPLITS[1].validation)
    splits = Splits(SPLITS[0].train, whole, SPLITS[0].test, meta=part)
    loop = begin(splits=splits, steps=INTERVAL)
    before, record = next(loop), next(loop)
    start, phi = SGD.init(jax.random.key(0))
    unrolled = train(SGD, start, phi)
    h = unrolled.h[INTERVAL - 1]
    close(vector(record.hypergradient), h, 1e-8)  # forward against reverse mode
    for state, found in ((start, before), (unrolled.state(INTERVAL), record)):
        loss = float(SGD.meta_loss(state, phi, whole))
        assert found.metrics["validation_loss"] == pytest.approx(loss, rel=1e-10)


def test_metrics_are_taken_as_often_as_told():
    often, seldom = list(begin(steps=30)), list(begin(steps=30, eval_every=12))
    for a, b in zip(often, seldom, strict=True):
        if b.step in (0, 12, 24, 30):
            assert a.metrics.keys() == b.metrics.keys() == LOSSES | {"test_loss"}
            assert b.step == 0 or np.isfinite(vector(b.metrics)).all()
        else:  # absent rather than NaN
            assert b.metrics.keys() == {"train_loss"}
        shared = {name: a.metrics[name] for name in b.metrics}
        assert b.step == 0 or shared == b.metrics


def test_without_a_test_set_there_are_no_test_metrics():
    splits = Splits(SPLITS[0].train, SPLITS[0].validation)
    assert next(begin(splits=splits)).metrics.keys() == LOSSES


def test_arrays_are_kept_where_told():
    hooks = Hooks(keep=lambda outer_step: outer_step != 2)
    records = list(begin(method=METHODS["glocal"], hooks=hooks))
    assert [bool(record.arrays) for record in records] == [False, True, False, True]
    shapes = {name: array.shape for name, array in records[1].arrays.items()}
    assert shapes == {
        "trajectory": (6, 3),
        "hypergradient": (3,),
        "eigenvalues": (2,),
        "modes": (6, 2),
        "amplitudes": (2,),
    }
    h = records[1].arrays["hypergradient"]
    assert records[1].hypergradient == dict(zip(NAMES, h, strict=True))
    assert not any(record.arrays for record in begin(method=METHODS["none"], hooks=hooks))


def test_a_long_hypergradient_is_summed_up(monkeypatch):
    monkeypatch.setattr("glocal_exp.engine.recorder.NAMED", 2)
    record = list(begin(hooks=Hooks(keep=lambda outer_step: True)))[1]
    h = record.arrays["hypergradient"]
    assert h.shape == (3,)
    assert record.hypergradient == {"norm": np.linalg.norm(h), "largest": np.abs(h).max()}
    assert list(record.hyperparameters) == NAMES


def test_a_hyperparameter_may_be_a_vector():
    problem = Descent()
    loop = begin(problem)
    assert loop.names == (*(f"log_penalties[{i}]" for i in range(3)), "log_rate")
    next(loop)
    for s in range(S):
        state, phi = loop.states[0], loop.hyperparams[0]
        record = next(loop)
        h = train(problem, state, phi, s * INTERVAL).h[INTERVAL - 1]
        assert tuple(record.hypergradient) == loop.names
        close(vector(record.hypergradient), h, 1e-8)  # forward against reverse mode
        penalties = {f"penalties/{i}": np.exp(v) for i, v in enumerate(phi["log_penalties"])}
        assert record.hyperparameters == pytest.approx(
            penalties | {"rate": np.exp(phi["log_rate"])}, rel=1e-6
        )
        # Adam's first step has length 0.1 in every component, whatever the gradient's size.
        if s == 0:
            moved = loop.hyperparams[0]["log_penalties"] - phi["log_penalties"]
            np.testing.assert_allclose(moved, -0.1 * np.sign(h[:3]), rtol=1e-3)


def test_progress_counts_the_steps_of_the_playout():
    calls = []
    hooks = Hooks(progress=lambda done, total: calls.append((done, total)))
    list(begin(method=METHODS["global"], hooks=hooks))
    assert calls == [(t, total) for total in (18, 12, 6) for t in range(3, total + 1, 3)]


def test_the_row_of_a_record_holds_its_groups_under_prefixes():
    record = list(begin(method=METHODS["glocal"]))[-1]
    row = record.row()
    assert row["hypergradient/momentum"] == record.hypergradient["momentum"]
    assert row["hyperparameter/learning_rate"] == record.hyperparameters["learning_rate"]
    assert row["diagnostic/spectral_radius"] == record.diagnostics["spectral_radius"]
    assert (row["step"], row["tangent_steps"]) == (STEPS, STEPS)
