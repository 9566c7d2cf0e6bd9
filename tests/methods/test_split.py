"""The split estimate against its formulas written out for one hyperparameter, and its limits."""

import math
from dataclasses import replace

import numpy as np
import optax
import pytest

from glocal_exp.engine import Auto, Forward, Hooks, LowRank, Reverse
from glocal_exp.errors import UserError
from glocal_exp.methods.method import Measured, Moment
from glocal_exp.methods.split import Split
from glocal_exp.tasks.rules import mean_sign
from tests.engine.runs import INTERVAL, SGD, SPLITS, STEPS, begin, same, train, vector
from tests.problems import images, reweighting

TAU, SIGMA, META_RATE, S = 100, 80, 0.1, 20
NAMES = ("learning_rate", "other")
SPLIT = Split(
    SIGMA, 1, "plan", 0.5, share=4, fall=0.5, meta_rate=META_RATE, clock="steps",
    carried=["learning_rate", "momentum"],
)  # fmt: skip
TRUTHS = ("progress", "held", "schedule", "plan")


def by_hand(truth, h, h_bar, outer, c, f, power=1.5):
    """As in the first look: {step of the interval: h_t}, h at the mean, outer step `outer` of S."""
    start, centre, end, d = (outer - 1) * TAU, outer * TAU - (SIGMA - 1) / 2, S * TAU, S - outer
    pace = h_bar / ((centre - start) * centre**-power)
    noise = sum(h_t - pace * t * (start + t) ** -power for t, h_t in h.items()) / len(h)
    if truth == "progress":
        return pace * (end - start) * end**-power
    if truth == "held":
        return pace * (end - start) * end**-power + noise
    if truth == "schedule":
        return pace * TAU * end**-power + noise / (1 + c * d)
    falls = [math.exp(-f * META_RATE * k) for k in range(d + 1)]
    return pace * TAU * sum(falls) * end**-power + falls[-1] * noise


def measured(h, mean, direct=0.0):
    """Of the second hyperparameter the same, whose effect is not carried."""
    both = np.array([[x, x] for x in h])
    return Measured(both, mean=np.array([mean, mean]), mean_direct=np.full(2, direct))


@pytest.mark.parametrize("truth", TRUTHS)
@pytest.mark.parametrize("outer", [1, 7, S])
@pytest.mark.parametrize("reads", [1, 5])
def test_formulas(truth, outer, reads):
    h = {1: [3.0], 5: [2.0, -1.0, 4.0, 0.5, 3.0]}[reads]
    steps = {1: [100], 5: [60, 70, 80, 90, 100]}[reads]
    method = replace(SPLIT, truth=truth, reads=reads)
    assert list(method.wanted(TAU).steps) == [t - 1 for t in steps]
    assert method.wanted(TAU).mean == SIGMA
    moment = Moment(outer, S, TAU, NAMES, {"clock": np.array((outer - 1.0) * TAU)})
    found = method.estimate(measured(h, -0.7), moment)
    by_step = dict(zip(steps, h, strict=True))
    expected = by_hand(truth, by_step, -0.7, outer, 4, 0.5)
    assert found.hypergradient[0] == pytest.approx(expected, rel=1e-12)
    noise, d = np.mean(h) + 0.7, S - outer
    share = {"progress": 0, "held": 1, "schedule": 1 / (1 + 4 * d), "plan": math.exp(-0.05 * d)}
    assert found.hypergradient[1] == pytest.approx(-0.7 + share[truth] * noise, rel=1e-12)
    assert found.memory["clock"] == outer * TAU
    parts = [found.diagnostics[f"{part}/other"] for part in ("progress", "noise")]
    assert sum(parts) == pytest.approx(found.hypergradient[1], rel=1e-12)


@pytest.mark.parametrize("truth", TRUTHS[1:])
@pytest.mark.parametrize("clock", ["steps", "rate"])
@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0, "fit"])
def test_at_the_last_outer_step_it_is_local(truth, clock, alpha):
    method = replace(SPLIT, truth=truth, clock=clock, alpha=alpha)
    values = {"learning_rate": 0.03, "momentum": 0.5}
    memory = {"clock": np.array(57.0)}
    moment = Moment(S, S, TAU, NAMES, memory, values=values, metrics={"validation_loss": 0.3})
    found = method.estimate(measured([3.0], -0.7, direct=0.2), moment).hypergradient
    np.testing.assert_allclose(found, 3.0, rtol=1e-12)


def test_the_clock_may_count_rates():
    method, memory = replace(SPLIT, clock="rate", truth="held"), {}
    counted = 0.0
    for outer, (rate, momentum) in enumerate([(0.01, 0.0), (0.02, 0.5), (0.1, 0.9)], start=1):
        values = {"learning_rate": rate, "momentum": momentum}
        moment = Moment(outer, S, TAU, NAMES, memory, values=values)
        unit = rate / (1 - momentum)
        start, centre = counted, counted + unit * (TAU - (SIGMA - 1) / 2)
        end = counted + unit * TAU * (S - outer + 1)
        pace = -0.7 / ((centre - start) * centre**-1.5)
        now = start + unit * TAU
        noise = 3.0 - pace * unit * TAU * now**-1.5
        found = method.estimate(measured([3.0], -0.7), moment)
        assert found.hypergradient[0] == pytest.approx(pace * (end - start) * end**-1.5 + noise)
        memory, counted = found.memory, now
    with pytest.raises(UserError, match="clock=rate needs a task with a learning_rate"):
        method.estimate(measured([3.0], -0.7), Moment(1, S, TAU, NAMES))


@pytest.mark.parametrize(("true", "expected"), [(0.3, 0.3), (2.0, 1.0), (-0.5, 0.1)])
def test_alpha_is_the_slope_of_the_losses(true, expected):
    method, memory = replace(SPLIT, alpha="fit"), {}
    for outer in range(1, 9):
        loss = {"validation_loss": 2.0 * (outer * TAU) ** -true} if outer != 3 else {}
        moment = Moment(outer, S, TAU, NAMES, memory, metrics=loss)
        found = method.estimate(measured([3.0], -0.7), moment)
        memory = found.memory
        known = outer - (outer >= 3)
        assert found.diagnostics["alpha"] == pytest.approx(expected if known >= 4 else 0.5)
    assert memory["losses"].shape == (7, 2)


@pytest.mark.parametrize("mode", [Reverse(), LowRank(tolerance=1e-6), Auto()])
@pytest.mark.parametrize("reads", [1, 2])
def test_modes_agree_and_the_last_estimate_is_local(mode, reads):
    problem, splits = reweighting(hidden=8), images(0)
    method = replace(SPLIT, window=4, reads=reads, alpha="fit", carried=[])
    settings = {"splits": splits, "mode": mode}
    if isinstance(mode, Reverse) and reads > 1:
        with pytest.raises(UserError, match="reverse"):
            begin(problem, method=method, **settings)
        return
    found = list(begin(problem, method=method, **settings))
    expected = list(begin(problem, splits, method, mode=Forward()))
    for one, other in zip(found, expected, strict=True):
        for name, value in other.hypergradient.items():
            assert one.hypergradient[name] == pytest.approx(value, rel=1e-4)


def test_it_ends_with_local_and_goes_on_bit_by_bit():
    saved = []
    hooks = Hooks(checkpoint=lambda seed, content: saved.append(content))
    method = replace(SPLIT, window=4, alpha="fit", clock="rate")
    whole = list(begin(method=method, hooks=hooks, carry_tangents=False))
    for place in range(len(saved)):
        again = begin(method=method, checkpoints={0: saved[place::-1][:1]})
        rest = list(again)
        assert again.resumed
        assert all(map(same, rest, whole[len(whole) - len(rest) :]))
    loop = begin(method=method)
    for _ in range(STEPS // INTERVAL):  # up to the start of the last interval
        next(loop)
    state, phi = loop.states[0], loop.hyperparams[0]
    h = train(SGD, state, phi, STEPS - INTERVAL).h[INTERVAL - 1]  # by reverse mode
    np.testing.assert_allclose(vector(next(loop).hypergradient), h, rtol=1e-8)
    assert next(loop, None) is None


def test_several_seeds_are_those_apart():
    method = replace(SPLIT, window=4, alpha="fit")
    both = list(begin(SGD, dict(SPLITS), method))
    for seed, splits in SPLITS.items():
        alone = list(begin(SGD, splits, method, seed=seed))
        together = [record for record in both if record.seed == seed]
        for one, other in zip(together, alone, strict=True):
            assert one.hypergradient == pytest.approx(other.hypergradient, rel=1e-8)


def test_carried_tangents_have_no_start():
    with pytest.raises(UserError, match="carry_tangents=true has none to carry"):
        begin(method=replace(SPLIT, window=4), carry_tangents=True)


@pytest.mark.parametrize(
    "changes", [{"reads": 0}, {"share": -1}, {"fall": -0.1}, {"alpha": -0.5}, {"alpha": math.inf}]
)
def test_settings_out_of_range_are_refused(changes):
    with pytest.raises(UserError, match=f"method.{next(iter(changes))}="):
        replace(SPLIT, **changes)


@pytest.mark.parametrize("changes", [{"reads": 50}, {"window": 101}, {"window": 0}])
def test_what_does_not_fit_the_interval_is_refused(changes):
    with pytest.raises(UserError, match=r"method\."):
        replace(SPLIT, **changes).wanted(TAU)


def test_the_mean_of_signs():
    rule, state, m = mean_sign(0.1, 0.7), None, 0.0
    phi = {"a": np.zeros(3)}
    state = rule.init(phi)
    for t, h in enumerate([[67.0, -1e-9, 0.0], [-0.01, -2.0, 0.0], [-0.01, 3.0, 5.0]], start=1):
        updates, state = rule.update({"a": np.array(h)}, state, phi)
        m = 0.7 * m + 0.3 * np.sign(h)
        np.testing.assert_allclose(updates["a"], -0.1 * m / (1 - 0.7**t), rtol=1e-6, atol=1e-12)
    assert optax.apply_updates(phi, updates)["a"].shape == (3,)


@pytest.mark.parametrize(
    ("added", "h", "doubted"),
    [(0.1, [2.0, 4.0], True), (0.1, [-2.0, -4.0], False), (2.0, [2.0, 4.0], False)],
)
def test_noise_that_is_more_than_it_adds_is_doubted(added, h, doubted):
    """Its derivative is about 3.4 where h is 3: more than 3 times 0.1, less than 3 times 2."""
    method = replace(SPLIT, reads=2, doubt=3.0, near=0.5)
    known = replace(measured(h, -0.4), values=np.array([1.0, 1.0 + 2 * added]), mean_value=1.0)
    known = replace(known, sharpness=1.6)  # 2 (1 + 0.6) is the edge
    values = {"learning_rate": 0.1, "momentum": 0.6}
    moment = Moment(7, S, TAU, NAMES, values=values)
    found = method.estimate(known, moment)
    far = replace(method, near=0.51).estimate(known, moment)
    assert far.diagnostics["doubted"] == 0
    trusting = replace(method, doubt=None).estimate(known, moment)
    assert found.diagnostics["doubted"] == float(doubted)
    assert trusting.diagnostics["doubted"] == 0
    carried = np.mean(h) if doubted else trusting.hypergradient[0]
    np.testing.assert_allclose(found.hypergradient, [carried, trusting.hypergradient[1]])
    assert (found.hypergradient[0] == trusting.hypergradient[0]) != doubted
