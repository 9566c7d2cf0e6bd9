"""WideResNet's training step with and without tangents: the paper's network, smaller images."""

from benchmarks.comparison import Comparison, Entry, Target, costs
from benchmarks.ours import Ours
from benchmarks.peers import Peers
from benchmarks.work import FULL, Scale, make_work

Q = 2  # the paper's task on this network learns a learning rate and a weight decay
STEPS = 2
OURS, EAGER = "compiled loop", "PyTorch"
PLAIN, TANGENT = "plain step", f"tangent step, q = {Q}"
MICROBATCH = 4  # examples at a time, as for this model on a CPU (`configs/model/wide_resnet.yaml`)
VALIDATION = 200  # images of the validation gradient, in the model's own chunks


def build(scale: Scale = FULL) -> Entry:
    """Steps on grey images of 28x28 pixels, which are embedded."""
    (depth, width), pieces = scale.wide, min(MICROBATCH, scale.batch)
    images = min(VALIDATION, scale.validation)
    size = ["model=wide_resnet", f"model.depth={depth}", f"model.width={width}"]
    work = make_work(scale, *size, f"device.microbatch={pieces}", steps=STEPS)
    work = work.tuning(Q).cut(validation=images)
    ours, peers = Ours(work), Peers(work)
    plain = (ours.way(OURS, "plain"), *peers.way(EAGER, "plain"))
    tangent, gradient = ours.way(OURS, "tangent"), ours.way(OURS, "validation_gradient")
    name, flops = f"validation gradient, {images} images", work.flops(images)
    comparisons = (
        Comparison(PLAIN, plain, STEPS, flops=work.flops(scale.batch)),
        Comparison(TANGENT, (tangent,), STEPS, flops=work.flops(scale.batch, Q)),
        Comparison(name, (gradient,), unit="gradient", flops=flops),
    )
    targets = (
        Target(f"{PLAIN} / {EAGER}", None, costs(PLAIN, OURS), costs(PLAIN, EAGER)),
        Target(f"{TANGENT} / {PLAIN}", None, costs(TANGENT, OURS), costs(PLAIN, OURS)),
    )
    notes = (
        f"{STEPS} steps of {scale.batch} grey images of 28x28 pixels, {pieces} at a time in ours, "
        "as in its validation gradient.",
        "Memory is what XLA plans for arguments, results and what lies between them.",
    )
    title = f"WideResNet {depth}-{width}"
    return Entry(title, comparisons, targets, notes, peers.missing, rounds=3)
