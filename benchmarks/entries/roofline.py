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

from benchmarks import machine
from benchmarks.comparison import Candidate, Comparison, Entry, Target, costs
from benchmarks.ours import Ours
from benchmarks.peers import Peers
from benchmarks.work import FULL, Scale, Work, make_work

OURS, EAGER = "ours", "eager"
PRODUCTS, PASSES = "its products alone", "its passes alone"
PIECE = 2**16  # numbers that a pass reads and writes: 256 KiB, less than a core's cache
PLAIN, TANGENT, Q = "plain step", "tangent step, q = 3", 3


def build(scale: Scale = FULL) -> Entry:
    """Floors beside the parts that they are of, and beside PyTorch's."""
    work = make_work(scale)
    peers, gradient = Peers(work), f"validation gradient, {scale.validation:,} images"
    micro = min(work.problem.classifier.microbatch, scale.batch)
    chunk = min(work.chunks["chunk"], scale.validation)
    small = make_work(replace(scale, batch=micro, validation=chunk)).cut(steps=1)
    eager = peers.way(EAGER, "validation_gradient", chunk=chunk)
    comparisons = (
        _floored(PLAIN, work, small, "plain", scale.batch / micro, peers.way(EAGER, "plain")),
        _floored(TANGENT, work.tuning(Q), small.tuning(Q), "tangent", scale.batch / micro),
        _floored(gradient, work, small, "validation_gradient", scale.validation / chunk, eager),
    )
    floors = {c.name: ({(c.name, PRODUCTS): 1.0, (c.name, PASSES): 1.0},) for c in comparisons}
    targets = [
        Target(f"floor of the {name} / PyTorch's", most, floors[name], costs(name, EAGER))
        for name, most in ((PLAIN, 0.85), (gradient, 0.7))
    ]
    targets.append(Target(f"floor of the {TANGENT} / {PLAIN}", 4.5, floors[TANGENT], floors[PLAIN]))
    targets += [Target(f"{n} / its floor", None, costs(n, OURS), floors[n]) for n in floors]
    notes = ((__doc__ or "").split("\n\n", 1)[1].strip().replace("\n", " "),)
    return Entry("Floors of the parts", comparisons, tuple(targets), notes, peers.missing)


def _floored(
    name: str, work: Work, small: Work, part: str, pieces: float, peers: Any = ()
) -> Comparison:
    """A part of `work`, and the two halves of its floor: `pieces` times those of the small one."""
    calls, unit = (1, "gradient") if "gradient" in part else (work.steps, "step")

    @cache
    def halves() -> dict[str, Callable[[], None]]:
        given, whole = Ours(small).given, getattr(Ours(small), part)
        found = list(_products(jax.make_jaxpr(whole)(given).jaxpr))
        sizes = [v.aval.size for equation in found for v in (*equation.invars, *equation.outvars)]
        accessed: Any = jax.jit(whole).lower(given).compile().cost_analysis()
        moved = pieces * (accessed["bytes accessed"] - 4 * sum(sizes))
        return {PRODUCTS: _multiply(found, round(pieces), calls), PASSES: _move(moved * calls)}

    names = (PRODUCTS, PASSES)
    ways = [Candidate(way, lambda way=way: halves()[way](), compared=False) for way in names]
    return Comparison(name, (Ours(work).way(OURS, part), *peers, *ways), calls, unit)


def _products(jaxpr: Any) -> Iterator[Any]:
    """Each product's equation, as often as it is computed."""
    for equation in jaxpr.eqns:
        if equation.primitive.name in ("product", "dot_general"):
            yield equation
            continue
        for inner in equation.params.values():
            if hasattr(inner, "jaxpr"):
                yield from list(_products(inner.jaxpr)) * equation.params.get("length", 1)


def _multiply(equations: list[Any], pieces: int, calls: int) -> Callable[[], None]:
    """All products of so many pieces, in so many calls."""

    def multiply(pairs: list) -> list:
        return [
            equation.primitive.bind(*pair, **equation.params)
            for equation, pair in zip(equations, pairs, strict=True)
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


def _move(size: float) -> Callable[[], None]:
    """So many bytes read and written, by a thread a core."""
    cores = machine.cores()
    passes = max(1, round(size / (2 * 4 * PIECE * cores)))
    pool = ThreadPoolExecutor(cores)

    def move(_: int) -> None:
        source, result = np.ones(PIECE, np.float32), np.empty(PIECE, np.float32)
        for _ in range(passes):
            np.add(source, 1, out=result)

    def run() -> None:
        list(pool.map(move, range(cores)))

    return run
