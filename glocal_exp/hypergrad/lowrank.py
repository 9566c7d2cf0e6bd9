"""Few tangents for many hyperparameters: the row space that Z_t cannot leave.

Where phi enters training through one number for each example (the reweighting task: its loss),
every d Theta / d phi is a sum of rows, one for each example, and so is Z_t, with other factors. If
the columns of V (q, r) are orthonormal and span the rows of all examples that an interval meets,

    Z_t = (Z_t V) V^T        and        h_t = (h_t V) V^T,

where Z_t V are r tangents, pushed along the columns of V as any others. If the rows are spanned but
for a small rest, (h_t V) V^T is the orthogonal projection of h_t, exact up to rounding.

A first, plain pass over the interval shows which numbers it meets, and V follows from the rows'
singular values. Beside V a few random probes w ~ N(0, I - V V^T) are pushed: h_t w has the mean
square |h_t - (h_t V) V^T|^2, so what is left out is estimated without being computed.
"""

from collections.abc import Sequence
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Shaped

from glocal_exp.types import Hyperparams, Numbers, RowSpaceProblem

MARGIN = 0.05
"""Of the range met: covered beyond either end, since the two passes round differently."""
BEYOND = 8
"""Further numbers in either margin that rows are taken of."""
MOST = 2**14
"""Numbers that rows are taken of, at most: an interval of 100 steps and 128 examples and more."""


class Basis(eqx.Module):
    """Directions in phi for one interval, and the range of numbers that they were made for."""

    # r orthonormal columns, then the probes; the identity where that is cheaper
    directions: Float[Array, "q columns"]
    # singular directions that the tolerance asked for; the others fill the columns up
    rank: Int[Array, ""]
    probes: Int[Array, ""]  # how many of the columns are probes
    low: Float[Array, ""]  # lower end of the covered range
    high: Float[Array, ""]  # upper end
    outside: Int[Array, ""]  # numbers met outside of it when the tangents were pushed

    @property
    def columns(self) -> int:
        """Tangents to push, probes included."""
        return self.directions.shape[1]


class Rows(NamedTuple):
    """What a basis is made of, in float64."""

    # right singular vectors of the rows, the largest singular value first
    vectors: Float[np.ndarray, "q q"]
    # by rank from 0 to q, the share of the rows' norm that so many vectors leave out
    left_out: Float[np.ndarray, " q_plus_1"]
    # low, high: the range of numbers that the rows cover
    low: float
    high: float

    def rank(self, tolerance: float | int) -> int:
        """The smallest that leaves out no more than `tolerance`; all for a tolerance of 0."""
        if tolerance == 0:
            return len(self.vectors)
        return int(np.argmax(self.left_out <= tolerance))


def rows_of(problem: RowSpaceProblem, phi: Hyperparams, numbers: Numbers) -> Float[Array, "n q"]:
    """The problem's tangent rows, in the order of the hypergradient."""
    leaves = jax.tree.leaves(problem.tangent_rows(phi, numbers))
    return jnp.concatenate([leaf.reshape(len(numbers), -1) for leaf in leaves], axis=1)


def sample(met: Shaped[np.ndarray, " n"]) -> Float[np.ndarray, " m"]:
    """The numbers to take rows of: those met, sorted, and some in a margin beyond either end.

    Their count is a power of two, so that few shapes arise: some occur twice, or, beyond `MOST`,
    are picked evenly through their order. What is not finite does not count.
    """
    finite = np.sort(met[np.isfinite(met)].astype(np.float64))
    if not finite.size:
        finite = np.zeros(1)
    room = min(MOST, 1 << (met.size + 2 * BEYOND - 1).bit_length()) - 2 * BEYOND
    inside = finite[np.round(np.linspace(0, finite.size - 1, room)).astype(int)]
    low, high = inside[0], inside[-1]
    beyond = np.linspace(0, MARGIN * (high - low), BEYOND + 1)[1:]
    return np.concatenate([low - beyond[::-1], inside, high + beyond])


def decompose(rows: Float[np.ndarray, "n q"], numbers: Float[np.ndarray, " m"]) -> Rows:
    """The rows' singular vectors and what each rank leaves out, by their Gram matrix."""
    rows = rows[np.isfinite(rows).all(axis=1)].astype(np.float64)
    peak = np.abs(rows).max(initial=0.0)
    rows = rows / peak if peak > 0 else rows
    squares, vectors = np.linalg.eigh(rows.T @ rows)
    squares = np.maximum(squares[::-1], 0.0)
    rest = np.append(np.cumsum(squares[::-1])[::-1], 0.0)
    left_out = np.sqrt(rest / rest[0]) if rest[0] > 0 else rest
    return Rows(vectors[:, ::-1], left_out, float(numbers[0]), float(numbers[-1]))


def columns_for(rank: int, probes: int, sizes: Sequence[int], q: int) -> int:
    """The smallest of `sizes` that holds rank and probes, or q, without probes, if none below q."""
    return min((size for size in sizes if rank + probes <= size < q), default=q)


def basis(rows: Rows, rank: int, columns: int, probes: int, seed: Sequence[int]) -> Basis:
    """So many columns, probes included; the identity if they are q."""
    q = len(rows.vectors)
    if columns == q:
        rank, probes, directions = q, 0, np.eye(q)
    else:
        kept = rows.vectors[:, : columns - probes]
        random = np.random.default_rng(seed).standard_normal((q, probes))
        directions = np.concatenate([kept, random - kept @ (kept.T @ random)], axis=1)
    values = (directions, rank, probes, rows.low, rows.high, 0)
    like = jax.tree.leaves(blank(q, columns))
    return Basis(*(jnp.asarray(v, leaf.dtype) for v, leaf in zip(values, like, strict=True)))


def blank(q: int, columns: int) -> Basis:
    """A basis of zeros: what shapes and types one has."""
    number, whole = jnp.zeros(()), jnp.zeros((), jnp.int32)
    return Basis(jnp.zeros((q, columns)), whole, whole, number, number, whole)


def count_outside(basis: Basis, signals: Numbers) -> Int[Array, ""]:
    """How many of a step's numbers the basis was not made for."""
    inside = (signals >= basis.low) & (signals <= basis.high)
    return jnp.sum(~inside, dtype=basis.outside.dtype)


def lift(
    basis: Basis, pushed: Float[np.ndarray, "n columns"]
) -> tuple[Float[np.ndarray, "n q"], float]:
    """Hypergradients from what was pushed, and the estimated error of all of them together.

    The error is relative, in the Frobenius norm: sqrt(sum |h - h V V^T|^2 / sum |h|^2).
    """
    directions = np.asarray(basis.directions, np.float64)
    kept = basis.columns - int(basis.probes)
    h, probed = pushed[:, :kept], pushed[:, kept:]
    with np.errstate(over="ignore", invalid="ignore"):  # of training that has diverged
        missing = np.sum(probed**2) / max(1, probed.shape[1])
        whole = np.sum(h**2) + missing
        error = 0.0 if whole == 0 else float(np.sqrt(missing / whole))
        return h @ directions[:, :kept].T, error
