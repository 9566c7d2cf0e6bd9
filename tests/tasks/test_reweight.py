"""The reweighting task: its inner gradient, and the row space of its tangents."""

from functools import partial
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hydra.utils import instantiate
from jax.flatten_util import ravel_pytree
from omegaconf import OmegaConf

from glocal_exp.app.compose import jobs
from glocal_exp.errors import UserError
from glocal_exp.hypergrad import count
from glocal_exp.hypergrad.lowrank import rows_of
from glocal_exp.tasks.classification import Classifier
from glocal_exp.tasks.reweight import Reweight
from tests.problems import KEY, Smooth, images, reweighting

CLASSIFIER = Classifier(Smooth, mean=(0.5,), std=(0.25,))
BATCH = jax.tree.map(lambda leaf: jnp.asarray(leaf[:9]), images(0).train)
STARTED = jax.jit(lambda problem, key: problem.init(key), static_argnums=0)
ROWS = jax.jit(rows_of, static_argnums=0)
DETACH = pytest.mark.parametrize("detach", [False, True])


def from_yaml(**changes):
    (job,) = jobs(["task=reweight"], sweep=False)
    config = OmegaConf.merge(job.config.task, changes)
    return instantiate(config, _convert_="all", _partial_=True)(classifier=CLASSIFIER)


@DETACH
def test_an_examples_gradient_counts_as_much_as_its_weight_says(detach):
    """The first step of SGD moves by the learning rate times the mean of factor times gradient."""
    problem = reweighting(detach, hidden=16)
    state, phi = STARTED(problem, jax.random.key(1))

    @jax.jit
    def by_hand(params, phi):
        flat, unravel = ravel_pytree(params)

        def losses(flat):
            return CLASSIFIER.losses(unravel(flat), BATCH)

        each, gradients = losses(flat), jax.jacrev(losses)(flat)
        slopes = jax.vmap(jax.grad(lambda loss: phi(loss[None])[0]))(each)
        factors = phi(each) if detach else phi(each) + each * slopes
        moved = flat - 0.05 * jnp.mean(factors[:, None] * gradients, axis=0)
        return moved, jnp.mean(each * phi(each))

    new, loss = jax.jit(problem.step)(state, phi, BATCH, KEY)
    expected, mean = by_hand(state.params, phi)
    assert float(loss) == pytest.approx(float(mean), rel=1e-12)
    np.testing.assert_allclose(ravel_pytree(new.params)[0], expected, rtol=1e-12)


@DETACH
def test_what_phi_does_to_a_step_lies_in_the_span_of_the_rows(detach):
    """All of d step / d phi, by reverse mode: nine examples, so at most nine directions of 49."""
    problem = reweighting(detach, hidden=16)
    state, phi = STARTED(problem, jax.random.key(1))
    flat, unravel = ravel_pytree(phi)

    def step(flat):
        return ravel_pytree(problem.step(state, unravel(flat), BATCH, KEY)[0].params)[0]

    by_phi = np.asarray(jax.jit(jax.jacrev(step))(flat))
    signals = problem.signals(state, phi, BATCH, KEY)
    np.testing.assert_array_equal(signals, CLASSIFIER.losses(state.params, BATCH))
    rows = np.asarray(ROWS(problem, phi, signals))
    assert rows.shape == (9, 49)
    span = np.linalg.svd(rows, full_matrices=False)[2][: np.linalg.matrix_rank(rows)]
    rest = np.linalg.norm(by_phi - by_phi @ span.T @ span) / np.linalg.norm(by_phi)
    assert rest < 1e-10  # float64, and rows that are nearly parallel
    # The other setting's rows span something else.
    others = np.asarray(ROWS(reweighting(not detach, hidden=16), phi, signals))
    span = np.linalg.svd(others, full_matrices=False)[2][: np.linalg.matrix_rank(others)]
    assert np.linalg.norm(by_phi - by_phi @ span.T @ span) > 1e-6 * np.linalg.norm(by_phi)


@DETACH
def test_rows_are_derivatives_of_an_examples_factor(detach):
    problem = reweighting(detach, hidden=16)
    phi = STARTED(problem, jax.random.key(2))[1]
    flat, unravel = ravel_pytree(phi)
    losses = jnp.array([0.0, 0.3, 2.0, 8.0])

    def factors(flat):
        mu = unravel(flat)
        slopes = jax.jvp(mu, (losses,), (jnp.ones(4),))[1]
        return mu(losses) if detach else mu(losses) + losses * slopes

    expected = jax.jit(jax.jacfwd(factors))(flat) * (1 - np.exp(-losses))[:, None]
    np.testing.assert_allclose(ROWS(problem, phi, losses), expected, rtol=1e-10, atol=1e-14)


@DETACH
def test_between_two_kinks_rows_span_two_dimensions(detach):
    """mu's argument is linear there, and the sigmoid multiplies by numbers."""
    problem = reweighting(detach, hidden=16)
    phi = STARTED(problem, jax.random.key(0))[1]
    kinks = np.sort(-np.asarray(phi.hidden[1]) / np.asarray(phi.hidden[0])[:, 0])
    kinks = kinks[(kinks > 0) & (kinks < 10)]
    assert len(kinks) >= 4
    for low, high in pairwise(kinks):
        losses = jnp.linspace(low, high, 12)[1:-1]
        rows = np.asarray(ROWS(problem, phi, losses))
        values = np.linalg.svd(rows, compute_uv=False)
        assert values[2] < 1e-12 * values[0]
    rows = np.asarray(ROWS(problem, phi, jnp.linspace(0, 10, 500)))
    assert np.linalg.matrix_rank(rows, tol=1e-12) <= 2 * (len(kinks) + 1)


def test_the_meta_loss_is_plain():
    problem = reweighting(hidden=16)
    state, phi = problem.init(KEY)
    losses = CLASSIFIER.losses(state.params, BATCH)
    expected = float(jnp.mean(losses))
    assert float(problem.meta_loss(state, phi, BATCH)) == pytest.approx(expected, rel=1e-14)
    metrics = problem.metrics(state, BATCH)
    assert float(metrics["meta_loss"]) == pytest.approx(expected, rel=1e-14)
    assert set(metrics) == {"loss", "accuracy", "class_share", "class_hits", "meta_loss"}


def test_the_config_is_the_papers():
    problem = from_yaml()
    state, phi = problem.init(KEY)
    assert count(phi) == 385
    assert not problem.detach_weights
    # SGD with learning rate 0.01, momentum 0.9 and no weight decay (appendix B.2).
    rule = problem.rule()
    ones = jax.tree.map(jnp.ones_like, state.params)
    first, memory = rule.update(ones, state.opt_state, state.params)
    second, _ = rule.update(ones, memory, state.params)
    np.testing.assert_allclose(ravel_pytree(first)[0], -0.01, rtol=1e-6)
    np.testing.assert_allclose(ravel_pytree(second)[0], -0.019, rtol=1e-6)


def test_the_start_follows_from_the_key_and_the_initializer():
    problem = from_yaml()
    (state, phi), (_, other) = problem.init(KEY), problem.init(jax.random.key(5))
    for mine, plain in zip(
        jax.tree.leaves(state.params), jax.tree.leaves(CLASSIFIER.init(KEY)), strict=True
    ):
        np.testing.assert_array_equal(mine, plain)  # the start of the other tasks
    normal = from_yaml(weight={"initializer": "he_normal"}).init(KEY)[1]
    for found in (other, normal):
        assert np.abs(found.hidden[0] - phi.hidden[0]).max() > 0.1


def test_records_show_weights_of_a_few_losses():
    problem = reweighting(hidden=16)  # 0.5 and 2
    phi = problem.init(KEY)[1]
    found = problem.describe(phi)
    assert list(found) == ["weight_at_0.5", "weight_at_2"]
    np.testing.assert_allclose(list(found.values()), phi(jnp.array([0.5, 2.0])), rtol=1e-14)
    assert all(value.ndim == 0 for value in found.values())


def test_a_rule_that_is_not_whole_is_refused():
    def rule(learning_rate):
        raise AssertionError("never called")

    with pytest.raises(UserError, match=r"does not fit task\.rule"):
        Reweight(CLASSIFIER, rule, partial(Smooth))
