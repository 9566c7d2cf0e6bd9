"""Fixed weights by class: the loss of Cui et al. 2019, and plain training as its limit."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.flatten_util import ravel_pytree

from glocal_exp.engine import run
from glocal_exp.errors import UserError
from glocal_exp.methods.local import Local
from glocal_exp.methods.none import NoHPO
from glocal_exp.tasks.class_balanced import ClassBalanced
from glocal_exp.tasks.classification import Classifier
from glocal_exp.tasks.rules import sgd
from glocal_exp.tasks.unweighted import Unweighted
from tests.problems import KEY, Smooth, images

CLASSIFIER = Classifier(Smooth, mean=(0.5,), std=(0.25,))
BATCH = jax.tree.map(lambda leaf: jnp.asarray(leaf[:9]), images(0).train)
RULE = partial(sgd, learning_rate=0.1, momentum=0.9)
COUNTS = (5000, 500, 50)


def test_weights_are_inverse_effective_numbers_with_mean_one():
    """(1 - 0.9999^n) / (1 - 0.9999) is the sum of 0.9999^i over i < n."""
    problem = ClassBalanced(CLASSIFIER, RULE, 0.9999, COUNTS)
    effective = np.array([sum(0.9999**i for i in range(n)) for n in COUNTS])
    expected = (1 / effective) / (1 / effective).mean()
    np.testing.assert_allclose(problem.weights, expected, rtol=1e-9)
    assert np.mean(problem.weights) == pytest.approx(1)
    assert ClassBalanced(CLASSIFIER, RULE, 0.0, COUNTS).weights == (1.0, 1.0, 1.0)


def test_equal_weights_are_plain_training():
    plain, equal = Unweighted(CLASSIFIER, RULE), ClassBalanced(CLASSIFIER, RULE, 0.0, COUNTS)
    state, phi = plain.init(jax.random.key(1))
    assert phi == {}
    ends = [problem.step(state, phi, BATCH, KEY) for problem in (plain, equal)]
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-12), *ends)
    loss = float(jnp.mean(CLASSIFIER.losses(state.params, BATCH)))
    assert float(ends[0][1]) == pytest.approx(loss, rel=1e-12)


@pytest.mark.parametrize("beta", [0.0, 0.99])
def test_a_step_follows_the_weighted_gradient(beta):
    problem = ClassBalanced(CLASSIFIER, RULE, beta, COUNTS)
    state, phi = problem.init(jax.random.key(1))
    flat, unravel = ravel_pytree(state.params)

    def losses(flat):
        return CLASSIFIER.losses(unravel(flat), BATCH)

    weights = np.asarray(problem.weights)[np.asarray(BATCH["y"])]
    gradient = np.mean(weights[:, None] * jax.jacrev(losses)(flat), axis=0)
    new, loss = problem.step(state, phi, BATCH, KEY)
    np.testing.assert_allclose(ravel_pytree(new.params)[0], flat - 0.1 * gradient, rtol=1e-11)
    assert float(loss) == pytest.approx(float(np.mean(weights * losses(flat))), rel=1e-12)
    plain = float(jnp.mean(losses(flat)))
    assert float(problem.meta_loss(state, phi, BATCH)) == pytest.approx(plain, rel=1e-12)


def trained(method, problem):
    return list(run(problem, images(0), method, steps=6, interval=3, batch_size=10))


def test_it_trains_without_hyperparameters_and_records_classes():
    records = trained(NoHPO(), ClassBalanced(CLASSIFIER, RULE, 0.0, (20, 20, 20)))
    assert [record.hyperparameters for record in records] == [{}, {}, {}]
    metrics = records[-1].metrics
    assert {f"validation_class_accuracy/{c}" for c in range(3)} < set(metrics)
    labels = images(0).validation["y"]
    shares = np.bincount(labels, minlength=3) / len(labels)
    by_class = [metrics[f"validation_class_accuracy/{c}"] for c in range(3)]
    assert np.dot(shares, by_class) == pytest.approx(metrics["validation_accuracy"])
    assert len(set(by_class)) > 1


def test_a_method_that_learns_is_refused():
    with pytest.raises(UserError, match="no hyperparameters to learn; train it with method=none"):
        trained(Local(), ClassBalanced(CLASSIFIER, RULE, 0.0, (20, 20, 20)))


def test_settings_out_of_range():
    with pytest.raises(UserError, match=r"task.beta=1.0 is not from 0 to below 1"):
        ClassBalanced(CLASSIFIER, RULE, 1.0, COUNTS)
    with pytest.raises(UserError, match=r"does not fit task.rule"):
        ClassBalanced(CLASSIFIER, partial(optax.sgd), 0.0, COUNTS)
