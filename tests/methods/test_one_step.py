"""Meta-Weight-Net's order of steps, written out by hand, against the engine's."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from glocal_exp.engine import Auto, Forward, LowRank, Reverse, run
from glocal_exp.engine.batches import batch_indices
from glocal_exp.errors import UserError
from glocal_exp.methods.one_step import OneStep
from tests.problems import images, reweighting

STEPS, BATCH, RATE = 5, 12, 0.05
PROBLEM = reweighting(hidden=8)
SPLITS = images(3)


def by_hand():
    """Virtual step, meta step, real step with the same batch; the first real one comes before."""
    state, phi = PROBLEM.init(jax.random.key(0))
    meta = optax.adam(RATE)
    meta_state = meta.init(phi)
    validation = jax.tree.map(jnp.asarray, SPLITS.validation)
    rows = batch_indices(0, len(SPLITS.train["y"]), BATCH, 0, STEPS)
    batches = [jax.tree.map(lambda leaf: jnp.asarray(leaf)[row], SPLITS.train) for row in rows]  # noqa: B023

    def key(step):
        return jax.random.fold_in(jax.random.key(0), step)

    @jax.jit
    def ahead(state, phi, batch, key):
        def loss(phi):
            return PROBLEM.meta_loss(PROBLEM.step(state, phi, batch, key)[0], phi, validation)

        return jax.grad(loss)(phi)

    phis, step = [phi], jax.jit(PROBLEM.step)
    state, _ = step(state, phi, batches[0], key(0))
    for t in range(1, STEPS):
        updates, meta_state = meta.update(ahead(state, phi, batches[t], key(t)), meta_state, phi)
        phi = optax.apply_updates(phi, updates)
        phis.append(phi)
        state, _ = step(state, phi, batches[t], key(t))
    return state, phis


@pytest.mark.parametrize("mode", [Reverse(), Forward(), Auto()])
def test_every_batch_is_tried_before_it_is_taken(mode):
    loop = run(
        *(PROBLEM, SPLITS, OneStep()),
        steps=STEPS,
        interval=1,
        batch_size=BATCH,
        eval_every=STEPS,
        meta_optimizer=optax.adam(RATE),
        mode=mode,
    )
    records = list(loop)
    state, phis = by_hand()
    for a, b in zip(
        jax.tree.leaves(loop.states[0].params), jax.tree.leaves(state.params), strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)
    shown = [PROBLEM.describe(phi)["weight_at_0.5"] for phi in phis]
    used = [record.hyperparameters["weight_at_0.5"] for record in records[1:]]
    np.testing.assert_allclose(used, shown, rtol=1e-9)
    assert len(set(used)) == STEPS
    forward = isinstance(mode, Forward)
    assert loop.mode == (Forward() if forward else Reverse())
    costs = records[-1].costs
    looked = costs.tangent_steps if forward else costs.reverse_steps
    # The last step has nothing ahead of it and is itself differentiated.
    assert (costs.plain_steps, looked) == (STEPS - 1, STEPS)


def test_there_are_no_tangents_to_carry():
    with pytest.raises(UserError, match="carry_tangents=true has none to carry"):
        run(
            *(PROBLEM, SPLITS, OneStep()),
            steps=2,
            interval=1,
            batch_size=4,
            carry_tangents=True,
        )


def test_low_rank_is_refused():
    with pytest.raises(UserError, match="hypergradient=low_rank lays its directions where"):
        run(
            *(PROBLEM, SPLITS, OneStep()),
            steps=2,
            interval=1,
            batch_size=4,
            mode=LowRank(),
        )
