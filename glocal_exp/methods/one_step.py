"""One interval ahead and back: the update of Meta-Weight-Net (Shu et al. 2019)."""

from dataclasses import dataclass

from glocal_exp.methods.method import Estimate, Measured, Method, Moment


@dataclass(frozen=True)
class OneStep(Method):
    """Steps along h at the end of the next interval, which is then trained anew.

    With `interval=1` it is Meta-Weight-Net's: a virtual step along the next batch, whose effect on
    the validation loss moves the hyperparameters, and then the real step along the same batch with
    these. The very first step alone has the initial hyperparameters. The virtual step is one of the
    inner optimizer, momentum included, where theirs is plain gradient descent.
    """

    fresh = True

    def intervals_ahead(self, outer_step: int, outer_steps: int) -> int:
        return min(1, outer_steps - outer_step)

    def estimate(self, measured: Measured, moment: Moment) -> Estimate:
        return Estimate(measured.h[-1])
