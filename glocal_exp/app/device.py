"""The platform that JAX runs on, with the settings that the device group has for it."""

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from omegaconf import DictConfig

from glocal_exp.app.config import plain
from glocal_exp.errors import UserError

JAX_NAMES = {"cpu": "cpu", "gpu": "cuda"}
DETERMINISTIC = "--xla_gpu_deterministic_ops=true"
FLAGS_READ: list[bool] = []
"""XLA reads its flags once, when JAX first looks for devices: `deterministic` as it was then."""


@dataclass(frozen=True)
class Settings:
    """One platform's entries of the device group; `configs/device/cpu.yaml` explains them."""

    convolution: Literal["auto", "tiles", "lax"]
    seeds: Literal["sequential", "batched"]
    matmul_precision: str
    deterministic: bool
    microbatch: int | None
    validation_chunk: int | None
    evaluation_chunk: int | None
    chunks_at_once: int
    segment: int
    checkpoint_seconds: float
    playout_gib: float

    def __post_init__(self):
        for name, value in asdict(self).items():
            may_be_zero = name in ("checkpoint_seconds", "playout_gib")
            if type(value) is int and value < 1 and not may_be_zero:
                raise UserError(f"device: {name}={value} is not at least 1; raise it.")


@dataclass(frozen=True)
class Device:
    """What the program runs on."""

    platform: str  # `cpu` or `gpu`
    name: str  # as JAX calls it
    count: int  # devices that JAX sees
    settings: Settings

    def facts(self) -> dict[str, Any]:
        """All of it, flat, for a manifest."""
        own = {"platform": self.platform, "name": self.name, "count": self.count}
        return own | asdict(self.settings)


def chosen_settings(device: Mapping[str, Any], platform: str) -> dict[str, Any]:
    """The entries of the device group for a platform: `auto` holds a part for each."""
    chosen = device[platform] if device["platform"] == "auto" else device
    return {name: value for name, value in chosen.items() if name != "platform"}


def use_device(cfg: DictConfig) -> Device:
    """Make JAX use the platform that the config asks for; `UserError` if it is not here."""
    group, asked = plain(cfg.device), cfg.device.platform
    deterministic = asked != "cpu" and bool(chosen_settings(group, "gpu").get("deterministic"))
    flags = os.environ.get("XLA_FLAGS", "")
    if deterministic and not FLAGS_READ and DETERMINISTIC not in flags:
        os.environ["XLA_FLAGS"] = f"{flags} {DETERMINISTIC}".strip()
    devices = _devices(asked)
    if not FLAGS_READ:
        FLAGS_READ.append(deterministic)
    platform = "cpu" if devices[0].platform == "cpu" else "gpu"
    if asked not in ("auto", platform):
        raise UserError(
            f"device={asked} cannot be had: JAX already runs on {platform} in this program; give "
            f"device={asked} in a command of its own."
        )
    if platform == "gpu" and deterministic != FLAGS_READ[0]:
        raise UserError(
            f"device: deterministic={str(deterministic).lower()} cannot be had: JAX already runs "
            "with the opposite in this program; give it in a command of its own."
        )
    settings = Settings(**chosen_settings(group, platform))
    return Device(platform, devices[0].device_kind, len(devices), settings)


def _devices(asked: str) -> list[Any]:
    """The devices of a platform, or of the best there is for `auto`."""
    import jax

    before = jax.config.jax_platforms  # pyright: ignore[reportAttributeAccessIssue]
    if asked != "auto":
        jax.config.update("jax_platforms", JAX_NAMES[asked])
    try:
        return jax.devices()
    except Exception as error:  # without the plugin of a platform even an AssertionError
        jax.config.update("jax_platforms", before)
        raise UserError(
            f"device={asked} cannot be had here; install the extra cuda12 or cuda13 on a machine "
            "with a GPU, or choose device=cpu."
        ) from error
