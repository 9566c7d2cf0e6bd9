"""Long-tailed training data: fewer and fewer images from class to class (Cui et al. 2019)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Int, Int32

from glocal_exp.errors import UserError

ROUNDING = 1e-9
"""Keeps what is a whole number but for rounding from being rounded down."""


@dataclass(frozen=True)
class LongTail:
    """Class c of C (from 0) keeps floor(n f^(-c / (C - 1))) of its n training images.

    n is what each class has left once validation images are held out (of the smallest class, where
    classes differ). Validation and test images stay as they are.
    """

    factor: float  # f, how many times larger the first class is than the last
    # `published` as in Cui et al. 2019, c / (C - 1); `paper` as the paper prints (section 4.2), c /
    # C, where the last class is larger than n / f
    exponent: Literal["published", "paper"] = "published"

    def __post_init__(self):
        if not 1 <= self.factor < float("inf"):
            raise UserError(
                f"dataset.imbalance.factor={self.factor} is not at least 1; customary are 10, 50, "
                "100 and 200."
            )

    def counts(self, largest: int, classes: int) -> list[int]:
        """Images that each class keeps, the first `largest`; `UserError` if the last keeps none."""
        last = classes - 1 if self.exponent == "published" else classes
        shares = [self.factor ** (-c / max(1, last)) for c in range(classes)]
        kept = [int(largest * share + ROUNDING) for share in shares]
        if kept[-1] < 1:
            raise UserError(
                f"dataset.imbalance.factor={self.factor:,.10g} leaves no image of the last class: "
                f"the smallest class has {largest:,} in training; lower it, or validation.size."
            )
        return kept

    def choose(
        self, order: Int[np.ndarray, " n"], labels: Int32[np.ndarray, " m"], classes: int
    ) -> Int[np.ndarray, " kept"]:
        """Of the images in `order` the first of each class, as many as it keeps; ascending."""
        smallest = int(np.bincount(labels[order], minlength=classes).min())
        return np.sort(first_of_each_class(order, labels, self.counts(smallest, classes)))

    def entitle(self, title: str) -> str:
        """What captions call a data set of this title once it is thinned out."""
        return f"{title}, long-tailed (imbalance factor {self.factor:g})"


def first_of_each_class(
    order: Int[np.ndarray, " n"], labels: Int32[np.ndarray, " m"], counts: Sequence[int]
) -> Int[np.ndarray, " kept"]:
    """The first `counts[c]` images of each class c in `order`, class after class."""
    return np.concatenate([order[labels[order] == c][:count] for c, count in enumerate(counts)])
