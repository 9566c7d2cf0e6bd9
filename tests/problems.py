"""Small inner problems for the oracles: smooth, tiny, in float64."""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax

from glocal_exp.engine import Splits
from glocal_exp.models.meta_weight import MetaWeight
from glocal_exp.tasks.classification import Classifier
from glocal_exp.tasks.reweight import Reweight
from glocal_exp.tasks.rules import sgd
from glocal_exp.tasks.transforms import TRANSFORMS
from glocal_exp.types import InnerProblem, InnerState

RULES = {
    "sgd": (sgd, {"learning_rate": 0.05, "momentum": 0.7, "weight_decay": 0.01}),
    "adam": (
        lambda **h: optax.adam(eps=1e-8, eps_root=1e-16, **h),
        {"learning_rate": 0.02, "b1": 0.8, "b2": 0.95},
    ),
    "rmsprop": (
        lambda **h: optax.rmsprop(eps=1e-8, initial_scale=1.0, **h),
        {"learning_rate": 0.02, "decay": 0.9},
    ),
}


KEY = jax.random.key(0)  # for steps that draw nothing


class Network(InnerProblem):
    """A two-layer tanh network on a regression, trained by a learnable rule; smooth everywhere."""

    rule: str = eqx.field(static=True)
    width: int = eqx.field(static=True, default=5)

    def init(self, key):
        first, second = jax.random.split(key)
        params = {
            "w1": jax.random.normal(first, (3, self.width)) / 2,
            "w2": jax.random.normal(second, (self.width,)) / 2,
        }
        start = {n: TRANSFORMS["sigmoid"].inverse(v) for n, v in RULES[self.rule][1].items()}
        phi = {name: jnp.asarray(value) for name, value in start.items()}
        return InnerState(params, self._optimizer(phi).init(params), jnp.zeros((), int)), phi

    def step(self, state, phi, batch, key):
        loss, gradient = jax.value_and_grad(self._loss)(state.params, batch)
        optimizer = self._optimizer(phi)
        updates, opt_state = optimizer.update(gradient, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        return InnerState(params, opt_state, state.step + 1), loss

    def meta_loss(self, state, phi, batch):
        # A direct term, so that it is not forgotten.
        return self._loss(state.params, batch) + 0.01 * jnp.sum(phi["learning_rate"] ** 2)

    def metrics(self, state, batch):
        return {"loss": self._loss(state.params, batch)}

    def describe(self, phi):
        # In the rule's order, which is not that of the hypergradient.
        return {name: jax.nn.sigmoid(phi[name]) for name in RULES[self.rule][1]}

    def _loss(self, params, batch):
        out = jnp.tanh(batch["x"] @ params["w1"]) @ params["w2"]
        return jnp.mean((out - batch["y"]) ** 2)

    def _optimizer(self, phi):
        return RULES[self.rule][0](**self.describe(phi))


class Noisy(Network):
    """The same with noise in the targets, a fresh draw for every step's key."""

    def step(self, state, phi, batch, key):
        noise = 0.1 * jax.random.normal(key, batch["y"].shape)
        return super().step(state, phi, {"x": batch["x"], "y": batch["y"] + noise}, key)


class Descent(InnerProblem):
    """Least squares by gradient descent with a penalty for each feature; phi has a vector leaf.

    `rate` is the starting learning rate; nothing keeps it from being far too large.
    """

    rate: float = 0.05

    def init(self, key):
        phi = {"log_penalties": jnp.full(3, -3.0), "log_rate": jnp.log(jnp.asarray(self.rate))}
        return InnerState(jnp.zeros(3), (), jnp.zeros((), int)), phi

    def step(self, state, phi, batch, key):
        def penalized(w):
            return self._loss(w, batch) + jnp.sum(jnp.exp(phi["log_penalties"]) * w**2)

        loss, gradient = jax.value_and_grad(penalized)(state.params)
        params = state.params - jnp.exp(phi["log_rate"]) * gradient
        return InnerState(params, (), state.step + 1), loss

    def meta_loss(self, state, phi, batch):
        return self._loss(state.params, batch)

    def metrics(self, state, batch):
        return {"loss": self._loss(state.params, batch)}

    def describe(self, phi):
        return {"penalties": jnp.exp(phi["log_penalties"]), "rate": jnp.exp(phi["log_rate"])}

    def _loss(self, w, batch):
        return jnp.mean((batch["x"] @ w - batch["y"]) ** 2)


def regression(
    seed: int, train: int = 40, validation: int = 17, test: int = 11, targets: float = 1.0
) -> Splits:
    """Random inputs and a nonlinear target of this size; counts that no chunk divides."""
    rng = np.random.default_rng(seed)

    def part(count: int) -> dict[str, np.ndarray]:
        x = rng.normal(size=(count, 3))
        return {"x": x, "y": targets * (np.sin(x[:, 0]) + 0.3 * x[:, 1] * x[:, 2])}

    return Splits(part(train), part(validation), part(test))


class Smooth(eqx.Module):
    """A classifier of 2x2 images by one hidden layer of tanh."""

    first: jax.Array
    second: jax.Array

    def __init__(self, key, *, width=6, classes=3):
        first, second = jax.random.split(key)
        self.first = jax.random.normal(first, (4, width)) / 2
        self.second = jax.random.normal(second, (width, classes)) / 2

    def __call__(self, x):
        return jnp.tanh(x.reshape(len(x), -1) @ self.first) @ self.second


def reweighting(detach_weights=False, hidden=128, initializer="torch", scale=1.0, kinks=1.0):
    """The reweighting task on a network that is smooth and small; mu may be larger or sharper.

    `scale` multiplies all of mu's parameters, `kinks` its hidden layer's alone.
    """

    def weight(key):
        mu = MetaWeight(key, hidden=hidden, initializer=initializer)
        mu = jax.tree.map(lambda leaf: scale * leaf, mu)
        return eqx.tree_at(lambda mu: mu.hidden, mu, tuple(kinks * leaf for leaf in mu.hidden))

    classifier = Classifier(Smooth, mean=(0.5,), std=(0.25,))
    rule = partial(sgd, learning_rate=0.05, momentum=0.9)
    return Reweight(classifier, rule, weight, detach_weights, (0.5, 2.0))


def images(seed: int, train: int = 60, validation: int = 17) -> Splits:
    """Random images, labelled by a rule that one in six does not follow: their losses grow."""
    rng = np.random.default_rng(seed)

    def part(count: int) -> dict[str, np.ndarray]:
        x = rng.integers(0, 256, (count, 2, 2, 1), dtype=np.uint8)
        y = x.reshape(count, -1)[:, :3].argmax(axis=1)
        return {"x": x, "y": np.where(rng.random(count) < 1 / 6, (y + 1) % 3, y).astype(np.int32)}

    return Splits(part(train), part(validation))
