"""The glocal hypergradient: the steady state of the interval's hypergradients (Eq. 14)."""

from dataclasses import dataclass

from glocal_exp.errors import UserError
from glocal_exp.koopman.dmd import HankelDMD
from glocal_exp.koopman.steady import SteadyStateEstimator
from glocal_exp.methods.method import Estimate, Measured, Method, Moment, Wanted, last_of

REMARKS: dict[str, tuple[float, str]] = {
    "reconstruction_error": (
        1.0,  # choice: that of no modes at all
        "Glocal's modes are further from the hypergradients than zero is (reconstruction_error "
        "above 1), so that its estimate says little of them.",
    ),
    "dropped_modes": (
        0.0,
        "Some of glocal's modes have the same shape, so that their amplitudes cannot be told "
        "apart (dropped_modes); another rank or other delays may separate them.",
    ),
    "outsized": (
        0.0,
        "Glocal's estimate was more than ten times as long as any hypergradient of its window "
        "(outsized), and the newest of these was taken instead.",
    ),
}
"""What is said where a diagnostic exceeds a number."""


@dataclass(frozen=True)
class Glocal(Method):
    """Hankel DMD of the last `window` hypergradients, read at infinity or at T.

    Attributes:
        window: sigma, hypergradients that enter the decomposition, counted in training steps.
        delays: m, hypergradients stacked into one snapshot.
        stride: training steps from one evaluated hypergradient to the next.
        dmd: fits the spectrum.
        steady_state: reads the estimate off the spectrum.
    """

    window: int
    delays: int
    stride: int
    dmd: HankelDMD
    steady_state: SteadyStateEstimator

    def wanted(self, interval: int) -> Wanted:
        steps = last_of(self.window, self.stride, interval)
        if len(steps) < 2:
            raise UserError(
                f"method.window={self.window} holds one hypergradient at method.stride="
                f"{self.stride}, and a decomposition takes two; raise the window or lower the "
                "stride."
            )
        if not 1 <= self.delays < len(steps):
            raise UserError(
                f"method.delays={self.delays} does not fit the {len(steps)} hypergradients of "
                f"method.window={self.window} (stride {self.stride}); "
                f"choose from 1 to {len(steps) - 1}."
            )
        return Wanted(steps)

    def estimate(self, measured: Measured, moment: Moment) -> Estimate:
        h = measured.h
        spectrum = self.dmd.fit(h, self.delays, self.stride)
        value, diagnostics = self.steady_state.estimate(spectrum, h, moment.steps_left)
        arrays = {
            "eigenvalues": spectrum.eigenvalues,
            "modes": spectrum.modes,
            "amplitudes": spectrum.amplitudes,
        }
        remarks = [text for name, (most, text) in REMARKS.items() if diagnostics[name] > most]
        return Estimate(value, diagnostics, arrays, remarks=remarks)
