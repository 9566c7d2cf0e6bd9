"""Linear systems that are known in full, so that what an estimate says can be judged."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, repeat

import numpy as np
from jaxtyping import Float
from scipy.linalg import block_diag


@dataclass(frozen=True, eq=False)
class LinearSystem:
    """z_{t+1} = A z_t and h_t = C z_t."""

    transition: Float[np.ndarray, "d d"]  # A
    readout: Float[np.ndarray, "q d"]  # C, with orthonormal rows
    start: Float[np.ndarray, " d"]  # z_1

    def trajectory(
        self, steps: int, shocks: Float[np.ndarray, "steps q"] | None = None
    ) -> Float[np.ndarray, "steps q"]:
        """h_1 .. h_steps; shocks are added to h on the way, and stay in it."""
        state, rows = self.start, []
        for step in range(steps):
            if shocks is not None:
                state = state + self.readout.T @ shocks[step]
            rows.append(self.readout @ state)
            state = self.transition @ state
        return np.array(rows)

    def embedding(self, delays: int) -> Float[np.ndarray, "mq d"]:
        """G = [C; C A; ...; C A^(m-1)]: the delay embedding g(h_t) is G z_t."""
        steps = repeat(self.transition, delays - 1)
        return np.vstack(list(accumulate(steps, np.matmul, initial=self.readout)))

    def operator(self, delays: int) -> Float[np.ndarray, "mq mq"]:
        """G A G^+, the operator of least norm that moves every embedded state one step on.

        G has full column rank where h tells the states apart; its eigenvalues are those of A and
        zeros.
        """
        embedding = self.embedding(delays)
        return embedding @ self.transition @ np.linalg.pinv(embedding)


def linear_system(
    rng: np.random.Generator, eigenvalues: Sequence[complex], skew: float = 0.0
) -> LinearSystem:
    """h_{t+1} = A h_t with these eigenvalues, all modes started with amplitude one.

    Args:
        rng: draws the directions and the signs.
        eigenvalues: of A; one with a positive imaginary part stands for its conjugate too.
        skew: 0 for a normal A; eigenvectors lean towards each other as it grows.
    """
    blocks, rotation = _blocks_and_rotation(rng, eigenvalues)
    size = len(blocks)
    basis = rotation @ (np.eye(size) + skew * np.triu(np.ones((size, size)), 1))
    transition = basis @ blocks @ np.linalg.inv(basis)
    start = basis @ rng.choice([-1.0, 1.0], size)
    return LinearSystem(transition, np.eye(size), start)


def affine_system(rng: np.random.Generator, eigenvalues: Sequence[complex]) -> LinearSystem:
    """h_{t+1} = A h_t + c with a fixed point of norm 1, as a linear system of [h; 1].

    Args:
        rng: draws directions, fixed point, and a start at a distance of 1 from it.
        eigenvalues: of the normal matrix A; one with a positive imaginary part is a pair.
    """
    blocks, rotation = _blocks_and_rotation(rng, eigenvalues)
    size, matrix = len(blocks), rotation @ blocks @ rotation.T
    fixed, away = _unit(rng.standard_normal(size)), _unit(rng.choice([-1.0, 1.0], size))
    transition = np.eye(size + 1)
    transition[:size, :size] = matrix
    transition[:size, size] = fixed - matrix @ fixed
    start = np.append(fixed + rotation @ away, 1.0)
    return LinearSystem(transition, np.eye(size + 1)[:size], start)


def fixed_point(system: LinearSystem) -> Float[np.ndarray, " q"]:
    """The fixed point of an affine system."""
    size = len(system.readout)
    matrix, offset = system.transition[:size, :size], system.transition[:size, size]
    return np.linalg.solve(np.eye(size) - matrix, offset)


def finite(norm: np.floating) -> float:
    """The number, or infinity for NaN."""
    return float(norm) if np.isfinite(norm) else np.inf


def _unit(vector: Float[np.ndarray, " q"]) -> Float[np.ndarray, " q"]:
    return vector / np.linalg.norm(vector)


def _blocks_and_rotation(
    rng: np.random.Generator, eigenvalues: Sequence[complex]
) -> tuple[Float[np.ndarray, "d d"], Float[np.ndarray, "d d"]]:
    values = [(complex(value).real, complex(value).imag) for value in eigenvalues]
    blocks = np.asarray(block_diag(*([[a, -b], [b, a]] if b else [[a]] for a, b in values)))
    return blocks, np.linalg.qr(rng.standard_normal((len(blocks), len(blocks))))[0]
