"""A training loop of one's own, tuned: its numbers are those of `run` on the same batches."""

from functools import cache

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from glocal_exp.engine import Auto, Copies, Distilled, Forward, Hooks, LowRank, Reverse
from glocal_exp.errors import UserError
from glocal_exp.methods.evolution import Evolution
from glocal_exp.methods.global_ import Global
from glocal_exp.methods.hyperdistill import HyperDistill
from glocal_exp.methods.local import Local
from glocal_exp.methods.split import Split
from glocal_exp.tuner import Tuner
from tests.engine.runs import INTERVAL, META, METHODS, NUMERICS, SGD, STEPS, batches, begin, equal
from tests.engine.test_low_rank import LOW_RANK, TASK
from tests.engine.test_low_rank import SPLITS as IMAGES
from tests.problems import Noisy, regression

DATA = regression(0)
SPLIT = Split(4, 2, "plan", "fit", 1.0, 1.0, 0.1, "steps", ["learning_rate"])
# Problem, examples, method and mode; each kind of carry, and a memory that grows.
SETTINGS = {
    "local": (Noisy("sgd"), DATA, METHODS["local"], Forward()),
    "glocal": (SGD, DATA, METHODS["glocal"], Forward()),
    "reverse": (Noisy("adam"), DATA, METHODS["local"], Auto()),
    "split": (SGD, DATA, SPLIT, Forward()),
    "low_rank": (TASK, IMAGES[0], METHODS["window_mean"], LOW_RANK),
}


def tuner(problem, method, mode, steps=STEPS, **settings):
    settings |= {"interval": INTERVAL, "numerics": NUMERICS, "mode": mode}
    return Tuner(problem, method, META, steps=steps, **settings)


@cache
def compiled(name):
    """A tuner whose programs several tests use, and its examples."""
    problem, splits, method, mode = SETTINGS[name]
    return tuner(problem, method, mode), splits


def batch_of(splits, step, seed=0):
    return jax.tree.map(lambda leaf: leaf[0], batches(splits, step, 1, seed))


def train(tuned, splits, state, start=0, stop=STEPS, seed=0):
    for step in range(start, stop):
        state = tuned.step(state, batch_of(splits, step, seed))
        if (step + 1) % INTERVAL == 0:
            state = tuned.update(state, splits.validation)
    return state


@pytest.mark.parametrize("name", SETTINGS)
def test_numbers_are_those_of_run_to_the_bit(name):
    """Of a segment the programs are the same, but for how many examples batches are taken from."""
    problem, splits, method, mode = SETTINGS[name]
    loop = begin(problem, splits, method, mode=mode, hooks=Hooks(keep=lambda outer_step: True))
    expected, shown = list(loop)[1:], []
    tuned = tuner(problem, method, mode, show=shown.append)
    state = train(tuned, splits, tuned.init(jax.random.key(0)))
    assert equal((state.inner, state.phi), (loop.states[0], loop.hyperparams[0]))
    assert equal(state.hypergradient, expected[-1].arrays["hypergradient"])
    for found, record in zip(shown, expected, strict=True):
        assert found.hypergradient == record.hypergradient
        assert (found.step, found.costs) == (record.step, record.costs)
        loss = "validation_loss"
        assert found.metrics[loss] == record.metrics[loss]


def test_the_states_between_are_those_of_plain_training():
    problem, key = Noisy("sgd"), jax.random.key(3)
    tuned = tuner(problem, Local(), Forward())
    state, (inner, phi) = tuned.init(key), problem.init(key)
    assert np.isnan(state.loss)
    for step in range(INTERVAL):
        batch = batch_of(DATA, step)
        inner, loss = problem.step(inner, phi, batch, jax.random.fold_in(key, step))
        state = tuned.step(state, batch)
        np.testing.assert_allclose(state.loss, loss, rtol=1e-12)  # rounding: one is not compiled
        np.testing.assert_allclose(state.inner.params["w1"], inner.params["w1"], rtol=1e-10)
    # Up to rounding what the derivatives belong to.
    updated = tuned.update(state, DATA.validation)
    np.testing.assert_allclose(updated.inner.params["w1"], inner.params["w1"], rtol=1e-10)
    assert not equal(updated.phi, state.phi)


def by_equinox(path, state, like):
    eqx.tree_serialise_leaves(path, state)
    return eqx.tree_deserialise_leaves(path, like)


def by_orbax(path, state, like):
    orbax = pytest.importorskip("orbax.checkpoint")
    with orbax.StandardCheckpointer() as checkpointer:
        checkpointer.save(path, state)
        checkpointer.wait_until_finished()
        return checkpointer.restore(path, like)


@pytest.mark.parametrize("saved", [by_equinox, pytest.param(by_orbax, marks=pytest.mark.slow)])
@pytest.mark.parametrize("stop", [INTERVAL, INTERVAL + 2])
def test_a_saved_state_goes_on_as_if_it_had_never_stopped(tmp_path, stop, saved):
    tuned, splits = compiled("local")
    start = tuned.init(jax.random.key(0))
    state = train(tuned, splits, start, stop=stop)
    like = eqx.tree_at(lambda s: s.batches, start, state.batches)  # () after an update
    restored = saved(tmp_path / "state", state, like)
    ends = (train(tuned, splits, s, start=stop) for s in (restored, state))
    assert equal(*ends)


def test_after_an_update_a_state_has_the_shapes_of_the_first():
    for name in ("local", "low_rank"):
        tuned, splits = compiled(name)
        first = tuned.init(jax.random.key(0))
        state = train(tuned, splits, first, stop=INTERVAL)
        shapes = [jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), s) for s in (first, state)]
        assert jax.tree.structure(first) == jax.tree.structure(state)
        assert shapes[0] == shapes[1]


def test_a_step_is_traced_once():
    class Counted(Noisy):
        def step(self, state, phi, batch, key):
            traced.append(batch)
            return super().step(state, phi, batch, key)

    traced = []
    tuned = tuner(Counted("sgd"), METHODS["none"], Forward())
    train(tuned, DATA, tuned.init(jax.random.key(0)))
    assert len(traced) == 2  # of step, and of update's segments


def test_what_a_loop_cannot_do_is_one_sentence():
    with pytest.raises(UserError, match="to come"):
        tuner(SGD, Global(), Forward())
    with pytest.raises(UserError, match="HyperDistill looks at batches that are to come"):
        tuner(SGD, HyperDistill(gamma=0.9, horizon=100, every=1), Distilled())
    with pytest.raises(UserError, match="is no InnerProblem"):
        tuner(object(), Local(), Forward())
    with pytest.raises(UserError, match="hypergradient=low_rank needs"):
        tuner(SGD, Local(), LowRank())
    tuned = tuner(SGD, Local(), Reverse(), steps=INTERVAL)
    state = train(tuned, DATA, tuned.init(jax.random.key(0)), stop=INTERVAL - 1)
    with pytest.raises(UserError, match="after interval=6 steps, not after 5"):
        tuned.update(state, DATA.validation)
    short = jax.tree.map(lambda leaf: leaf[:3], batch_of(DATA, 0))
    with pytest.raises(UserError, match="differ in shape"):
        tuned.update(tuned.step(state, short), DATA.validation)
    state = tuned.step(state, batch_of(DATA, 0))
    with pytest.raises(UserError, match="call update"):
        tuned.step(state, batch_of(DATA, 0))
    state = tuned.update(state, DATA.validation)
    with pytest.raises(UserError, match="All steps=6 are taken"):
        tuned.step(state, batch_of(DATA, 0))


def test_batches_may_be_of_numpy_and_phi_may_stay():
    tuned = tuner(SGD, METHODS["none"], Forward(), steps=INTERVAL)
    state = tuned.init(jax.random.key(0))
    for step in range(INTERVAL):
        state = tuned.step(state, jax.tree.map(np.asarray, batch_of(DATA, step)))
    after = tuned.update(state, DATA.validation)
    assert np.isnan(after.hypergradient).all()
    assert equal(after.phi, state.phi)
    assert isinstance(after.inner.step, jnp.ndarray)


def test_moves_of_copies_are_those_of_the_keys_run():
    """Other keys draw others."""
    tuned, ends = tuner(SGD, Evolution(pairs=2, scale=0.05), Copies()), []
    for seed in (0, 5):
        loop = begin(SGD, DATA, tuned.plan.method, mode=Copies(), seed=seed)
        list(loop)
        ends.append(train(tuned, DATA, tuned.init(jax.random.key(seed)), seed=seed).phi)
        assert equal(ends[-1], loop.hyperparams[seed])
    assert not equal(*ends)
