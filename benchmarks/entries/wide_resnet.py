"""WideResNet's training step with and without tangents: the paper's network, smaller images."""

from benchmarks.experiments import Scale
from benchmarks.measure import Entry, Target, costs
from benchmarks.work import make_work

Q = 2  # the paper's task on this network learns a learning rate and a weight decay
STEPS = 2
OURS, EAGER = "compiled loop", "PyTorch"
PLAIN, TANGENT = "plain step", f"tangent step, q = {Q}"
MICROBATCH = 4  # examples at a time, as for this model on a CPU (`configs/model/wide_resnet.yaml`)
VALIDATION = 200  # images of the validation gradient, in the model's own chunks


def build(scale: Scale) -> Entry:
    """Steps on grey images of 28x28 pixels, which are embedded."""
    (depth, width), pieces = scale.wide, min(MICROBATCH, scale.batch)
    images = min(VALIDATION, scale.validation)
    size = ["model=wide_resnet", f"model.depth={depth}", f"model.width={width}"]
    work = make_work(scale, *size, f"device.microbatch={pieces}", steps=STEPS)
    work = work.tuning(Q).cut(validation=images)
    comparisons = [
        work.compare("plain", PLAIN, OURS, {EAGER: {}}),
        work.compare("tangent", TANGENT, OURS),
        work.compare("validation_gradient", f"validation gradient, {images} images", OURS),
    ]
    targets = [
        Target(f"{PLAIN} / {EAGER}", None, costs(PLAIN, OURS), costs(PLAIN, EAGER)),
        Target(f"{TANGENT} / {PLAIN}", None, costs(TANGENT, OURS), costs(PLAIN, OURS)),
    ]
    notes = (
        f"{STEPS} steps of {scale.batch} grey images of 28x28 pixels, {pieces} at a time in ours, "
        "as in its validation gradient.",
        "Memory is what XLA plans for arguments, results and what lies between them.",
    )
    return Entry(f"WideResNet {depth}-{width}", comparisons, targets, notes, rounds=3)
