"""The library from Python alone, on a problem whose hypergradient has a closed form (ridge.py)."""

import runpy

import numpy as np
import pytest

from glocal_exp.engine import run
from glocal_exp.methods.local import Local
from tests import ridge

TRAIN, VALIDATION = ridge.splits.train, ridge.splits.validation
IDENTITY = np.eye(20)


def solution(penalty):
    """The minimum w of |Xw - y|^2 / n + penalty |w|^2, and its derivative by log(penalty)."""
    x, y = TRAIN["x"], TRAIN["y"]
    matrix = x.T @ x / len(y) + penalty * IDENTITY
    w = np.linalg.solve(matrix, x.T @ y / len(y))
    return w, -penalty * np.linalg.solve(matrix, w)


def validation_loss(penalty):
    residual = VALIDATION["x"] @ solution(penalty)[0] - VALIDATION["y"]
    return np.mean(residual**2)


def hypergradient(penalty):
    """d validation loss / d log(penalty) at the ridge solution, by the implicit function."""
    w, slope = solution(penalty)
    residual = VALIDATION["x"] @ w - VALIDATION["y"]
    return 2 * np.mean(residual * (VALIDATION["x"] @ slope))


def first_hypergradient(method, interval):
    loop = run(
        ridge.Ridge(), ridge.splits, method, steps=interval, interval=interval, batch_size=50
    )
    (found,) = list(loop)[1].hypergradient.values()
    return found, loop.states[0].params


def test_the_hypergradient_of_converged_training_is_the_closed_form():
    # The slowest direction shrinks by 0.78 a step: 1e-32 is left after 300.
    found, w = first_hypergradient(Local(), interval=300)
    np.testing.assert_allclose(w, solution(1.0)[0], rtol=1e-10)
    assert found == pytest.approx(hypergradient(1.0), rel=1e-10)


def test_glocal_sees_beyond_a_short_interval():
    """30 steps are not enough for the tangents to settle; what they settle to can be told."""
    exact = hypergradient(1.0)
    local, glocal = (first_hypergradient(m, interval=30)[0] for m in (Local(), ridge.glocal))
    assert abs(local - exact) > 1e-4 * abs(exact)
    assert abs(glocal - exact) < 0.1 * abs(local - exact)


def best_penalty():
    """The minimum of the validation loss by trying 20,001 penalties, 0.04 % apart."""
    penalties = np.exp(np.linspace(-6, 2, 20001))
    # In the eigenvectors of X^T X / n every solution is a division.
    x, y = TRAIN["x"], TRAIN["y"]
    values, vectors = np.linalg.eigh(x.T @ x / len(y))
    w = vectors @ ((vectors.T @ x.T @ y / len(y))[:, None] / (values[:, None] + penalties))
    losses = np.mean((VALIDATION["x"] @ w - VALIDATION["y"][:, None]) ** 2, axis=0)
    best = np.argmin(losses)
    assert 0 < best < len(penalties) - 1
    assert losses[best] == pytest.approx(validation_loss(penalties[best]), rel=1e-12)
    return penalties[best], losses[best]


def test_the_example_finds_the_best_penalty(capsys):
    best, lowest = best_penalty()
    runpy.run_path(ridge.__file__, run_name="__main__")
    lines = [
        [float(value) for value in line.split()] for line in capsys.readouterr().out.splitlines()
    ]
    assert [line[0] for line in lines] == list(range(0, 3001, 30))
    assert lines[0][1] == pytest.approx(1)
    _, penalty, loss = lines[-1]
    # Adam's steps of 0.1 settle slowly, and the minimum is flat.
    assert penalty == pytest.approx(best, rel=0.02)
    assert loss == pytest.approx(lowest, rel=1e-4)
    assert loss < 0.9 * validation_loss(1.0)
