"""Methods that look no further than their interval, against a plain loop in reverse mode."""

from dataclasses import replace
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from glocal_exp.engine import Hooks
from glocal_exp.koopman.steady import SteadyStateEstimator
from glocal_exp.methods.local import Local
from glocal_exp.records import Costs
from tests.engine.runs import (
    INTERVAL,
    METHODS,
    SGD,
    SPLITS,
    STEPS,
    batches,
    begin,
    close,
    equal,
    expected,
    unroll,
    vector,
)
from tests.problems import Network, Noisy

S = STEPS // INTERVAL
KEEP = Hooks(keep=lambda s: True)
# Forward against reverse mode: the same derivatives summed in another order.
ROUNDING = 1e-8


def test_none_is_a_plain_training_loop_and_leaves_the_hyperparameters_alone():
    problem = Noisy("sgd")
    loop = begin(problem, SPLITS[1], METHODS["none"], seed=1)
    state, phi = problem.init(jax.random.key(1))
    losses = []
    for t in range(STEPS):
        batch = jax.tree.map(lambda leaf: leaf[0], batches(SPLITS[1], t, 1, seed=1))
        state, loss = STEP(problem, state, phi, batch, jax.random.fold_in(jax.random.key(1), t))
        losses.append(loss)

    records = list(loop)
    close(loop.states[1], state, rtol=1e-12)
    assert equal(loop.hyperparams[1], phi)
    assert [record.step for record in records] == list(range(0, STEPS + 1, INTERVAL))
    for s, record in enumerate(records[1:]):
        part = losses[s * INTERVAL : (s + 1) * INTERVAL]
        assert record.metrics["train_loss"] == pytest.approx(np.mean(part), rel=1e-12)
        assert (record.hypergradient, record.skipped) == ({}, False)
        assert record.costs == Costs(plain_steps=(s + 1) * INTERVAL)
        assert record.hyperparameters == records[0].hyperparameters
    loss = float(problem.metrics(state, SPLITS[1].test)["loss"])
    meta_loss = float(problem.meta_loss(state, phi, SPLITS[1].validation))
    assert records[-1].metrics["test_loss"] == pytest.approx(loss, rel=1e-12)
    assert records[-1].metrics["validation_loss"] == pytest.approx(meta_loss, rel=1e-12)


STEP = jax.jit(lambda problem, *rest: problem.step(*rest), static_argnums=0)


@pytest.mark.parametrize("rule", ["sgd", "adam"])
def test_local_follows_the_last_hypergradient(rule):
    problem = Network(rule)
    loop = begin(problem, SPLITS[0], Local())
    records = [next(loop)]
    for reference in expected(problem, lambda h, _: h[-1], optax.adam(0.1)):
        close(loop.hyperparams[0], reference.phi, ROUNDING)
        records.append(next(loop))
        close(loop.states[0], reference.state, ROUNDING)
        by_name = dict(zip(sorted(reference.phi), reference.estimate, strict=True))
        close(records[-1].hypergradient, by_name, ROUNDING)
        close(records[-1].hyperparameters, problem.describe(reference.phi), ROUNDING)
    assert next(loop, None) is None
    assert records[-1].costs == Costs(tangent_steps=STEPS, validation_gradients=S)


def test_evaluating_every_hypergradient_changes_nothing_but_the_cost():
    last, every = list(begin(method=Local())), list(begin(method=Local("every"), hooks=KEEP))
    for a, b in zip(last[1:], every[1:], strict=True):
        assert (a.metrics, a.hypergradient) == (b.metrics, b.hypergradient)
        assert b.arrays["trajectory"].shape == (INTERVAL, 3)
    assert every[-1].costs == Costs(tangent_steps=STEPS, validation_gradients=STEPS)


def test_window_mean_follows_the_mean_of_its_window():
    loop = begin(method=METHODS["window_mean"], hooks=KEEP)
    next(loop)
    for reference in expected(SGD, lambda h, _: h[-4:].mean(0), optax.adam(0.1)):
        record = next(loop)
        close(record.arrays["trajectory"], reference.h[-4:], ROUNDING)
        close(vector(record.hypergradient), reference.estimate, ROUNDING)
        close(loop.states[0], reference.state, ROUNDING)
    assert record.costs == Costs(tangent_steps=STEPS, validation_gradients=4 * S)


def steady_state(h, fallback="local"):
    """Hankel DMD by its definition: two delays, the two largest singular values, exact modes.

    Returns the eigenvalues, and Eq. 14 at the last snapshot, or else the newest h or what the modes
    nearest to 1 give.
    """
    snapshots = np.column_stack([np.concatenate(pair) for pair in pairwise(h)])
    past, future = snapshots[:, :-1], snapshots[:, 1:]
    left, values, right = np.linalg.svd(past)
    onto = right[:2].T / values[:2]
    eigenvalues, vectors = np.linalg.eig(left[:, :2].T @ future @ onto)
    modes = future @ onto @ vectors
    first = np.linalg.lstsq(modes, snapshots[:, 0].astype(complex), rcond=None)[0]
    last = modes * first * eigenvalues ** (len(h) - 2)
    kept = np.abs(eigenvalues - 1) <= 0.02
    if not kept.any():
        if fallback == "local":
            return eigenvalues, h[-1]
        distances = np.where(np.abs(eigenvalues) > 1.02, np.inf, np.abs(eigenvalues - 1))
        kept = distances <= distances.min() + 0.02
    return eigenvalues, last[: h.shape[1], kept].sum(axis=1).real


@pytest.mark.parametrize("fallback", ["local", "nearest"])
def test_glocal_follows_the_steady_state_of_its_window(fallback):
    estimator = SteadyStateEstimator(fallback=fallback)
    loop = begin(method=replace(METHODS["glocal"], steady_state=estimator), hooks=KEEP)
    next(loop)
    for reference in expected(SGD, lambda h, _: steady_state(h, fallback)[1], optax.adam(0.1)):
        record = next(loop)
        eigenvalues, _ = steady_state(reference.h)
        close(record.arrays["trajectory"], reference.h, ROUNDING)
        close(np.sort(record.arrays["eigenvalues"]), np.sort(eigenvalues), ROUNDING)
        close(vector(record.hypergradient), reference.estimate, ROUNDING)
        close(loop.states[0], reference.state, ROUNDING)
        assert record.diagnostics["rank"] == 2
        radius = np.abs(eigenvalues).max()
        assert record.diagnostics["spectral_radius"] == pytest.approx(radius)
        assert record.arrays["modes"].shape == (6, 2)
        assert record.arrays["amplitudes"].shape == (2,)
    assert record.costs == Costs(tangent_steps=STEPS, validation_gradients=STEPS)


@pytest.mark.parametrize("name", ["local", "global"])
def test_carried_tangents_are_those_of_the_whole_run_under_changing_hyperparameters(name):
    """Z continues: the derivative by a shift that is added to every interval's hyperparameters."""
    loop = begin(method=METHODS[name], carry_tangents=True)
    next(loop)
    state, _ = SGD.init(jax.random.key(0))
    used, estimates = [], []
    for _ in range(S):
        used.append(loop.hyperparams[0])
        estimates.append(vector(next(loop).hypergradient))
    for s in range(S):
        # Global plays the current hyperparameters out to the end.
        held = [*used[: s + 1], *[used[s]] * (S - s - 1)]
        phis = jax.tree.map(lambda *leaves: jnp.repeat(jnp.stack(leaves), INTERVAL), *held)
        data = batches(SPLITS[0], 0, STEPS)
        h = unroll(SGD, state, phis, data, SPLITS[0].validation).h
        close(estimates[s], h[-1 if name == "global" else (s + 1) * INTERVAL - 1], ROUNDING)


def test_tangents_start_from_zero_unless_they_are_carried():
    fresh, carried = (list(begin(carry_tangents=carry)) for carry in (False, True))
    assert fresh[1].hypergradient == carried[1].hypergradient
    difference = vector(fresh[2].hypergradient) - vector(carried[2].hypergradient)
    assert np.linalg.norm(difference) > 0.1 * np.linalg.norm(vector(carried[2].hypergradient))


def test_every_method_sees_the_same_start_and_the_same_batches():
    first = {name: next(iter(list(begin(method=m))[1:])) for name, m in METHODS.items()}
    for name, record in first.items():
        if name != "non_greedy":  # its first outer step ends with the whole training
            assert record.metrics == pytest.approx(first["none"].metrics, rel=1e-12)
