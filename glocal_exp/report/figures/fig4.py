"""Fig. 4: the spectrum of one interval, how its modes decay, and other windows and delays."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float
from matplotlib.axes import Axes
from matplotlib.patches import Circle
from matplotlib.ticker import NullLocator

from glocal_exp.koopman import Spectrum
from glocal_exp.report import caption, style
from glocal_exp.report.artifact import Artifact, Context, Drawing, MissingRuns
from glocal_exp.report.claims.accuracy import LAST, windows_and_delays
from glocal_exp.report.runs import stored_spectrum
from glocal_exp.report.selection import Selection, select

HEIGHT = 2.4  # inches
WIDTHS = (1.0, 0.62, 1.1, 1.15)  # of the panels
SMALL = 6  # points
SMALLEST = 1e-8  # of the largest magnitude: what is smaller is not shown
ZOOM = 0.1  # half the width of the enlarged square around 1
NEAR: dict[str, Any] = {"color": style.ORANGE, "linestyle": (0, (5, 1))}
OTHER: dict[str, Any] = {"color": style.BLUE, "linewidth": 0.6}


@dataclass(frozen=True)
class Fig4(Artifact):
    """Eigenvalues of Hankel DMD, mode magnitudes of one hyperparameter, windows and delays."""

    experiments: Sequence[str]  # of the first that has stored arrays, the first such seed is drawn
    # the experiment over windows and delays; its panel is left out where nothing is stored
    grid: str
    column: str = "validation_accuracy"  # of the grid's records
    outer_step: int = 1  # s, whose interval is decomposed
    hyperparameter: str = "learning_rate"  # the component u_j is read at
    steps: int = 100  # how many training steps of |b_j lambda_j^t u_j| are drawn

    def draw(self, context: Context) -> Drawing:
        selection, arrays = self._first(context)
        (run,) = selection.runs
        spectrum = stored_spectrum(arrays, int(run.stored.value("method.stride", 1)))
        tolerance = run.stored.value("method.steady_state.unit_tolerance", 0.02)
        near = spectrum.steady(tolerance)
        word = self.hyperparameter.replace("_", " ")
        component = selection.hyperparameters.index(self.hyperparameter)
        try:
            over, grid = windows_and_delays(context, self.grid, self.column)
        except MissingRuns:
            over = grid = None
        widths = WIDTHS if over else WIDTHS[:3]
        figure, (axes,) = style.panels(1, len(widths), HEIGHT, width_ratios=widths)
        draw_eigenvalues(axes[0], spectrum, near)
        draw_enlarged(axes[1], spectrum, near, tolerance)
        draw_magnitudes(axes[2], spectrum.magnitudes(component, self.steps + 1), near)
        axes[2].set_ylabel(rf"$|b_j\,\lambda_j^{{\,t}}\,u_j|$ ({word})")
        if grid is not None:
            draw_grid(axes[3], grid, f"{self.column.replace('_', ' ')} (%)")
        for panel, letter in zip(np.delete(axes, 1), "abc", strict=False):
            panel.set_title(f"({letter})", loc="left")
        diamond = {"marker": "D", "markersize": 3.5, "markeredgecolor": "black"}
        looks = {
            rf"steady, $|\lambda_j-1|\leq{tolerance:g}$": NEAR | diamond | {"markeredgewidth": 0.4},
            "other modes": OTHER | {"marker": "o", "markersize": 2.8},
        }
        style.legend_of(figure, looks)
        within = f"within {tolerance:g} of 1"
        # One seed's one interval is all that (a) and (b) show, in the paper too.
        sources = [caption.describe(selection, context, ("steps", "seeds"))]
        sources += [caption.describe(over, context)] if over else []
        text = self.caption(
            *sources,
            seed=run.seed,
            rank=spectrum.rank,
            steady=f"orange: the {near.sum()} {within}, which count as steady"
            if near.any()
            else f"none lies {within}, so that none counts as steady",
            growing=np.count_nonzero(spectrum.growing(tolerance)) or "none",
            limit=1 + tolerance,
            radius=spectrum.spectral_radius,
            word=word,
            smallest=SMALLEST,
            last=LAST,
        )
        return Drawing(figure, text, () if over else (self.grid,))

    def _first(self, context: Context) -> tuple[Selection, Mapping[str, np.ndarray]]:
        """The run that is drawn, and its arrays of the interval."""
        stored = (select(context.runs, n, where={"method": "glocal"}) for n in self.experiments)
        for selection in filter(None, stored):
            for run in selection.runs:
                if "eigenvalues" in (found := run.intervals()[self.outer_step]):
                    return replace(selection, runs=(run,)), found
        raise MissingRuns(self.experiments[0])


def draw_eigenvalues(axes: Axes, spectrum: Spectrum, near: Bool[np.ndarray, " r"]) -> None:
    """The complex plane with the unit circle, eigenvalues near 1 set off by colour and shape."""
    points = np.stack([part(spectrum.step_eigenvalues) for part in (np.real, np.imag)])
    axes.add_patch(Circle((0, 0), 1, fill=False, linewidth=0.7, edgecolor="#777777"))
    axes.scatter(*points[:, ~near], s=8, color=OTHER["color"], linewidths=0)
    axes.scatter(
        *points[:, near], s=16, marker="D", color=NEAR["color"], edgecolors="black",
        linewidths=0.4, zorder=3,
    )  # fmt: skip
    radius = 1.1 * max(1.0, spectrum.spectral_radius)
    axes.set(xlim=(-radius, radius), ylim=(-radius, radius), xticks=(-1, 0, 1), yticks=(-1, 0, 1))
    axes.set(xlabel=r"$\mathrm{Re}\,\lambda_j$", ylabel=r"$\mathrm{Im}\,\lambda_j$")
    axes.set_aspect("equal")


def draw_enlarged(
    axes: Axes, spectrum: Spectrum, near: Bool[np.ndarray, " r"], tolerance: float
) -> None:
    """The same plane around 1, with the circle inside of which an eigenvalue counts as 1."""
    draw_eigenvalues(axes, spectrum, near)
    half = max(ZOOM, 2 * tolerance)
    dashed = {"linewidth": 0.6, "linestyle": (0, (2, 2)), "edgecolor": "#555555"}
    axes.add_patch(Circle((1, 0), tolerance, fill=False, **dashed))
    tick = float(f"{half / 2:.1g}")
    axes.set(xlim=(1 - half, 1 + half), ylim=(-half, half))
    axes.set(xticks=(1 - tick, 1 + tick), yticks=(-tick, 0, tick), ylabel="")


def draw_magnitudes(
    axes: Axes, magnitudes: Float[np.ndarray, "r steps"], near: Bool[np.ndarray, " r"]
) -> None:
    """One line a mode on a logarithmic axis, the steady ones on top."""
    if (~near).any():
        axes.plot(magnitudes[~near].T, **OTHER, alpha=0.8)
    if near.any():
        axes.plot(magnitudes[near].T, **NEAR, linewidth=1.5, zorder=3)
    top = float(np.max(magnitudes[np.isfinite(magnitudes)], initial=0.0)) or 1.0
    axes.set_yscale("log")
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set(xlim=(0, magnitudes.shape[1] - 1), ylim=(top * SMALLEST, 3 * top))
    axes.set_xlabel(r"$t$ (training steps)")


def draw_grid(axes: Axes, grid: pd.DataFrame, label: str) -> None:
    """A cell a window and number of delays: the mean over its seeds, in words too."""
    values: Any = grid
    groups = values.groupby(["window", "delays"])["value"]
    means, counts = groups.mean().unstack(), groups.count().unstack()
    shown = axes.imshow(means, cmap="cividis", aspect="auto")
    for row, column in np.ndindex(means.shape):
        value, count = means.iloc[row, column], counts.iloc[row, column]
        if np.isfinite(value):
            text = f"{value:.1f}" + (f"\n(n = {count:g})" if count > 1 else "")
            colour = "white" if float(np.asarray(shown.norm(value))) < 0.5 else "black"
            axes.text(column, row, text, color=colour, ha="center", va="center", fontsize=SMALL)
    axes.set_xticks(range(len(means.columns)), means.columns)
    axes.set_yticks(range(len(means.index)), means.index)
    axes.set(xlabel="delays $m$", ylabel=r"window $\sigma$")
    axes.grid(False)
    axes.figure.colorbar(shown, ax=axes, label=label)
