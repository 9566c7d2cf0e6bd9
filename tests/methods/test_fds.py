"""Forward-mode differentiation with sharing against the authors' recursion, in NumPy.

Training follows half the sum of c w^2 by SGD with momentum; the validation loss is half the sum of
(w - a)^2.
"""

import jax.numpy as jnp
import numpy as np
import optax
import pytest

from glocal_exp.app.own import run as store_run
from glocal_exp.engine import Forward, Hooks, LowRank, Numerics, Reverse, Splits, run
from glocal_exp.engine.compiled import Programs
from glocal_exp.errors import UserError
from glocal_exp.methods.fds import FDS
from glocal_exp.methods.method import Measured, Moment
from glocal_exp.types import InnerProblem, InnerState
from tests.engine.runs import equal, same

C, A, W = np.array([3.0, 1.0, 0.2]), np.array([0.3, -0.2, 0.5]), np.array([1.0, -2.0, 1.5])
STEPS, INTERVAL, PERIODS = 20, 4, {"learning_rate": 3, "momentum": 2}
START = {"learning_rate": 0.05, "momentum": 0.1, "weight_decay": 0.01}
SIZES, DECAY = {"learning_rate": 0.2, "momentum": 0.3}, 0.5
ROUNDING = 1e-12
METHOD = FDS(PERIODS, SIZES, DECAY, meta_rate=0.1)


class HeavyBall(InnerProblem):
    """v <- momentum v + g + weight_decay w;  w <- w - learning_rate v."""

    def init(self, key):
        phi = {name: jnp.asarray(value) for name, value in START.items()}
        return InnerState(jnp.asarray(W), jnp.zeros(3), jnp.array(0)), phi

    def step(self, state, phi, batch, key):
        gradient = batch["c"][0] * state.params + phi["weight_decay"] * state.params
        velocity = phi["momentum"] * state.opt_state + gradient
        params = state.params - phi["learning_rate"] * velocity
        loss = 0.5 * batch["c"][0] @ state.params**2
        return InnerState(params, velocity, state.step + 1), loss

    def meta_loss(self, state, phi, batch):
        """Momentum acts directly too, as its last value."""
        return 0.5 * jnp.sum((state.params - batch["a"][0]) ** 2) + 0.01 * phi["momentum"]

    def describe(self, phi):
        return phi


def begin(method=METHOD, seeds=(0,), **settings):
    parts = Splits(train={"c": C[None]}, validation={"a": A[None]})
    settings = {"steps": STEPS, "interval": INTERVAL, "batch_size": 1} | settings
    splits, meta_optimizer = dict.fromkeys(seeds, parts), optax.sgd(METHOD.meta_rate)
    return run(HeavyBall(), splits, method, meta_optimizer=meta_optimizer, **settings)


def by_hand():
    """Z and C of the authors' `inner_loop`: tangents of w and v, by each value, and their h_T."""
    rates, momenta = np.full(3, START["learning_rate"]), np.full(2, START["momentum"])
    decay, sizes, signs, used = START["weight_decay"], None, np.zeros(5), []
    for _ in range(STEPS // INTERVAL):
        used.append(np.concatenate([rates, momenta]))
        w, v, z, c = W, np.zeros(3), np.zeros((5, 3)), np.zeros((5, 3))
        for t in range(STEPS):
            i, j = int(3 * t / STEPS), int(2 * t / STEPS)
            rate, momentum, g = rates[i], momenta[j], C * w
            c_new = momentum * c + C * z + decay * z
            c_new[3 + j] += v
            z = (1 - rate * decay) * z - rate * C * z - rate * momentum * c
            z[i] -= g + decay * w + momentum * v
            z[3 + j] -= rate * v
            c, v = c_new, v * momentum + g + decay * w
            w = w - rate * v
        new = np.sign(z @ (w - A) + np.array([0, 0, 0, 0, 0.01]))
        if sizes is None:
            sizes = np.array([SIZES["learning_rate"]] * 3 + [SIZES["momentum"]] * 2)
        sizes = sizes * np.where(signs * new == -1, DECAY, 1.0)
        signs, moves = new, new * sizes
        rates, momenta = rates - moves[:3], momenta - moves[3:]
    return np.array(used)


@pytest.mark.parametrize("mode", [Forward(), Forward(chunk=2), Reverse()])
def test_every_training_has_the_schedule_that_the_signs_so_far_make(mode):
    expected = by_hand()
    records = [r for r in begin(mode=mode) if r.outer_step]
    columns = [f"learning_rate/{i}" for i in range(3)] + [f"momentum/{i}" for i in range(2)]
    found = np.array([[r.hyperparameters[name] for name in columns] for r in records])
    np.testing.assert_allclose(found, expected, rtol=ROUNDING)
    steps = np.abs(np.diff(expected, axis=0))
    assert (steps[-1] < steps[0]).any()  # signs have changed
    assert {r.hyperparameters["weight_decay"] for r in records} == {START["weight_decay"]}
    costs = records[-1].costs  # every outer step is a whole training
    whole = STEPS * STEPS // INTERVAL
    assert (costs.plain_steps, costs.tangent_steps + costs.reverse_steps) == (0, whole)


def test_without_periods_there_is_one_value():
    method = FDS({}, {"learning_rate": 0.1}, DECAY, 0.1)
    records = [r for r in begin(method) if r.outer_step]
    assert set(records[-1].hyperparameters) == set(START)
    rates = [r.hyperparameters["learning_rate"] for r in records]
    np.testing.assert_allclose(abs(rates[1] - rates[0]), 0.1, rtol=ROUNDING)


# What a sweep back has to train again after a checkpoint counts, without memory for it always.
@pytest.mark.parametrize("mode", [Forward(), pytest.param(Reverse(), marks=pytest.mark.slow)])
def test_seeds_side_by_side_go_on_bit_by_bit_from_any_checkpoint(mode):
    saved = {0: [], 1: []}
    hooks = Hooks(checkpoint=lambda seed, content: saved[seed].append(content))
    numerics = Numerics(segment=4, checkpoint_seconds=-1.0, playout_gib=0.0)
    settings = {"numerics": numerics, "mode": mode, "programs": Programs()}
    loop = begin(seeds=(0, 1), hooks=hooks, **settings)
    whole = list(loop)
    assert len(saved[0]) == len(saved[1]) > STEPS // INTERVAL
    for contents in zip(saved[0][::6], saved[1][::6], strict=True):
        checkpoints = {seed: [content] for seed, content in enumerate(contents)}
        rest = list(begin(seeds=(0, 1), checkpoints=checkpoints, **settings))
        assert all(same(a, b) for a, b in zip(rest, whole[len(whole) - len(rest) :], strict=True))
    alone = list(begin(**settings))
    assert [r.hyperparameters for r in alone] == [r.hyperparameters for r in whole if not r.seed]
    assert equal(loop.hyperparams[0], loop.hyperparams[1])  # the same examples


@pytest.mark.parametrize(
    ("method", "message"),
    [
        (FDS({}, {"rate": 0.1}, 0.5, 0.1), r"method\.sizes names rate, and the task has learning_"),
        (FDS({"rate": 2}, {}, 0.5, 0.1), r"method\.periods names rate, and the task has learning_"),
        (
            FDS({"learning_rate": 21}, {}, 0.5, 0.1),
            r"periods\.learning_rate=21 is more than steps=20",
        ),
    ],
)
def test_what_does_not_fit_the_task_is_refused(method, message):
    with pytest.raises(UserError, match=message):
        begin(method)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"periods": {"learning_rate": 0}}, r"periods\.learning_rate=0 is not a whole number"),
        ({"sizes": {"momentum": 0.0}}, r"sizes\.momentum=0\.0 is not above 0"),
        ({"decay": -0.5}, r"decay=-0\.5 is not above 0"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, message):
    with pytest.raises(UserError, match=message):
        FDS(**{"periods": {}, "sizes": {}, "decay": 0.5, "meta_rate": 0.1} | settings)


def test_a_stored_run_is_that_of_the_iterator(tmp_path):
    parts = Splits(train={"c": C[None]}, validation={"a": A[None]})
    settings = {"steps": STEPS, "interval": INTERVAL, "batch_size": 1}
    settings |= {"meta_optimizer": optax.sgd(METHOD.meta_rate), "store": tmp_path}
    stored = store_run(HeavyBall(), parts, METHOD, tracker="none", **settings)
    expected = [r.hyperparameters["learning_rate/2"] for r in begin()]
    np.testing.assert_allclose(stored["hyperparameter/learning_rate/2"], expected, rtol=ROUNDING)
    assert stored["method"][0] == "fds"


def test_low_rank_is_refused():
    with pytest.raises(UserError, match="needs a task that knows its tangent rows"):
        begin(mode=LowRank())


def test_a_hypergradient_that_is_no_number_moves_nothing():
    moment = Moment(1, 5, 4, ("learning_rate[0]", "learning_rate[1]"))
    estimate = METHOD.estimate(Measured(h=np.array([[np.nan, 3.0]])), moment)
    np.testing.assert_allclose(np.asarray(estimate.hypergradient), [0.0, 2.0])
