"""`python scripts/study.py study=ID [KEY=VALUE ...]`: what is measured without a training run."""

import sys
import time
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from omegaconf import OmegaConf

from glocal_exp.app.arguments import parse
from glocal_exp.app.build import Experiment, build
from glocal_exp.app.check import check_group, check_settings
from glocal_exp.app.compose import Job, as_yaml, jobs
from glocal_exp.app.config import CONFIGS, numeric_config, plain, seeds
from glocal_exp.app.identity import ENGINE, run_facts, stored_config
from glocal_exp.app.instantiate import instantiate_group
from glocal_exp.app.main import guarded
from glocal_exp.app.say import say
from glocal_exp.errors import UserError
from glocal_exp.store import (
    config_hash,
    environment,
    run_path,
    source_fingerprint,
    target_modules,
    utc_now,
)
from glocal_exp.store.studies import StudyDirectory
from glocal_exp.studies.lab import Lab, Setting, Study

OUTPUT = CONFIGS.parent / "results"  # where figures and tables look
TEXT = """\
Run a study: what is measured without being a training run.

usage: python scripts/study.py [-m] study=ID [KEY=VALUE ...]

Settings are those of scripts/train.py, and the study's own (study.NAME=VALUE). What is measured
goes to {output} unless output_dir says otherwise; `make figures tables` draws it.
The same command again does only what is missing.

studies
{studies}"""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the study that the command line names; exits as `scripts/train.py` does."""
    given = sys.argv[1:] if arguments is None else arguments
    sys.exit(guarded(lambda stop: run(given)))


def run(arguments: Sequence[str]) -> int:
    """Run the jobs of a command line; returns the exit code.

    Raises:
        UserError: when the command line names no study, or a setting does not fit.
    """
    command = parse(arguments)
    if command.help:
        print(_help())
        return 0
    given = {word.split("=")[0] for word in command.overrides}
    own = () if "output_dir" in given else (f"output_dir={OUTPUT}",)
    found = jobs([*own, *command.overrides], command.sweep)
    for job in found:
        if job.config.study is None:
            raise UserError(f"No study is named; give study=ID, one of {', '.join(_studies())}.")
    if command.show:
        print("---\n".join(as_yaml(job.config) for job in found), end="")
        return 0
    for number, job in enumerate(found, start=1):
        if len(found) > 1:
            say(f"[{number}/{len(found)}] {job.name}")
        run_job(job)
    return 0


def run_job(job: Job) -> None:
    """Measure what is missing of every seed of a job.

    Raises:
        UserError: when a setting does not fit, or data are not here.
    """
    seeds(job.config)
    check_group("study", plain(job.config.study))
    study: Study = instantiate_group("study", job.config.study)
    if study.trains:
        check_settings(job.config)
    source = _Source(job)
    for seed in seeds(job.config):
        facts, config = _identity(job, study, seed, source)
        path = run_path(
            Path(job.config.output_dir) / "studies", facts["study"], facts["variant"], seed
        )
        with StudyDirectory(path, facts, config) as directory:
            lab = Lab(seed, partial(source.setting, seed), partial(source.varied, seed))
            _measure(study, lab, directory)


@dataclass
class _Source:
    """The experiment of a job, built when a study first needs it."""

    job: Job
    built: Experiment | None = None

    @property
    def experiment(self) -> Experiment:
        if self.built is None:
            self.built = build(self.job.config, self.job.choices)
        return self.built

    def setting(self, seed: int) -> Setting:
        from glocal_exp.app.assemble import examples

        experiment = self.experiment
        parts = experiment.splits(seed)
        return Setting(
            experiment.problem,
            examples(experiment.cfg, parts),
            experiment.plan,
            lambda: experiment.loop({seed: parts}),
            experiment.device.settings.matmul_precision,
        )

    def varied(self, seed: int, changes: Mapping[str, Any]) -> Setting:
        """The setting of the job with some others in place of its own.

        Raises:
            UserError: for a setting that there is not, or that does not fit.
        """
        config = deepcopy(self.job.config)
        for key, value in changes.items():
            OmegaConf.update(config, key, value, force_add=True)
        check_settings(config)
        return _Source(replace(self.job, config=config)).setting(seed)


def _measure(study: Study, lab: Lab, directory: StudyDirectory) -> None:
    units = list(study.units(lab))
    left = [unit for unit in units if not directory.has(unit.name)]
    say(f"{directory.path}: {len(units) - len(left)} of {len(units)} units are stored")
    for number, unit in enumerate(left, start=1):
        start = time.perf_counter()
        found = unit.measure()
        directory.store(unit.name, found.rows, found.arrays)
        say(f"{unit.name} ({number} of {len(left)}): {time.perf_counter() - start:.1f} s")
    directory.update_manifest(status="complete", ended=utc_now())


def _identity(job: Job, study: Study, seed: int, source: _Source) -> tuple[dict[str, Any], str]:
    """The manifest's facts and the text of config.yaml; a pure function of config and seed."""
    cfg = job.config
    config: dict[str, Any] = {"study": plain(cfg.study)}
    stored, about, modules = config | {"seed": seed}, {"seed": seed}, set()
    if study.trains:
        experiment = source.experiment
        config |= numeric_config(cfg, experiment.data.source)
        stored |= stored_config(cfg, seed)
        about, modules = run_facts(experiment, seed, experiment.splits(seed).info), set(ENGINE)
    digits = config_hash(config)
    facts = {
        **environment(),
        **about,
        "study": job.choices["study"],
        "variant": digits,
        "choices": dict(job.choices),
        "config_hash": digits,
        "source_hash": source_fingerprint(modules | target_modules(config)),
    }
    return facts, OmegaConf.to_yaml(OmegaConf.create(stored))


def _studies() -> list[str]:
    return sorted(path.stem for path in (CONFIGS / "study").glob("*.yaml"))


def _help() -> str:
    lines = []
    for name in _studies():
        about = (CONFIGS / "study" / f"{name}.yaml").read_text().splitlines()[0]
        lines.append(f"  {name:<16} {about[1:].strip()}")
    return TEXT.format(output=OUTPUT, studies="\n".join(lines))
