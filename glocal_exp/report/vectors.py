"""How hypergradients compare: each function is of two, or of as many rows of either."""

import numpy as np
from jaxtyping import Float

Vector = Float[np.ndarray, " q"]
Vectors = Float[np.ndarray, "*n q"]
Numbers = Float[np.ndarray, "*n"]


def length(a: Vectors) -> Numbers:
    """|a|."""
    return np.sqrt(np.vecdot(a, a))


@np.errstate(invalid="ignore", divide="ignore")
def cosine(a: Vectors, b: Vectors) -> Numbers:
    """Of the angle between two vectors; NaN where one is zero or not finite."""
    return np.vecdot(a, b) / (length(a) * length(b))


@np.errstate(invalid="ignore", divide="ignore")
def relative_error(a: Vectors, b: Vectors) -> Numbers:
    """|a - b| / |b|."""
    return length(a - b) / length(b)


def same_signs(a: Vectors, b: Vectors) -> Vectors:
    """By component, 1 where the signs are the same, else 0; NaN where one is not finite."""
    return np.where(np.isfinite(a + b), np.sign(a) == np.sign(b), np.nan)
