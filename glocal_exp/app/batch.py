"""The seeds of one program, with a locked run directory each: begun, gone on with, completed."""

import contextlib
from collections.abc import Mapping
from typing import Any

from glocal_exp.app.build import Experiment
from glocal_exp.app.group import Group
from glocal_exp.app.identity import Identity, config_text, run_facts, run_info
from glocal_exp.app.say import say
from glocal_exp.app.stop import Interrupted, Stop
from glocal_exp.data import Splits
from glocal_exp.errors import UserError
from glocal_exp.store import RunDirectory, environment, utc_now
from glocal_exp.tracking import Fanout

SESSION = ("started", "command", "git", "packages", "python", "platform", "processor")
GOES_ON = (Interrupted, KeyboardInterrupt, UserError)
"""After these (a full disk is a `UserError`) the same command goes on with the run."""


class Batch:
    """Trains seeds side by side, in as few groups as their checkpoints allow.

    Args:
        parts: by seed, the images.
        directories: by seed, those that are not complete.
        sinks: shown every record.
        stop: asked between stretches of training.
    """

    def __init__(
        self,
        experiment: Experiment,
        identity: Identity,
        parts: Mapping[int, Splits],
        directories: Mapping[int, RunDirectory],
        sinks: Fanout,
        stop: Stop,
    ):
        self._experiment, self._identity = experiment, identity
        self._parts, self._sinks, self._stop = parts, sinks, stop
        self._left = dict(directories)
        self._announced: set[int] = set()
        self._new: set[int] = set()  # begun by this command

    def train(self) -> None:
        """Train every seed to its end.

        Raises:
            Interrupted: when asked to stop, with everything saved.
            UserError: when something outside of the run is in its way, such as a full disk.
        """
        try:
            with self._stop.training():
                for seed in self._left:
                    self._begin(seed)
                waiting = self._groups()
                while waiting:
                    group, *waiting = waiting
                    waiting = self._train(group) + waiting
        except BaseException as error:
            self._give_up(error)
            raise

    def _begin(self, seed: int) -> None:
        """Start afresh unless there is a run to go on with, and say so in the manifest."""
        directory, facts = self._left[seed], self._identity.facts
        found: str = directory.status(facts["config_hash"], facts["source_hash"])
        if found not in ("missing", "stale") and self._has_other_images(seed):
            found = "made with other images"
        goes_on = found in ("partial", "failed") and directory.manifest
        if not goes_on:
            if found != "missing":
                say(f"{found}, so run afresh: {directory.path}")
            directory.clear()
            self._new.add(seed)
        now = environment()
        machine = run_facts(self._experiment, seed, self._parts[seed].info)
        stored = directory.manifest
        try:
            directory.write_config(config_text(self._experiment.cfg, seed))
            directory.update_manifest(
                **now
                | facts
                | machine
                | {"started": stored.get("started", now["started"]), "ended": None}
                | {"sessions": [*stored.get("sessions", []), _session(now, machine)]}
                | {"status": "running", "diverged": False, "error": None}
            )
        except UserError:
            if not goes_on:
                directory.clear()
            raise

    def _has_other_images(self, seed: int) -> bool:
        """Whether what is stored was made with another split than the one at hand."""
        stored = (self._left[seed].manifest.get("data") or {}).get("fingerprint")
        return stored not in (None, self._parts[seed].info["fingerprint"])

    def _groups(self) -> list[list[int]]:
        """Seeds that have been trained before wait for no others to catch up."""
        begun = {seed: any(True for _ in d.load_checkpoints()) for seed, d in self._left.items()}
        groups = [[seed for seed in begun if begun[seed] is kind] for kind in (True, False)]
        return [group for group in groups if group]

    def _train(self, seeds: list[int]) -> list[list[int]]:
        """Train a group if it can stay one; returns what it falls into otherwise."""
        try:
            group = Group(
                self._experiment,
                {seed: self._parts[seed] for seed in seeds},
                {seed: self._left[seed] for seed in seeds},
                self._sinks,
                self._stop,
                self._complete,
            )
        except UserError:
            # Settings that do not fit each other: as if the command had not been given.
            for seed in self._new & set(seeds):
                self._left[seed].clear()
            raise
        if group.fell_apart:
            return [[seed] for seed in seeds]
        for seed in seeds:
            self._announce(seed, group)
        group.train()
        return []

    def _announce(self, seed: int, group: Group) -> None:
        if seed in self._announced:
            return
        self._announced.add(seed)
        if group.resumed:
            place = f"step {group.steps_done}" if group.steps_done else "within the first interval"
            say(f"going on from {place}: {self._left[seed].path}")
        self._sinks.start(run_info(self._experiment, self._identity, seed, group.steps_done))

    def _complete(self, seed: int, weights: Mapping[str, Any], diverged: bool) -> None:
        directory = self._left.pop(seed)
        directory.save_weights(weights)
        directory.complete(diverged=diverged)
        self._sinks.finish("complete", seed)
        say(f"done: {directory.path}")

    def _give_up(self, error: BaseException) -> None:
        """Say in every manifest that is there how the run ended, as far as the disk allows."""
        status = "interrupted" if isinstance(error, GOES_ON) else "failed"
        text = None if isinstance(error, Interrupted) else f"{type(error).__name__}: {error}"
        for directory in self._left.values():
            if directory.manifest:
                with contextlib.suppress(UserError):
                    directory.update_manifest(status=status, error=text, ended=utc_now())
        self._sinks.finish(status)


def _session(now: Mapping[str, Any], machine: Mapping[str, Any]) -> dict[str, Any]:
    """What is kept of each command; the rest of a manifest is what the last one wrote."""
    fingerprint = machine["data"]["fingerprint"]
    kept = {key: now[key] for key in SESSION}
    return kept | {"device": machine["device"], "data_fingerprint": fingerprint}
