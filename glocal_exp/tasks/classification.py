"""Image classification as an inner loss: what the tasks share."""

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, PRNGKeyArray, PyTree, UInt8

from glocal_exp.data.checksums import moments
from glocal_exp.hypergrad.gradient import value_and_gradient
from glocal_exp.types import Batch, Hyperparams, InnerProblem, InnerState, Named, Numbers, Stepped

Augmentation = Callable[[UInt8[Array, "n h w c"], PRNGKeyArray], UInt8[Array, "n h w c"]]


class Classifier(eqx.Module):
    """A network together with the normalisation of its uint8 images, as functions of `params`.

    A batch is `{"x": uint8 (n, height, width, channels), "y": int32 (n,)}`.
    """

    # maps a key to a network, a module that maps images to logits
    network: Callable[[PRNGKeyArray], Any] = eqx.field(static=True)
    # per channel, of the training images scaled to [0, 1]
    mean: tuple[float, ...] = eqx.field(static=True, converter=tuple)
    std: tuple[float, ...] = eqx.field(static=True, converter=tuple)  # likewise
    # examples at a time inside one training step (all if None); the gradient is the same mean, but
    # on a CPU the intermediate arrays then stay in the cache
    microbatch: int | None = eqx.field(static=True, default=None)
    # microbatches that the compiler may work on side by side
    at_once: int = eqx.field(static=True, default=1)
    # changes raw training images at random, given a key; None leaves them
    augmentation: Augmentation | None = eqx.field(static=True, default=None)

    @classmethod
    def of(
        cls,
        network: Callable[[PRNGKeyArray], Any],
        images: UInt8[np.ndarray, "n h w c"],
        **settings: Any,
    ) -> "Classifier":
        """The network with the normalisation of these training images."""
        mean, std = (tuple(float(v) / 255 for v in values) for values in moments(images))
        return cls(network, mean, std, **settings)

    def init(self, key: PRNGKeyArray) -> PyTree:
        """The network's initial parameters."""
        return eqx.filter(self.network(key), eqx.is_inexact_array)

    def augmented(self, batch: Batch, key: PRNGKeyArray) -> Batch:
        """What a training step sees of `batch`."""
        if self.augmentation is None:
            return batch
        return batch | {"x": self.augmentation(batch["x"], key)}

    def logits(self, params: PyTree, images: UInt8[Array, "n h w c"]) -> Float[Array, "n classes"]:
        """The network's outputs for raw images."""
        skeleton = eqx.filter_eval_shape(self.network, jax.random.key(0))
        static = eqx.filter(skeleton, lambda leaf: not isinstance(leaf, jax.ShapeDtypeStruct))
        dtype = jax.tree.leaves(params)[0].dtype
        mean, std = jnp.asarray(self.mean, dtype), jnp.asarray(self.std, dtype)
        x = (images.astype(dtype) / 255 - mean) / std
        return eqx.combine(params, static)(x)

    def losses(self, params: PyTree, batch: Batch) -> Numbers:
        """Cross entropy of each example."""
        return _cross_entropy(self.logits(params, batch["x"]), batch["y"])

    def loss_and_gradient(
        self, loss: Callable[[PyTree, Batch], Float[Array, ""]], params: PyTree, batch: Batch
    ) -> tuple[Float[Array, ""], PyTree]:
        """A mean loss over `batch` and its gradient, `microbatch` examples at a time."""
        return value_and_gradient(loss, params, batch, chunk=self.microbatch, at_once=self.at_once)

    def metrics(self, params: PyTree, batch: Batch, *, by_class: bool = False) -> Named:
        """Mean cross entropy and accuracy.

        By class also the shares of examples that are of the class, `class_share` (classes,), and
        that besides are recognised as such, `class_hits`; `class_accuracy` divides them.
        """
        logits = self.logits(params, batch["x"])
        losses = _cross_entropy(logits, batch["y"])
        hits = (jnp.argmax(logits, axis=1) == batch["y"]).astype(losses.dtype)
        metrics = {"loss": jnp.mean(losses), "accuracy": jnp.mean(hits)}
        if by_class:
            classes = jax.nn.one_hot(batch["y"], logits.shape[1], dtype=losses.dtype)
            metrics["class_share"] = jnp.mean(classes, axis=0)
            metrics["class_hits"] = jnp.mean(classes * hits[:, None], axis=0)
        return metrics


class Classification(InnerProblem):
    """Training a classifier: the meta loss is its mean loss, as is the inner loss by default."""

    classifier: Classifier  # the network and its loss

    @abstractmethod
    def optimizer(self, phi: Hyperparams) -> optax.GradientTransformation:
        """The inner optimizer."""

    def weigh(self, state: InnerState, phi: Hyperparams, losses: Numbers, batch: Batch) -> Numbers:
        """The examples' losses as they count in the mean that a step lowers.

        Args:
            state: where the step starts; the step's own gradient takes it for a constant.
            losses: of the parameters that the gradient is taken by.
        """
        return losses

    def start(self, key: PRNGKeyArray, phi: Hyperparams) -> InnerState:
        """The state before training; the network's start is the same in all tasks."""
        params = self.classifier.init(key)
        return InnerState(params, self.optimizer(phi).init(params), jnp.zeros((), int))

    def step(self, state: InnerState, phi: Hyperparams, batch: Batch, key: PRNGKeyArray) -> Stepped:
        def weighed(params: PyTree, batch: Batch) -> Float[Array, ""]:
            losses = self.classifier.losses(params, batch)
            return jnp.mean(self.weigh(state, phi, losses, batch))

        batch = self.classifier.augmented(batch, key)
        loss, gradient = self.classifier.loss_and_gradient(weighed, state.params, batch)
        updates, opt_state = self.optimizer(phi).update(gradient, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        return InnerState(params, opt_state, state.step + 1), loss

    def meta_loss(self, state: InnerState, phi: Hyperparams, batch: Batch) -> Float[Array, ""]:
        return jnp.mean(self.classifier.losses(state.params, batch))

    def metrics(self, state: InnerState, batch: Batch) -> Named:
        metrics = self.classifier.metrics(state.params, batch)
        metrics |= {"meta_loss": metrics["loss"]}
        average = optax.tree_utils.tree_get(state.opt_state, "iterate_average")
        if average is None:
            return metrics
        averaged = self.classifier.metrics(average, batch)
        return metrics | {f"{name}_averaged": value for name, value in averaged.items()}


def class_accuracy(means: Named) -> Named:
    """`class_accuracy` (classes,) in place of the shares, which are means over all examples.

    NaN for a class that has none.
    """
    others = {n: v for n, v in means.items() if n not in ("class_share", "class_hits")}
    return others | {"class_accuracy": means["class_hits"] / means["class_share"]}


def _cross_entropy(logits: Array, labels: Array) -> Array:
    chosen = jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], axis=1)
    return -chosen[:, 0]
