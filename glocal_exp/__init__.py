"""Glocal hypergradient estimation with the Koopman operator."""

__version__ = "0.1.0"
