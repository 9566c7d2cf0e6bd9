"""The loop in reverse mode: forward mode's run by one sweep an interval, or a refusal."""

from dataclasses import dataclass

import pytest

from glocal_exp.engine import Auto, Hooks, Plan, Reverse, Schedule
from glocal_exp.engine.plan import Problem
from glocal_exp.errors import UserError
from glocal_exp.methods.local import Local
from glocal_exp.methods.method import Wanted
from glocal_exp.records import Costs
from tests.engine.runs import INTERVAL, METHODS, SPLITS, STEPS, begin, by_seed, close, same, vector
from tests.problems import Network

REVERSE = Reverse()
S = STEPS // INTERVAL
# The same chain rule in another order, over 18 steps and two meta steps.
ROUNDING = 1e-9


def chosen(method, q, auto=Auto(), **settings):  # noqa: B008
    """What `Auto` takes."""
    plan = Plan(Schedule(STEPS, INTERVAL, 8), method, auto, **settings)
    return plan.mode.resolve(plan, Problem(q, has_rows=False)).name


def agree(a, b):
    for x, y in zip(a, b, strict=True):
        assert (x.seed, x.step, x.skipped, x.diverged) == (y.seed, y.step, y.skipped, y.diverged)
        close(vector(x.metrics), vector(y.metrics), ROUNDING)
        close(vector(x.hyperparameters), vector(y.hyperparameters), ROUNDING)
        close(vector(x.hypergradient), vector(y.hypergradient), ROUNDING)


@pytest.mark.parametrize("rule", ["sgd", "adam"])
@pytest.mark.parametrize("block", [None, 4])
def test_a_run_is_that_of_forward_mode(rule, block):
    problem = Network(rule)
    forward = list(begin(problem))
    backward = list(begin(problem, mode=Reverse(block)))
    agree(backward, forward)
    assert backward[-1].costs == Costs(reverse_steps=STEPS, validation_gradients=S)
    assert forward[-1].costs == Costs(tangent_steps=STEPS, validation_gradients=S)


def test_without_hyperparameter_optimization_nothing_is_swept():
    records = list(begin(method=METHODS["none"], mode=REVERSE))
    assert records[-1].costs == Costs(plain_steps=STEPS)
    agree(records, list(begin(method=METHODS["none"])))


def test_seeds_side_by_side_are_the_seeds_one_by_one():
    together = list(begin(splits=SPLITS, mode=REVERSE))
    for seed, splits in SPLITS.items():
        agree(by_seed(together, seed), list(begin(splits=splits, seed=seed, mode=REVERSE)))


def test_it_goes_on_bit_by_bit_from_any_checkpoint():
    saved = []
    hooks = Hooks(checkpoint=lambda seed, content: saved.append(content))
    whole = list(begin(mode=REVERSE, hooks=hooks))
    assert len(saved) == S + 1
    for done, content in enumerate(saved):
        resumed = list(begin(mode=REVERSE, checkpoints={0: [content]}))
        rest = whole[1 + done :] if done else whole[1:]
        assert len(resumed) == len(rest)
        assert all(same(a, b) for a, b in zip(resumed, rest, strict=True))


@pytest.mark.parametrize(
    ("method", "carry", "word"),
    [
        (METHODS["window_mean"], False, "looks at 4"),
        (METHODS["glocal"], False, "looks at 6"),
        (Local("every"), False, "looks at 6"),
        (METHODS["local"], True, "to carry from interval to interval"),
    ],
)
def test_what_one_sweep_cannot_give_is_refused(method, carry, word):
    with pytest.raises(UserError, match=word):
        begin(method=method, mode=REVERSE, carry_tangents=carry)
    # Asked to choose, it chooses forward.
    assert chosen(method, 100, carry_tangents=carry) == "forward"


@dataclass(frozen=True)
class Early(Local):
    """Looks at a step within the interval."""

    def wanted(self, interval):
        return Wanted((interval - 2,))


def test_a_sweep_gives_no_hypergradient_but_the_last():
    with pytest.raises(UserError, match=f"this method looks at {INTERVAL - 1};"):
        begin(method=Early(), mode=REVERSE)
    assert chosen(Early(), 100) == "forward"


def test_auto_goes_by_the_number_of_hyperparameters():
    least = Auto().reverse_from["cpu"]
    assert [chosen(Local(), q) for q in (least - 1, least)] == ["forward", "reverse"]
    later = Auto(reverse_from={"cpu": least + 1, "gpu": 1})
    assert chosen(Local(), least, later) == "forward"
