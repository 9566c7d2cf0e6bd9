"""WideResNet's training step with and without tangents: the paper's network, smaller images."""

from benchmarks.experiments import Scale
from benchmarks.measure import Entry, Target
from benchmarks.work import make_work

Q = 2  # the paper's task on this network learns a learning rate and a weight decay
STEPS = 2
MICROBATCH = 4  # examples at a time, as for this model on a CPU (`configs/model/wide_resnet.yaml`)
VALIDATION = 200  # images of the validation gradient, in the model's own chunks


def build(scale: Scale) -> Entry:
    """Steps on grey images of 28x28 pixels, which are embedded."""
    (depth, width), pieces = scale.wide, min(MICROBATCH, scale.batch)
    images = min(VALIDATION, scale.validation)
    size = ["model=wide_resnet", f"model.depth={depth}", f"model.width={width}"]
    work = make_work(scale, *size, f"device.microbatch={pieces}", steps=STEPS)
    work = work.tuning(Q).cut(validation=images)
    plain = work.compare("plain", "plain step", PyTorch={})
    tangent = work.compare("tangent", f"tangent step, q = {Q}")
    gradient = work.compare("validation_gradient", f"validation gradient, {images} images")
    targets = [
        Target("plain step / PyTorch", None, plain.ours, plain.peers),
        Target(f"{tangent.name} / plain step", None, tangent.ours, plain.ours),
    ]
    notes = (
        f"{STEPS} steps of {scale.batch} grey images of 28x28 pixels, {pieces} at a time in ours, "
        "as in its validation gradient.",
        "Memory is what XLA plans for arguments, results and what lies between them.",
    )
    title = f"WideResNet {depth}-{width}"
    return Entry(title, [plain, tangent, gradient], targets, notes, rounds=3)
