"""How two hypergradients compare, or those of many rows: what is one number is then one a row."""

from typing import Any

import numpy as np
from jaxtyping import Float

Vector = Float[np.ndarray, " q"]
Vectors = Float[np.ndarray, "*n q"]


@np.errstate(invalid="ignore", divide="ignore")
def cosine(a: Vectors, b: Vectors) -> Any:
    """Of the angle between two vectors; NaN where one is zero or not finite."""
    return np.vecdot(a, b) / (np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1))


@np.errstate(invalid="ignore", divide="ignore")
def relative_error(a: Vectors, b: Vectors) -> Any:
    """|a - b| / |b|."""
    return np.linalg.norm(a - b, axis=-1) / np.linalg.norm(b, axis=-1)


def same_signs(a: Vectors, b: Vectors) -> Vectors:
    """By component, 1 where the signs are the same, else 0; NaN where one is not finite."""
    return np.where(np.isfinite(a + b), np.sign(a) == np.sign(b), np.nan)
