"""One h at the end of a stretch of training, and h after every step of it, beside the peers."""

from collections.abc import Callable
from typing import Any

from glocal_exp.bench.comparison import Candidate, Comparison, Entry, Outcome, Target
from glocal_exp.bench.ours_hypergradient import OurHypergradients, PaperLoop, outcome
from glocal_exp.bench.peers import Peers
from glocal_exp.bench.work import FULL, Scale, Work, scaled

Q = 3
CHUNK = 100  # PyTorch's fastest for a validation gradient, see `parts`
EVERY = "every h_t"


def build(scale: Scale = FULL) -> Entry:
    """The last h by both modes and the peers, and every h_t as the paper words it."""
    work, peers = scaled(scale, steps=scale.stretch).tuning(Q), Peers()
    subset = work.validated_on(scale.subset)
    last = _last(subset, peers)
    ours, others = (
        tuple({(last.name, c.name): 1.0} for c in last.candidates if c.ours == mine)
        for mine in (True, False)
    )
    reverse = tuple(cost for cost in others if next(iter(cost))[1] != "torch.func, forward")
    every = _every(work.cut(max(2, scale.stretch // 4)))
    return Entry(
        "One hypergradient",
        (last, every),
        (
            Target("one h, best of our modes / best PyTorch reverse", 1.0, ours, reverse),
            Target(
                "every h_t / the paper's formulation",
                None,
                ({(every.name, "compiled interval"): 1.0},),
                ({(every.name, "Python loop"): 1.0},),
            ),
        ),
        (
            f"One h: {scale.stretch} steps of {scale.batch} images with {Q} hyperparameters, then "
            f"a validation gradient of {len(subset.validation_x):,} images (in chunks of {CHUNK} "
            "in PyTorch too).",
            "The paper's formulation is a Python loop of jitted steps with tangents, and a full "
            "validation gradient of all images at once after each.",
            "TorchOpt takes weight decay as a penalty in the loss.",
        ),
        peers.missing,
    )


def _last(work: Work, peers: Peers) -> Comparison:
    name = f"one h over {len(work.x)} steps"
    ours = OurHypergradients(work)
    ways = [
        _way("reverse", lambda: ours.reverse()),
        _way("forward", lambda: ours.forward()),
    ]
    for label, kind, mode in (
        ("PyTorch, reverse", "TorchHypergradients", "reverse"),
        ("higher", "Higher", "reverse"),
        ("TorchOpt", "TorchOpt", "reverse"),
        ("torch.func, forward", "TorchHypergradients", "forward"),
    ):
        if peer := peers.make(label.split(",")[0], _factory(kind, work)):
            ways.append(_way(label, getattr(peer, mode), ours=False))
    images, count = len(work.x[0]), work.flops
    # Reverse mode needs what one tangent needs: a map's transpose takes as many products.
    flops = len(work.x) * images * count.tangent_step(1) + len(work.validation_x) * count.gradient
    return Comparison(name, tuple(ways), unit="h", flops=flops)


def _every(work: Work) -> Comparison:
    ours, paper = OurHypergradients(work), PaperLoop(work)
    images, count, steps = len(work.x[0]), work.flops, len(work.x)
    flops = images * count.tangent_step(Q) + len(work.validation_x) * count.gradient
    ways = (
        _way("compiled interval", lambda: ours.every()),
        _way("Python loop", paper.every, ours=False),
    )
    return Comparison(f"{EVERY} of {steps} steps", ways, steps, "step with its h_t", flops)


def _way(name: str, run: Callable[[], Any], *, ours: bool = True) -> Candidate:
    def compared() -> Outcome:
        return outcome(run())

    return Candidate(name, run, compared, ours)


def _factory(kind: str, work: Work) -> Callable[[], Any]:
    def factory() -> Any:
        from glocal_exp.bench import torch_hypergradient

        return getattr(torch_hypergradient, kind)(work, CHUNK)

    return factory
