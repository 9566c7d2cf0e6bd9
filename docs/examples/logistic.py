"""A penalty for each of 2,000 words: logistic regression, beside TPE at equal time."""

import jax
import jax.numpy as jnp
import numpy as np
import optuna

from glocal_exp.app.own import run
from glocal_exp.engine import Reverse, Splits
from glocal_exp.methods.local import Local
from glocal_exp.problems import OwnProblem
from glocal_exp.types import InnerState

WORDS, TELLING, SOLVED = 2000, 100, 500  # of words few tell classes apart; steps from scratch


class Penalties(OwnProblem):
    """Training: cross entropy + sum penalty_j w_j^2, by proximal descent. Validation: without."""

    penalty: float = 0.1  # of every word at the start
    learning_rate: float = 0.5
    documents: tuple[int, int, int] = (1000, 8000, 8000)  # for training, validation and testing

    def examples(self, seed):
        """Which words documents have, frequencies falling as 1 / sqrt(rank); two classes."""
        rng = np.random.default_rng(seed)
        frequency, tilt = 0.5 / np.sqrt(rng.permutation(WORDS) + 1), np.zeros(WORDS)
        tilt[rng.choice(WORDS, TELLING, replace=False)] = rng.choice([-0.5, 0.5], TELLING)

        def part(count):
            y = rng.integers(0, 2, count)
            odds = frequency / (1 - frequency) * np.exp(np.outer(2 * y - 1, tilt))
            x = rng.random((count, WORDS)) < odds / (1 + odds)
            return {"x": ((x - frequency) / np.sqrt(frequency)).astype(np.float32), "y": y}

        return Splits(*map(part, self.documents))

    def init(self, key):
        start = jnp.full(WORDS, jnp.log(self.penalty))
        return InnerState(jnp.zeros(WORDS), (), jnp.zeros((), int)), {"log_penalty": start}

    def step(self, state, phi, batch, key):
        loss, gradient = jax.value_and_grad(self.loss)(state.params, batch)
        w, shrink = state.params - self.learning_rate * gradient, jnp.exp(phi["log_penalty"])
        return InnerState(w / (1 + 2 * self.learning_rate * shrink), (), state.step + 1), loss

    def meta_loss(self, state, phi, batch):
        return self.loss(state.params, batch)

    def metrics(self, state, batch):
        return {"loss": self.loss(state.params, batch)}

    def describe(self, phi):
        return {"penalty": jnp.exp(phi["log_penalty"])}

    def loss(self, w, batch):
        return jnp.mean(jax.nn.softplus(batch["x"] @ w) - batch["y"] * (batch["x"] @ w))


def tpe(problem, splits, seconds, count):
    """Test loss where so many penalties, spread over all words, gave the least validation loss."""
    data, (first, _) = jax.tree.map(jnp.asarray, splits), problem.init(jax.random.key(0))

    @jax.jit
    def losses(logs):
        def step(_, state):
            return problem.step(state, {"log_penalty": logs}, data.train, None)[0]

        w = jax.lax.fori_loop(0, SOLVED, step, first).params
        return problem.loss(w, data.validation), problem.loss(w, data.test)

    def objective(trial):
        logs = [trial.suggest_float(str(i), *np.log([1e-4, 1e2])) for i in range(count)]
        validation, test = map(float, losses(jnp.resize(jnp.array(logs), WORDS)))
        trial.set_user_attr("test", test)
        return validation

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    losses(jnp.zeros(WORDS))  # compiled before the clock starts
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0))
    study.optimize(objective, timeout=seconds)
    return study.best_trial.user_attrs["test"], len(study.trials)


def main(store="outputs/runs", steps=1000, problem=None):
    """Test losses by hypergradients, and by TPE in the time that these took."""
    splits, losses, trials = (problem := problem or Penalties()).examples(0), {}, {}
    settings = {"steps": steps, "interval": 20, "batch_size": problem.documents[0]}
    settings |= {"mode": Reverse(), "eval_every": steps, "store": store, "tracker": "none"}
    frame = run(problem, splits, Local(), name="logistic", **settings)
    losses["hypergradients"], seconds = float(frame["test_loss"].iloc[-1]), frame["seconds"].sum()
    for count in (1, WORDS):
        losses[f"TPE of {count}"], trials[count] = tpe(problem, splits, seconds, count)
    print(f"{seconds:.0f} s each, TPE's trials {trials}, test losses {losses}")
    return losses


if __name__ == "__main__":
    main()
