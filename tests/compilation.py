"""For tests of numbers whose time is nearly all compilation."""

import jax
import pytest


@pytest.fixture(scope="module", autouse=True)
def quick_compilation():
    """Without most of XLA's optimizations: another rounding, in two thirds of the time.

    A module whose tests are to run under it imports it.
    """
    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", before)
