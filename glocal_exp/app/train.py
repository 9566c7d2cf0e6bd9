"""One job: its seeds, what is left of each to do, and which of them train side by side."""

import contextlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from glocal_exp.app.batch import Batch
from glocal_exp.app.build import Experiment, build, build_tracker
from glocal_exp.app.compose import Job
from glocal_exp.app.config import seeds
from glocal_exp.app.identity import Identity
from glocal_exp.app.say import say
from glocal_exp.app.stop import Stop
from glocal_exp.engine import Plan
from glocal_exp.store import RunDirectory, status
from glocal_exp.store.status import read_manifest
from glocal_exp.tracking import Fanout, ProgressSink

HASHES = ("config_hash", "source_hash")


def train(job: Job, plan: Plan, stop: Stop) -> None:
    """Train every seed of a job that is not complete yet, as its config has been found to plan.

    Raises:
        UserError: when the config or the machine does not allow it.
        Interrupted: after Ctrl-C or SIGTERM, with everything saved.
    """
    experiment = build(job.config, job.choices, plan)
    identity = Identity.of(experiment)
    for together in _batches(experiment, seeds(job.config)):
        _train(experiment, identity, together, stop)


def _batches(experiment: Experiment, chosen: list[int]) -> list[list[int]]:
    side_by_side = experiment.device.settings.seeds == "batched"
    return [chosen] if side_by_side else [[seed] for seed in chosen]


def _train(experiment: Experiment, identity: Identity, chosen: list[int], stop: Stop) -> None:
    left = [seed for seed in chosen if not _is_complete(experiment, identity, seed)]
    # The last thing that a config can get wrong, before anything is written.
    parts = {seed: experiment.splits(seed) for seed in left}
    with ExitStack() as stack:
        directories = {seed: stack.enter_context(_opened(identity.path(seed))) for seed in left}
        for seed in left:
            # Under the lock once more: another process may have completed it since.
            if _is_complete(experiment, identity, seed, directories[seed]):
                del directories[seed]
        if directories:
            sinks = Fanout([ProgressSink(), build_tracker(experiment.cfg)])
            Batch(experiment, identity, parts, directories, sinks, stop).train()


def _is_complete(
    experiment: Experiment, identity: Identity, seed: int, locked: RunDirectory | None = None
) -> bool:
    """Whether a run over the images at hand is stored; the batch says so of one over others."""
    path, hashes = identity.path(seed), (identity.facts[name] for name in HASHES)
    found = locked.status(*hashes) if locked else status(path, *hashes)
    manifest = (locked.manifest if locked else read_manifest(path)) or {}
    content = (manifest.get("data") or {}).get("content")
    # The whole data set's digest: config and source hash leave only one split of it.
    if found != "complete" or content not in (None, experiment.data.content):
        return False
    say(f"complete already: {path}")
    return True


@contextmanager
def _opened(path: Path) -> Iterator[RunDirectory]:
    """The run directory, locked; what is new of it goes if nothing came to be written into it."""
    created = [folder for folder in (path, *path.parents) if not folder.exists()]
    try:
        with RunDirectory(path) as directory:
            yield directory
    finally:
        with contextlib.suppress(OSError):
            for folder in created:
                folder.rmdir()  # succeeds only if it is empty
