"""Whole runs start anew at every call, and seeds are those that were asked for."""

import dataclasses

import numpy as np
import pytest

from benchmarks.entries.parts import dmd, host
from benchmarks.experiments import SMALL, whole_run

pytestmark = pytest.mark.slow

TINY = ["model.filters=2", "interval=3", "steps=6", "precision=float64", "validation.subset=10"]


def told(records):
    """What does not depend on the clock, by seed and step."""
    return {
        (r.seed, r.step): (r.metrics["validation_loss"], *r.hyperparameters.values())
        for r in records
    }


def test_a_run_can_be_made_again():
    call = whole_run("", SMALL, "method=local", *TINY)
    first, second = told(call.run()), told(call.run())
    assert list(first) == [(0, 0), (0, 3), (0, 6)]
    assert first == second
    assert first[0, 3] != first[0, 6]


def test_seeds_side_by_side_and_in_turn_are_the_same_runs():
    both = {"seeds": (0, 1)}
    together = told(whole_run("", SMALL, "method=none", *TINY, **both).run())
    in_turn = told(whole_run("", SMALL, "method=none", *TINY, **both, together=False).run())
    assert set(together) == set(in_turn) == {(s, t) for s in (0, 1) for t in (0, 3, 6)}
    for key, values in together.items():
        np.testing.assert_allclose(values, in_turn[key], rtol=1e-10)  # other orders of addition
    assert together[0, 0] != together[1, 0]


def test_the_host_s_interval_is_a_whole_one():
    record = host(SMALL)()
    assert (record.outer_step, record.step) == (1, SMALL.interval)
    assert record.costs.validation_gradients == SMALL.window


@pytest.mark.parametrize("q", [1, 3])
def test_the_steady_state_of_what_decays_in_noise_is_found(q):
    scale = dataclasses.replace(SMALL, window=20, delays=3)
    value, _ = dmd(scale, q)()
    assert value.shape == (q,)
    assert np.isfinite(value).all()
