"""The outer loop, from the outside in.

A run is an iterator of records, one for each outer step and seed (`run`, `loop`). What it is to do
is a `Plan`: a schedule, a method, a mode of differentiation and the sizes of pieces, checked once.
An outer step has three parts:

1. `playout` trains an interval, and further ones if the method looks ahead. An interval is cut into
   a few segments, each one compiled call (`work`, `compiled`), between which a run can be saved
   (`checkpoint`) and stopped. A segment is plain training, or what the mode makes of it (`modes`):
   forward pushes tangents along with the state, reverse sweeps back through it, low rank pushes
   tangents along a basis. Either measures what the method wants at the marked steps.
2. The method's estimate from what was measured, and the hyperparameters' step along it
   (`meta_step`).
3. Metrics of the real state (`evaluation`), the record (`recorder`), and on to the next outer step:
   the playout is dropped but for what the method keeps.

Seeds go through all of it together; only `compiled` knows that there may be several.
"""

from glocal_exp.engine.examples import Splits
from glocal_exp.engine.loop import Hooks, Loop
from glocal_exp.engine.modes.auto import Auto
from glocal_exp.engine.modes.copies import Copies
from glocal_exp.engine.modes.distilled import Distilled
from glocal_exp.engine.modes.forward import Forward
from glocal_exp.engine.modes.implicit import Implicit
from glocal_exp.engine.modes.low_rank import LowRank
from glocal_exp.engine.modes.reverse import Reverse
from glocal_exp.engine.plan import Plan
from glocal_exp.engine.run import run
from glocal_exp.engine.settings import Numerics, Schedule

__all__ = [
    "Auto",
    "Copies",
    "Distilled",
    "Forward",
    "Hooks",
    "Implicit",
    "Loop",
    "LowRank",
    "Numerics",
    "Plan",
    "Reverse",
    "Schedule",
    "Splits",
    "run",
]
