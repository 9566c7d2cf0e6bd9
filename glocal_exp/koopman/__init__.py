"""Hankel DMD: what a window of local hypergradients says about the global one."""

from glocal_exp.koopman.dmd import HankelDMD
from glocal_exp.koopman.spectrum import Spectrum
from glocal_exp.koopman.steady import SteadyStateEstimator

__all__ = ["HankelDMD", "Spectrum", "SteadyStateEstimator"]
