"""The work that all candidates get: a problem, its batches and validation images; whole runs."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from importlib import import_module
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import PyTree

from benchmarks import flops
from benchmarks.comparison import Candidate
from glocal_exp import hypergrad
from glocal_exp.app.build import Experiment, build
from glocal_exp.app.compose import jobs
from glocal_exp.data import Splits
from glocal_exp.engine import Loop
from glocal_exp.records import IntervalRecord
from glocal_exp.tasks.optimizer_hpo import OptimizerHPO
from glocal_exp.tasks.rules import Number, sgd
from glocal_exp.types import Batch, Hyperparams, InnerState, Tangents

START = {"learning_rate": 0.01, "momentum": 0.5, "weight_decay": 5e-4}  # configs/task/sgd.yaml
TENSORS = 8  # of LeNet: the weight and the bias of each layer
CHOICES = (1, 2, 3, TENSORS)
TRAINING_IMAGES, VALIDATION_IMAGES, TEST_IMAGES = 54_000, 6_000, 10_000


@dataclass(frozen=True)
class Scale:
    """How large the work of all entries is."""

    batch: int = 128  # training images to a step
    steps: int = 10  # training steps to a run of a candidate
    validation: int = 6000  # images of a full validation gradient
    subset: int = 1000  # images of the validation gradients that end a hypergradient
    stretch: int = 20  # tau of one h: so short, since later ones cannot be compared in float32
    interval: int = 100  # tau of a whole run, and so many steps to its interval
    window: int = 80  # sigma
    delays: int = 10  # m
    filters: tuple[int, ...] = (4, 8, 16, 32)  # of LeNet, where it is varied
    wide: tuple[int, int] = (28, 2)  # depth and width of WideResNet


FULL = Scale()
SMALL = Scale(16, 2, 40, 20, 3, 6, 4, 2, (2, 4), (10, 1))  # seconds, to try an entry


class Given(NamedTuple):
    """What a part starts from, on the device; `train` has a leading axis of steps."""

    state: InnerState
    tangents: Tangents
    phi: Hyperparams
    train: Batch
    validation: Batch


@dataclass(frozen=True, eq=False)
class Work:
    """Images and settings that every candidate gets; those of a run on a CPU."""

    problem: Any  # with a `classifier`
    train: Batch  # images and labels of all steps, leading axes (steps, batch)
    validation: Batch  # those of a validation gradient
    chunks: dict[str, Any]  # how many validation images ours takes at a time

    @cached_property
    def given(self) -> Given:
        """The state before training, with unconstrained hyperparameters by name, and the images."""
        state, phi = self.problem.init(jax.random.key(1))
        tangents = hypergrad.zero_tangents(state, hypergrad.count(phi))
        given = Given(state, tangents, phi, self.train, self.validation)
        # A dtype that yields to no other, as after the first step.
        return jax.tree.map(lambda leaf: jnp.asarray(leaf, leaf.dtype), given)

    @cached_property
    def torch(self) -> Any:
        """The same in PyTorch, with its ways."""
        return import_module("benchmarks.torch_work").TorchWork(self)

    def peer(self, name: str, part: str, package: str = "torch", **settings: Any) -> Candidate:
        """A method of `torch` with its settings, which takes a package, as a candidate."""
        return Candidate(name, lambda: getattr(self.torch, part)(**settings), package)

    def flops(self, images: int, q: int = 0) -> int:
        """Operations of the gradient for so many images, with q tangents."""
        network = partial(self.problem.classifier.network, convolution="lax")
        image = jax.ShapeDtypeStruct((1, *self.train["x"].shape[2:]), jnp.float32)
        params = jax.eval_shape(network, jax.random.key(0))
        return images * flops.gradient(jax.make_jaxpr(lambda n, x: n(x))(params, image), q)

    def tuning(self, q: int, *, whole: bool = False) -> "Work":
        """The same with q hyperparameters of SGD to learn.

        With `whole`, all images at a time, and convolutions that are fast outside compiled loops.
        """
        task, chunks = self.problem.classifier, self.chunks
        if whole:
            network = partial(task.network, convolution="lax")
            task, chunks = replace(task, network=network, microbatch=None, at_once=1), {}
        return replace(self, problem=OptimizerHPO(task, tuned_sgd, starts(q)), chunks=chunks)

    def cut(self, *, steps: int | None = None, validation: int | None = None) -> "Work":
        """The same with the first so many steps, or validation images, alone."""
        train = {name: part[:steps] for name, part in self.train.items()}
        images = {name: part[:validation] for name, part in self.validation.items()}
        return replace(self, train=train, validation=images)


def make_work(scale: Scale, *overrides: str, steps: int | None = None) -> Work:
    """LeNet with learnable SGD at a scale, or with so many steps.

    Batches and validation images are drawn from the same training images, and again if too few.
    """
    made = experiment(scale, *overrides)
    data, settings = made.data, made.device.settings
    order = np.random.default_rng(0).permutation(len(data.train_labels))
    chosen = (
        np.resize(order, (steps or scale.steps, scale.batch)),
        np.resize(order, scale.validation),
    )
    train, validation = ({"x": data.train_images[i], "y": data.train_labels[i]} for i in chosen)
    chunks = {"chunk": settings.validation_chunk, "chunks_at_once": settings.chunks_at_once}
    return Work(made.problem, train, validation, chunks)


def experiment(scale: Scale, *overrides: str) -> Experiment:
    """What a run on the embedded Fashion-MNIST is made of, `overrides` as a run takes them."""
    common = ["source=bundled", "device=cpu", "tracker=none", f"batch_size={scale.batch}"]
    job = jobs([*common, *overrides], sweep=False)[0]
    return build(job.config, job.choices)


def starts(q: int) -> dict[str, float]:
    """Where q hyperparameters of `CHOICES` start, in natural units.

    One is the learning rate, two and three add momentum and weight decay; with eight, each
    parameter tensor has a learning rate of its own: `rate0` is that of the tree's first leaf.
    """
    names = [f"rate{place}" for place in range(q)] if q == TENSORS else list(START)[:q]
    return {name: START.get(name, START["learning_rate"]) for name in names}


def tuned_sgd(**learned: Number) -> optax.GradientTransformation:
    """`sgd` from `START` but for what is learned; see `starts`."""
    rates = [rate for name, rate in learned.items() if name not in START]
    if not rates:
        return sgd(**START | learned)

    def scale(updates: PyTree, params: PyTree = None) -> PyTree:
        leaves, structure = jax.tree.flatten(updates)
        scaled = [rate * leaf for rate, leaf in zip(rates, leaves, strict=True)]
        return jax.tree.unflatten(structure, scaled)

    return optax.chain(sgd(**START | {"learning_rate": 1.0}), optax.stateless(scale))


def whole_run(
    name: str, scale: Scale, *overrides: str, seeds: Sequence[int] = (0,), together: bool = True
) -> Candidate:
    """Makes the run which `overrides` describe, with its evaluations.

    Several seeds run in one program if `together`, else one after another.
    """
    loops: list[Loop] = []

    def run() -> list[IntervalRecord]:
        if not loops:
            made = experiment(scale, *overrides)
            splits = image_splits(made, scale)
            groups = [tuple(seeds)] if together else [(seed,) for seed in seeds]
            loops.extend(made.loop(dict.fromkeys(group, splits)) for group in groups)
        for loop in loops:
            loop.restart()
        return [record for loop in loops for record in loop]

    return Candidate(name, run, compared=False)


def image_splits(made: Experiment, scale: Scale) -> Splits:
    """The embedded images over and over: as many as Fashion-MNIST's, if validation is 6,000."""

    def part(images: np.ndarray, labels: np.ndarray, size: int) -> dict[str, np.ndarray]:
        size = max(size * scale.validation // VALIDATION_IMAGES, 2 * scale.batch)
        chosen = np.resize(np.arange(len(labels)), size)
        return {"x": images[chosen], "y": labels[chosen].astype(np.int32)}

    train = part(made.data.train_images, made.data.train_labels, TRAINING_IMAGES)
    held_out = {name: values[: scale.validation] for name, values in train.items()}
    test = part(made.data.test_images, made.data.test_labels, TEST_IMAGES)
    return Splits(train, held_out, test, {})
