"""The global hypergradient: h at the end of training, by playing training out (Eqs. 3 to 5)."""

from dataclasses import dataclass

from glocal_exp.methods.method import Estimate, Measured, Method, Moment


@dataclass(frozen=True)
class Global(Method):
    """Steps along h_T, at T (S + 1) / 2 tangent steps in all when greedy."""

    # every outer step plays out from where the last interval ended, then keeps one interval of it;
    # otherwise every outer step is a whole training from the initial state (S T tangent steps)
    greedy: bool = True

    @property
    def keeps(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        return 1 if self.greedy else 0

    def intervals_ahead(self, outer_step: int, outer_steps: int) -> int:
        return outer_steps - (outer_step if self.greedy else 1)

    def estimate(self, measured: Measured, moment: Moment) -> Estimate:
        return Estimate(measured.h[-1])
