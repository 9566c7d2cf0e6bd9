"""The parts of one interval beside eager PyTorch: steps, tangents, validation gradient, host."""

from collections.abc import Iterable

from benchmarks.comparison import Candidate, Comparison, Entry, Target, costs
from benchmarks.ours import Ours
from benchmarks.peers import Peers
from benchmarks.runs import dmd, host
from benchmarks.work import CHOICES, FULL, Scale, Work, make_work

OURS, EAGER, TOGETHER, IN_TURN = "ours", "eager", "torch.func, vmap", "torch.func, one by one"
PLAIN, TANGENT, Q = "plain step", "tangent step, q = {}", 3
DMD, HOST = f"DMD and its steady state, q = {Q}", "host, one interval"


def build(scale: Scale = FULL) -> Entry:
    """All parts, compiled when they are first called."""
    work, images = make_work(scale), scale.validation
    ours, peers = Ours(work), Peers(work)
    plain = (ours.way(OURS, "plain"), *peers.way(EAGER, "plain"))
    gradient = [ours.way(OURS, "validation_gradient")]
    chunks = {f"chunks of {size:,}": size for size in (100, 1000) if size < images}
    for name, chunk in (chunks | {"at once": images}).items():
        gradient += peers.way(name, "validation_gradient", chunk=chunk)
    full, flops = f"validation gradient, {images:,} images", work.flops(images)
    comparisons = (
        Comparison(PLAIN, plain, work.steps, flops=work.flops(scale.batch)),
        *(_tangent(work.tuning(q), q, scale) for q in CHOICES),
        Comparison(full, tuple(gradient), unit="gradient", flops=flops),
        Comparison(DMD, (Candidate(OURS, dmd(scale, Q)),), unit="fit"),
        Comparison(HOST, (Candidate(OURS, host(scale)),), unit="interval"),
    )
    notes = (
        f"Batches of {scale.batch} images. FLOP are those of the network's own matrix products "
        "(`benchmarks/flops.py`), the peak is a product of 1024 x 1024 float32 matrices in the "
        "same process.",
        "q = 1 learns the rate, 2 and 3 add momentum and weight decay, 8 is a rate for each "
        "parameter tensor, on both sides.",
        "Host time is a whole interval of the engine on a problem that costs nothing.",
    )
    targets = _targets(full, [*chunks, "at once"], scale)
    return Entry("The parts of one interval", comparisons, targets, notes, peers.missing)


def _tangent(work: Work, q: int, scale: Scale) -> Comparison:
    ways, peers = [Ours(work).way(OURS, "tangent")], Peers(work)
    for name, together in {TOGETHER: True, IN_TURN: False}.items():
        ways += peers.way(name, "tangent", together=together)
    flops = work.flops(scale.batch, q)
    return Comparison(TANGENT.format(q), tuple(ways), work.steps, flops=flops)


def _targets(gradient: str, chunks: Iterable[str], scale: Scale) -> tuple[Target, ...]:
    tangent = TANGENT.format(Q)
    plain, step, full = costs(PLAIN, OURS), costs(tangent, OURS), costs(gradient, OURS)
    functorch, peers = costs(tangent, TOGETHER, IN_TURN), costs(gradient, *chunks)
    work = {(tangent, OURS): float(scale.interval), (gradient, OURS): float(scale.window)}
    return (
        Target("plain step / PyTorch's", 0.85, plain, costs(PLAIN, EAGER)),
        Target(f"{tangent} / plain step", 4.5, step, plain),
        Target(f"{tangent} / torch.func's", 0.65, step, functorch),
        Target("validation gradient / plain step", 35.0, full, plain),
        Target("validation gradient / PyTorch's", 0.7, full, peers),
        Target("DMD / interval", 1e-3, costs(DMD, OURS), (work,)),
        Target("host / interval", None, costs(HOST, OURS), (work,)),
    )
