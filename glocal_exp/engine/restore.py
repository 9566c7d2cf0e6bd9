"""Where training goes on from: the newest place that all seeds have a checkpoint of."""

from collections.abc import Callable, Mapping, Sequence

from glocal_exp.engine.checkpoint import Position, Snapshot, Snapshots, from_bytes


def restore(
    initial: Snapshots,
    checkpoints: Mapping[int, Sequence[bytes]],
    is_over: Callable[[Snapshot], bool],
) -> tuple[Snapshots, Snapshots, bool]:
    """The seeds that go on, those that have stopped, and whether there was training before.

    Args:
        initial: every seed before training.
        checkpoints: by seed, what was saved of it.
        is_over: whether a seed that stands there has stopped.
    """
    found = {
        seed: [from_bytes(content, start) for content in checkpoints.get(seed, ())]
        for seed, start in initial.items()
    }
    newest = {seed: max(ss, key=lambda s: s.position) for seed, ss in found.items() if ss}
    finished = {seed: s for seed, s in newest.items() if is_over(s)}
    running = [seed for seed in found if seed not in finished]
    common = [{_place(s): s for s in found[seed]} for seed in running]
    places = set.intersection(*map(set, common)) if common else set()
    if not places:
        return {seed: initial[seed] for seed in running}, finished, not running
    place = max(places)
    return {s: at[place] for s, at in zip(running, common, strict=True)}, finished, True


def _place(snapshot: Snapshot) -> tuple[Position, int]:
    """Where it stands and how many columns its basis has: what seeds side by side have to share."""
    return snapshot.position, 0 if snapshot.basis is None else snapshot.basis.columns
