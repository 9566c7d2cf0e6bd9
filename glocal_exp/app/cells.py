"""The cells of a plan: seeds that one command trains, and whether they are stored already."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from glocal_exp.app.build import load_data
from glocal_exp.app.check import check
from glocal_exp.app.choices import root_of
from glocal_exp.app.compose import Job
from glocal_exp.app.config import plain, seeds
from glocal_exp.app.identity import identified, place
from glocal_exp.app.rerun import typed
from glocal_exp.errors import UserError
from glocal_exp.store import files, status
from glocal_exp.store.seal import intact_manifest

COMPLETE = "complete"
GOES_ON = (COMPLETE, "partial", "failed", "running")  # any other is run afresh
SEEDS = ("seed", "seeds")
UNNAMED = ("experiment", "output_dir", "source", "tracker", "launcher")


@dataclass(frozen=True)
class Cell:
    """What one command of `scripts/train.py` does: one seed, or some side by side."""

    job: Job  # of these seeds alone
    paths: tuple[Path, ...]  # the run directory of each
    states: tuple[str, ...]  # of each, as of `store.status`, or `of other images`
    work: int  # training steps of each, playouts included
    gradients: int  # validation gradients of each

    @cached_property
    def config(self) -> dict[str, Any]:
        """That of its job as plain values."""
        return plain(self.job.config)

    @property
    def done(self) -> float:
        """The share of its steps that the seed furthest behind has stored, and goes on from."""
        seeds = zip(self.paths, self.states, strict=True)
        steps = [_stored_steps(path) if state in GOES_ON else 0 for path, state in seeds]
        return min(steps) / self.job.config.steps

    @property
    def is_complete(self) -> bool:
        """Whether nothing is left to do."""
        return set(self.states) == {COMPLETE}

    @property
    def command(self) -> str:
        """As it is typed in a shell."""
        return typed("train", self.job.overrides)


def cells(jobs: Iterable[Job], batched: bool, others: Sequence[Path]) -> Iterator[Cell]:
    """What there is of jobs, in their order; a run that two of them train belongs to the first.

    Args:
        batched: seeds that are left are trained side by side.
        others: further output directories, whose complete runs count too.

    Raises:
        UserError: a config does not allow it.
    """
    known: set[Path] = set()
    for job in jobs:
        cfg, plan = job.config, check(job.config)
        outer_steps = range(1, plan.schedule.outer_steps + 1)
        work = cfg.interval * sum(1 + plan.lookahead(s) for s in outer_steps)
        gradients = len(outer_steps) * (len(plan.wanted.steps) + bool(plan.wanted.mean))
        found = {seed: run for seed, run in runs(job, others).items() if run[0] not in known}
        known |= {path for path, _ in found.values()}
        left = [seed for seed, (_, state) in found.items() if state != COMPLETE]
        stored = [seed for seed in found if seed not in left]
        for together in [stored, *([left] if batched else [[seed] for seed in left])]:
            if together:
                paths, states = zip(*(found[seed] for seed in together), strict=True)
                yield Cell(_alone(job, together), paths, states, work, gradients)


def runs(job: Job, others: Sequence[Path] = ()) -> dict[int, tuple[Path, str]]:
    """Directory and state of each seed, on the images that the job finds."""
    source = job.choices["source"]
    if source == "auto" and job.config.problem is None:
        source = load_data(job.config).source
    facts, found = identified(job.config, source), {}
    for seed in seeds(job.config):
        roots = [Path(root) / "runs" for root in (job.config.output_dir, *others)]
        paths = [place(root, facts, seed) for root in roots]
        states = [state_of(path, facts, source) for path in paths]
        found[seed] = paths[0], COMPLETE if COMPLETE in states else states[0]
    return found


def state_of(path: Path, facts: Mapping[str, Any], source: str) -> str:
    """`store.status`, but that a run over others than the original images does not count."""
    state = status(path, facts["config_hash"], facts["source_hash"])
    data = intact_manifest(path).get("data") or {}
    others = source != "bundled" and data.get("original") is False
    return "of other images" if state == COMPLETE and others else state


def _stored_steps(path: Path) -> int:
    """Training steps of a run that its records reach to; none if they cannot be read."""
    try:
        rows = files.read_rows(path / files.METRICS)
        return int(rows[-1]["step"]) if rows else 0
    except (UserError, KeyError, ValueError):
        return 0


def _alone(job: Job, chosen: Sequence[int]) -> Job:
    """The job of these seeds only."""
    config = deepcopy(job.config)
    config.seed, config.seeds = chosen[0], list(chosen) if len(chosen) > 1 else None
    others = [word for word in job.overrides if root_of(word) not in (*SEEDS, "launcher")]
    word = f"seeds=[{','.join(map(str, chosen))}]" if config.seeds else f"seed={chosen[0]}"
    named = [word for word in job.name.split() if root_of(word) not in (*SEEDS, *UNNAMED)]
    name = " ".join([config.experiment, *named, word])
    return Job(name, config, job.choices, (*others, word))
