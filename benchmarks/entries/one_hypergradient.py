"""One h at the end of a stretch of training, and h after every step of it, beside the peers."""

from collections.abc import Callable

import jax

from benchmarks.experiments import Scale
from benchmarks.measure import Candidate, Comparison, Entry, Outcome, Target
from benchmarks.work import Work, make_work

Q = 3
CHUNK = 100  # PyTorch's fastest for a validation gradient, see `parts`
PEERS = {
    "PyTorch, reverse": ("reverse", "torch"),
    "higher": ("higher", "higher"),
    "TorchOpt": ("torchopt", "torchopt"),
    "torch.func, forward": ("forward", "torch"),
}


def build(scale: Scale) -> Entry:
    """The last h by both modes and the peers, and every h_t as the paper words it."""
    tau, some, batch = scale.stretch, max(2, scale.stretch // 4), scale.batch
    whole = make_work(scale, steps=tau)
    work, few = whole.tuning(Q).cut(validation=scale.subset), whole.cut(steps=some)
    ways = [work.ours(mode, mode) for mode in ("reverse", "forward")]
    ways += [work.peer(name, *way, chunk=CHUNK) for name, way in PEERS.items()]
    last = Comparison(f"one h over {tau} steps", ways, unit="h")
    paper = Candidate("Python loop", paper_loop(few.tuning(Q, whole=True)), peer="jax")
    ways = [few.tuning(Q).ours("compiled interval", "every"), paper]
    every = Comparison(f"every h_t of {some} steps", ways, some, "step with its h_t")
    targets = [
        Target("one h, best of our modes / best of PyTorch", 1.0, last.ours, last.peers),
        Target("every h_t / the paper's formulation", None, every.ours, every.peers),
    ]
    notes = (
        f"One h: {tau} steps of {batch} images with {Q} hyperparameters, then a "
        f"validation gradient of {scale.subset:,} images (in chunks of {CHUNK} in PyTorch too).",
        "The paper's formulation is a Python loop of jitted steps with tangents, and a full "
        "validation gradient of all images at once after each.",
        "TorchOpt takes weight decay as a penalty in the loss.",
    )
    return Entry("One hypergradient", [last, every], targets, notes)


def paper_loop(work: Work) -> Callable[[], Outcome]:
    """Algorithm 1 as it is written: a Python loop of jitted steps, h_t after each, (steps, q)."""
    push, contract = jax.jit(work.push), jax.jit(work.contract)

    def run() -> Outcome:
        given, found = work.given, []
        carry = given[:2]
        for t in range(len(work.train["y"])):
            carry, _ = push(given, carry, {name: part[t] for name, part in given.train.items()})
            found.append(contract(given, *carry))
        return {"h": jax.block_until_ready(found)}

    return run
