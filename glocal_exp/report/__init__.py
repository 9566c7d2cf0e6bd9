"""Figures and tables from stored runs alone: no JAX, no network."""

import contextlib
import os
import sys

if "matplotlib" not in sys.modules:
    # Which refuses, as it is imported, a notebook's backend that is not installed here.
    _backend = os.environ.pop("MPLBACKEND", None)
    import matplotlib

    with contextlib.suppress(ValueError):
        if _backend:
            matplotlib.rcParams["backend"] = os.environ["MPLBACKEND"] = _backend
