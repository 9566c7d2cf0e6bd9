"""What compiling costs: kept on disk, and for tests of numbers quick instead of good."""

import os
from pathlib import Path

import pytest

# What one test, worker or run has compiled the others read; `make clean` takes it away.
CACHE = Path(__file__).parents[1] / ".pytest_cache" / "compiled"
# Code of XLA's older emitters in one piece: half the time for the programs of these tests. Set
# XLA_FLAGS, if only to nothing, for programs as those of users.
QUICK = [
    *["--xla_cpu_use_fusion_emitters=false", "--xla_cpu_parallel_codegen_split_count=1"],
    "--xla_cpu_opt_preset=FAST_COMPILE",
]
ENVIRONMENT = {
    "OPENBLAS_NUM_THREADS": "1",  # a worker a core: more threads wait for each other
    "XLA_FLAGS": " ".join(QUICK),
    "JAX_COMPILATION_CACHE_DIR": str(CACHE),
    # A program that may be killed reads and writes nothing, see `keep_compiled`.
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "1e9",
}


def keep_compiled() -> None:
    """Let this process write what it compiles into the cache too.

    JAX writes an entry in place: who reads at that moment, or comes after a writer that was
    killed, finds half of one and warns. Here an entry appears when it is whole.
    """
    import jax
    from jax._src.lru_cache import LRUCache

    def put(self: LRUCache, key: str, value: bytes) -> None:
        entry = Path(self.path) / f"{key}-cache"
        if not entry.exists():
            draft = entry.with_name(f".{key}-{os.getpid()}")
            draft.write_bytes(value)
            draft.replace(entry)

    LRUCache.put = put
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)


@pytest.fixture(scope="module", autouse=True)
def quick_compilation():
    """Without most of XLA's optimizations: another rounding, in two thirds of the time."""
    import jax

    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", before)


@pytest.fixture
def optimized(quick_compilation):
    """With XLA's optimizations all the same: for what computes longer than it compiles."""
    import jax

    jax.config.update("jax_disable_most_optimizations", False)
    yield
    jax.config.update("jax_disable_most_optimizations", True)
