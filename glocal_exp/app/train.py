"""Runs the seeds of one command, with their directories and sinks."""

import signal
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig, OmegaConf

from glocal_exp.app.build import Experiment, build, build_device, build_tracker, load_data
from glocal_exp.app.config import check, numeric_config, plain, seeds, variant
from glocal_exp.data import Splits as ImageSplits
from glocal_exp.errors import UserError
from glocal_exp.records import IntervalRecord
from glocal_exp.store import (
    RunDirectory,
    config_hash,
    environment,
    run_path,
    source_fingerprint,
    target_modules,
    utc_now,
)
from glocal_exp.tracking import Fanout, ProgressSink

ENGINE = ("glocal_exp.engine", "glocal_exp.tasks.classification", "glocal_exp.data.split")


class Interrupted(Exception):
    """The run was asked to stop, and did at a place from which it can go on."""


def train(cfg: DictConfig) -> list[Path]:
    """Train every seed that is not complete yet; returns the run directories.

    Raises:
        UserError: when the config or the machine does not allow it.
        Interrupted: after Ctrl-C or SIGTERM, with everything saved.
    """
    check(cfg)
    chosen = seeds(cfg)
    device = build_device(cfg)
    data = load_data(cfg)
    print(f"data: {data.notice or data.title} from {data.source} ({data.place})", flush=True)
    experiment = build(cfg, data, device)
    identity = _identity(cfg, data.source)
    paths = {
        seed: run_path(Path(cfg.output_dir) / "runs", cfg.experiment, identity["variant"], seed)
        for seed in chosen
    }
    with ExitStack() as stack:
        todo = {}
        for seed, path in paths.items():
            directory = stack.enter_context(RunDirectory(path))
            if directory.status(identity["config_hash"], identity["source_hash"]) == "complete":
                print(f"complete already: {path}", flush=True)
            else:
                todo[seed] = directory
        batches = [todo] if device["seeds"] == "batched" else [{s: d} for s, d in todo.items()]
        for batch in batches:
            if batch:
                _train_batch(experiment, batch, identity)
    return list(paths.values())


def _identity(cfg: DictConfig, source: str) -> dict[str, Any]:
    """What a run is called, and the two hashes that make a stored one stale."""
    numeric = numeric_config(cfg, source)
    digits = config_hash(numeric)
    modules = sorted({*ENGINE, *target_modules(numeric)})
    return {
        "experiment": cfg.experiment,
        "variant": variant(cfg, digits),
        "config_hash": digits,
        "source_hash": source_fingerprint(modules),
        "source_modules": modules,
        **{name: cfg.names[name] for name in ("method", "dataset", "model", "task")},
    }


def _train_batch(
    experiment: Experiment, directories: Mapping[int, RunDirectory], identity: Mapping[str, Any]
) -> None:
    """Train some seeds side by side, from their checkpoints where they have any."""
    from glocal_exp.engine import Hooks, Splits, run

    cfg = experiment.cfg
    parts = {seed: experiment.splits(seed) for seed in directories}
    for seed, directory in directories.items():
        _open(directory, experiment, {**identity, "seed": seed, "data": dict(parts[seed].info)})
    keep = cfg.keep_arrays
    sinks = Fanout([ProgressSink(), build_tracker(cfg)])
    with _stop_signal() as asked:
        work = _Work(cfg, sinks, asked)
        loop = run(
            experiment.problem,
            {s: Splits(p.train, p.validation, p.test, _meta(cfg, p)) for s, p in parts.items()},
            experiment.method,
            steps=cfg.steps,
            interval=cfg.interval,
            batch_size=cfg.batch_size,
            eval_every=cfg.eval_every,
            meta_optimizer=experiment.meta_optimizer,
            numerics=experiment.numerics,
            carry_tangents=cfg.carry_tangents,
            stop_when_diverged=cfg.stop_when_diverged,
            hooks=Hooks(
                checkpoint=lambda seed, content: directories[seed].save_checkpoint(content),
                progress=work.progress,
                keep=lambda s: s <= keep.first or (keep.every > 0 and s % keep.every == 0),
            ),
            checkpoints={seed: list(d.load_checkpoints()) for seed, d in directories.items()},
        )
        done = loop.position.outer_step - 1
        for seed, directory in directories.items():
            directory.truncate(done if loop.resumed else None)
            sinks.start(_run_info(cfg, identity, seed, directory, done * cfg.interval))
        work.start(loop)
        status = "failed"
        try:
            for record in loop:
                directories[record.seed].append(record)
                sinks.record(record)
                work.record(record)
            for seed, directory in directories.items():
                directory.save_weights(_weights(loop.states[seed].params))
                directory.complete(diverged=work.diverged.get(seed, False))
            status = "complete"
        except Interrupted:
            loop.checkpoint()
            status = "interrupted"
            _mark(directories, status, None)
            raise
        except BaseException as error:
            status = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
            _mark(directories, status, f"{type(error).__name__}: {error}")
            raise
        finally:
            sinks.finish(status)


def _meta(cfg: DictConfig, parts: ImageSplits) -> dict[str, np.ndarray] | None:
    """The first images of the validation part, if hypergradients use fewer than all of them."""
    subset = cfg.validation.subset
    if subset is None:
        return None
    size = parts.info["sizes"]["validation"]
    if not 1 <= subset <= size:
        raise UserError(
            f"validation.subset={subset} is not from 1 to the {size} validation images."
        )
    return {name: part[:subset] for name, part in parts.validation.items()}


class _Work:
    """Follows one batch of seeds: how much of all its work is done, and whether to stop."""

    def __init__(self, cfg: DictConfig, sinks: Fanout, asked: list[int]):
        self._outer_steps = cfg.steps // cfg.interval
        self._interval = cfg.interval
        self._sinks, self._asked = sinks, asked
        self.diverged: dict[int, bool] = {}
        self._done, self._total = 0, 1

    def start(self, loop: Any) -> None:
        """Count the work from where the loop stands."""
        lengths = [
            (1 + loop.lookahead(s)) * self._interval for s in range(1, self._outer_steps + 1)
        ]
        self._total = sum(lengths)
        self._before = [sum(lengths[:s]) for s in range(self._outer_steps + 1)]
        self._loop = loop

    def progress(self, step: int, steps: int) -> None:
        """Called between segments; the place where a run may stop."""
        outer_step = min(self._loop.position.outer_step, self._outer_steps)
        note = f"playout {step}/{steps}" if steps > self._interval else ""
        self._sinks.progress(self._before[outer_step - 1] + step, self._total, note)
        self._stop_if_asked()

    def record(self, record: IntervalRecord) -> None:
        """Note what a record says."""
        self.diverged[record.seed] = self.diverged.get(record.seed, False) or record.diverged

    def _stop_if_asked(self) -> None:
        if self._asked:
            raise Interrupted


@contextmanager
def _stop_signal() -> Iterator[list[int]]:
    """Collect the first Ctrl-C or SIGTERM; a second one stops at once."""
    asked: list[int] = []
    usual = {name: signal.getsignal(name) for name in (signal.SIGINT, signal.SIGTERM)}

    def note(number: int, _: Any) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)
        print("\nstopping after this stretch of training; once more stops at once", flush=True)

    try:
        for name in usual:
            signal.signal(name, note)
    except ValueError:  # not the main thread: whoever called handles signals
        usual = {}
    try:
        yield asked
    finally:
        for name, handler in usual.items():
            signal.signal(name, handler)


def _open(directory: RunDirectory, experiment: Experiment, facts: Mapping[str, Any]) -> None:
    """Start or go on: a stale or failed run is cleared, an interrupted one keeps its start."""
    found = directory.status(facts["config_hash"], facts["source_hash"])
    if found in ("stale", "failed"):
        print(f"{found}, so run afresh: {directory.path}", flush=True)
        directory.clear()
    started = directory.manifest.get("started") or utc_now()
    device = {key: experiment.device[key] for key in ("platform", "name", "count", "seeds")}
    directory.write_config(OmegaConf.to_yaml(OmegaConf.create(_stored_config(experiment.cfg))))
    directory.update_manifest(
        **environment()
        | dict(facts)
        | {
            "status": "running",
            "started": started,
            "precision": experiment.cfg.precision,
            "matmul_precision": experiment.device["matmul_precision"],
            "device": device,
            "diverged": False,
            "error": None,
        }
    )


def _stored_config(cfg: DictConfig) -> dict[str, Any]:
    """The resolved config without what belongs to the machine rather than to the run."""
    config = dict(plain(cfg))
    for key in ("output_dir", "data_dir", "tracker", "source"):
        config.pop(key, None)
    return config


def _mark(directories: Mapping[int, RunDirectory], status: str, error: str | None) -> None:
    for directory in directories.values():
        try:
            directory.update_manifest(status=status, error=error, ended=utc_now())
        except UserError:
            return  # a full disk: the first error is the one to show


def _run_info(
    cfg: DictConfig, identity: Mapping[str, Any], seed: int, directory: RunDirectory, step: int
) -> dict[str, Any]:
    return dict(identity) | {
        "seed": seed,
        "steps": cfg.steps,
        "interval": cfg.interval,
        "outer_steps": cfg.steps // cfg.interval,
        "path": str(directory.path),
        "config": _stored_config(cfg),
        "resumed_step": step,
    }


def _weights(params: Any) -> dict[str, np.ndarray]:
    """Parameters by their path in the tree (`conv1/0`)."""
    import jax

    leaves = jax.tree_util.tree_leaves_with_path(params)
    return {
        jax.tree_util.keystr(path, simple=True, separator="/"): np.asarray(leaf)
        for path, leaf in leaves
    }
