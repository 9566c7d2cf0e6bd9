"""A run's whole state as bytes, so that it can go on as if it had never stopped."""

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from glocal_exp.errors import UserError
from glocal_exp.hypergrad import count, zero_tangents
from glocal_exp.hypergrad.lowrank import Basis, blank
from glocal_exp.records import Costs
from glocal_exp.types import Hyperparams, InnerState, Tangents

FORMAT = 2


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
    """Everything one seed needs to go on from a position.

    Attributes:
        state: the inner state, of the playout while there is one.
        tangents: Z, None for a method that carries none.
        kept: state and tangents at the end of the playout's first interval, once past it.
        phi: hyperparameters in use.
        meta_state: the meta optimizer's state.
        h: hypergradients recorded so far in this outer step, (n, q), or (n, columns) of the basis.
        losses: training losses so far in this outer step's real interval.
        memory: the method's.
        seconds: training time so far in this outer step.
        diverged: whether the weights have stopped being finite.
        basis: what this outer step's tangents are pushed along; the q hyperparameters if None.
    """

    position: Position
    state: InnerState
    tangents: Tangents
    kept: tuple[InnerState, Tangents] | None
    phi: Hyperparams
    meta_state: PyTree
    h: np.ndarray
    losses: np.ndarray
    memory: dict[str, np.ndarray] = field(default_factory=dict)
    costs: Costs = field(default_factory=Costs)
    seconds: float = 0.0
    diverged: bool = False
    basis: Basis | None = None


Snapshots = Mapping[int, Snapshot]
"""By seed."""


def to_bytes(snapshot: Snapshot) -> bytes:
    """An uncompressed .npz archive of the arrays, with a JSON header."""
    header = {
        "format": FORMAT,
        "position": asdict(snapshot.position),
        "costs": asdict(snapshot.costs),
        "kept": snapshot.kept is not None,
        "seconds": snapshot.seconds,
        "diverged": snapshot.diverged,
        "columns": snapshot.basis and snapshot.basis.columns,
    }
    arrays: dict[str, Any] = {"header": np.frombuffer(json.dumps(header).encode(), np.uint8)}
    for index, leaf in enumerate(jax.tree.leaves(_trees(snapshot))):
        arrays[f"leaf{index}"] = np.asarray(leaf)
    arrays |= {"h": snapshot.h, "losses": snapshot.losses}
    arrays |= {f"memory/{name}": value for name, value in snapshot.memory.items()}
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def from_bytes(blob: bytes, template: Snapshot) -> Snapshot:
    """The inverse of `to_bytes`; `template` is the same run's snapshot before training.

    Raises:
        UserError: when the checkpoint is damaged, of another run or of another version.
    """
    try:
        with np.load(io.BytesIO(blob), allow_pickle=False) as archive:
            header = json.loads(archive["header"].tobytes())
            arrays = {name: archive[name] for name in archive.files}
        return _restore(header, arrays, template)
    except (ValueError, KeyError, TypeError, EOFError, OSError, zipfile.BadZipFile) as error:
        raise UserError(
            "The checkpoint is damaged, or of another run or version; delete the run's folder or "
            "choose another output_dir to start it afresh."
        ) from error


def _restore(header: dict[str, Any], arrays: dict[str, np.ndarray], template: Snapshot) -> Snapshot:
    """A snapshot from its parts; `ValueError` or `KeyError` where they do not fit."""
    if header["format"] != FORMAT:
        raise ValueError("another format")
    if columns := header.get("columns"):
        template = _along(template, columns)
    start = (template.state, template.tangents)
    shaped = replace(template, kept=start if header["kept"] else None)
    leaves, structure = jax.tree.flatten(_trees(shaped))
    stored = [arrays[f"leaf{index}"] for index in range(len(leaves))]
    same = all(
        jnp.shape(new) == jnp.shape(old) and jnp.result_type(new) == jnp.result_type(old)
        for new, old in zip(stored, leaves, strict=True)
    )
    if not same or f"leaf{len(leaves)}" in arrays:
        raise ValueError("other arrays")
    return Snapshot(
        position=Position(**header["position"]),
        **jax.tree.unflatten(structure, [jnp.asarray(leaf) for leaf in stored]),
        h=arrays["h"],
        losses=arrays["losses"],
        memory={k[7:]: v for k, v in arrays.items() if k.startswith("memory/")},
        costs=Costs(**header["costs"]),
        seconds=header["seconds"],
        diverged=header["diverged"],
    )


def _along(template: Snapshot, columns: int) -> Snapshot:
    """The template inside of an outer step whose tangents go along a basis."""
    if template.tangents is not None:
        raise ValueError("another mode")
    tangents = zero_tangents(template.state, columns)
    return replace(template, tangents=tangents, basis=blank(count(template.phi), columns))


def _trees(snapshot: Snapshot) -> dict[str, PyTree]:
    names = ("state", "tangents", "kept", "phi", "meta_state", "basis")
    return {name: eqx.filter(getattr(snapshot, name), eqx.is_array) for name in names}
