"""Hypergradients of unrolled training, exact up to rounding."""

from glocal_exp.hypergrad.forward import contract, count, names, push_tangents, zero_tangents

__all__ = ["contract", "count", "names", "push_tangents", "zero_tangents"]
