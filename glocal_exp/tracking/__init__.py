"""Sinks that consume the records of a run: progress on the console, W&B, nothing."""

from glocal_exp.tracking.none import NoSink
from glocal_exp.tracking.progress import ProgressSink
from glocal_exp.tracking.sink import Fanout, Sink
from glocal_exp.tracking.wandb import WandbSink

__all__ = ["Fanout", "NoSink", "ProgressSink", "Sink", "WandbSink"]
