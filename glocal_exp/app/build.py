"""From config to objects: the one place where `_target_` becomes something."""

import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import numpy as np
from hydra.errors import HydraException, InstantiationException
from hydra.utils import get_object, instantiate
from omegaconf import DictConfig, OmegaConf

from glocal_exp.app.config import plain, seeds
from glocal_exp.app.device import Device, use_device
from glocal_exp.app.say import say
from glocal_exp.data import ImageData, split
from glocal_exp.data import Splits as ImageSplits
from glocal_exp.data.checksums import moments
from glocal_exp.data.split import class_counts
from glocal_exp.errors import UserError
from glocal_exp.tracking import Sink


@dataclass(frozen=True)
class Experiment:
    """Everything that a run needs, built and ready.

    Attributes:
        choices: the file taken from each config group.
        data: all images; shared by the seeds.
    """

    cfg: DictConfig
    choices: dict[str, str]
    device: Device
    data: ImageData
    problem: Any
    method: Any
    meta_optimizer: Any
    numerics: Any

    def splits(self, seed: int) -> ImageSplits:
        """Training, validation and test images of one seed.

        Raises:
            UserError: when the sizes asked for do not fit the data.
        """
        validation = self.cfg.validation
        parts = split(self.data, validation.size, seed, validation.balanced)
        sizes, subset = parts.info["sizes"], validation.subset
        if subset is not None and not 1 <= subset <= sizes["validation"]:
            raise UserError(
                f"validation.subset={subset} is not from 1 to the {sizes['validation']:,} "
                "validation images; lower it, or raise validation.size."
            )
        if self.cfg.batch_size > sizes["train"]:
            raise UserError(
                f"batch_size={self.cfg.batch_size} is larger than the {sizes['train']:,} training "
                "images; lower it."
            )
        return parts

    def loop(
        self,
        parts: Mapping[int, ImageSplits],
        hooks: Any = None,
        checkpoints: Mapping[int, Sequence[bytes]] | None = None,
    ) -> Any:
        """The engine's loop over some seeds, each with its images."""
        from glocal_exp.engine import Splits, run

        cfg = self.cfg
        return run(
            self.problem,
            {
                seed: Splits(p.train, p.validation, p.test, self.meta_part(p))
                for seed, p in parts.items()
            },
            self.method,
            steps=cfg.steps,
            interval=cfg.interval,
            batch_size=cfg.batch_size,
            eval_every=cfg.eval_every,
            meta_optimizer=self.meta_optimizer,
            numerics=self.numerics,
            carry_tangents=cfg.carry_tangents,
            stop_when_diverged=cfg.stop_when_diverged,
            hooks=hooks,
            checkpoints=checkpoints,
        )

    def meta_part(self, parts: ImageSplits) -> dict[str, np.ndarray] | None:
        """The first validation images, if hypergradients use fewer than all of them.

        Of each class as many as of any other, where the validation part is so, and the subset can.
        """
        subset, labels = self.cfg.validation.subset, parts.validation["y"]
        if not subset:
            return None
        chosen = np.arange(subset)
        classes = np.unique(labels)
        if self.cfg.validation.balanced and subset % len(classes) == 0:
            each = subset // len(classes)
            chosen = np.sort(np.concatenate([np.flatnonzero(labels == c)[:each] for c in classes]))
        return {name: part[chosen] for name, part in parts.validation.items()}


def build(cfg: DictConfig, choices: dict[str, str]) -> Experiment:
    """Platform, data, problem, method and sizes of one job; nothing is written.

    Raises:
        UserError: for settings that do not fit, and for data or a platform that is not there.
    """
    device = use_device(cfg)
    data = _load_data(
        OmegaConf.to_yaml({"dataset": plain(cfg.dataset), "source": plain(cfg.source)})
    )
    return Experiment(
        cfg=cfg,
        choices=choices,
        device=device,
        data=data,
        problem=_build_problem(cfg, data, device),
        method=build_method(cfg),
        meta_optimizer=instantiate_group("meta_optimizer", cfg.meta_optimizer),
        numerics=_build_numerics(cfg, device),
    )


def build_method(cfg: DictConfig) -> Any:
    """The method; raises `UserError` for settings out of range."""
    return instantiate_group("method", cfg.method)


def build_schedule(cfg: DictConfig) -> Any:
    """The run's lengths; raises `UserError` when they do not fit together."""
    from glocal_exp.engine import Schedule

    return Schedule(cfg.steps, cfg.interval, cfg.batch_size, cfg.eval_every)


def build_tracker(cfg: DictConfig) -> Sink:
    """The tracker that the config names."""
    return instantiate_group("tracker", cfg.tracker)


def _build_problem(cfg: DictConfig, data: ImageData, device: Device) -> Any:
    import jax

    from glocal_exp.tasks.classification import Classifier

    mean, std = moments(data.train_images)
    settings = device.settings
    chosen = {"convolution": settings.convolution}
    network = instantiate_group("model", cfg.model, **_taken(cfg.model, chosen))
    augmentation = cfg.augmentation and instantiate_group("augmentation", cfg.augmentation)
    classifier = Classifier(
        network,
        _scaled(mean),
        _scaled(std),
        microbatch=settings.microbatch,
        at_once=settings.chunks_at_once,
        augmentation=augmentation,
    )
    wanted = _taken(cfg.task, {"class_counts": partial(_class_counts, cfg, data)})
    made = {name: make() for name, make in wanted.items()}
    problem = instantiate_group("task", cfg.task, classifier=classifier, **made)
    try:
        jax.eval_shape(_use_once(problem, data), jax.random.key(0))
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        small = [*_below_one("model", plain(cfg.model)), *_below_one("task", plain(cfg.task))]
        what = f"{small[0]} is below 1, which no size can be" if small else _first_line(error)
        raise UserError(f"model and task do not fit the data: {what}.") from error
    return problem


def _below_one(path: str, node: Any) -> Iterator[str]:
    """The whole numbers below 1: what a model that cannot be built was most likely given."""
    if isinstance(node, Mapping):
        for name, value in node.items():
            yield from _below_one(f"{path}.{name}", value)
    elif isinstance(node, int) and not isinstance(node, bool) and node < 1:
        yield f"{path}={node}"


def _class_counts(cfg: DictConfig, data: ImageData) -> list[int]:
    """Training images of each class, the same for every seed.

    Raises:
        UserError: when they are not.
    """
    size, balanced = cfg.validation.size, cfg.validation.balanced
    counts = [class_counts(data, size, seed, balanced) for seed in seeds(cfg)]
    if any(found != counts[0] for found in counts):
        raise UserError(
            "The seeds hold out different numbers of images of a class, and the task weighs by "
            "them; set validation.balanced=true, or give one seed."
        )
    return counts[0]


def _taken(node: Any, offered: dict[str, Any]) -> dict[str, Any]:
    """Those of the arguments `offered` that the node's target has a parameter for."""
    try:
        parameters = inspect.signature(get_object(plain(node)["_target_"])).parameters
    except (KeyError, HydraException, ImportError, TypeError, ValueError):
        return offered  # `instantiate_group` says what is wrong
    return {name: value for name, value in offered.items() if name in parameters}


def _use_once(problem: Any, data: ImageData) -> Any:
    """A step and a look at one image: what does not fit shows before anything is written."""
    import jax.numpy as jnp

    batch = {"x": jnp.asarray(data.train_images[:1]), "y": jnp.asarray(data.train_labels[:1])}

    def use(key: Any) -> Any:
        state, phi = problem.init(key)
        state, loss = problem.step(state, phi, batch, key)
        return loss, problem.meta_loss(state, phi, batch), problem.metrics(state, batch)

    return use


def _build_numerics(cfg: DictConfig, device: Device) -> Any:
    from glocal_exp.engine import Numerics

    return Numerics(
        validation_chunk=device.settings.validation_chunk,
        chunks_at_once=device.settings.chunks_at_once,
        evaluation_chunk=device.settings.evaluation_chunk,
        **plain(cfg.hypergradient),
        reverse_from=device.settings.reverse_from,
        low_rank_from=device.settings.low_rank_from,
        segment=device.settings.segment,
        checkpoint_seconds=device.settings.checkpoint_seconds,
    )


@lru_cache(maxsize=1)
def _load_data(key: str) -> ImageData:
    """The data set from the chosen source, once for the jobs of a sweep; says which it took."""
    cfg = OmegaConf.create(key)
    data = instantiate_group("source", cfg.source).load(instantiate_group("dataset", cfg.dataset))
    why = f"; {'; '.join(data.skipped)}" if data.skipped else ""
    say(f"data: {data.notice or data.title} from {data.source} ({data.place}){why}")
    return data


def _scaled(values: Sequence[float]) -> tuple[float, ...]:
    return tuple(float(value) / 255 for value in values)


def instantiate_group(group: str, node: Any, **extra: Any) -> Any:
    """Hydra's `instantiate`, with the user's mistakes as a sentence.

    `extra` are objects: they are bound in Python, since Hydra would turn dataclasses into configs.
    """
    config = plain(node)
    finished = not config.pop("_partial_", False)
    try:
        factory = instantiate(OmegaConf.create(config), _convert_="all", _partial_=True)
        bound = partial(factory, **extra)
        return bound() if finished else bound
    except (InstantiationException, TypeError) as error:
        cause: BaseException = error
        while isinstance(cause, InstantiationException) and cause.__cause__ is not None:
            cause = cause.__cause__
        if isinstance(cause, UserError):
            raise cause from None
        raise UserError(f"The settings of {group} do not fit: {_first_line(cause)}.") from error


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__).rstrip(".")
