"""What one program can have only once: the platform, and XLA's flags."""

import os
from functools import cache
from types import SimpleNamespace

import pytest

from glocal_exp.app import device
from glocal_exp.app.compose import jobs
from glocal_exp.app.device import use_device
from glocal_exp.errors import UserError

FLAG = "--xla_gpu_deterministic_ops=true"


@cache
def composed(*overrides):
    return jobs(overrides, sweep=False)[0].config


@pytest.fixture
def use(monkeypatch):
    """Uses a device in a program that has not looked for any; each is of the kind given."""
    monkeypatch.setattr(device, "FLAGS_READ", [])
    monkeypatch.setenv("XLA_FLAGS", "")

    def use(kind, *overrides):
        monkeypatch.setattr(
            device, "_devices", lambda _: [SimpleNamespace(platform=kind, device_kind="a device")]
        )
        return use_device(composed(*overrides))

    return use


@pytest.mark.parametrize("first", ["true", "false"])
@pytest.mark.parametrize("name", ["auto", "gpu"])
def test_a_gpu_cannot_become_deterministic_or_cease_to_be(use, name, first):
    key = f"device{'.gpu' if name == 'auto' else ''}.deterministic"
    second = "false" if first == "true" else "true"
    for _ in range(2):
        assert str(use("gpu", f"device={name}", f"{key}={first}").facts()[key.split(".")[-1]]) == (
            first.capitalize()
        )
    flags = os.environ["XLA_FLAGS"]
    assert flags == (FLAG if first == "true" else "")
    with pytest.raises(UserError, match=f"deterministic={second} cannot be had: .* of its own"):
        use("gpu", f"device={name}", f"{key}={second}")
    assert os.environ["XLA_FLAGS"] == flags


def test_on_a_cpu_the_setting_of_a_gpu_may_change(use):
    for value in ("true", "false"):
        assert use("cpu", f"device.gpu.deterministic={value}").platform == "cpu"


def test_a_flag_that_the_user_has_set_is_left_to_him(use, monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", FLAG)
    assert use("gpu", "device=gpu").platform == "gpu"
    assert os.environ["XLA_FLAGS"] == FLAG


def test_another_platform_is_refused(use):
    with pytest.raises(UserError, match=r"device=cpu cannot be had: JAX already runs on gpu"):
        use("gpu", "device=cpu")
