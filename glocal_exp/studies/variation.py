"""What is played out from the start of an interval besides training itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from glocal_exp.errors import UserError


@dataclass(frozen=True)
class Variation:
    """What differs from the training run itself."""

    float64: bool = False  # compute in it, from the same numbers
    start: int = 0  # 0 for the run's own weights, else the number of a random perturbation of them
    start_size: float = 0.0  # its size, relative to the standard deviation of each array of weights
    order: int = 0  # 0 for the run's own batches, else the number of another order of them

    @property
    def name(self) -> str:
        """`base`, `float64`, `start1`, `order1`, ..."""
        parts = {"float64": self.float64, f"start{self.start}": self.start}
        parts |= {f"order{self.order}": self.order}
        return "-".join(name for name, is_so in parts.items() if is_so) or "base"


BASE = Variation()


def check_outer_steps(outer_steps: Sequence[int]) -> None:
    """Raise `UserError` unless they name intervals."""
    if not outer_steps or min(outer_steps) < 1:
        raise UserError(f"study.outer_steps={outer_steps} should name intervals from 1 on.")


@dataclass(frozen=True, kw_only=True)
class Varied:
    """Settings of a study of intervals, as trained and otherwise."""

    outer_steps: Sequence[int]  # s, of the intervals
    starts: int  # how many other starts there are
    start_size: float  # their distance, see `Variation`
    trains: ClassVar[bool] = True

    def __post_init__(self):
        check_outer_steps(self.outer_steps)
        for name, value in vars(self).items():
            if isinstance(value, int) and value < 0:
                raise UserError(f"study.{name}={value} is negative; give 0 or more.")

    def variations(self) -> list[Variation]:
        """As trained, in float64, and from other starts."""
        size = self.start_size
        others = (Variation(start=n + 1, start_size=size) for n in range(self.starts))
        return [BASE, Variation(float64=True), *others]
