import dataclasses
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from glocal_exp.tasks.classification import Classifier, class_accuracy

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (7, 2, 2, 3), dtype=np.uint8)
BATCH = {"x": jnp.asarray(IMAGES), "y": jnp.asarray(RNG.integers(0, 4, 7), jnp.int32)}
MEAN, STD = (0.3, 0.4, 0.5), (0.2, 0.3, 0.4)


class Linear(eqx.Module):
    """As small as an image network gets."""

    weight: jax.Array
    scale: float = eqx.field(static=True)

    def __init__(self, key, scale):
        self.weight = jax.random.normal(key, (4, 12))
        self.scale = scale

    def __call__(self, x):
        return self.scale * x.reshape(len(x), -1) @ self.weight.T


CLASSIFIER = Classifier(partial(Linear, scale=0.5), MEAN, STD)
PARAMS = CLASSIFIER.init(jax.random.key(3))
WEIGHT = np.asarray(jax.random.normal(jax.random.key(3), (4, 12)))


def by_hand():
    """Logits, losses and their mean's gradient, in NumPy."""
    x = ((IMAGES / 255 - np.array(MEAN)) / np.array(STD)).reshape(7, 12)
    logits = 0.5 * x @ WEIGHT.T
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    labels = np.asarray(BATCH["y"])
    losses = -np.log(shares[np.arange(7), labels])
    gradient = 0.5 * (shares - np.eye(4)[labels]).T @ x / 7
    return logits, losses, gradient


def test_logits_of_normalised_images():
    np.testing.assert_allclose(
        CLASSIFIER.logits(PARAMS, BATCH["x"]), by_hand()[0], rtol=1e-12, atol=1e-14
    )


def test_losses_and_metrics():
    logits, losses, _ = by_hand()
    np.testing.assert_allclose(CLASSIFIER.losses(PARAMS, BATCH), losses, rtol=1e-12)
    metrics = CLASSIFIER.metrics(PARAMS, BATCH)
    hits = np.argmax(logits, 1) == np.asarray(BATCH["y"])
    assert 0 < hits.mean() < 1
    assert {name: float(value) for name, value in metrics.items()} == pytest.approx(
        {"loss": losses.mean(), "accuracy": hits.mean()}, rel=1e-12
    )


@pytest.mark.parametrize("at_once", [1, 2, 5])
@pytest.mark.parametrize("microbatch", [None, 1, 3, 7, 8])
def test_the_gradient_in_microbatches_is_that_of_the_batch(microbatch, at_once):
    classifier = dataclasses.replace(CLASSIFIER, microbatch=microbatch, at_once=at_once)

    def mean_loss(params, batch):
        return jnp.mean(classifier.losses(params, batch))

    function = jax.jit(partial(classifier.loss_and_gradient, mean_loss))
    loss, gradient = function(PARAMS, BATCH)
    _, losses, expected = by_hand()
    assert float(loss) == pytest.approx(losses.mean(), rel=1e-12)
    np.testing.assert_allclose(gradient.weight, expected, rtol=1e-11, atol=1e-14)


def test_accuracy_by_class():
    means = CLASSIFIER.metrics(PARAMS, BATCH, by_class=True)
    hits = np.argmax(by_hand()[0], 1) == np.asarray(BATCH["y"])
    labels = np.asarray(BATCH["y"])
    expected = [hits[labels == c].mean() if (labels == c).any() else np.nan for c in range(4)]
    found = class_accuracy(means)
    assert set(found) == {"loss", "accuracy", "class_accuracy"}
    np.testing.assert_allclose(found["class_accuracy"], expected, rtol=1e-12)


def test_what_a_step_sees_is_augmented_and_what_is_evaluated_is_not():
    def darker(images, key):
        return images // 2

    classifier = dataclasses.replace(CLASSIFIER, augmentation=darker)
    seen = classifier.augmented(BATCH, jax.random.key(0))
    assert np.array_equal(seen["x"], IMAGES // 2)
    assert np.array_equal(seen["y"], BATCH["y"])
    assert CLASSIFIER.augmented(BATCH, jax.random.key(0)) is BATCH
    np.testing.assert_array_equal(
        classifier.losses(PARAMS, BATCH), CLASSIFIER.losses(PARAMS, BATCH)
    )
