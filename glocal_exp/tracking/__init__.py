"""Sinks that consume the records of a run: progress on the console, W&B."""

from glocal_exp.tracking.progress import ProgressSink
from glocal_exp.tracking.sink import Fanout, Sink
from glocal_exp.tracking.wandb import WandbSink

__all__ = ["Fanout", "ProgressSink", "Sink", "WandbSink"]
