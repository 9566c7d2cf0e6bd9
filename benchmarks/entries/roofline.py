"""A floor for each part: its matrix products, and its passes over memory, each alone.

Every product of a part is run with its own shapes and with operands of its own, independent of the
others, so that the compiler may run as many side by side as it likes. What else the compiled part
reads and writes, by the compiler's count, is moved once more by a thread a core, in pieces that
stay in the cache. A part cannot be faster than both, with the same products, and is slower as far
as it waits for results.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.experiments import Scale
from benchmarks.measure import Candidate, Comparison, Entry, Target, costs
from benchmarks.work import Work, make_work
from glocal_exp.store.manifest import usable_cores

PRODUCTS, PASSES = "its products alone", "its passes alone"
PIECE = 2**16  # numbers that a pass reads and writes: 256 KiB, less than a core's cache
MULTIPLY = ("product", "conv_general_dilated", "dot_general")  # primitives of `models`, and JAX's
PLAIN, TANGENT, Q = "plain step", "tangent step, q = 3", 3


def build(scale: Scale) -> Entry:
    """Floors beside the parts that they are of, and beside PyTorch's."""
    work, gradient = make_work(scale), f"validation gradient, {scale.validation:,} images"
    micro = min(work.problem.classifier.microbatch, scale.batch)
    chunk = min(work.chunks["chunk"], scale.validation)
    small = make_work(replace(scale, batch=micro, validation=chunk), steps=1)
    pieces, chunks = scale.batch / micro, scale.validation / chunk
    plain = _floored(work, small, "plain", PLAIN, pieces, eager={})
    tangent = _floored(work.tuning(Q), small.tuning(Q), "tangent", TANGENT, pieces)
    whole = _floored(work, small, "validation_gradient", gradient, chunks, eager={"chunk": chunk})
    comparisons = [plain, tangent, whole]
    floors = {c.name: [{(c.name, PRODUCTS): 1.0, (c.name, PASSES): 1.0}] for c in comparisons}
    targets = [
        Target(f"floor of the {c.name} / PyTorch's", most, floors[c.name], c.peers)
        for c, most in ((plain, 0.85), (whole, 0.7))
    ]
    targets.append(Target(f"floor of the {TANGENT} / {PLAIN}", 4.5, floors[TANGENT], floors[PLAIN]))
    for name, floor in floors.items():
        targets.append(Target(f"{name} / its floor", None, costs(name, "ours"), floor))
    notes = ((__doc__ or "").split("\n\n", 1)[1].strip().replace("\n", " "),)
    return Entry("Floors of the parts", comparisons, targets, notes)


def _floored(
    work: Work, small: Work, part: str, name: str, pieces: float, **peers: Any
) -> Comparison:
    """A part of `work`, and the two halves of its floor: `pieces` times those of the small one."""
    parts = work.compare(part, name, **peers)

    @cache
    def halves() -> dict[str, Callable[[], object]]:
        given, whole = small.given, getattr(small, part)
        found = list(products(jax.make_jaxpr(whole)(given).jaxpr))
        sizes = [v.aval.size for equation in found for v in (*equation.invars, *equation.outvars)]
        accessed: Any = jax.jit(whole).lower(given).compile().cost_analysis()
        moved = parts.calls * pieces * (accessed["bytes accessed"] - 4 * sum(sizes))
        return {PRODUCTS: _multiply(found, parts.calls, round(pieces)), PASSES: _move(moved)}

    names = (PRODUCTS, PASSES)
    ways = [Candidate(way, lambda way=way: halves()[way](), compared=False) for way in names]
    return replace(parts, candidates=[*parts.candidates, *ways])


def products(jaxpr: Any) -> Iterator[Any]:
    """Each product's equation in their order, as often as it is computed."""
    for equation in jaxpr.eqns:
        if equation.primitive.name in MULTIPLY:
            yield equation
            continue
        for inner in equation.params.values():
            if hasattr(inner, "jaxpr"):
                yield from list(products(inner.jaxpr)) * equation.params.get("length", 1)


def _multiply(equations: list[Any], calls: int, pieces: int) -> Callable[[], None]:
    """All products of so many pieces, in so many calls."""

    def multiply(pairs: list) -> list:
        return [
            e.primitive.bind(*pair, **e.params) for e, pair in zip(equations, pairs, strict=True)
        ]

    keys = jax.random.split(jax.random.key(0), len(equations))
    pairs = [
        [jax.random.normal(key, operand.aval.shape, jnp.float32) for operand in equation.invars]
        for equation, key in zip(equations, keys, strict=True)
    ]
    program = jax.jit(multiply).lower(pairs).compile()

    def run() -> None:
        for _ in range(calls):
            jax.block_until_ready([program(pairs) for _ in range(pieces)][-1])

    return run


def _move(size: float) -> Callable[[], object]:
    """So many bytes read and written, by a thread a core."""
    cores = len(usable_cores())
    passes = max(1, round(size / (2 * 4 * PIECE * cores)))
    pool = ThreadPoolExecutor(cores)

    def move(_: int) -> None:
        source, result = np.ones(PIECE, np.float32), np.empty(PIECE, np.float32)
        for _ in range(passes):
            np.add(source, 1, out=result)

    return lambda: list(pool.map(move, range(cores)))
