"""A penalty for each word: what a trial is, which one counts, and that a search is no match."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from glocal_exp.engine import Reverse, run
from glocal_exp.errors import UserError
from glocal_exp.methods.local import Local
from glocal_exp.methods.none import NoHPO
from glocal_exp.problems.penalties import Penalties
from glocal_exp.studies.lab import Lab, Setting
from glocal_exp.studies.penalties import PenaltySearch

STEPS = 60
PROBLEM = Penalties(
    penalty=1.0, words=300, telling=30, documents=(100, 400, 400), learning_rate=0.5
)
SPLITS = PROBLEM.examples(0)


def ends(method, problem=PROBLEM, steps=STEPS, **settings):
    settings |= {"steps": steps, "interval": 20, "batch_size": 100}
    *_, last = run(problem, SPLITS, method, **settings)
    return last.metrics["validation_loss"], last.metrics["test_loss"]


def search(count, seconds=0.3, bounds=(1e-2, 1e1)):
    loop = run(PROBLEM, SPLITS, NoHPO(), steps=STEPS, interval=20, batch_size=100)
    setting = Setting(PROBLEM, SPLITS, loop.work.plan, lambda: loop)
    names = dict(zip(("low", "high"), bounds, strict=True))
    made = PenaltySearch(seconds=seconds, counts=[count], **names)
    (unit,) = made.units(Lab(0, lambda changes: setting))
    assert unit.name == f"tpe-{count}"
    return unit.measure().rows


def test_a_trial_is_a_plain_training_of_as_many_steps():
    # In float32, and rounding differs by the order of documents and of chunks.
    (first, *_) = search(1, bounds=(0.5, 0.5 + 1e-9), seconds=1e-9)
    halves = Penalties(0.5, PROBLEM.words, PROBLEM.telling, PROBLEM.documents, 0.5)
    expected = ends(NoHPO(), halves)
    found = first["validation_loss"], first["test_loss"]
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_the_best_by_validation_counts_and_the_time_is_kept():
    rows = search(2)
    assert len(rows) > 1
    for number, row in enumerate(rows):
        best = min(rows[: number + 1], key=lambda one: one["validation_loss"])
        assert row["chosen_test_loss"] == best["test_loss"]
    assert rows[-2]["seconds"] < rows[0]["limit"] == 0.3 <= rows[-1]["seconds"]


def test_its_proximal_step_is_that_of_the_penalty():
    """It solves w + 2 rate penalty w = descent, elementwise."""
    state, phi = PROBLEM.init(jax.random.key(0))
    phi = {"log_penalty": jnp.linspace(-3.0, 1.0, PROBLEM.words)}
    w = jnp.asarray(np.random.default_rng(0).normal(size=PROBLEM.words), jnp.float32)
    batch = jax.tree.map(jnp.asarray, SPLITS.train)
    state = jax.tree.map(lambda leaf: leaf, state)
    state = type(state)(w, state.opt_state, state.step)
    after, loss = PROBLEM.step(state, phi, batch, jax.random.key(0))
    signs = 2.0 * np.asarray(SPLITS.train["y"]) - 1
    margins = signs * (SPLITS.train["x"] @ np.asarray(w))
    assert loss == pytest.approx(np.mean(np.log1p(np.exp(-margins))), rel=1e-5)
    slope = -(signs / (1 + np.exp(margins))) @ SPLITS.train["x"] / len(signs)
    left = after.params * (1 + 2 * 0.5 * np.exp(np.asarray(phi["log_penalty"])))
    np.testing.assert_allclose(left, np.asarray(w) - 0.5 * slope, rtol=1e-4, atol=1e-5)


def test_settings_that_make_no_sense():
    with pytest.raises(UserError, match="bound no penalties"):
        PenaltySearch(seconds=1, counts=[1], low=1.0, high=0.1)
    with pytest.raises(UserError, match="numbers from 1 on"):
        PenaltySearch(seconds=1, counts=[0], low=0.1, high=1.0)


@pytest.mark.slow
def test_as_many_penalties_as_words_are_beyond_a_search():
    tuned = ends(Local(), steps=400, mode=Reverse())[1]
    searched = search(PROBLEM.words, seconds=5.0)[-1]["chosen_test_loss"]
    assert tuned < searched
    assert tuned < np.log(2)  # of no model
