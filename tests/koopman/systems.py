"""Linear systems with known eigenvalues and fixed points: the closed-form oracles of DMD."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class AffineSystem:
    """h_{t+1} = A h_t + c, whose fixed point (I - A)^-1 c is the steady state for |eig(A)| < 1."""

    transition: np.ndarray
    offset: np.ndarray
    start: np.ndarray

    @property
    def fixed_point(self):
        return np.linalg.solve(np.eye(len(self.offset)) - self.transition, self.offset)

    def trajectory(self, steps):
        rows = [self.start]
        for _ in range(steps - 1):
            rows.append(self.transition @ rows[-1] + self.offset)
        return np.array(rows)


def random_system(seed, size, radius=0.95, affine=True):
    """A random system with spectral radius `radius` and no eigenvalue within 0.03 of 1."""
    rng = np.random.default_rng(seed)
    while True:
        transition = rng.standard_normal((size, size))
        transition *= radius / np.max(np.abs(np.linalg.eigvals(transition)))
        if np.min(np.abs(np.linalg.eigvals(transition) - 1)) > 0.03:
            break
    offset = rng.standard_normal(size) if affine else np.zeros(size)
    return AffineSystem(transition, offset, 3 * rng.standard_normal(size))


def spiral(radius, angle):
    """The real 2 x 2 matrix with eigenvalues radius * exp(+-i angle)."""
    cosine, sine = np.cos(angle), np.sin(angle)
    return radius * np.array([[cosine, -sine], [sine, cosine]])


def matching(found, expected):
    """Order that brings the eigenvalues `found` next to `expected`; each is used once."""
    distances = np.abs(np.asarray(expected)[:, None] - np.asarray(found)[None, :])
    order = np.argmin(distances, axis=1)
    assert sorted(order) == list(range(len(found))), "the eigenvalues do not match one to one"
    return order
