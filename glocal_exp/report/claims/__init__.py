"""Verdicts on what the paper says, each computed from stored runs; a file for each kind."""

from glocal_exp.report.claims.criterion import (
    AGREES,
    DISAGREES,
    NOT_RUN,
    UNDECIDED,
    Criterion,
    Finding,
)

__all__ = ["AGREES", "DISAGREES", "NOT_RUN", "UNDECIDED", "Criterion", "Finding"]
