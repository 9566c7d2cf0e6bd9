"""Every test in float64; calls into the rooms of `CHECKED` are checked for types and shapes.

The other rooms take a whole number for a float and refuse wrong words in sentences of their own.
"""

import gc
import os
import pickle

import pytest

from .app.commands import shell  # noqa: F401
from .compilation import ENVIRONMENT, keep_compiled, optimized, quick_compilation  # noqa: F401

# Before JAX is imported; programs that tests start inherit it.
for name, value in ENVIRONMENT.items():
    os.environ.setdefault(name, value)

import jaxtyping  # noqa: E402

CHECKED = ["glocal_exp.hypergrad", "glocal_exp.koopman"]

jaxtyping.install_import_hook(CHECKED, "beartype.beartype")

import jax  # noqa: E402

jax.config.update("jax_enable_x64", True)  # for fixtures that live longer than a test
keep_compiled()


def pytest_collection_finish():
    """Look for garbage seldom, and not in what has been imported: it takes a fifth of the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000)


@pytest.fixture(autouse=True)
def _float64():
    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_default_matmul_precision", None)


@pytest.fixture(autouse=True, scope="session")
def _composed_once():
    """What Hydra made of the same words before: it takes a fifth of a second for each command."""
    from hydra.core.global_hydra import GlobalHydra

    from glocal_exp.app import compose as jobs

    compose, made = jobs.compose, {}

    def once(name, overrides=(), **how):
        changing = ("problem=", "hydra.searchpath=")  # what they lead to tests write themselves
        hydra = GlobalHydra.instance()
        if not hydra.is_initialized() or any(line.startswith(changing) for line in overrides):
            return compose(name, overrides, **how)
        places = (str(hydra.config_loader().get_search_path()), os.getcwd())
        key = (*places, name, *overrides, *how.items())
        if key not in made:
            made[key] = pickle.dumps(compose(name, overrides, **how))
        return pickle.loads(made[key])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jobs, "compose", once)
        yield
