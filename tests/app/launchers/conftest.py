"""Clusters, and the sweep that nothing has disturbed."""

from .clusters import ray, slurm  # noqa: F401
from .sweeps import whole  # noqa: F401
