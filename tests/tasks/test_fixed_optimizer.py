"""Optimizers of which nothing is learned: the rules themselves, evaluated where they say."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from glocal_exp.engine import Hooks, run
from glocal_exp.errors import UserError
from glocal_exp.methods.local import Local
from glocal_exp.methods.none import NoHPO
from glocal_exp.tasks.classification import Classifier
from glocal_exp.tasks.fixed_optimizer import FixedOptimizer
from glocal_exp.tasks.rules import cosine_sgd, sgd
from tests.engine.runs import same
from tests.problems import KEY, Smooth, images

CLASSIFIER = Classifier(Smooth, mean=(0.5,), std=(0.25,))
BATCH = jax.tree.map(lambda leaf: jnp.asarray(leaf[:9]), images(0).train)
RULES = {
    "cosine": partial(cosine_sgd, learning_rate=0.1, steps=12, momentum=0.9, weight_decay=0.0),
    "dog": optax.contrib.dog,
    "mechanize": partial(optax.contrib.mechanize, base_optimizer=sgd(1.0, 0.9)),
    "prodigy": optax.contrib.prodigy,
    "schedule_free": partial(optax.contrib.schedule_free_sgd, learning_rate=1.0),
}


def test_the_rate_falls_along_half_a_cosine():
    rule = RULES["cosine"]()
    params, velocity, theta = jnp.ones(3), np.zeros(3), np.ones(3)
    state = rule.init(params)
    for t in range(12):
        gradient = np.cos(np.arange(3.0) + t)
        velocity = 0.9 * velocity + gradient
        theta = theta - 0.05 * (1 + np.cos(np.pi * t / 12)) * velocity
        updates, state = rule.update(jnp.asarray(gradient), state, params)
        params = optax.apply_updates(params, updates)
        np.testing.assert_allclose(params, theta, rtol=1e-6)  # the schedule counts in float32


def test_a_schedule_free_optimizer_is_evaluated_at_its_average():
    problem = FixedOptimizer(CLASSIFIER, RULES["schedule_free"], averaged=True)
    state, phi = problem.init(KEY)
    rule = RULES["schedule_free"]()
    params, opt_state = state.params, state.opt_state
    for _ in range(5):
        gradient = jax.grad(lambda p: jnp.mean(CLASSIFIER.losses(p, BATCH)))(params)
        updates, opt_state = rule.update(gradient, opt_state, params)
        params = optax.apply_updates(params, updates)
        state, _ = problem.step(state, phi, BATCH, KEY)
    average = optax.contrib.schedule_free_eval_params(opt_state, params)
    expected = float(jnp.mean(CLASSIFIER.losses(average, BATCH)))
    assert float(problem.meta_loss(state, phi, BATCH)) == pytest.approx(expected, rel=1e-12)
    assert float(problem.metrics(state, BATCH)["loss"]) == pytest.approx(expected, rel=1e-12)
    raw = FixedOptimizer(CLASSIFIER, RULES["schedule_free"])
    assert abs(float(raw.meta_loss(state, phi, BATCH)) / expected - 1) > 1e-3


@pytest.mark.parametrize("name", RULES)
def test_a_run_goes_on_bit_by_bit(name):
    problem = FixedOptimizer(CLASSIFIER, RULES[name], averaged=name == "schedule_free")
    settings = {"steps": 12, "interval": 4, "batch_size": 8}
    saved = []
    hooks = Hooks(checkpoint=lambda seed, content: saved.append(content))
    whole = list(run(problem, images(0), NoHPO(), hooks=hooks, **settings))
    assert whole[-1].metrics["validation_loss"] < whole[0].metrics["validation_loss"]
    resumed = run(problem, images(0), NoHPO(), checkpoints={0: [saved[1]]}, **settings)
    assert all(same(a, b) for a, b in zip(list(resumed), whole[2:], strict=True))


def test_there_is_nothing_to_learn():
    problem = FixedOptimizer(CLASSIFIER, RULES["prodigy"])
    with pytest.raises(UserError, match="no hyperparameters to learn; train it with method=none"):
        run(problem, images(0), Local(), steps=4, interval=4, batch_size=8)
    with pytest.raises(UserError, match=r"does not fit task\.rule"):
        FixedOptimizer(CLASSIFIER, cosine_sgd)
