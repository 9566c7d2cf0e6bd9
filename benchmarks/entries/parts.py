"""The parts of one interval beside eager PyTorch: steps, tangents, validation gradient, host."""

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.experiments import Scale
from benchmarks.measure import Candidate, Comparison, Entry, Target
from benchmarks.work import CHOICES, make_work
from glocal_exp.engine import Forward, Loop, Plan, Schedule, Splits
from glocal_exp.koopman import HankelDMD, SteadyStateEstimator
from glocal_exp.methods.window_mean import WindowMean
from glocal_exp.records import IntervalRecord
from glocal_exp.studies.complexity import Blocks

Q = 3
FAR = 10**6  # intervals of a run that is never finished


def build(scale: Scale) -> Entry:
    """All parts, compiled when they are first called."""
    work, images = make_work(scale), scale.validation
    chunks = {f"chunks of {size:,}": {"chunk": size} for size in (100, 1000) if size < images}
    chunks["at once"] = {"chunk": images}
    plain = work.compare("plain", "plain step", eager={})
    pushed = {
        q: work.tuning(q).compare("tangent", f"tangent step, q = {q}", **{"torch.func, vmap": {}})
        for q in CHOICES
    }
    tangent = pushed[Q]
    name = f"validation gradient, {images:,} images"
    gradient = work.compare("validation_gradient", name, **chunks)
    way = Candidate("ours", dmd(scale, Q))
    fit = Comparison(f"DMD and its steady state, q = {Q}", [way], unit="fit")
    alone = Comparison("host, one interval", [Candidate("ours", host(scale))], unit="interval")
    interval = [
        {(tangent.name, "ours"): float(scale.interval), (gradient.name, "ours"): scale.window}
    ]
    targets = (
        Target("plain step / PyTorch's", 0.85, plain.ours, plain.peers),
        Target(f"{tangent.name} / plain step", 4.5, tangent.ours, plain.ours),
        Target(f"{tangent.name} / torch.func's", 0.65, tangent.ours, tangent.peers),
        Target("validation gradient / plain step", 35.0, gradient.ours, plain.ours),
        Target("validation gradient / PyTorch's", 0.7, gradient.ours, gradient.peers),
        Target("DMD / interval", 1e-3, fit.ours, interval),
        Target("host / interval", None, alone.ours, interval),
    )
    notes = (
        f"Batches of {scale.batch} images; q = 1 learns the rate, 2 and 3 add momentum and weight "
        "decay, 8 is a rate for each parameter tensor, on both sides.",
        "Host time is a whole interval of the engine on a problem that costs nothing.",
    )
    comparisons = [plain, *pushed.values(), gradient, fit, alone]
    return Entry("The parts of one interval", comparisons, targets, notes)


def dmd(scale: Scale, q: int) -> Callable[[], Any]:
    """A call that fits an interval's hypergradients, (window, q), and reads the steady state."""
    rng = np.random.default_rng(0)
    rates = rng.uniform(0.8, 1.0, q)
    h = np.exp(-np.arange(scale.window)[:, None] * rates) + rng.normal(size=(scale.window, q)) / 10
    fit, steady = HankelDMD(), SteadyStateEstimator()
    return lambda: steady.estimate(fit.fit(h, scale.delays, 1), h, scale.interval)


def host(scale: Scale) -> Callable[[], IntervalRecord]:
    """A call that runs the next interval of a problem of 16 weights and three rates.

    Batches, calls, meta step and records are in it, an h_t a step of the window, and little else.
    """
    size, tau = 8 * scale.batch, scale.interval
    examples = {"x": np.ones((size, 16), np.float32), "y": np.ones((size, 1), np.float32)}
    method = WindowMean(window=scale.window, stride=1)
    plan = Plan(Schedule(FAR * tau, tau, scale.batch), method, Forward())
    loop = Loop(Blocks(16, 3), {0: Splits(examples, examples)}, plan)
    next(loop)  # before training
    return lambda: next(loop)
