"""What the settings mean: from a config to the objects whose numbers a run consists of.

The one module of this room whose source belongs to a run's identity, as the engine's does.
"""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax
from omegaconf import DictConfig

from glocal_exp.app.config import plain, seeds
from glocal_exp.app.device import Settings
from glocal_exp.app.instantiate import first_line, instantiate_group, taken
from glocal_exp.data import ImageData, OwnData, split
from glocal_exp.data import Splits as ImageSplits
from glocal_exp.data.split import class_counts, hypergradient_part
from glocal_exp.engine import Numerics, Plan, Schedule, Splits
from glocal_exp.errors import UserError
from glocal_exp.problems import OwnProblem
from glocal_exp.tasks.classification import Classifier
from glocal_exp.types import InnerProblem


def make_plan(cfg: DictConfig) -> Plan:
    """What a run is to do; in which pieces, the platform says (`make_numerics`).

    Raises:
        UserError: for settings that do not fit each other.
    """
    return Plan(
        Schedule(cfg.steps, cfg.interval, cfg.batch_size, cfg.eval_every),
        instantiate_group("method", cfg.method),
        instantiate_group("hypergradient", cfg.hypergradient),
        carry_tangents=cfg.carry_tangents,
        stop_when_diverged=cfg.stop_when_diverged,
    )


def make_numerics(settings: Settings) -> Numerics:
    """A platform's sizes of pieces."""
    return Numerics(
        validation_chunk=settings.validation_chunk,
        evaluation_chunk=settings.evaluation_chunk,
        chunks_at_once=settings.chunks_at_once,
        segment=settings.segment,
        checkpoint_seconds=settings.checkpoint_seconds,
        playout_gib=settings.playout_gib,
    )


def make_meta_optimizer(cfg: DictConfig) -> optax.GradientTransformation:
    """What moves the hyperparameters."""
    return instantiate_group("meta_optimizer", cfg.meta_optimizer)


PINNED: dict[str, Any] = {
    "jax_default_prng_impl": "threefry2x32",
    "jax_threefry_partitionable": True,
    "jax_threefry_gpu_kernel_lowering": False,
    "jax_random_seed_offset": 0,
    "jax_enable_custom_prng": False,
    "jax_legacy_prng_key": "allow",
    "jax_high_dynamic_range_gumbel": False,
    "jax_softmax_custom_jvp": False,
    "jax_use_direct_linearize": True,
    "jax_numpy_dtype_promotion": "standard",
    "jax_numpy_rank_promotion": "allow",
    "jax_explicit_x64_dtypes": "warn",
    "jax_default_device": None,
    "jax_disable_jit": False,
    "jax_disable_most_optimizations": False,
    "jax_optimization_level": "UNKNOWN",
    "jax_transfer_guard": "allow",
    "jax_transfer_guard_host_to_device": "allow",
    "jax_transfer_guard_device_to_host": "allow",
    "jax_transfer_guard_device_to_device": "allow",
    "jax_debug_nans": False,
    "jax_debug_infs": False,
    "jax_debug_key_reuse": False,
    "jax_enable_checks": False,
    "jax_check_tracer_leaks": False,
    "jax_check_static_indices": False,
    "jax_no_tracing": False,
    "jax_no_execution": False,
    "jax_error_checking_behavior_nan": "ignore",
    "jax_error_checking_behavior_divide": "ignore",
    "jax_error_checking_behavior_oob": "ignore",
}
"""Options of JAX that change numbers, or that programs such as these break by, at its defaults."""


def use_precision(cfg: DictConfig, settings: Settings) -> None:
    """Make JAX compute in the precision that the config asks for, whatever its surroundings say.

    Raises:
        UserError: for a precision of products that JAX does not know.
    """
    for option, value in PINNED.items():
        if option in jax.config.values:  # some come and go from version to version
            jax.config.update(option, value)
    try:
        jax.config.update("jax_default_matmul_precision", settings.matmul_precision)
    except ValueError as error:
        raise UserError(
            f"device: matmul_precision={settings.matmul_precision} is none that JAX knows; "
            "highest, high and default always are."
        ) from error
    jax.config.update("jax_enable_x64", cfg.precision == "float64")


def own_problem(cfg: DictConfig) -> OwnProblem:
    """The problem that brings its own examples.

    Raises:
        UserError: when it is none.
    """
    problem = instantiate_group("problem", cfg.problem)
    if not isinstance(problem, OwnProblem):
        name = cfg.problem.get("_target_")
        raise UserError(f"problem={name} is no subclass of glocal_exp.problems.OwnProblem.")
    return problem


def own_splits(problem: OwnProblem, data: OwnData, seed: int) -> ImageSplits:
    """Its examples of one seed."""
    made = problem.examples(seed)
    return data.splits(made.train, made.validation, made.test, made.meta)


def make_splits(cfg: DictConfig, data: ImageData, seed: int) -> ImageSplits:
    """Training, validation and test images of one seed.

    Raises:
        UserError: when the sizes asked for do not fit the data.
    """
    validation = cfg.validation
    parts = split(data, validation.size, seed, validation.balanced)
    sizes, subset = parts.info["sizes"], validation.subset
    if subset is not None and not 1 <= subset <= sizes["validation"]:
        raise UserError(
            f"validation.subset={subset} is not from 1 to the {sizes['validation']:,} "
            "validation images; lower it, or raise validation.size."
        )
    if cfg.batch_size > sizes["train"]:
        raise UserError(
            f"batch_size={cfg.batch_size} is larger than the {sizes['train']:,} training "
            "images; lower it."
        )
    return parts


def examples(cfg: DictConfig, parts: ImageSplits) -> Splits:
    """What the engine trains and evaluates on."""
    validation = cfg.validation
    if cfg.problem is not None:
        return Splits(parts.train, parts.validation, parts.test, parts.meta)
    meta = hypergradient_part(parts.validation, validation.subset, validation.balanced)
    return Splits(parts.train, parts.validation, parts.test, meta)


def make_problem(cfg: DictConfig, data: ImageData, settings: Settings) -> InnerProblem:
    """The task on its network.

    Raises:
        UserError: when model and task do not fit each other or the data.
    """
    network = instantiate_group(
        "model", cfg.model, **taken(cfg.model, {"convolution": settings.convolution})
    )
    augmentation = cfg.augmentation and instantiate_group("augmentation", cfg.augmentation)
    classifier = Classifier.of(
        *(network, data.train_images),
        microbatch=settings.microbatch,
        at_once=settings.chunks_at_once,
        augmentation=augmentation,
    )
    wanted = taken(cfg.task, {"class_counts": partial(_class_counts, cfg, data)})
    made = {name: make() for name, make in wanted.items()}
    problem = instantiate_group("task", cfg.task, classifier=classifier, **made)
    try:
        jax.eval_shape(partial(_use_once, problem, data), jax.random.key(0))
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        small = [*_below_one("model", plain(cfg.model)), *_below_one("task", plain(cfg.task))]
        what = f"{small[0]} is below 1, which no size can be" if small else first_line(error)
        raise UserError(f"model and task do not fit the data: {what}.") from error
    return problem


def _class_counts(cfg: DictConfig, data: ImageData) -> list[int]:
    """Training images of each class, the same for every seed.

    Raises:
        UserError: when they are not.
    """
    size, balanced = cfg.validation.size, cfg.validation.balanced
    counts = [class_counts(data, size, seed, balanced) for seed in seeds(cfg)]
    if any(of_seed != counts[0] for of_seed in counts):
        raise UserError(
            "The seeds hold out different numbers of images of a class, and the task weighs by "
            "them; set validation.balanced=true, or give one seed."
        )
    return counts[0]


def _use_once(problem: InnerProblem, data: ImageData, key: jax.Array) -> Any:
    """A step and a look at one image: what does not fit shows before anything is written."""
    batch = {"x": jnp.asarray(data.train_images[:1]), "y": jnp.asarray(data.train_labels[:1])}
    state, phi = problem.init(key)
    state, loss = problem.step(state, phi, batch, key)
    return loss, problem.meta_loss(state, phi, batch), problem.metrics(state, batch)


def _below_one(path: str, node: Any) -> Iterator[str]:
    """The whole numbers below 1: what a model that cannot be built was most likely given."""
    if isinstance(node, Mapping):
        for name, value in node.items():
            yield from _below_one(f"{path}.{name}", value)
    elif isinstance(node, int) and not isinstance(node, bool) and node < 1:
        yield f"{path}={node}"
