"""Hypergradients of unrolled training, exact up to rounding or, in few directions, a tolerance."""

from glocal_exp.hypergrad.forward import (
    contract,
    contract_parts,
    count,
    names,
    push_tangents,
    zero_tangents,
)
from glocal_exp.hypergrad.reverse import train_and_pull_back

__all__ = [
    "contract",
    "contract_parts",
    "count",
    "names",
    "push_tangents",
    "train_and_pull_back",
    "zero_tangents",
]
