"""How two hypergradients compare."""

import numpy as np
from jaxtyping import Float

Vector = Float[np.ndarray, " q"]


@np.errstate(invalid="ignore", divide="ignore")
def cosine(a: Vector, b: Vector) -> float:
    """Of the angle between two vectors; NaN where one is zero or not finite."""
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))


@np.errstate(invalid="ignore", divide="ignore")
def relative_error(a: Vector, b: Vector) -> float:
    """|a - b| / |b|."""
    return float(np.linalg.norm(a - b) / np.linalg.norm(b))


def same_signs(a: Vector, b: Vector) -> Vector:
    """By component, 1 where the signs are the same, else 0; NaN where one is not finite."""
    return np.where(np.isfinite(a + b), np.sign(a) == np.sign(b), np.nan)
