"""Progress and noise told apart in one interval, and each carried to the end of training.

On a noisy quadratic (Wu et al. 2018) a learning rate acts in two ways. Modes that still move make
**progress** by it, the more of it the longer training goes on; modes that have converged keep a
**noise** that is there within the interval and is forgotten once later rates are lower. The
hypergradient at the window's mean iterate is mostly progress, for averaging takes the noise away;
what h_t has beyond it is noise. A local method adds the two as they stand, a global one too.

With h_bar at the centre t_c of the window and t_0 the interval's start, losses that fall as
t^-alpha let n steps of action, seen at t, have the effect

    P(n, t) = h_bar n t^-(1 + alpha) / ((t_c - t_0) t_c^-(1 + alpha))

on what acts in proportion to time (learning rate, momentum), and h_bar on everything else.

None of this sees the edge of stability, 2 / curvature, which the next step may cross, nor what
averaging leaves of the noise in h_bar. A check sees both: away from the edge the loss that noise
adds, the mean of the losses at the h_t's steps less that at the mean iterate, is in proportion to
the rate, so that its derivative by the rate's logarithm is as large; of a mode near the edge it is
2 / (2 - rate curvature) times that. Where what h_t have beyond progress is a multiple of it, the
parts are not to be trusted, and h_t are followed as they are. A few noisy numbers are compared, so
that this alone would happen anywhere. It counts only from a share of the edge on, which is seen by
an average of curvatures that is never above the largest: on a quadratic the check is silent below.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from jaxtyping import Float

from glocal_exp.errors import UserError
from glocal_exp.methods.method import Estimate, Measured, Method, Moment, Wanted, last_of

Vector = Float[np.ndarray, " q"]
FEWEST = 4  # losses, from which on alpha is fitted
BETWEEN = (0.1, 1.0)  # what a fitted alpha is clipped to


@dataclass(frozen=True)
class Split(Method):
    """An estimate of a derivative of the final loss, from h at the window's mean and a few h_t.

    With d outer steps to come, `noise` the mean over the h_t of h_t - P(t - t_0, t), and T the end:

    - `progress`: P(T - t_0, T);
    - `held`: P(T - t_0, T) + noise, of hyperparameters kept to the end;
    - `schedule`: P(tau, T) + noise / (1 + share d), of those of this interval alone;
    - `plan`: P(tau (1 + rho + ... + rho^d), T) + rho^d noise with rho = exp(-fall meta_rate), of
      rates that fall from here on as far as meta steps of that size let them.

    At the last outer step with a single h_t the last three are local.

    Attributes:
        window: sigma, iterates that are averaged.
        reads: so many h_t, evenly spaced over the second half of the window, its end included.
        truth: which derivative.
        alpha: exponent of the loss; `fit` for the slope of the validation losses so far, on
            logarithmic axes, 0.5 before there are four.
        share: how fast the noise of an interval is forgotten, an outer step.
        fall: how fast rates are planned to fall, in meta steps an outer step.
        meta_rate: size of a meta step.
        clock: what t counts: training `steps`, or each by its learning `rate` / (1 - momentum).
        carried: hyperparameters that act in proportion to time.
        doubt: from this ratio on, of the noise's derivative by the learning rate to the loss that
            it adds, what is carried follows the mean of the h_t, if that lowers the rate; never if
            None.
        near: nor below this share of the edge of stability, learning rate times curvature at
            2 (1 + momentum).
    """

    carries: ClassVar[bool] = False  # tangents of other intervals have no t_0

    window: int
    reads: int
    truth: Literal["progress", "held", "schedule", "plan"]
    alpha: float | Literal["fit"]
    share: float
    fall: float
    meta_rate: float
    clock: Literal["steps", "rate"]
    carried: Sequence[str]
    doubt: float | None = None
    near: float = 0.0

    def __post_init__(self):
        for name, least in (("reads", 1), ("share", 0), ("fall", 0), ("meta_rate", 0)):
            if not getattr(self, name) >= least:
                raise UserError(f"method.{name}={getattr(self, name)} is not at least {least}.")
        if self.alpha != "fit" and not 0 <= float(self.alpha) < np.inf:
            raise UserError(f"method.alpha={self.alpha} is neither fit nor at least 0.")

    def wanted(self, interval: int) -> Wanted:
        last_of(self.window, 1, interval)
        return Wanted(self._read(interval), mean=self.window, sharpness=self.doubt is not None)

    def _read(self, interval: int) -> list[int]:
        """Indices of the h_t."""
        if self.reads == 1:
            return [interval - 1]
        steps = np.linspace(interval - self.window // 2, interval, self.reads).round().astype(int)
        if len(set(steps)) < self.reads or steps[0] < 1:
            raise UserError(
                f"method.reads={self.reads} does not fit half of method.window={self.window}."
            )
        return (steps - 1).tolist()

    def estimate(self, measured: Measured, moment: Moment) -> Estimate:
        tau, left = moment.interval, moment.outer_steps - moment.outer_step
        unit, start = self._unit(moment), float(moment.memory.get("clock", 0.0))
        centre, end = start + unit * (tau - (self.window - 1) / 2), start + unit * tau * (left + 1)
        alpha, memory = self._alpha(moment, start + unit * tau)
        carried = np.isin(moment.names, list(self.carried))

        def progress(action: float, seen: float) -> Vector:
            """P of so much action, seen at that time."""
            pace = action / (centre - start) * (seen / centre) ** -(1 + alpha)
            return measured.mean * np.where(carried, pace, 1.0)

        read = unit * (1.0 + np.array(self._read(tau)))
        beyond = [h - progress(t, start + t) for h, t in zip(measured.h, read, strict=True)]
        noise = np.mean(beyond, axis=0) - measured.mean_direct  # which each h_t has too
        falls = np.exp(-self.fall * self.meta_rate * np.arange(left + 1))
        action, kept = {
            "progress": (end - start, 0.0),
            "held": (end - start, 1.0),
            "schedule": (unit * tau, 1 / (1 + self.share * left)),
            "plan": (unit * tau * falls.sum(), falls[-1]),
        }[self.truth]
        ahead = progress(action, end)
        value = ahead + (kept * noise if kept else 0.0) + measured.mean_direct
        doubted = self._doubted(measured, moment, noise)
        if doubted:
            value = np.where(carried, measured.h.mean(axis=0), value)
        diagnostics = {"alpha": alpha, "doubted": float(doubted)}
        for word, part in (("progress", ahead), ("noise", kept * noise)):
            diagnostics |= {
                f"{word}/{name}": float(x) for name, x in zip(moment.names, part, strict=True)
            }
        return Estimate(value, diagnostics, memory=memory | {"clock": np.array(start + unit * tau)})

    def _doubted(self, measured: Measured, moment: Moment, noise: Vector) -> bool:
        """Whether the noise is more than it can be, and h_t ask for a lower learning rate."""
        if self.doubt is None or "learning_rate" not in moment.names or not measured.values.size:
            return False
        rate = moment.names.index("learning_rate")
        added = measured.values.mean() - measured.mean_value
        edge = 2 * (1 + moment.values.get("momentum", 0.0))
        near = measured.sharpness >= self.near * edge
        return bool(near and noise[rate] > self.doubt * added and measured.h[:, rate].mean() > 0)

    def _unit(self, moment: Moment) -> float:
        """What a training step of this interval counts."""
        if self.clock == "steps":
            return 1.0
        if "learning_rate" not in moment.values:
            raise UserError("method.clock=rate needs a task with a learning_rate; choose steps.")
        return moment.values["learning_rate"] / (1 - moment.values.get("momentum", 0.0))

    def _alpha(self, moment: Moment, now: float) -> tuple[float, dict[str, Any]]:
        """The exponent, and what is to be remembered for it."""
        if self.alpha != "fit":
            return float(self.alpha), {}
        known = moment.memory.get("losses", np.zeros((0, 2)))
        loss = moment.metrics.get("validation_loss", np.nan)
        if loss > 0 and np.isfinite(loss):
            known = np.vstack([known, [now, loss]])
        times, losses = np.log(known).T
        slope = np.polyfit(times, losses, 1)[0] if len(known) >= FEWEST else -0.5
        return float(np.clip(-slope, *BETWEEN)), {"losses": known}
