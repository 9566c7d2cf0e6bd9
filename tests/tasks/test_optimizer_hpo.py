"""Learning optax rules' hyperparameters on LeNet: derivatives, and rules that are YAML alone."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hydra.utils import instantiate
from jax.flatten_util import ravel_pytree
from omegaconf import OmegaConf

from glocal_exp.errors import UserError
from glocal_exp.hypergrad import contract, names, push_tangents, zero_tangents
from glocal_exp.models.lenet import LeNet
from glocal_exp.tasks.classification import Classifier
from glocal_exp.tasks.optimizer_hpo import OptimizerHPO
from glocal_exp.tasks.rules import averaging, sgd
from tests.problems import KEY, Smooth, images

TASKS = Path(__file__).parents[2] / "configs" / "task"
STEPS, BATCH = 4, 3
RNG = np.random.default_rng(0)


def examples(*shape):
    return {
        "x": jnp.asarray(RNG.integers(0, 256, (*shape, 28, 28, 1), dtype=np.uint8)),
        "y": jnp.asarray(RNG.integers(0, 10, shape), jnp.int32),
    }


BATCHES, VALIDATION = examples(STEPS, BATCH), examples(5)
FIRST = jax.tree.map(lambda leaf: leaf[0], BATCHES)
LENET = partial(
    LeNet,
    image_shape=(28, 28, 1),
    classes=10,
    filters=16,
    hidden=32,
    negative_slope=0.01,
    initializer="torch",
)
CLASSIFIER = Classifier(LENET, mean=(0.3,), std=(0.35,))


def task(name: str) -> OptimizerHPO:
    """As the command line builds it: the rule and its start from YAML, the classifier in Python."""
    config = OmegaConf.load(TASKS / f"{name}.yaml")
    return instantiate(config, _convert_="all", _partial_=True)(classifier=CLASSIFIER)


@pytest.mark.parametrize("name", ["sgd", "adam"])
def test_hypergradients_of_lenet(name):
    """Forward mode step by step, jacfwd of the unrolled run, and finite differences."""
    problem = task(name)
    state, phi = jax.jit(problem.init)(jax.random.key(1))
    flat, unravel = ravel_pytree(phi)

    def unrolled(flat):
        """The final state and validation loss; the loss once more, to stay underived."""

        def body(state, batch):
            return problem.step(state, unravel(flat), batch, KEY)[0], None

        final, _ = jax.lax.scan(body, state, BATCHES)
        inexact = [leaf for leaf in jax.tree.leaves(final) if leaf.dtype == np.float64]
        loss = problem.meta_loss(final, unravel(flat), VALIDATION)
        return (jnp.concatenate([leaf.ravel() for leaf in inexact]), loss), loss

    @jax.jit
    def pushed(state, phi):
        def body(carry, batch):
            state, tangents, _ = push_tangents(
                lambda state, phi: problem.step(state, phi, batch, KEY), carry[0], phi, carry[1]
            )
            return (state, tangents), None

        (state, tangents), _ = jax.lax.scan(body, (state, zero_tangents(state, 3)), BATCHES)
        return tangents, contract(problem, state, phi, tangents, VALIDATION).total

    tangents, h = pushed(state, phi)
    tangents = jnp.concatenate([leaf.reshape(3, -1) for leaf in jax.tree.leaves(tangents)], axis=1)
    derivatives = jax.jit(jax.jacfwd(unrolled, has_aux=True))
    (jacobian, slopes), _ = derivatives(flat)
    # The parameters and the optimizer's state: 15,386 weights, once or twice more.
    assert jacobian.shape == (15386 * {"sgd": 2, "adam": 3}[name], 3)
    # The same chain rule in another order of operations: rounding only, in each direction.
    errors = np.linalg.norm(tangents.T - jacobian, axis=0) / np.linalg.norm(jacobian, axis=0)
    assert np.max(errors) < 1e-8
    np.testing.assert_allclose(h, slopes, rtol=1e-8)
    # By name: truncation 1e-10 and rounding 1e-10 of losses of order 1, unless a kink is crossed.
    by_name = dict(zip(names(phi), h, strict=True))
    for hyperparameter in problem.describe(phi):
        up, down = (
            derivatives(ravel_pytree(phi | {hyperparameter: phi[hyperparameter] + shift})[0])[1]
            for shift in (1e-5, -1e-5)
        )
        difference = float(up - down) / 2e-5
        assert float(by_name[hyperparameter]) == pytest.approx(difference, rel=1e-5)


def test_the_start_is_what_the_yaml_says():
    problem = task("adam")
    _, phi = jax.jit(problem.init)(jax.random.key(0))
    natural = {name: float(value) for name, value in problem.describe(phi).items()}
    assert natural == pytest.approx({"learning_rate": 0.001, "b1": 0.9, "b2": 0.999}, rel=1e-12)


class Softmax(LeNet):
    """The last layer alone, on the mean pixel of every row: quick to compile."""

    def __call__(self, x):
        weight, bias = self.linear2
        return jnp.tile(jnp.mean(x, axis=(2, 3)), 2)[:, :32] @ weight.T + bias


SOFTMAX = Classifier(partial(Softmax, **LENET.keywords), mean=(0.3,), std=(0.35,))


LION = """
_target_: glocal_exp.tasks.optimizer_hpo.OptimizerHPO
rule:
  _target_: optax.lion
  _partial_: true
init: {learning_rate: 0.01, weight_decay: 0.1}
"""


@pytest.mark.parametrize("rule", ["rmsprop", "lion"])
def test_another_rule_of_optax_is_a_yaml_file_alone(rule):
    node = (TASKS / "rmsprop.yaml").read_text() if rule == "rmsprop" else LION
    config = OmegaConf.create(node)
    problem = instantiate(config, _convert_="all", _partial_=True)(classifier=SOFTMAX)
    state, phi = jax.jit(problem.init)(jax.random.key(0))

    def mean_loss(params, batch):
        return jnp.mean(SOFTMAX.losses(params, batch))

    @jax.jit
    def two_steps(state, phi):
        tangents = zero_tangents(state, len(phi))
        _, gradient = SOFTMAX.loss_and_gradient(mean_loss, state.params, FIRST)
        states = [state]
        for batch in FIRST, VALIDATION:
            state, tangents, _ = push_tangents(
                lambda state, phi, batch=batch: problem.step(state, phi, batch, KEY),
                state,
                phi,
                tangents,
            )
            states.append(state)
        return states, gradient, contract(problem, state, phi, tangents, VALIDATION).total

    (before, after, _), gradient, h = two_steps(state, phi)
    # The rule by hand, on the last bias.
    g, bias = gradient.linear2[1], before.params.linear2[1]
    expected = {
        "rmsprop": -0.001 * g / jnp.sqrt(0.1 * g**2 + 1e-8),
        "lion": -0.01 * (jnp.sign(g) + 0.1 * bias),
    }
    np.testing.assert_allclose(after.params.linear2[1] - bias, expected[rule], rtol=1e-7)
    assert h.shape == (2,)
    assert np.isfinite(h).all()
    assert np.all(np.abs(h) > 0)


@pytest.mark.parametrize(
    ("init", "transform", "message"),
    [
        ({"learning_rate": 0.0}, "sigmoid", "task.init.learning_rate=0.0 is outside"),
        ({"momentum": 1}, "sigmoid", "task.init.momentum=1 is outside"),
        ({"learning_rate": 0.1, "beta": 0.5}, "sigmoid", "does not fit task.init: .*beta"),
        ({"momentum": 0.5}, "sigmoid", "does not fit task.init: .*learning_rate"),
        ({"learning_rate": 0.1}, "tanh", "task.transform of learning_rate is 'tanh'"),
        ({"learning_rate": 0.1}, {"learning_rte": "exp"}, "names learning_rte; choose from learn"),
    ],
)
def test_a_start_that_does_not_fit(init, transform, message):
    with pytest.raises(UserError, match=message):
        OptimizerHPO(CLASSIFIER, sgd, init, transform)


def test_a_transform_for_each_hyperparameter():
    problem = OptimizerHPO(
        CLASSIFIER, sgd, {"learning_rate": 2.0, "momentum": 0.9}, {"learning_rate": "exp"}
    )
    assert dict(problem.transforms) == {"learning_rate": "exp", "momentum": "sigmoid"}
    assert dict(problem.phi0) == pytest.approx({"learning_rate": np.log(2), "momentum": np.log(9)})


def test_the_meta_loss_is_among_the_metrics():
    problem = OptimizerHPO(SOFTMAX, optax.sgd, {"learning_rate": 0.1})
    state, phi = jax.jit(problem.init)(jax.random.key(0))
    metrics = jax.jit(problem.metrics)(state, VALIDATION)
    assert set(metrics) == {"loss", "accuracy", "meta_loss"}
    meta_loss = float(jax.jit(problem.meta_loss)(state, phi, VALIDATION))
    assert float(metrics["meta_loss"]) == pytest.approx(meta_loss, rel=1e-14)


def test_metrics_of_an_average_stand_beside_those_of_the_iterate():
    small = Classifier(Smooth, mean=(0.5,), std=(0.25,))
    problem = OptimizerHPO(small, partial(averaging, sgd, 2), {"learning_rate": 0.1})
    batch, (state, phi) = images(0).train, problem.init(jax.random.key(1))
    first, _ = problem.step(state, phi, batch, KEY)
    second, _ = problem.step(first, phi, batch, KEY)
    mean = jax.tree.map(lambda a, b: (a + b) / 2, first.params, second.params)
    found, raw = problem.metrics(second, batch), small.metrics(second.params, batch)
    for name, value in small.metrics(mean, batch).items():
        assert float(found[f"{name}_averaged"]) == pytest.approx(float(value), rel=1e-12)
        assert float(found[name]) == float(raw[name])
    assert float(found["meta_loss"]) == float(raw["loss"])


@pytest.mark.parametrize("average", [False, True])
@pytest.mark.parametrize("learned", [False, True])
def test_the_inner_loss_has_the_penalty_that_sgd_adds(average, learned):
    """Its gradient is that of cross entropy and 0.1 theta, whether that is learned or bound."""
    decay, init = 0.1, {"learning_rate": 0.1, "momentum": 0.5}
    rule = sgd if learned else partial(sgd, weight_decay=decay)
    rule = partial(averaging, rule=rule, over=3) if average else rule
    init |= {"weight_decay": decay} if learned else {}
    problem = OptimizerHPO(SOFTMAX, rule, init)
    plain = OptimizerHPO(SOFTMAX, optax.sgd, {"learning_rate": 0.1})

    def gradient(task):
        state, phi = task.init(KEY)

        def loss(params):
            return task.inner_loss(replace(state, params=params), phi, VALIDATION, KEY)

        return jax.tree.leaves(jax.grad(loss)(state.params))

    params = jax.tree.leaves(problem.init(KEY)[0].params)
    leaves = gradient(problem), gradient(plain), params
    for found, data, params in zip(*leaves, strict=True):
        np.testing.assert_allclose(found, data + decay * params, rtol=1e-10, atol=1e-12)
