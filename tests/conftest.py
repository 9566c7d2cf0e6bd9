"""Every test in float64; calls into the rooms of `CHECKED` are checked for types and shapes.

The other rooms take a whole number for a float and refuse wrong words in sentences of their own.
"""

import jaxtyping
import pytest

CHECKED = ["glocal_exp.hypergrad", "glocal_exp.koopman"]

jaxtyping.install_import_hook(CHECKED, "beartype.beartype")

import jax  # noqa: E402

jax.config.update("jax_enable_x64", True)  # for fixtures that live longer than a test


@pytest.fixture(autouse=True)
def _float64():
    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_default_matmul_precision", None)
