"""Problems that bring their own examples: no images, no networks."""

from glocal_exp.problems.own import OwnProblem

__all__ = ["OwnProblem"]
