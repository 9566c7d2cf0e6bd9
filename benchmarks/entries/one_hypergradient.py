"""One h at the end of a stretch of training, and h after every step of it, beside the peers."""

from benchmarks.comparison import Candidate, Comparison, Entry, Target, costs
from benchmarks.ours import Ours, paper_loop
from benchmarks.peers import Peers
from benchmarks.work import FULL, Scale, make_work

Q = 3
CHUNK = 100  # PyTorch's fastest for a validation gradient, see `parts`
MODES = ("reverse", "forward")
BACK = ("PyTorch, reverse", "higher", "TorchOpt")
OURS, PAPER = "compiled interval", "Python loop"


def build(scale: Scale = FULL) -> Entry:
    """The last h by both modes and the peers, and every h_t as the paper words it."""
    whole, batch = make_work(scale, steps=scale.stretch), scale.batch
    work = whole.tuning(Q).cut(validation=scale.subset)
    few = whole.cut(steps=max(2, scale.stretch // 4))
    ours, peers = Ours(work), Peers(work)
    last = (
        *(ours.way(mode, mode) for mode in MODES),
        *peers.way(BACK[0], "reverse", chunk=CHUNK),
        *peers.way(BACK[1], "higher", "higher", chunk=CHUNK),
        *peers.way(BACK[2], "torchopt", "torchopt", chunk=CHUNK),
        *peers.way("torch.func, forward", "forward", chunk=CHUNK),
    )
    paper = Candidate(PAPER, paper_loop(few.tuning(Q, whole=True)), ours=False)
    every = Ours(few.tuning(Q)).way(OURS, "every"), paper
    # Reverse mode needs what one tangent needs: a map's transpose takes as many products.
    flops = work.steps * work.flops(batch, 1) + work.flops(scale.subset)
    each_flops = few.flops(batch, Q) + few.flops(scale.validation)
    one, all_ = f"one h over {work.steps} steps", f"every h_t of {few.steps} steps"
    sides = costs(one, *MODES), costs(one, *BACK)
    targets = (
        Target("one h, best of our modes / best PyTorch reverse", 1.0, *sides),
        Target("every h_t / the paper's formulation", None, costs(all_, OURS), costs(all_, PAPER)),
    )
    comparisons = (
        Comparison(one, last, unit="h", flops=flops),
        Comparison(all_, every, few.steps, "step with its h_t", each_flops),
    )
    notes = (
        f"One h: {scale.stretch} steps of {batch} images with {Q} hyperparameters, then a "
        f"validation gradient of {scale.subset:,} images (in chunks of {CHUNK} in PyTorch too).",
        "The paper's formulation is a Python loop of jitted steps with tangents, and a full "
        "validation gradient of all images at once after each.",
        "TorchOpt takes weight decay as a penalty in the loss.",
    )
    return Entry("One hypergradient", comparisons, targets, notes, peers.missing)
