"""Every test in float64, with shapes checked at run time."""

import jaxtyping
import pytest

jaxtyping.install_import_hook("glocal_exp.hypergrad", "beartype.beartype")

import jax  # noqa: E402

jax.config.update("jax_enable_x64", True)  # for fixtures that live longer than a test


@pytest.fixture(autouse=True)
def _float64():
    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_default_matmul_precision", None)
