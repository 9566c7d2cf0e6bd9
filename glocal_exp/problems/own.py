"""What a problem answers that a config can name: `problem=NAME`, a file of configs/problem."""

from abc import abstractmethod

from glocal_exp.engine.examples import Splits
from glocal_exp.types import InnerProblem


class OwnProblem(InnerProblem):
    """A problem with its examples."""

    @abstractmethod
    def examples(self, seed: int) -> Splits:
        """Those of one seed, dicts of arrays that share their leading axis."""
