"""One job: its seeds, what is left of each to do, and which of them train side by side."""

import contextlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from glocal_exp.app.build import Experiment, build
from glocal_exp.app.compose import Job, as_yaml
from glocal_exp.app.config import seeds
from glocal_exp.app.group import Group, Run
from glocal_exp.app.identity import Identity, stored_config
from glocal_exp.app.instantiate import instantiate_group
from glocal_exp.app.say import say
from glocal_exp.app.stop import Interrupted, Stop
from glocal_exp.engine import Plan
from glocal_exp.errors import BusyError, UserError
from glocal_exp.store import RunDirectory, utc_now
from glocal_exp.store.directory import ASIDE, discard_checkpoints
from glocal_exp.store.files import read_manifest
from glocal_exp.store.seal import unreadable
from glocal_exp.store.status import stored_status
from glocal_exp.tracking import Fanout, ProgressSink

GOES_ON = (Interrupted, KeyboardInterrupt, UserError)
"""After these (a full disk is a `UserError`) the same command goes on with the run."""


def train(job: Job, plan: Plan, stop: Stop) -> None:
    """Train every seed of a job that is not complete yet, as its config has been found to plan.

    Raises:
        UserError: when the config does not allow it, or the machine, as by a full disk.
        Interrupted: after Ctrl-C or SIGTERM, with everything saved.
    """
    train_seeds(build(job.config, job.choices, plan), seeds(job.config), stop)


def train_seeds(experiment: Experiment, chosen: list[int], stop: Stop) -> Identity:
    """Train those of an experiment's seeds that are not complete yet; `train` says what it raises.

    Returns:
        What its runs are called.
    """
    identity = Identity(experiment)
    batched = experiment.device.settings.seeds == "batched"
    busy = None
    for together in [chosen] if batched else [[seed] for seed in chosen]:
        try:
            _train(identity, together, stop)
        except BusyError as error:  # which does not keep the others waiting
            busy = error
    if busy:
        raise busy
    return identity


def _train(identity: Identity, chosen: list[int], stop: Stop) -> None:
    experiment = identity.experiment
    left = [seed for seed in chosen if not _is_complete(identity, seed)]
    # The last thing that a config can get wrong, before anything is written.
    images = {seed: experiment.splits(seed) for seed in left}
    with ExitStack() as stack:
        runs = {}
        for seed in left:
            directory = stack.enter_context(_opened(identity.path(seed)))
            # Under the lock once more: another process may have completed it since.
            if not _is_complete(identity, seed):
                runs[seed] = Run(images[seed], directory)
        if not runs:
            return
        sinks = Fanout([ProgressSink(), instantiate_group("tracker", experiment.cfg.tracker)])
        try:
            with stop.training():
                for seed, run in runs.items():
                    _begin(identity, seed, run)
                # Seeds that have been trained before wait for no others to catch up.
                trained = [s for s, run in runs.items() if any(run.directory.load_checkpoints())]
                for together in (trained, [seed for seed in runs if seed not in trained]):
                    if together:
                        _train_group(identity, {s: runs[s] for s in together}, sinks, stop)
        except BaseException as error:
            _give_up(runs, sinks, error)
            raise


def _is_complete(identity: Identity, seed: int) -> bool:
    """Whether a run over the images at hand is stored; `_begin` says so of one over others."""
    path, facts = identity.path(seed), identity.facts
    if stored_status(path, facts["config_hash"], facts["source_hash"]) != "complete":
        return False
    manifest = read_manifest(path) or {}
    content = (manifest.get("data") or {}).get("content")
    # The whole data set's digest: config and source hash leave only one split of it.
    if content not in (None, identity.experiment.data.content):
        return False
    say(f"complete already{', though it diverged' * bool(manifest.get('diverged'))}: {path}")
    discard_checkpoints(path)  # of which a kill at the very end leaves some
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


def _begin(identity: Identity, seed: int, run: Run) -> None:
    """Start afresh unless there is a run to go on with, and say so in the manifest."""
    directory, data, facts = run.directory, run.images.info, identity.facts
    state: str = stored_status(directory.path, facts["config_hash"], facts["source_hash"])
    before = (directory.manifest.get("data") or {}).get("fingerprint")
    if state not in ("missing", "stale", "damaged") and before not in (None, data["fingerprint"]):
        state = "made with other images"
    if state in ("partial", "failed") and directory.has_lost_its_place:
        state = "damaged"
    afresh = state not in ("partial", "failed") or not directory.manifest
    if afresh:
        barred = unreadable(directory.path, directory.manifest)
        if barred and state == "damaged":
            raise UserError(f"{directory.path}: {barred} may not be read; ask for access to it.")
        directory.clear(keep=state == "damaged")
        if state != "missing":
            kept = f" (what was there is in {ASIDE}/)" if state == "damaged" else ""
            say(f"{state}, so run afresh{kept}: {directory.path}")
    run.is_new = afresh  # only now: what could not be set aside is not given up
    directory.update_manifest(**identity.manifest(seed, data, directory.manifest))
    directory.write_config(as_yaml(stored_config(identity.experiment.cfg, seed)))


def _train_group(identity: Identity, runs: Mapping[int, Run], sinks: Fanout, stop: Stop) -> None:
    """Train seeds side by side if their checkpoints allow it, else one after another."""
    group = Group(identity, runs, sinks, stop)
    if not group.fell_apart:
        group.train()
        return
    for seed, run in runs.items():
        _train_group(identity, {seed: run}, sinks, stop)


def _give_up(runs: Mapping[int, Run], sinks: Fanout, error: BaseException) -> None:
    """Say in the manifests how what was under way has ended, as far as the disk allows.

    What could not even begin leaves nothing, as if the command had not been given: settings that do
    not fit each other, a disk that refuses the first file.
    """
    state = "interrupted" if isinstance(error, GOES_ON) else "failed"
    text = None if isinstance(error, Interrupted) else f"{type(error).__name__}: {error}"
    for directory, is_new in ((run.directory, run.is_new) for run in runs.values()):
        with contextlib.suppress(UserError):
            if is_new and isinstance(error, UserError) and directory.last_outer_step is None:
                directory.clear()
            elif directory.manifest.get("status") == "running":
                directory.update_manifest(status=state, error=text, ended=utc_now())
    sinks.finish(state)
