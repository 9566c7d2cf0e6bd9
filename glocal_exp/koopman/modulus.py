"""Another reading of Eq. 14: an eigenvalue's modulus counts, not its place on the circle."""

import numpy as np

from glocal_exp.koopman.arrays import Mask
from glocal_exp.koopman.spectrum import Spectrum
from glocal_exp.koopman.steady import SteadyStateEstimator


class ModulusEstimator(SteadyStateEstimator):
    """Keeps the modes with ||lambda_j| - 1| up to the tolerance: oscillating ones as they stand.

    "Modes with |lambda_j| = 1" do neither decay nor grow; at infinity those with another argument
    than 0 have no limit, and are taken at the anchor.
    """

    def steady(self, spectrum: Spectrum) -> Mask:
        return np.abs(np.abs(spectrum.step_eigenvalues) - 1) <= self.unit_tolerance
