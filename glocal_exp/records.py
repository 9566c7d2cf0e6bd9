"""What a run leaves behind, as plain NumPy and Python values.

Everything between the engine and its consumers (progress, W&B, the store, the figures) passes as
one `IntervalRecord` per outer step, so that a consumer needs neither JAX nor the engine.
"""

from dataclasses import asdict, astuple, dataclass, field
from typing import Any

import numpy as np

LARGEST_SEED = 2**32 - 1  # beyond it JAX's keys repeat


@dataclass(frozen=True)
class Costs:
    """Work counted since the start of the run, in calls.

    Attributes:
        plain_steps: training steps without tangents.
        tangent_steps: training steps that carried all tangents, playouts included.
        reverse_steps: training steps that a sweep back went through.
        validation_gradients: gradients of the whole validation loss.
    """

    plain_steps: int = 0
    tangent_steps: int = 0
    reverse_steps: int = 0
    validation_gradients: int = 0

    def __add__(self, other: "Costs") -> "Costs":
        return Costs(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))


@dataclass(frozen=True)
class IntervalRecord:
    """One outer step s: what was measured after its `interval` training steps.

    Outer step 0 is the state before training; it has no hypergradient.

    Attributes:
        seed: the seed of the run that the record belongs to.
        outer_step: s, from 0 to S.
        step: t = s * interval, training steps done. A method that restarts training in every outer
            step (global, not greedy) does a whole training of T steps in each, and its step is
            s * interval all the same.
        metrics: scalars by name (`test_accuracy`, `test_loss`, `validation_accuracy`,
            `validation_loss`, `train_loss`); all but the last are absent where they are not
            taken, and `train_loss` is NaN at outer step 0.
        hyperparameters: natural units, as used *during* this interval; of an array each entry
            (`penalty/3`), or `penalty/min`, `/mean` and `/max` where there are more than 16.
        hypergradient: the estimate that the meta step took, by name; with respect to the
            unconstrained hyperparameters. Empty for `none`; of more than 16 hyperparameters its
            `norm` and `largest` magnitude (`arrays["hypergradient"]` of the intervals kept has it).
        skipped: the meta step was skipped, since the estimate, or what the step would have made
            of the hyperparameters or of the meta optimizer's state, is not finite.
        diverged: the weights are not finite.
        costs: cumulative counts.
        seconds: wall time of training and hypergradients in this interval, without compilation
            and evaluation. Seeds trained side by side each get the time of all of them together.
        compile_seconds: wall time spent compiling in this interval.
        evaluation_seconds: wall time spent on the metrics.
        diagnostics: scalars of the estimator (spectral radius, rank, ...).
        remarks: sentences on what a user should know of the estimate, the same whenever it is so.
        arrays: `trajectory` (n, q), `eigenvalues` (r,), `modes` (mq, r), `amplitudes` (r,), ...;
            empty unless the interval was chosen to be kept.
    """

    seed: int
    outer_step: int
    step: int
    metrics: dict[str, float]
    hyperparameters: dict[str, float]
    hypergradient: dict[str, float] = field(default_factory=dict)
    skipped: bool = False
    diverged: bool = False
    costs: Costs = field(default_factory=Costs)
    seconds: float = 0.0
    compile_seconds: float = 0.0
    evaluation_seconds: float = 0.0
    diagnostics: dict[str, float] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    arrays: dict[str, np.ndarray] = field(default_factory=dict)

    def row(self) -> dict[str, Any]:
        """The scalars as one flat row: groups become prefixes (`hyperparameter/learning_rate`)."""
        flat: dict[str, Any] = {"seed": self.seed, "outer_step": self.outer_step, "step": self.step}
        flat |= self.metrics
        flat |= {f"hyperparameter/{name}": value for name, value in self.hyperparameters.items()}
        flat |= {f"hypergradient/{name}": value for name, value in self.hypergradient.items()}
        flat |= {f"diagnostic/{name}": value for name, value in self.diagnostics.items()}
        flat |= {
            "skipped": self.skipped,
            "diverged": self.diverged,
            **asdict(self.costs),
            "seconds": self.seconds,
            "compile_seconds": self.compile_seconds,
            "evaluation_seconds": self.evaluation_seconds,
        }
        return flat
