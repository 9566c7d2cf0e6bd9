"""One h at the end of a stretch of training, and h after every step of it, beside the peers."""

from benchmarks.comparison import Candidate, Comparison, Entry, Target, costs
from benchmarks.ours import Ours, paper_loop
from benchmarks.peers import Peers
from benchmarks.work import FULL, Scale, make_work

Q = 3
CHUNK = 100  # PyTorch's fastest for a validation gradient, see `parts`
MODES = ("reverse", "forward")
PEERS = (
    ("PyTorch, reverse", "reverse", "torch"),
    ("higher", "higher", "higher"),
    ("TorchOpt", "torchopt", "torchopt"),
    ("torch.func, forward", "forward", "torch"),
)
OURS, PAPER = "compiled interval", "Python loop"


def build(scale: Scale = FULL) -> Entry:
    """The last h by both modes and the peers, and every h_t as the paper words it."""
    whole = make_work(scale, steps=scale.stretch)
    work = whole.tuning(Q).validated_on(scale.subset)
    ours, peers = Ours(work), Peers(work)
    last = [ours.way(mode, mode) for mode in MODES]
    for name, way, package in PEERS:
        last += peers.way(name, way, package, chunk=CHUNK)
    few = whole.cut(max(2, scale.stretch // 4))
    every = [Ours(few.tuning(Q)).way(OURS, "every")]
    every.append(Candidate(PAPER, paper_loop(few.tuning(Q, pieced=False)), ours=False))
    one, all_ = f"one h over {work.steps} steps", f"every h_t of {few.steps} steps"
    # Reverse mode needs what one tangent needs: a map's transpose takes as many products.
    one_flops = work.steps * work.step_flops(1) + work.validation_flops
    each_flops = few.step_flops(Q) + few.validation_flops
    back = costs(one, *(name for name, way, _ in PEERS if way != "forward"))
    paper = costs(all_, OURS), costs(all_, PAPER)
    return Entry(
        "One hypergradient",
        (
            Comparison(one, tuple(last), unit="h", flops=one_flops),
            Comparison(all_, tuple(every), few.steps, "step with its h_t", each_flops),
        ),
        (
            Target(
                "one h, best of our modes / best PyTorch reverse", 1.0, costs(one, *MODES), back
            ),
            Target("every h_t / the paper's formulation", None, *paper),
        ),
        (
            f"One h: {scale.stretch} steps of {scale.batch} images with {Q} hyperparameters, then "
            f"a validation gradient of {scale.subset:,} images (in chunks of {CHUNK} "
            "in PyTorch too).",
            "The paper's formulation is a Python loop of jitted steps with tangents, and a full "
            "validation gradient of all images at once after each.",
            "TorchOpt takes weight decay as a penalty in the loss.",
        ),
        peers.missing,
    )
