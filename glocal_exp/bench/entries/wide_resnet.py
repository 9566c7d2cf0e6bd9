"""WideResNet's training step with and without tangents: the paper's network, smaller images."""

from typing import Any, Literal

import jax
import numpy as np

from glocal_exp.bench.comparison import Candidate, Comparison, Entry, Outcome, Target
from glocal_exp.bench.ours import Ours
from glocal_exp.bench.peers import Peers
from glocal_exp.bench.work import FULL, Scale, Work, scaled

Q = 2  # the paper's task on this network learns a learning rate and a weight decay
STEPS = 2
OURS = "compiled loop"
PLAIN, TANGENT = "plain step", f"tangent step, q = {Q}"
MICROBATCH = 4
"""Examples at a time, as for this model on a CPU (`configs/model/wide_resnet.yaml`)."""
ROUNDS = 3
VALIDATION = 200
"""Images of the validation gradient, in the model's own chunks."""
GIB = 2**30


def build(scale: Scale = FULL) -> Entry:
    """Steps on grey images of 28x28 pixels, which are embedded."""
    depth, width = scale.wide
    size = ["model=wide_resnet", f"model.depth={depth}", f"model.width={width}"]
    size.append(f"device.microbatch={min(MICROBATCH, scale.batch)}")
    held_out = min(VALIDATION, scale.validation)
    work = scaled(scale, *size, steps=STEPS).tuning(Q).validated_on(held_out)
    peers = Peers()
    plain = [_ours(work, "plain")]
    if peer := peers.make("PyTorch", lambda: _torch(work)):
        plain.append(Candidate("PyTorch", peer.plain, lambda: _named(*peer.plain()), ours=False))
    images, count = scale.batch, work.flops
    plainly = ({(PLAIN, OURS): 1.0},)
    return Entry(
        f"WideResNet {depth}-{width}",
        (
            Comparison(PLAIN, tuple(plain), STEPS, flops=images * count.gradient),
            Comparison(
                TANGENT, (_ours(work, "tangent"),), STEPS, flops=images * count.tangent_step(Q)
            ),
            Comparison(
                f"validation gradient, {held_out} images",
                (_ours(work, "validation_gradient"),),
                scale.gradients,
                "gradient",
                held_out * count.gradient,
            ),
        ),
        (
            Target(f"{PLAIN} / PyTorch", None, plainly, ({(PLAIN, "PyTorch"): 1.0},)),
            Target(f"{TANGENT} / {PLAIN}", None, ({(TANGENT, OURS): 1.0},), plainly),
        ),
        (
            f"{STEPS} steps of {scale.batch} grey images of 28x28 pixels, "
            f"{min(MICROBATCH, scale.batch)} at a time in ours, as in its validation gradient.",
            "Memory is what XLA plans for arguments, results and what lies between them.",
        ),
        peers.missing,
        rounds=ROUNDS,
    )


def _ours(work: Work, kind: Literal["plain", "tangent", "validation_gradient"]) -> Candidate:
    ours = Ours(work)

    def run() -> Any:
        return getattr(ours, kind)()

    def compared() -> Outcome:
        state, losses = run()
        return _named(state.params, losses)

    def facts() -> dict[str, float]:
        program = vars(ours).get(kind)  # None as long as it was not asked for
        return {"memory, GiB": program.memory / GIB} if program else {}

    return Candidate(OURS, run, compared if kind == "plain" else None, facts=facts)


def _named(params: Any, losses: Any) -> Outcome:
    """The losses, and all weights in the order of the tree."""
    leaves = enumerate(jax.tree.leaves(params))
    weights = {f"{i} weights": np.asarray(_detached(leaf)) for i, leaf in leaves}
    return {"all losses": np.asarray(losses)} | weights


def _detached(leaf: Any) -> Any:
    return leaf.detach() if hasattr(leaf, "detach") else leaf


def _torch(work: Work) -> Any:
    from glocal_exp.bench.torch_wide_resnet import TorchWideResNet

    return TorchWideResNet(work)
