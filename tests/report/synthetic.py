"""Synthetic runs for the tests of report and store: invented curves, no training behind them."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import yaml

from glocal_exp.koopman import HankelDMD
from glocal_exp.records import Costs, IntervalRecord
from glocal_exp.report import style
from glocal_exp.report.artifact import Context, Drawing
from glocal_exp.report.objects import entries, instantiate
from glocal_exp.store import RunDirectory, config_hash, run_path
from glocal_exp.store.studies import StudyDirectory
from tests.sealing import reseal

CONFIGS = Path(__file__).parents[2] / "configs"
STARTS = {
    "sgd": {"learning_rate": 0.01, "momentum": 0.5, "weight_decay": 5e-4},
    "adam": {"learning_rate": 1e-3, "b1": 0.9, "b2": 0.999},
}
GOALS = {"none": 0.0, "local": 2.5, "window_mean": 2.0, "glocal": 1.6, "global": 1.2, "split": 1.4}


def write_run(
    root: Path,
    experiment: str,
    method: str,
    seed: int,
    *,
    task: str = "sgd",
    steps: int = 2000,
    interval: int = 100,
    start: dict[str, float] | None = None,
    diverge_at: int | None = None,
    stop_at: int | None = None,
    gradients_an_interval: int | None = None,
    seconds: float = 1.0,
    keep_arrays: bool = False,
    manifest: dict[str, Any] | None = None,
    config: dict[str, Any] | None = None,
) -> Path:
    """One run with plausible shapes; `stop_at` leaves it unfinished after that outer step."""
    settings: dict[str, Any] = {
        "experiment": experiment,
        "steps": steps,
        "interval": interval,
        "batch_size": 128,
        "validation": {"size": 6000},
        "method": {"name": method, "window": 80, "delays": 10, "unit_tolerance": 0.02},
        "task": {"init": STARTS[task] | (start or {})},
    } | (config or {})
    variant = f"{method}-{config_hash(settings)}"
    path = run_path(root, experiment, variant, seed)
    with mock.patch("os.fsync"), RunDirectory(path) as directory:
        directory.write_config(yaml.safe_dump(settings))
        fields = {
            "experiment": experiment,
            "variant": variant,
            "method": method,
            "seed": seed,
            "dataset": "fmnist",
            "model": "lenet",
            "task": task,
            "status": "running",
            "config_hash": config_hash(settings),
            "diverged": diverge_at is not None,
            "device": {"platform": "cpu", "name": "Synthetic CPU", "count": 1},
            "git": {"commit": "0123456789abcdef", "dirty": False},
            "data": {
                "title": "Synthetic data",
                "notice": "",
                "sizes": {"train": 54000, "validation": 6000, "test": 10000},
            },
        }
        directory.update_manifest(**fields | (manifest or {}))
        last = steps // interval if stop_at is None else stop_at
        for record in records(
            method, seed, settings, last, diverge_at, gradients_an_interval, seconds, keep_arrays
        ):
            directory.append(record)
        if stop_at is None:
            directory.complete()
    return path


def table(name: str, **settings: Any) -> Any:
    """The table of a YAML file with other settings."""
    found = entries(CONFIGS / "table" / f"{name}.yaml")
    changed = {"settings": found.get("settings", {}) | settings}
    return instantiate(found | changed, CONFIGS / "table" / f"{name}.yaml")


def reading(artifact: str) -> str:
    """The words of a caption, of `figure/<id>` or `table/<id>`."""
    return yaml.safe_load((CONFIGS / f"{artifact}.yaml").read_text())["reading"]


def draw(maker: Any, context: Context) -> Drawing:
    """What a figure's maker gives, in the look of all figures."""
    with style.applied():
        return maker.draw(context)


def overwrite(path: Path, column: str, values: Sequence[float]) -> None:
    """Set the last values of a column of a stored run."""
    header, *lines = (path / "metrics.csv").read_text().splitlines()
    place = header.split(",").index(column)
    rows = [line.split(",") for line in lines]
    for row, value in zip(rows[-len(values) :], values, strict=True):
        row[place] = repr(float(value))
    (path / "metrics.csv").write_text("\n".join([header, *map(",".join, rows)]) + "\n")
    reseal(path)


def write_from(
    root: Path, method: str, start: float, seed: int, percent: float, meta: str = "adam"
) -> None:
    """A run from a learning rate under a meta optimizer that ends with so many percent."""
    path = write_run(
        root, "recovery", "global" if method == "shuffled" else method, seed,
        start={"learning_rate": start},
        config={"meta": meta, "meta_optimizer": {"learning_rate": 0.1}},
        manifest={"choices": {"meta_optimizer": meta}, "method": method},
    )  # fmt: skip
    overwrite(path, "test_accuracy", [percent / 100] * 5)


def write_study(
    root: Path,
    name: str,
    units: Mapping[str, Any],
    config: Mapping[str, Any] | None = None,
    variant: str = "x",
    seed: int = 0,
    **facts: Any,
) -> None:
    """A whole study of units that have rows, or rows and arrays."""
    facts = {"config_hash": "x", "source_hash": "y", "seed": seed} | facts
    path, text = root / name / variant / f"seed={seed}", yaml.safe_dump(dict(config or {}))
    with mock.patch("os.fsync"), StudyDirectory(path, facts, text) as directory:
        for unit, found in units.items():
            directory.store(unit, *(found if isinstance(found, tuple) else (found, {})))
        directory.update_manifest(status="complete")


def records(
    method: str,
    seed: int,
    settings: dict[str, Any],
    last: int,
    diverge_at: int | None = None,
    gradients_an_interval: int | None = None,
    seconds: float = 1.0,
    keep_arrays: bool = False,
) -> Iterable[IntervalRecord]:
    """Accuracy climbs, hyperparameters walk in the space before the sigmoid."""
    generator = np.random.default_rng([seed, sorted(GOALS).index(method)])
    start = settings["task"]["init"]
    names, interval = list(start), settings["interval"]
    phi = np.array([np.log(value / (1 - value)) for value in start.values()], float)
    drift = np.array([1.0, 0.8, -0.5]) * GOALS[method]
    each = {"none": 0, "local": 1, "global": 1}.get(method, 80)
    each = each if gradients_an_interval is None else gradients_an_interval
    count = settings["steps"] // interval
    for s in range(last + 1):
        lost = diverge_at is not None and s >= diverge_at
        if s > 1 and method != "none":
            phi = phi + drift / count * 4 * np.exp(-2 * s / count) + 0.05 * generator.normal(size=3)
        accuracy = 0.1 + (0.72 + 0.03 * GOALS[method] / 2) * (1 - np.exp(-(s**0.7) / 1.6))
        accuracy += 0.008 * generator.normal()
        yield IntervalRecord(
            seed=seed,
            outer_step=s,
            step=s * interval,
            metrics={
                "test_accuracy": 0.1 if lost else float(accuracy),
                "validation_loss": float("nan") if lost else float(1 - accuracy),
            },
            hyperparameters=dict(zip(names, (1 / (1 + np.exp(-phi))).tolist(), strict=True)),
            hypergradient=dict(zip(names, generator.normal(size=3).tolist(), strict=True))
            if s and method != "none"
            else {},
            diverged=lost,
            costs=Costs(
                plain_steps=s * interval if method == "none" else 0,
                tangent_steps=0 if method == "none" else s * interval,
                validation_gradients=s * each,
            ),
            seconds=seconds if s else 0.0,
            compile_seconds=7.5 if s == 1 else 0.0,
            arrays=spectrum_arrays(generator) if keep_arrays and s == 1 else {},
        )


def spectrum_arrays(generator: np.random.Generator) -> dict[str, np.ndarray]:
    """A trajectory that settles, with noise, and its Hankel DMD."""
    t = np.arange(80)[:, None]
    trajectory = 1e-3 * np.array([[1.0, 0.4, -0.2]])
    trajectory = trajectory + 2e-3 * np.exp(-t / 15) * np.cos(t / 6) * np.array([[1.0, -1.0, 0.5]])
    trajectory = trajectory + 1e-4 * generator.normal(size=trajectory.shape)
    spectrum = HankelDMD().fit(trajectory, 10)
    return {
        "trajectory": trajectory,
        "hypergradient": trajectory[-1],
        "eigenvalues": spectrum.eigenvalues,
        "modes": spectrum.modes,
        "amplitudes": spectrum.amplitudes,
    }
