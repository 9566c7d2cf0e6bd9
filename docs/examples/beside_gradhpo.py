"""Tuner beside gradhpo (PyPI) on the problem of training_loop.py: a table, beside this file.

python -m docs.examples.beside_gradhpo, after pip install gradhpo.
"""

import contextlib
import io
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
from gradhpo import OneStepOptimizer, OnlineHypergradientOptimizer

from docs.examples import training_loop as example
from glocal_exp.methods.local import Local
from glocal_exp.methods.none import NoHPO

SEEDS, STEPS, INTERVAL = (0, 1, 2, 3), 2000, 100
PROBLEM, (TRAIN, VALIDATION, TEST) = example.Perceptron(), example.images()
RATES = (1e-3, 1e-2)  # of gradhpo's meta optimizer, which moves a hundred times as often


def ours(method):
    """By a Tuner, kept for all seeds as its compiled programs are."""
    tuner = example.Tuner(PROBLEM, method, optax.adam(0.1), interval=INTERVAL, steps=STEPS)

    def train(seed):
        state, batches = tuner.init(jax.random.key(seed)), example.batches(TRAIN, seed)
        for step in range(1, STEPS + 1):
            state = tuner.step(state, next(batches))
            if step % INTERVAL == 0:
                state = tuner.update(state, VALIDATION)
        return state.inner.params, state.phi

    return train


def update(w, phi, batch):
    """A training step, which gradhpo asks to have no state but parameters."""
    state = example.InnerState(w, PROBLEM.rule(phi).init(w), jnp.zeros((), int))
    return PROBLEM.step(state, phi, batch, None)[0].params


def loss(w, phi, batch):
    """For validation, as gradhpo asks for it."""
    return PROBLEM.loss(w, batch)


def one_step(rate):
    """A validation gradient on all validation images in every step, through that step alone."""
    tuner = OneStepOptimizer(update_fn=update, outer_optimizer=optax.adam(rate))

    def train(seed):
        first, phi = PROBLEM.init(jax.random.key(seed))
        state, batches = tuner.init(first.params, phi), example.batches(TRAIN, seed)
        for _ in range(STEPS):
            # Its counter is static: every number that it has not had is compiled anew.
            state = tuner.step(state.update(step=0), next(batches), VALIDATION, loss, loss)
        return state.params, state.hyperparams

    return train


def hyper_distill(rate):
    """With its own settings; an episode starts where the last one ended (Reptile's rate is 1)."""
    tuner = OnlineHypergradientOptimizer(update_fn=update, outer_optimizer=optax.adam(rate))

    def train(seed):
        first, phi = PROBLEM.init(jax.random.key(seed))
        batches = example.batches(TRAIN, seed)
        given = (lambda: next(batches)), (lambda: VALIDATION), loss, loss
        state = tuner.run(tuner.init(first.params, phi), STEPS // tuner.T, *given)
        return state.params, state.hyperparams

    return train


def measured(train, seed):
    """Test accuracy and loss, the learning rate found, and seconds of processor time."""
    start = time.process_time()
    with contextlib.redirect_stdout(io.StringIO()):
        w, phi = jax.block_until_ready(train(seed))
    seconds = time.process_time() - start
    right = jnp.argmax(PROBLEM.logits(w, TEST), axis=1) == TEST["y"]
    found = jnp.mean(right), PROBLEM.loss(w, TEST), jnp.exp(phi["rate"]), seconds
    return [float(value) for value in found]


def main():
    """Measure all in turn, seed by seed; the first pays for compilation and counts for no time."""
    trained = {"plain training": ours(NoHPO()), "Tuner, local": ours(Local())}
    trained["Tuner, glocal"] = ours(example.GLOCAL)
    trained |= {f"gradhpo, one step, Adam {rate:g}": one_step(rate) for rate in RATES}
    trained |= {f"gradhpo, HyperDistill, Adam {rate:g}": hyper_distill(rate) for rate in RATES}
    rows = {name: [] for name in trained}
    for seed in SEEDS:
        for name, train in trained.items():
            rows[name].append(measured(train, seed))
    table = {name: np.array(values) for name, values in rows.items()}
    plain = table["plain training"][1:, 3]
    lines = ["| | test accuracy | test loss | learning rate, from 0.01 | times plain training |"]
    lines.append("| --- | --- | --- | --- | --- |")
    for name, values in table.items():
        accuracy, lost, rate = (f"{m:.3f} ± {s:.3f}" for m, s in spread(values[:, :3]))
        lines.append(
            f"| {name} | {accuracy} | {lost} | {rate} | {np.median(values[1:, 3] / plain):.2f} |"
        )
    Path(__file__).with_suffix(".md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


def spread(values):
    """Mean and standard deviation of each column."""
    return zip(values.mean(axis=0), values.std(axis=0, ddof=1), strict=True)


if __name__ == "__main__":
    main()
