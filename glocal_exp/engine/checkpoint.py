"""A run's whole state as bytes, so that it can go on as if it had never stopped."""

import hashlib
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any, BinaryIO

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from glocal_exp.errors import UserError
from glocal_exp.records import Costs
from glocal_exp.types import Hyperparams, InnerState

FORMAT = 4


@dataclass(frozen=True, order=True)
class Position:
    """Where a run is: in outer step s (from 1), this many intervals and steps into its playout.

    Positions are ordered in the order in which a run passes through them.
    """

    outer_step: int = 1
    interval: int = 0
    step: int = 0


@dataclass(frozen=True)
class Snapshot:
    """Everything one seed needs to go on from a position."""

    position: Position
    state: InnerState  # the inner state, of the playout while there is one
    carry: PyTree  # what the mode of differentiation carries beside it
    # the state at the end of the playout's first interval, once past it, and the carry there if it
    # is to go on
    kept: tuple[InnerState, PyTree] | None
    phi: Hyperparams  # hyperparameters in use
    meta_state: PyTree  # the meta optimizer's state
    # rows measured so far in this outer step, by name, in the mode's columns
    measured: Mapping[str, np.ndarray] = field(default_factory=dict)
    # training losses so far in this outer step's real interval
    losses: np.ndarray = field(default_factory=lambda: np.zeros(0))
    memory: Mapping[str, np.ndarray] = field(default_factory=dict)  # the method's
    costs: Costs = field(default_factory=Costs)
    seconds: float = 0.0  # training time so far in this outer step
    diverged: bool = False  # whether the weights have stopped being finite


Snapshots = Mapping[int, Snapshot]
"""By seed."""


def to_bytes(snapshot: Snapshot, columns: int | None = None, seed: int | None = None) -> bytes:
    """A line of JSON, then the leaves as equinox writes them.

    Args:
        seed: of the run, which goes on from it alone.
        columns: what a mode has to be told to shape the carry.
    """
    body = io.BytesIO()
    arrays = _arrays(snapshot)
    eqx.tree_serialise_leaves(body, (_trees(snapshot), arrays), _write)
    header = {
        "format": FORMAT,
        "position": asdict(snapshot.position),
        "costs": asdict(snapshot.costs),
        "kept": snapshot.kept is not None,
        "carries": snapshot.kept is not None and snapshot.kept[1] is not None,
        "seconds": snapshot.seconds,
        "diverged": snapshot.diverged,
        "columns": columns,
        "seed": seed,
        "arrays": {name: (array.shape, array.dtype.str) for name, array in arrays.items()},
        "digest": hashlib.sha256(body.getvalue()).hexdigest(),
    }
    return json.dumps(header).encode() + b"\n" + body.getvalue()


def from_bytes(
    blob: bytes,
    initial: Snapshot,
    carry_of: Callable[[int | None], PyTree] | None = None,
    seed: int | None = None,
) -> Snapshot:
    """The inverse of `to_bytes`; `initial` is the same run's snapshot before training.

    Args:
        carry_of: a carry of so many columns, if they may differ.

    Raises:
        UserError: when the checkpoint is damaged, of another run or of another version.
    """
    try:
        line, _, body = blob.partition(b"\n")
        header = json.loads(line)
        if header["format"] != FORMAT or header["digest"] != hashlib.sha256(body).hexdigest():
            raise ValueError("another format, or other bytes")
        if seed is not None and header["seed"] not in (None, seed):
            raise ValueError("another seed")
        carry = initial.carry
        if header["columns"] is not None and carry_of is not None:
            carry = carry_of(header["columns"])
        return _snapshot(header, io.BytesIO(body), replace(initial, carry=carry))
    except (ValueError, KeyError, TypeError, EOFError, RuntimeError) as error:
        raise UserError(
            "The checkpoint is damaged, or of another run or version; delete the run's folder or "
            "choose another output_dir to start it afresh."
        ) from error


def restore(
    initial: Snapshots,
    checkpoints: Mapping[int, Sequence[bytes]],
    is_over: Callable[[Snapshot], bool],
    start: Callable[[InnerState, Hyperparams, int | None], PyTree],
) -> tuple[Snapshots, Snapshots, bool]:
    """The seeds that go on, those that have stopped, and whether there was training before.

    They go on from the newest place that all of them have a checkpoint of.

    Args:
        initial: every seed before training.
        checkpoints: by seed, what was saved of it.
        is_over: whether a seed that stands there has stopped.
        start: a carry of so many columns, where derivatives start from zero.
    """
    saved = {
        seed: [
            from_bytes(content, first, partial(start, first.state, first.phi), seed)
            for content in checkpoints.get(seed, ())
        ]
        for seed, first in initial.items()
    }
    newest = {seed: max(ss, key=lambda s: s.position) for seed, ss in saved.items() if ss}
    finished = {seed: s for seed, s in newest.items() if is_over(s)}
    running = [seed for seed in saved if seed not in finished]
    common = [{_place(s): s for s in saved[seed]} for seed in running]
    places = set.intersection(*map(set, common)) if common else set()
    if not places:
        return {seed: initial[seed] for seed in running}, finished, not running
    place = max(places, key=lambda place: place[0])
    return {s: at[place] for s, at in zip(running, common, strict=True)}, finished, True


def _snapshot(header: dict[str, Any], body: io.BytesIO, template: Snapshot) -> Snapshot:
    """A snapshot from its parts; `RuntimeError` where they do not fit."""
    carry = template.carry if header["carries"] else None
    kept = (template.state, carry) if header["kept"] else None
    like = _trees(replace(template, kept=kept))
    arrays = {
        name: np.zeros(tuple(shape), dtype) for name, (shape, dtype) in header["arrays"].items()
    }
    trees, arrays = eqx.tree_deserialise_leaves(body, (like, arrays), _read)
    if body.read(1):
        raise ValueError("more leaves than there should be")

    def named(prefix: str) -> dict[str, np.ndarray]:
        return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}

    return Snapshot(
        position=Position(**header["position"]),
        **trees,
        measured=named("measured/"),
        losses=arrays["losses"],
        memory=named("memory/"),
        costs=Costs(**header["costs"]),
        seconds=header["seconds"],
        diverged=header["diverged"],
    )


def _trees(snapshot: Snapshot) -> dict[str, PyTree]:
    names = ("state", "carry", "kept", "phi", "meta_state")
    return {name: eqx.filter(getattr(snapshot, name), eqx.is_array) for name in names}


def _write(file: BinaryIO, leaf: Any) -> None:
    """As equinox does; of a typed random key its numbers."""
    eqx.default_serialise_filter_spec(file, jax.random.key_data(leaf) if _is_key(leaf) else leaf)


def _read(file: BinaryIO, like: Any) -> Any:
    if not _is_key(like):
        return eqx.default_deserialise_filter_spec(file, like)
    numbers = eqx.default_deserialise_filter_spec(file, jax.random.key_data(like))
    return jax.random.wrap_key_data(numbers, impl=jax.random.key_impl(like))


def _is_key(leaf: Any) -> bool:
    return isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _arrays(snapshot: Snapshot) -> dict[str, np.ndarray]:
    """By name, those whose shapes a run's start does not know."""
    arrays = {f"measured/{name}": rows for name, rows in snapshot.measured.items()}
    arrays |= {f"memory/{name}": np.asarray(value) for name, value in snapshot.memory.items()}
    return arrays | {"losses": snapshot.losses}


def _place(snapshot: Snapshot) -> tuple:
    """Where it stands, and what seeds side by side have to share: the shapes of what it carries."""
    return snapshot.position, tuple(jnp.shape(leaf) for leaf in jax.tree.leaves(snapshot.carry))
