"""A problem of one's own, given as objects, with all of the tooling: `run(..., store=...)`."""

import hashlib
import inspect
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from functools import partial
from pathlib import Path, PurePath
from typing import Any, overload

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd
from omegaconf import OmegaConf

from glocal_exp.app.build import Experiment, told_apart
from glocal_exp.app.compose import jobs
from glocal_exp.app.config import expanded
from glocal_exp.app.device import use_device
from glocal_exp.app.named import is_own, own_source
from glocal_exp.app.stop import Interrupted, Stop
from glocal_exp.app.train import train_seeds
from glocal_exp.data import OwnData
from glocal_exp.data import Splits as Parts
from glocal_exp.engine import Loop, Plan, Splits
from glocal_exp.engine import run as iterate
from glocal_exp.errors import UserError
from glocal_exp.methods.method import Method
from glocal_exp.store import load_runs
from glocal_exp.types import InnerProblem

KEPT = ("hooks", "checkpoints", "programs")
OF_IMAGES = ("dataset", "source", "model", "task", "augmentation", "dmd", "steady_state")


Examples = Splits | Mapping[int, Splits]


@overload
def run(
    problem: InnerProblem, splits: Examples, method: Method, *, store: None = None, **settings: Any
) -> Loop: ...


@overload
def run(
    problem: InnerProblem, splits: Examples, method: Method, *, store: str | Path, **settings: Any
) -> pd.DataFrame: ...


def run(
    problem: InnerProblem,
    splits: Examples,
    method: Method,
    *,
    store: str | Path | None = None,
    name: str | None = None,
    tracker: str = "auto",
    **settings: Any,
) -> Loop | pd.DataFrame:
    """`engine.run`; with `store` to its end, as `scripts/train.py` does it.

    That is with progress and a tracker, into `<store>/<name>/<method>-<hash>/seed=<k>`, with
    checkpoints: the same call goes on with what was interrupted, and does nothing that is complete.
    What the problem, the method and the settings consist of is in the hash: fields, arrays by their
    bytes, the text of classes and functions.

    Args:
        store: folder of runs, for `load_runs`.
        name: of the experiment; the problem's class by default.
        tracker: a choice of configs/tracker.
        settings: of `engine.run`.

    Returns:
        The iterator of `engine.run`, or what `load_runs` reads of these runs.

    Raises:
        UserError: as `engine.run`, and when the folder cannot be had.
        KeyboardInterrupt: after Ctrl-C or SIGTERM, with everything saved.
    """
    loop = iterate(problem, splits, method, **settings)
    if store is None:
        if name is None:
            return loop
        raise UserError(f"name={name} is of what is stored; give store, or leave out name.")
    store = Path(expanded("store", str(store)))
    if own := [key for key in KEPT if settings.get(key) is not None]:
        raise UserError(f"{own[0]} is the store's own; leave out {own[0]}, or store.")
    given = splits if isinstance(splits, Mapping) else {settings.get("seed", 0): splits}
    by_seed = {int(seed): examples for seed, examples in given.items()}
    name = name or type(problem).__name__
    if not re.fullmatch(r"\w[\w.=-]*", name):
        raise UserError(f"name={name} becomes a folder's; take letters, digits, dots and dashes.")
    meta_optimizer = settings.get("meta_optimizer") or optax.adam(0.1)
    plan = loop.work.plan
    experiment = _experiment(problem, plan, by_seed, meta_optimizer, store, name, tracker)
    stop = Stop()
    try:
        with stop.listening():
            identity = train_seeds(experiment, list(by_seed), stop)
    except Interrupted:
        raise KeyboardInterrupt("what was done is kept; the same call goes on") from None
    where = {key: identity.facts[key] for key in ("experiment", "variant")}
    return load_runs(store, where | {"seed": list(by_seed)})


@dataclass(frozen=True)
class Given(Experiment):
    """An experiment made of objects."""

    by_seed: Mapping[int, Splits]  # the examples
    store: Path  # where its runs go

    @property
    def runs(self) -> Path:
        return self.store

    def splits(self, seed: int) -> Parts:
        return told_apart(self.data, self.by_seed[seed])


def _experiment(
    problem: InnerProblem,
    plan: Plan,
    by_seed: Mapping[int, Splits],
    meta_optimizer: optax.GradientTransformation,
    store: Path,
    name: str,
    tracker: str,
) -> Given:
    (job,) = jobs([f"tracker={tracker}"], sweep=False)
    beside = str(store.parent if store.name == "runs" else store)  # what is no run, such as W&B's
    if "dir" in job.config.tracker:
        job.config.tracker.dir = beside
    moves = described(meta_optimizer)
    rule = "adam" if moves == described(optax.adam(0.1)) else f"own-{digest_of(moves)[:6]}"
    kind = type(plan.method)
    package, _, module = kind.__module__.rpartition(".")
    method = module.strip("_") if package == "glocal_exp.methods" else kind.__name__
    known = dict.fromkeys(OF_IMAGES) | {"experiment": name, "output_dir": beside}
    known |= {"problem": described(problem), "method": described(plan.method)}
    known |= {"hypergradient": described(plan.mode)}
    known |= {"meta_optimizer": moves}
    known |= {key: getattr(plan.schedule, key) for key in ("steps", "interval", "batch_size")}
    known |= {"eval_every": plan.schedule.eval_every, "carry_tangents": plan.carry_tangents}
    known |= {"stop_when_diverged": plan.stop_when_diverged, "seeds": list(by_seed)}
    known |= {"precision": "float64" if jax.config.read("jax_enable_x64") else "float32"}
    for key, value in known.items():
        value = value.item() if isinstance(value, np.generic) else value
        OmegaConf.update(job.config, key, value, merge=False)
    job.config.names.method = method
    return Given(
        cfg=job.config,
        choices={"problem": name, "method": method, "meta_optimizer": rule, "tracker": tracker},
        device=use_device(job.config),
        data=OwnData(name),
        problem=problem,
        plan=plan,
        meta_optimizer=meta_optimizer,
        by_seed=by_seed,
        store=store,
    )


def described(value: Any) -> Any:
    """An object as plain values, equal in every process for objects that compute the same.

    Of a function what it encloses, of an array its bytes' digest.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, complex | bytes | Enum | np.dtype | PurePath):
        return repr(value)
    if isinstance(value, jax.Array) and jnp.issubdtype(value.dtype, jax.dtypes.prng_key):
        value = jax.random.key_data(value)
    if isinstance(value, jax.Array | np.ndarray | np.generic):
        array = np.asarray(value)
        digest = hashlib.sha256(array.tobytes()).hexdigest()[:16]
        return {"shape": list(array.shape), "dtype": array.dtype.name, "sha256": digest}
    if isinstance(value, Mapping):
        return {str(key): described(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [described(entry) for entry in value]
    if isinstance(value, set | frozenset):
        return sorted(map(described, value), key=digest_of)
    if isinstance(value, partial):
        named = described(value.func)
        named = named if isinstance(named, dict) else {"_target_": named}
        bound = {"args": described(value.args)} if value.args else {}
        return named | bound | described(value.keywords)
    if inspect.ismethod(value):
        return described(value.__func__) | {"self": described(value.__self__)}
    if inspect.isfunction(value):
        values = dict(inspect.getclosurevars(value).nonlocals)
        values |= {"defaults": value.__defaults__} if value.__defaults__ and is_own(value) else {}
    elif isinstance(value, type):
        return _path(value)
    elif is_dataclass(value):
        values = {entry.name: getattr(value, entry.name) for entry in fields(value)}
    elif hasattr(value, "__wrapped__"):  # by `jax.jit`
        return described(value.__wrapped__)
    elif is_own(type(value)):
        values = getattr(value, "__dict__", {})
    else:  # among them functions of NumPy and of C
        return f"{_path(type(value))} {getattr(value, '__name__', '')}".rstrip()
    return {"_target_": _path(value if inspect.isfunction(value) else type(value))} | {
        key: described(entry) for key, entry in values.items()
    }


def digest_of(value: Any) -> str:
    """Of what `described` gives."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _path(named: Any) -> str:
    """Its dotted path, with a digest of its text where no path leads to it."""
    path = f"{named.__module__}.{named.__qualname__}"
    return f"{path}#{digest}" if "<" in path and (digest := own_source(named)) else path
