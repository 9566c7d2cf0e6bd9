"""Fig. 1 drawn from stored training: an interval's h_t, what follows it, three hypergradients."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from glocal_exp.report import style
from glocal_exp.report.artifact import Artifact, Context, Drawing, MissingStudy
from glocal_exp.report.estimators import Estimator, load_estimator
from glocal_exp.report.fidelity import Point, points
from glocal_exp.report.runs import stored_spectrum

ROW_HEIGHT, LEGEND_HEIGHT = 1.6, 0.45  # inches
LOCAL, GLOCAL, GLOBAL = (style.STYLES[name] for name in ("local", "glocal", "global"))
H: dict[str, Any] = {"color": "#777777", "linewidth": 0.7}
PLAYED: dict[str, Any] = {"color": GLOBAL.colour, "linewidth": 0.9, "linestyle": GLOBAL.line}
MODES: dict[str, Any] = {"color": style.ORANGE, "linewidth": 1.1}
MARK: dict[str, Any] = {"linestyle": "", "markersize": 5.5, "markeredgecolor": "black"}


@dataclass(frozen=True)
class OneInterval(Artifact):
    """A row a start: one hyperparameter's h_t in an interval, then up to T with phi held."""

    starts: Sequence[str]  # settings of the fidelity study, as its tables call them
    estimator: str = "glocal"  # file of configs/estimator; its modes are drawn
    s: int = 1  # the outer step
    seed: int = 0
    hyperparameter: str = "learning_rate"

    def draw(self, context: Context) -> Drawing:
        found, source = points(context)
        estimator = load_estimator(context.configs, self.estimator)
        at = {p.setting: p for p in found if (p.s, p.seed) == (self.s, self.seed)}
        if not at.keys() >= set(self.starts):
            raise MissingStudy("fidelity")
        height = ROW_HEIGHT * len(self.starts) + LEGEND_HEIGHT
        figure, panels = style.panels(
            len(self.starts), 2, height, sharey="row", sharex="col", width_ratios=(1, 1.6)
        )
        for (inside, after), start in zip(panels, self.starts, strict=True):
            self._row(inside, after, at[start], estimator)
            inside.set_title(start, loc="left")
        for axes in panels[-1]:
            axes.set_xlabel("training step")
        looks = {
            "$h_t$ of the interval": H,
            "modes of Hankel DMD": MODES,
            "$h$ played out to $T$": PLAYED,
        } | {
            look.label: MARK | {"marker": look.marker, "color": look.colour}
            for look in (LOCAL, GLOCAL, GLOBAL)
        }
        style.legend_of(figure, looks, handlelength=1.8, columnspacing=1.4)
        return Drawing(figure, self.caption(source))

    def _row(self, inside: Axes, after: Axes, point: Point, estimator: Estimator) -> None:
        """What is in the interval on the left, what follows it on the right."""
        component = point.names.index(self.hyperparameter)
        h, played = point.intervals["all"][:, component], point.playouts["base"][:, component]
        estimate = estimator.estimate(point, "all")
        steps = estimator.method.wanted(point.interval).steps
        window = {"trajectory": point.intervals["all"][list(steps)], **estimate.arrays}
        spectrum = stored_spectrum(window, steps[1] - steps[0])
        end, final = point.interval * point.s, point.interval * point.outer_steps
        start = end - point.interval
        times = np.arange(start + steps[0] + 1, final + 1)
        modes = spectrum.at((times - times[0]) / spectrum.stride)[:, component]
        glocal = np.nan if estimate.hypergradient is None else estimate.hypergradient[component]
        inside.plot(start + np.arange(1, len(h) + 1), h, **H)
        ends = end + point.interval * np.arange(len(played))
        after.plot(ends, played, **PLAYED, marker=".", markersize=3)
        limit = 1.15 * np.abs(np.concatenate([h, played, [glocal]])).max()
        beyond = int(np.argmax([*(np.abs(modes) > limit), True]))  # first there, if anywhere
        for axes in (inside, after):
            axes.plot(times[:beyond], modes[:beyond], **MODES)
            axes.axhline(0, color="#888888", linewidth=0.5)
        marks = ((inside, end, h[-1], LOCAL), (after, final, glocal, GLOCAL))
        for axes, time, value, look in (*marks, (after, final, played[-1], GLOBAL)):
            axes.plot(
                time, value, **MARK, marker=look.marker, color=look.colour, clip_on=False, zorder=5,
                markeredgewidth=0.4,
            )  # fmt: skip
        inside.set(ylim=(-limit, limit), xlim=(start, end))
        after.set(xlim=(end, final))
        inside.set_ylabel(f"$h$ ({self.hyperparameter.replace('_', ' ')})")
