"""Compiled functions: the one place that compiles, times, and knows of the axis of seeds.

A function is written for one seed. Given the arguments of several it is vectorised, with a leading
axis of seeds on all that differs by seed; what it returns comes back by seed either way.
"""

import time
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp


class Programs:
    """The functions compiled so far, by what they compute and for which shapes.

    Attributes:
        compile_seconds: time spent compiling so far.
        seconds: time spent computing so far.
        traces: functions traced so far.
    """

    def __init__(self):
        self._compiled: dict[tuple, jax.stages.Compiled] = {}
        self.compile_seconds = self.seconds = 0.0
        self.traces = 0

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Count the time of what is computed here, by a program or without one."""
        start = time.perf_counter()
        yield
        self.seconds += time.perf_counter() - start

    def call(
        self,
        name: str,
        function: Callable,
        by_seed: Mapping[int, tuple],
        *,
        stacked: tuple = (),
        shared: tuple = (),
        static: Hashable = None,
    ) -> dict[int, Any]:
        """What `function(*arguments, *stacked, *shared)` gives for each seed.

        Compiled ahead of time, once for each signature.

        Args:
            name: of the function; the same for one function alone.
            by_seed: arguments that differ by seed.
            stacked: further ones, with a leading axis of seeds if there are several.
            shared: those that all seeds share.
            static: whatever else the function's result follows from.
        """
        batched = len(by_seed) > 1
        arguments = list(by_seed.values())
        arrays = (*(stack(arguments) if batched else arguments[0]), *stacked, *shared)
        leaves, structure = jax.tree.flatten(arrays)
        shapes = tuple((leaf.shape, leaf.dtype) for leaf in leaves)  # arrays, all of them
        signature = (name, batched, structure, shapes, static)
        if signature not in self._compiled:
            start = time.perf_counter()
            if batched:
                axes = (0,) * (len(arrays) - len(shared)) + (None,) * len(shared)
                function = jax.vmap(function, in_axes=axes)
            self._compiled[signature] = jax.jit(function).lower(*arrays).compile()
            self.compile_seconds += time.perf_counter() - start
            self.traces += 1
        with self.timed():
            result = self._compiled[signature](*arrays)
            results = unstack(result, len(by_seed)) if batched else [result]
            jax.block_until_ready(results)
        return dict(zip(by_seed, results, strict=True))

    def memory(self) -> dict[str, int]:
        """Bytes of each function compiled so far, of its largest call, by name.

        Arguments, results and scratch space, as the compiler states them, if it does.
        """
        sizes: dict[str, int] = {}
        for (name, *_), compiled in self._compiled.items():
            stated = compiled.memory_analysis()
            if stated is None:  # not every platform says
                continue
            held = stated.argument_size_in_bytes + stated.output_size_in_bytes
            total = held + stated.temp_size_in_bytes - stated.alias_size_in_bytes
            sizes[name] = max(total, sizes.get(name, 0))
        return sizes


def stack(trees: list[Any]) -> Any:
    """Trees of the same structure as one, with a leading axis."""
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)


def unstack(tree: Any, number: int) -> list[Any]:
    """The inverse of `stack`."""
    return [jax.tree.map(lambda leaf: leaf[index], tree) for index in range(number)]  # noqa: B023
