"""Glocal hypergradient estimation with the Koopman operator."""
