"""A task that compiles in a second: `task._target_=tests.app.toy.Toy`; what else tests add."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from glocal_exp.errors import UserError
from glocal_exp.problems.noisy_quadratic import NoisyQuadratic
from glocal_exp.studies.lab import Lab, Measurement, Unit
from glocal_exp.tracking import Sink
from glocal_exp.types import InnerProblem, InnerState


class Toy(InnerProblem):
    """Three weights that shrink towards the mean label; some are not finite after `last_step`.

    Those are the weights of the seeds for which `diverges` holds, as far as `last_step` is given.
    """

    start: float = eqx.field(static=True)
    last_step: int | None = eqx.field(static=True)
    broken: bool = eqx.field(static=True)

    def __init__(
        self,
        classifier: Any,
        init: Mapping[str, float],
        last_step: int | None = None,
        broken: bool = False,
    ):
        self.start, self.last_step, self.broken = init["learning_rate"], last_step, broken

    def init(self, key):
        return InnerState(weights(key), (), jnp.zeros((), int)), {
            "learning_rate": jnp.array(self.start)
        }

    def step(self, state, phi, batch, key):
        if self.broken and len(batch["y"]) > 1:  # in training, not when it is built
            raise RuntimeError("the toy is broken")
        loss, gradient = jax.value_and_grad(_loss)(state.params, batch)
        params = state.params - phi["learning_rate"] * gradient
        if self.last_step is not None:
            diverges = (state.step >= self.last_step) & (params[0] < 0)
            params = jnp.where(diverges, jnp.nan, params)
        return InnerState(params, (), state.step + 1), loss

    def meta_loss(self, state, phi, batch):
        return _loss(state.params, batch)

    def describe(self, phi):
        return phi


def weights(key: jax.Array) -> jax.Array:
    return jax.random.normal(key, (3,), jnp.float32)


def diverges(seed: int) -> bool:
    """Whether a seed's first weight starts below zero; a small learning rate leaves it there."""
    return bool(weights(jax.random.key(seed))[0] < 0)


def _loss(params, batch):
    return jnp.mean((params - batch["y"][:, None] / 100) ** 2)


class Linear(eqx.Module):
    """A model that takes what every model is given, and no more."""

    weight: jax.Array

    def __init__(self, key: jax.Array, *, image_shape: tuple[int, int, int], classes: int):
        height, width, channels = image_shape
        self.weight = jax.random.normal(key, (height * width * channels, classes)) / 100

    def __call__(self, x: jax.Array) -> jax.Array:
        return x.reshape(len(x), -1) @ self.weight


class Paced(Sink):
    """A tracker that holds a run up where it may be stopped, so that it is not over before."""

    def progress(self, step: int, total_steps: int, note: str, seed: int) -> None:
        time.sleep(0.05)


class Told(Sink):
    """A tracker that prints what it is told between records."""

    def progress(self, step: int, total_steps: int, note: str, seed: int) -> None:
        print(f"told {step}/{total_steps}: {note}")


class Doubled(NoisyQuadratic):
    """A problem of one's own with a slip: `problem._target_=tests.app.toy.Doubled`."""

    def step(self, state, phi, batch, key):
        state, loss = super().step(state, phi, batch, key)
        return state, jnp.stack([loss, loss])


@dataclass(frozen=True)
class Draws:
    """A study without training: `study._target_=tests.app.toy.Draws`."""

    number: int
    fails_at: int | None = None
    trains: ClassVar[bool] = False

    def units(self, lab: Lab) -> Iterable[Unit]:
        rng = np.random.default_rng(lab.seed)
        values = rng.normal(size=self.number)
        return [Unit(f"draw{n}", partial(self._draw, n, value)) for n, value in enumerate(values)]

    def _draw(self, n: int, value: float) -> Measurement:
        if n == self.fails_at:
            raise UserError(f"draw {n} fails.")
        return Measurement([{"number": n, "value": value}])


@dataclass(frozen=True)
class Sizes:
    """A study of the training setting, and of another one if it is given."""

    other: Mapping[str, Any] | None = None
    trains: ClassVar[bool] = True

    def units(self, lab: Lab) -> Iterable[Unit]:
        return [Unit("sizes", lambda: self._sizes(lab))]

    def _sizes(self, lab: Lab) -> Measurement:
        validation = len(lab.setting.splits.validation["y"])
        steps = [record.step for record in lab.setting.start()]
        row = {"validation": validation, "steps": steps[-1]}
        if self.other is not None:
            setting = lab.build(self.other)
            row["other"] = len(setting.splits.validation["y"])
        return Measurement([row])
