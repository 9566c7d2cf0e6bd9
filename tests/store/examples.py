"""Records shared by the tests of the store."""

import numpy as np

from glocal_exp.records import Costs, IntervalRecord


def record(outer_step: int, seed: int = 0, arrays: bool = False) -> IntervalRecord:
    """A record whose floats have no short decimal form, a function of its outer step alone."""
    generator = np.random.default_rng([seed, outer_step])
    kept = {"trajectory": generator.normal(size=(4, 3)), "eigenvalues": np.exp(1j * np.arange(3))}
    return IntervalRecord(
        seed=seed,
        outer_step=outer_step,
        step=100 * outer_step,
        metrics={"test_accuracy": float(generator.random()), "test_loss": float("nan")},
        hyperparameters={"learning_rate": float(np.float32(generator.random()))},
        hypergradient={"learning_rate": generator.normal() * 1e-17} if outer_step else {},
        costs=Costs(tangent_steps=100 * outer_step, validation_gradients=80 * outer_step),
        seconds=1 / 3,
        arrays=kept if arrays else {},
    )
