"""Hyperparameters that a setting names."""

from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Bool

from glocal_exp.errors import UserError

SHOWN = 6  # names in a message


def named(names: Sequence[str], chosen: Iterable[str], setting: str) -> Bool[np.ndarray, " q"]:
    """Which of the task's hyperparameters are chosen.

    Raises:
        UserError: for one that the task does not have.
    """
    chosen = list(chosen)
    if unknown := [name for name in chosen if name not in names]:
        known = ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
        raise UserError(f"method.{setting} names {', '.join(unknown)}, and the task has {known}.")
    return np.isin(names, chosen)
