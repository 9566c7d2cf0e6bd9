"""The outer loop: compiled segments of training, estimates, meta steps, records, checkpoints."""

from glocal_exp.engine.examples import Splits
from glocal_exp.engine.loop import Hooks, Loop
from glocal_exp.engine.run import run
from glocal_exp.engine.settings import Numerics, Schedule

__all__ = ["Hooks", "Loop", "Numerics", "Schedule", "Splits", "run"]
