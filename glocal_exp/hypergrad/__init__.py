"""Hypergradients of unrolled training, exact up to rounding."""

from glocal_exp.hypergrad.forward import contract, count, push_tangents, zero_tangents

__all__ = ["contract", "count", "push_tangents", "zero_tangents"]
