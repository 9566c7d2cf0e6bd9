"""From config to objects: the one place where `_target_` becomes something."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from glocal_exp.app.config import check, chosen_device, plain
from glocal_exp.data import ImageData, split
from glocal_exp.data import Splits as ImageSplits
from glocal_exp.data.checksums import moments
from glocal_exp.errors import UserError
from glocal_exp.tracking import Sink


@dataclass(frozen=True)
class Experiment:
    """Everything that a run needs, built and ready.

    Attributes:
        data: all images; shared by the seeds.
        device: the settings of the platform in use, and what JAX says of it.
    """

    cfg: DictConfig
    data: ImageData
    problem: Any
    method: Any
    meta_optimizer: Any
    numerics: Any
    device: dict[str, Any]

    def splits(self, seed: int) -> ImageSplits:
        """Training, validation and test images of one seed."""
        validation = self.cfg.validation
        return split(self.data, validation.size, seed, validation.balanced)


def build_device(cfg: DictConfig) -> dict[str, Any]:
    """Make JAX use the platform that the device group asks for, and describe it.

    Raises:
        UserError: when there is no such platform here.
    """
    import jax

    platform = cfg.device.platform
    if platform not in ("auto", "cpu", "gpu"):
        raise UserError(f"device.platform={platform} is none of auto, cpu and gpu.")
    if platform != "auto":
        jax.config.update("jax_platforms", {"cpu": "cpu", "gpu": "cuda"}[platform])
    try:
        devices = jax.devices()
    except RuntimeError as error:
        raise UserError(
            f"device={platform} is not to be had here ({_first_line(error)}); install the extra "
            "cuda12 or cuda13 on a machine with a GPU, or choose device=cpu."
        ) from error
    found = "cpu" if devices[0].platform == "cpu" else "gpu"
    settings = chosen_device(cfg, found)
    jax.config.update("jax_default_matmul_precision", settings["matmul_precision"])
    jax.config.update("jax_enable_x64", cfg.precision == "float64")
    return settings | {
        "platform": found,
        "name": devices[0].device_kind,
        "count": len(devices),
    }


def load_data(cfg: DictConfig) -> ImageData:
    """The data set from the chosen source; the same object for the same request."""
    key = OmegaConf.to_yaml(OmegaConf.create({"d": plain(cfg.dataset), "s": plain(cfg.source)}))
    return _load_data(key)


@lru_cache(maxsize=1)
def _load_data(key: str) -> ImageData:
    cfg = OmegaConf.create(key)
    return _instantiate("source", cfg.s).load(_instantiate("dataset", cfg.d))


def build(cfg: DictConfig, data: ImageData, device: Mapping[str, Any]) -> Experiment:
    """Problem, method, meta optimizer and sizes of one command.

    Raises:
        UserError: for settings that do not fit.
    """
    from glocal_exp.engine import Numerics
    from glocal_exp.tasks.classification import Classifier

    check(cfg)
    mean, std = moments(data.train_images)
    network = _instantiate("model", cfg.model, convolution=device["convolution"])
    classifier = Classifier(network, _scaled(mean), _scaled(std), microbatch=device["microbatch"])
    return Experiment(
        cfg=cfg,
        data=data,
        problem=_instantiate("task", cfg.task, classifier=classifier),
        method=_instantiate("method", cfg.method),
        meta_optimizer=_instantiate("meta_optimizer", cfg.meta_optimizer),
        numerics=Numerics(
            validation_chunk=device["validation_chunk"],
            evaluation_chunk=device["evaluation_chunk"],
            tangent_chunk=cfg.hypergradient.tangent_chunk,
            segment=device["segment"],
            checkpoint_seconds=device["checkpoint_seconds"],
        ),
        device=dict(device),
    )


def build_tracker(cfg: DictConfig) -> Sink:
    """The tracker that the config names."""
    return _instantiate("tracker", cfg.tracker)


def _scaled(values: Sequence[float]) -> tuple[float, ...]:
    return tuple(float(value) / 255 for value in values)


def _instantiate(group: str, node: Any, **extra: Any) -> Any:
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
        cause = error.__cause__ or error
        if isinstance(cause, UserError):
            raise cause from None
        raise UserError(f"The settings of {group} do not fit: {_first_line(cause)}.") from error


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__).rstrip(".")
