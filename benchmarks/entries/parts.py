"""The parts of one interval beside eager PyTorch: steps, tangents, validation gradient, host."""

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.experiments import Scale
from benchmarks.measure import Candidate, Comparison, Entry, Target, costs
from benchmarks.work import CHOICES, make_work
from glocal_exp.engine import Forward, Loop, Plan, Schedule, Splits
from glocal_exp.koopman import HankelDMD, SteadyStateEstimator
from glocal_exp.methods.window_mean import WindowMean
from glocal_exp.records import IntervalRecord
from glocal_exp.studies.complexity import Blocks

OURS, EAGER, TOGETHER, IN_TURN = "ours", "eager", "torch.func, vmap", "torch.func, one by one"
PLAIN, TANGENT, Q = "plain step", "tangent step, q = {}", 3
DMD, HOST = f"DMD and its steady state, q = {Q}", "host, one interval"
FAR = 10**6  # intervals of a run that is never finished


def build(scale: Scale) -> Entry:
    """All parts, compiled when they are first called."""
    work, images, tangent = make_work(scale), scale.validation, TANGENT.format(Q)
    gradient = f"validation gradient, {images:,} images"
    chunks = {f"chunks of {size:,}": {"chunk": size} for size in (100, 1000) if size < images}
    chunks["at once"] = {"chunk": images}
    pushed = {TOGETHER: {"together": True}, IN_TURN: {"together": False}}
    comparisons = [
        work.compare("plain", PLAIN, OURS, {EAGER: {}}),
        *(work.tuning(q).compare("tangent", TANGENT.format(q), OURS, pushed) for q in CHOICES),
        work.compare("validation_gradient", gradient, OURS, chunks),
        Comparison(DMD, [Candidate(OURS, dmd(scale, Q))], unit="fit"),
        Comparison(HOST, [Candidate(OURS, host(scale))], unit="interval"),
    ]
    plain, step, whole = (costs(name, OURS) for name in (PLAIN, tangent, gradient))
    interval = [{(tangent, OURS): float(scale.interval), (gradient, OURS): float(scale.window)}]
    targets = (
        Target("plain step / PyTorch's", 0.85, plain, costs(PLAIN, EAGER)),
        Target(f"{tangent} / plain step", 4.5, step, plain),
        Target(f"{tangent} / torch.func's", 0.65, step, costs(tangent, *pushed)),
        Target("validation gradient / plain step", 35.0, whole, plain),
        Target("validation gradient / PyTorch's", 0.7, whole, costs(gradient, *chunks)),
        Target("DMD / interval", 1e-3, costs(DMD, OURS), interval),
        Target("host / interval", None, costs(HOST, OURS), interval),
    )
    notes = (
        f"Batches of {scale.batch} images. FLOP are those of the network's own matrix products "
        "(`benchmarks/flops.py`), the peak is a product of 1024 x 1024 float32 matrices in the "
        "same process.",
        "q = 1 learns the rate, 2 and 3 add momentum and weight decay, 8 is a rate for each "
        "parameter tensor, on both sides.",
        "Host time is a whole interval of the engine on a problem that costs nothing.",
    )
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
