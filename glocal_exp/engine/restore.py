"""Where training goes on from: the newest place that all seeds have a checkpoint of."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import PyTree

from glocal_exp.engine.checkpoint import Snapshot, Snapshots, from_bytes
from glocal_exp.types import Hyperparams, InnerState


def restore(
    initial: Snapshots,
    checkpoints: Mapping[int, Sequence[bytes]],
    is_over: Callable[[Snapshot], bool],
    start: Callable[[InnerState, Hyperparams, int | None], PyTree],
) -> tuple[Snapshots, Snapshots, bool]:
    """The seeds that go on, those that have stopped, and whether there was training before.

    Args:
        initial: every seed before training.
        checkpoints: by seed, what was saved of it.
        is_over: whether a seed that stands there has stopped.
        start: a carry of so many columns, where derivatives start from zero.
    """
    saved = {
        seed: [
            from_bytes(content, first, partial(start, first.state, first.phi))
            for content in checkpoints.get(seed, ())
        ]
        for seed, first in initial.items()
    }
    newest = {seed: max(ss, key=lambda s: s.position) for seed, ss in saved.items() if ss}
    finished = {seed: s for seed, s in newest.items() if is_over(s)}
    running = [seed for seed in saved if seed not in finished]
    common = [{_place(s): s for s in saved[seed]} for seed in running]
    places = set.intersection(*map(set, common)) if common else set()
    if not places:
        return {seed: initial[seed] for seed in running}, finished, not running
    place = max(places, key=lambda place: place[0])
    return {s: at[place] for s, at in zip(running, common, strict=True)}, finished, True


def _place(snapshot: Snapshot) -> tuple:
    """Where it stands, and what seeds side by side have to share: the shapes of what it carries."""
    return snapshot.position, tuple(jnp.shape(leaf) for leaf in jax.tree.leaves(snapshot.carry))
