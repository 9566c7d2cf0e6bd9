"""`glocal study study=ID [KEY=VALUE ...]`: what is measured without a training run."""

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf

from glocal_exp.app.check import check_device, check_group, check_settings
from glocal_exp.app.choices import choices, described, groups
from glocal_exp.app.compose import Job, as_yaml
from glocal_exp.app.config import numeric_config, plain, seeds
from glocal_exp.app.identity import ENGINE, hashes, run_facts, stored_config
from glocal_exp.app.instantiate import instantiate_group
from glocal_exp.app.main import entry_point, run_jobs
from glocal_exp.app.say import say
from glocal_exp.app.stop import Stop
from glocal_exp.errors import UserError
from glocal_exp.store import environment, run_path, utc_now
from glocal_exp.store.status import stored_status
from glocal_exp.store.studies import StudyDirectory
from glocal_exp.studies.lab import Lab, Setting, Study

if TYPE_CHECKING:
    from glocal_exp.app.build import Experiment

TEXT = """\
Run a study: what is measured without being a training run.

usage: glocal study [-m] study=ID [KEY=VALUE ...]

Settings are those of `glocal train`, and the study's own (study.NAME=VALUE). What is measured
goes to outputs/ unless output_dir says otherwise: output_dir=results is where `make figures tables`
looks. The same command again does only what is missing or stale. from=DIR repeats a stored study.

studies
"""


def run(arguments: Sequence[str], stop: Stop) -> int:
    """Run the jobs of a command line; `run_jobs` says how it ends."""
    code, _ = run_jobs(arguments, lambda: TEXT + described("study", 16), "study", measure, stop)
    return code


def measure(job: Job) -> None:
    """Measure what is missing of every seed of a job."""
    root = Path(job.config.output_dir) / "studies"
    for study, lab, facts, config in prepared(job):
        path = run_path(root, facts["study"], facts["variant"], lab.seed)
        with StudyDirectory(path, facts, as_yaml(config)) as directory:
            units, aside = list(study.units(lab)), directory.aside
            if aside:
                say(f"stale, so measured afresh: {path} (what was there is in {aside.name}/)")
            left = [unit for unit in units if not directory.has(unit.name)]
            say(f"{path}: {len(units) - len(left)} of {len(units)} units are stored")
            for number, unit in enumerate(left, start=1):
                start = time.perf_counter()
                measured = unit.measure()
                directory.store(unit.name, measured.rows, measured.arrays)
                took = time.perf_counter() - start
                say(f"{unit.name} ({number} of {len(left)}): {took:.1f} s")
            directory.update_manifest(status="complete", ended=utc_now())


def prepared(job: Job) -> Iterator[tuple[Study, Lab, dict[str, Any], dict[str, Any]]]:
    """The study of each seed of a job, with the manifest's facts and the config that is stored.

    Raises:
        UserError: it names no study, or settings do not fit.
    """
    cfg = job.config
    if cfg.study is None:
        known = ", ".join(choices("study"))
        raise UserError(f"No study is named; give study=ID, one of {known}.")
    numbers = seeds(cfg)
    check_group("study", plain(cfg.study))
    study: Study = instantiate_group("study", cfg.study)
    about = {}
    if study.trains:
        check_settings(cfg)
    else:
        about = _without_training(job)
    experiment = cache(partial(_build, job, {}))  # when it is first needed
    for seed in numbers:
        facts, config = _identity(job, study, seed, experiment)
        yield study, Lab(seed, partial(_setting, job, seed, experiment)), about | facts, config


def _without_training(job: Job) -> dict[str, Any]:
    """Make JAX, if the study has imported it, run as the config says; what a manifest has of it.

    Raises:
        UserError: for settings of training, which would change nothing.
    """
    cfg, name = job.config, job.choices["study"]
    for given, changes in (
        (f"preset={job.choices['preset']}", job.choices["preset"] != groups()["preset"]),
        (f"precision={cfg.precision}", cfg.precision != "float32"),
    ):
        if changes:
            raise UserError(
                f"{given} changes nothing of study={name}, which trains nothing; give its own "
                "settings, study.NAME=VALUE."
            )
    check_device(plain(cfg.device))
    if "jax" not in sys.modules:  # a study of NumPy alone
        return {}
    from glocal_exp.app.assemble import use_precision
    from glocal_exp.app.device import use_device

    device = use_device(cfg)
    use_precision(cfg, device.settings)
    return {"device": device.facts()}


def _build(job: Job, changes: Mapping[str, Any]) -> "Experiment":
    from glocal_exp.app.build import build  # and JAX, which not every study needs

    config = deepcopy(job.config)
    for key, value in changes.items():
        OmegaConf.update(config, key, value, force_add=True)
    check_settings(config)
    return build(config, job.choices)


def _setting(
    job: Job, seed: int, experiment: "Callable[[], Experiment]", changes: Mapping[str, Any]
) -> Setting:
    return (_build(job, changes) if changes else experiment()).setting(seed)


def _identity(
    job: Job, study: Study, seed: int, experiment: "Callable[[], Experiment]"
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The manifest's facts and the config that is stored; a pure function of config and seed."""
    stored, about, source = {"study": plain(job.config.study), "seed": seed}, {"seed": seed}, ""
    if study.trains:
        built = experiment()
        source = built.data.source
        stored |= stored_config(job.config, seed)
        about = run_facts(built, seed, built.splits(seed).info)
    named = {"choices": job.choices} | _identified(job, study, source)
    return environment() | about | named, stored


def _identified(job: Job, study: Study, source: str) -> dict[str, Any]:
    """Name, variant and hashes of a job's study, on images from a source if it trains."""
    config = {"study": plain(job.config.study)}
    config |= numeric_config(job.config, source) if study.trains else {}
    hashed = hashes(config, ENGINE if study.trains else ())
    return {"study": job.choices["study"], "variant": hashed["config_hash"]} | hashed


def is_measured(job: Job) -> bool:
    """Whether all of a job's study is stored, of each of its seeds."""
    facts = _identified(job, instantiate_group("study", job.config.study), job.choices["source"])
    root = Path(job.config.output_dir) / "studies"
    paths = [run_path(root, facts["study"], facts["variant"], seed) for seed in seeds(job.config)]
    known = facts["config_hash"], facts["source_hash"]
    return all(stored_status(path, *known) == "complete" for path in paths)


main = entry_point(run)
