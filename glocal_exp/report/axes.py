"""Axes for hyperparameters: logarithmic towards the ends of their range, with readable ticks."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, NullFormatter, NullLocator
from scipy.special import expit, logit

Scale = Literal["log", "logit", "linear"]
FEWEST, MOST = 3, 6
EDGE = 1e-7  # closer to 0 or 1 nothing is shown
COSTS = (1, 2, 5, 10, 20, 50)


class HyperparameterAxis(NamedTuple):
    """The label and scale of one hyperparameter's axis."""

    label: str
    scale: Scale


# Learning rates are small parts of (0, 1), momenta and betas lie near 1: the sigmoid's two ends.
HYPERPARAMETERS = {
    "learning_rate": HyperparameterAxis("learning rate", "log"),
    "momentum": HyperparameterAxis("momentum", "logit"),
    "weight_decay": HyperparameterAxis("weight decay", "log"),
    "b1": HyperparameterAxis(r"$\beta_1$", "logit"),
    "b2": HyperparameterAxis(r"$\beta_2$", "logit"),
}


def hyperparameter_axis(name: str, values: Sequence[float]) -> HyperparameterAxis:
    """The axis for a hyperparameter; an unknown one is logarithmic if it spans over a decade."""
    wide = len(values) > 0 and min(values) > 0 and max(values) > 10 * min(values)
    unknown = HyperparameterAxis(name.replace("_", " "), "log" if wide else "linear")
    return HYPERPARAMETERS.get(name, unknown)


def apply_scale(axes: Axes, scale: Scale, values: Sequence[float]) -> None:
    """Scale the y axis to hold `values`, a little room around them, and place its ticks."""
    finite = np.asarray(values, dtype=np.float64)
    finite = finite[np.isfinite(finite)]
    if scale != "linear":
        finite = np.clip(finite, EDGE, np.inf if scale == "log" else 1 - EDGE)
        axes.set_yscale(scale, nonpositive="clip")
    if finite.size:
        axes.set_ylim(*_limits(finite, scale))
    if scale == "linear":
        axes.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10], min_n_ticks=3))
    else:
        ticks = chosen_ticks(scale, *axes.get_ylim())
        axes.set_yticks(ticks, [tick_label(tick) for tick in ticks])
        axes.yaxis.set_minor_locator(NullLocator())


def cost_axis(axes: Axes, most: float = np.inf) -> None:
    """An x axis of costs up to about `most` times that of plain training."""
    axes.set(xlabel="cost (plain trainings)", xscale="log")
    ticks = [cost for cost in COSTS if cost < 2 * most]
    axes.set_xticks(ticks, map(str, ticks))
    axes.xaxis.set_minor_formatter(NullFormatter())


def tick_label(value: float) -> str:
    """0.01, 0.5, 0.999; powers of ten where that takes too many digits."""
    if value <= 0:
        return f"{value:g}"
    exponent = int(np.floor(np.log10(value) + 1e-9))
    if exponent < -3:
        lead = value / 10.0**exponent
        power = f"10^{{{exponent}}}"
        return f"${power}$" if abs(lead - 1) < 1e-6 else f"${lead:g}{{\\cdot}}{power}$"
    if 0 < 1 - value < 1e-4 * 0.999:
        return f"$1-{tick_label(1 - value).strip('$')}$"
    return f"{value:.6g}"


def chosen_ticks(scale: Scale, low: float, high: float) -> list[float]:
    """Three to six round numbers in view: powers of ten, else 1-2-5, else evenly spaced ones."""
    for leads in ((1,), (1, 3), (1, 2, 5)):
        powers = range(-10, 6) if scale == "log" else range(-7, 0)
        found = [float(f"{lead}e{power}") for power in powers for lead in leads]
        if scale == "logit":
            tails = [tail for tail in found if tail < 0.5]
            found = sorted({*tails, 0.5, *(1 - tail for tail in tails)})
        ticks = [tick for tick in found if low <= tick <= high]
        if len(ticks) > MOST:
            return ticks[:: -(-len(ticks) // MOST)]
        if len(ticks) >= FEWEST:
            return ticks
    return [tick for tick in MaxNLocator(4).tick_values(low, high) if low <= tick <= high]


def _limits(values: np.ndarray, scale: Scale) -> tuple[float, float]:
    forward, backward, narrowest = {
        "linear": (float, float, 1e-3 * max(1e-12, float(np.max(np.abs(values))))),
        "log": (np.log, np.exp, 0.2),
        "logit": (logit, expit, 0.2),
    }[scale]
    low, high = forward(values.min()), forward(values.max())
    room = max(0.06 * (high - low), narrowest - (high - low) / 2)
    return float(backward(low - room)), float(backward(high + room))
