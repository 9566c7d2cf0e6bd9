"""The parts of one interval beside eager PyTorch: steps, tangents, validation gradient, host."""

from collections.abc import Callable
from typing import Any

import numpy as np

from glocal_exp.bench.comparison import Candidate, Comparison, Cost, Entry, Target
from glocal_exp.bench.host import dmd, host
from glocal_exp.bench.ours import Ours
from glocal_exp.bench.peers import Peers
from glocal_exp.bench.rules import CHOICES
from glocal_exp.bench.work import FULL, Scale, Work, scaled

PLAIN, OURS, EAGER = "plain step", "ours", "eager"


def build(scale: Scale = FULL) -> Entry:
    """All parts, compiled when they are first called."""
    work, peers = scaled(scale), Peers()
    comparisons = [_plain(work, peers)]
    comparisons += [_tangent(work.tuning(q), q, peers) for q in CHOICES]
    gradient = _gradient(work, peers)
    comparisons += [gradient, *_host(scale)]
    return Entry(
        "The parts of one interval",
        tuple(comparisons),
        _targets(gradient, scale),
        (
            f"Batches of {scale.batch} images. FLOP are those of the network's own matrix products "
            "(`bench/flops.py`), the peak is a product of 1024 x 1024 float32 matrices in the same "
            "process.",
            "q = 1 learns the rate, 2 and 3 add momentum and weight decay, 8 is a rate for each "
            "parameter tensor, on both sides.",
            "Host time is a whole interval of the engine on a problem that costs nothing.",
        ),
        peers.missing,
    )


def tangents(q: int) -> str:
    """The name of the comparison."""
    return f"tangent step, q = {q}"


def _plain(work: Work, peers: Peers) -> Comparison:
    ours, torch = Ours(work), _torch(work, peers)
    ways = [_ours(lambda: ours.plain(), ours.plain_outcome)]
    if torch:
        ways.append(Candidate(EAGER, torch.plain, torch.plain, ours=False))
    flops = len(work.x[0]) * work.flops.gradient
    return Comparison(PLAIN, tuple(ways), len(work.x), flops=flops)


def _tangent(work: Work, q: int, peers: Peers) -> Comparison:
    ours, torch = Ours(work), _torch(work, peers)
    ways = [_ours(lambda: ours.tangent(), ours.tangent_outcome)]
    if torch:
        for name, together in (("torch.func, vmap", True), ("torch.func, one by one", False)):
            run = _bind(torch.tangent, together=together)
            ways.append(Candidate(name, run, run, ours=False))
    flops = len(work.x[0]) * work.flops.tangent_step(q)
    return Comparison(tangents(q), tuple(ways), len(work.x), flops=flops)


def _gradient(work: Work, peers: Peers) -> Comparison:
    ours, torch = Ours(work), _torch(work, peers)
    images = len(work.validation_x)
    ways = [_ours(lambda: ours.validation_gradient(), ours.validation_outcome)]
    for size in sorted({images, *(size for size in (1000, 100) if size < images)}):
        if torch:
            run = _bind(torch.validation_gradient, chunk=size)
            name = f"chunks of {size:,}" if size < images else "at once"
            ways.append(Candidate(name, run, run, ours=False))
    return Comparison(
        f"validation gradient, {images:,} images",
        tuple(ways),
        work.gradients,
        "gradient",
        images * work.flops.gradient,
    )


def _host(scale: Scale) -> list[Comparison]:
    fit, interval = dmd(scale, q=3), host(scale)
    return [
        Comparison("DMD and its steady state, q = 3", (Candidate(OURS, fit),), unit="fit"),
        Comparison("host, one interval", (Candidate(OURS, interval),), unit="interval"),
    ]


def _targets(gradient: Comparison, scale: Scale) -> tuple[Target, ...]:
    def ways(name: str, *ways: str) -> tuple[Cost, ...]:
        return tuple({(name, way): 1.0} for way in ways)

    plain, step, full = ways(PLAIN, OURS), ways(tangents(3), OURS), ways(gradient.name, OURS)
    functorch = ways(tangents(3), "torch.func, vmap", "torch.func, one by one")
    peers = ways(gradient.name, *(c.name for c in gradient.candidates if not c.ours))
    fit = ways("DMD and its steady state, q = 3", OURS)
    window = float(scale.window)
    interval = {(tangents(3), OURS): float(scale.interval), (gradient.name, OURS): window}
    return (
        Target("plain step / PyTorch's", 0.85, plain, ways(PLAIN, EAGER)),
        Target("tangent step, q = 3 / plain step", 4.5, step, plain),
        Target("tangent step, q = 3 / torch.func's", 0.65, step, functorch),
        Target("validation gradient / plain step", 35.0, full, plain),
        Target("validation gradient / PyTorch's", 0.7, full, peers),
        Target("DMD / interval", 1e-3, fit, (interval,)),
        Target("host / interval", None, ways("host, one interval", OURS), (interval,)),
    )


def _ours(run: Callable[[], Any], outcome: Callable[[], dict[str, np.ndarray]]) -> Candidate:
    return Candidate(OURS, run, outcome)


def _bind(method: Callable, **settings: Any) -> Callable[[], Any]:
    return lambda: method(**settings)


def _torch(work: Work, peers: Peers) -> Any:
    def factory() -> Any:
        from glocal_exp.bench.torch_parts import TorchParts

        return TorchParts(work)

    return peers.make("PyTorch", factory)
