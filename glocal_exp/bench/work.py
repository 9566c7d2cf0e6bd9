"""The work that all candidates get: a problem, its batches and its validation images."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, PyTree, UInt8

from glocal_exp.app.build import Experiment, build
from glocal_exp.app.compose import jobs
from glocal_exp.bench import flops
from glocal_exp.bench.rules import tuned_sgd
from glocal_exp.tasks.optimizer_hpo import OptimizerHPO
from glocal_exp.types import Batch, InnerState


@dataclass(frozen=True)
class Scale:
    """How large the work of all entries is.

    Attributes:
        batch: training images to a step.
        steps: training steps to a run of a candidate.
        validation: images of a full validation gradient.
        gradients: validation gradients to a run of a candidate.
        subset: images of the validation gradients that end a hypergradient.
        stretch: tau of one hypergradient; so short, since later ones are not reproducible in
            float32 and could not be compared.
        interval: tau of a whole run, and so many steps to its interval.
        window: sigma.
        delays: m.
        filters: of LeNet, where it is varied.
        wide: depth and width of WideResNet.
    """

    batch: int = 128
    steps: int = 10
    validation: int = 6000
    gradients: int = 2
    subset: int = 1000
    stretch: int = 20
    interval: int = 100
    window: int = 80
    delays: int = 10
    filters: tuple[int, ...] = (4, 8, 16, 32)
    wide: tuple[int, int] = (28, 2)


FULL = Scale()
SMALL = Scale(
    16, 2, 40, 1, 20, 3, 6, 4, 2, (2, 4), (10, 1)
)  # seconds, for tests and to try an entry


@dataclass(frozen=True, eq=False)
class Work:
    """Images and settings that every candidate gets; those of a run on a CPU.

    Attributes:
        experiment: problem and sizes, built from the configs.
        x: the training batches of all steps.
        validation_x: the images of a validation gradient.
        gradients: validation gradients to a call.
    """

    experiment: Experiment
    x: UInt8[np.ndarray, "steps batch height width channels"]
    y: Int[np.ndarray, "steps batch"]
    validation_x: UInt8[np.ndarray, "n height width channels"]
    validation_y: Int[np.ndarray, " n"]
    gradients: int

    @cached_property
    def start(self) -> tuple[InnerState, dict[str, Array]]:
        """The state before training, and the unconstrained hyperparameters by name."""
        state, phi = self.experiment.problem.init(jax.random.key(1))
        # A dtype that yields to no other, as after the first step.
        return jax.tree.map(lambda leaf: jnp.asarray(leaf, leaf.dtype), (state, phi))

    @property
    def train(self) -> Batch:
        """The batches, on the device."""
        return {"x": jnp.asarray(self.x), "y": jnp.asarray(self.y)}

    @property
    def validation(self) -> Batch:
        """The validation images, on the device."""
        return {"x": jnp.asarray(self.validation_x), "y": jnp.asarray(self.validation_y)}

    @property
    def flops(self) -> flops.Count:
        """Operations that one image needs."""
        model, shape = self.experiment.cfg.model, self.x.shape[2:]
        if "hidden" in model:
            return flops.lenet(shape, model.filters, model.hidden, _CLASSES)
        return flops.wide_resnet(shape, model.depth, model.width, model.stem, _CLASSES)

    def tuning(self, q: int) -> "Work":
        """The same with q hyperparameters of SGD to learn."""
        rule, start = tuned_sgd(q)
        problem = OptimizerHPO(self.experiment.problem.classifier, rule, start)
        return replace(self, experiment=replace(self.experiment, problem=problem))

    def validated_on(self, images: int) -> "Work":
        """The same with the first so many validation images alone."""
        x, y = self.validation_x[:images], self.validation_y[:images]
        return replace(self, validation_x=x, validation_y=y)

    def cut(self, steps: int) -> "Work":
        """The same with the first so many steps alone."""
        return replace(self, x=self.x[:steps], y=self.y[:steps])


_CLASSES = 10  # of Fashion-MNIST


def make_work(*overrides: str, steps: int = 10, validation: int = 6000, gradients: int = 2) -> Work:
    """LeNet with learnable SGD on the embedded Fashion-MNIST, `overrides` as a run takes them.

    The batches and the validation images are drawn from the same training images, and drawn again
    where there are too few.
    """
    job = jobs(["source=bundled", "device=cpu", "tracker=none", *overrides], sweep=False)[0]
    experiment = build(job.config, job.choices)
    data, batch = experiment.data, job.config.batch_size
    order = np.random.default_rng(0).permutation(len(data.train_labels))
    chosen = np.resize(order, steps * batch).reshape(steps, batch)
    held_out = np.resize(order, validation)
    return Work(
        experiment,
        data.train_images[chosen],
        data.train_labels[chosen],
        data.train_images[held_out],
        data.train_labels[held_out],
        gradients,
    )


def scaled(scale: Scale, *overrides: str, steps: int | None = None) -> Work:
    """`make_work` at a scale."""
    return make_work(
        f"batch_size={scale.batch}",
        *overrides,
        steps=steps or scale.steps,
        validation=scale.validation,
        gradients=scale.gradients,
    )


def by_parameter(kind: str, tree: PyTree) -> dict[str, Any]:
    """The arrays of a tree with the network's leaves, by name (`conv1.weight gradients`)."""
    layers = ("conv1", "conv2", "linear1", "linear2")
    names = [f"{layer}.{part} {kind}" for layer in layers for part in ("weight", "bias")]
    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(tree)]
    return dict(zip(names, leaves, strict=True))
