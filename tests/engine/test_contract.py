"""A slip in a problem or examples of one's own ends in one sentence, before anything is trained."""

from contextlib import nullcontext
from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from glocal_exp.engine import Hooks, Plan, Schedule
from glocal_exp.engine.checkpoint import from_bytes, to_bytes
from glocal_exp.engine.contract import check_method
from glocal_exp.errors import UserError
from glocal_exp.methods.ema_local import EmaLocal
from glocal_exp.methods.local import Local
from glocal_exp.methods.method import Estimate
from glocal_exp.types import InnerProblem, InnerState
from tests.engine.runs import SPLITS, begin, equal
from tests.problems import RULES, Network


class Altered(Network):
    """The network with one of its functions' results changed."""

    changes: dict = eqx.field(static=True, default_factory=dict)

    def _changed(self, name, value):
        return self.changes.get(name, lambda v: v)(value)

    def init(self, key):
        return self._changed("init", super().init(key))

    def step(self, state, phi, batch, key):
        return self._changed("step", super().step(state, phi, batch, key))

    def _optimizer(self, phi):
        return RULES[self.rule][0](**super().describe(phi))

    def describe(self, phi):
        return self._changed("describe", super().describe(phi))

    def meta_loss(self, state, phi, batch):
        return self._changed("meta_loss", super().meta_loss(state, phi, batch))

    def __hash__(self):
        return id(self)


def state_of(change):
    """Change the state in a pair of it and something else."""
    return lambda pair: (change(pair[0]), pair[1])


def phi_of(change):
    return lambda pair: (pair[0], change(pair[1]))


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("init", lambda pair: pair[0], "should return a pair"),
        ("init", lambda pair: [*pair], "should return a pair"),
        ("init", state_of(lambda state: state.params), "should return a pair"),
        ("init", state_of(lambda s: replace(s, step=0)), r"\.step is 0; make it one"),
        ("init", state_of(lambda s: replace(s, opt_state=0.5)), r"\.opt_state is 0.5"),
        ("init", phi_of(lambda phi: phi | {"learning_rate": 0.1}), r"\['learning_rate'\] is 0.1"),
        ("init", phi_of(lambda phi: 0.1), "phi, which init returns, .* it is 0.1"),
        ("init", phi_of(lambda phi: phi | {"momentum": np.arange(2)}), "floating-point arrays"),
        ("init", lambda pair: [*pair], r"not \[InnerState, dict\]"),
        (
            "init",
            lambda pair: pair[0].nothing,
            r"init\(key\) fails \(test_contract.py, line \d+\): A",
        ),
        ("step", lambda pair: (pair[0], pair[1] @ pair[1]), r"step\(.*\) fails \(.*line \d+\): "),
        ("meta_loss", lambda loss: loss + jnp.ones(2) @ jnp.ones(3), r"meta_loss\(\.\.\.\) fails"),
        ("describe", lambda named: named["rate"], r"describe\(phi\) fails .*: KeyError: 'rate'"),
        ("step", lambda pair: pair[0], "should return a pair"),
        ("step", lambda pair: (*pair, 1), "should return a pair"),
        ("step", state_of(lambda s: replace(s, step=s.step + 1.0)), r"\.step, int.*, float"),
        ("step", state_of(lambda s: replace(s, opt_state=())), r"nothing"),
        ("step", state_of(lambda s: replace(s, params=s.params | {"w3": s.step})), r"nothing, int"),
        ("step", state_of(lambda s: s.params), r"makes of"),
        ("step", lambda pair: (pair[0], jnp.stack([pair[1]] * 2)), r"loss .* not float.*\[2\]"),
        (
            "meta_loss",
            lambda loss: jnp.stack([loss] * 3),
            r"one floating-point number, not .*\[3\]",
        ),
        ("meta_loss", lambda loss: loss > 0, "one floating-point number"),
        ("meta_loss", lambda loss: None, "one floating-point number, not NoneType"),
        ("step", lambda pair: (pair[0], None), "one floating-point number, not NoneType"),
        ("describe", lambda named: None, "describe(.*) should return a dict"),
        ("describe", lambda named: [*named.values()], "should return a dict"),
        ("describe", lambda named: {"a": "x"}, "should return a dict"),
    ],
)
def test_what_a_problem_gives_is_looked_at(name, change, said):
    with pytest.raises(UserError, match=said) as error:
        begin(Altered("sgd", changes={name: change}))
    assert "\n" not in str(error.value)


def test_a_problem_is_an_object_of_its_class():
    for other in (Network, "ridge", None):
        with pytest.raises(UserError, match="is no problem"):
            begin(other)


@pytest.mark.parametrize("seed", [-1, 2**32, 0.5, "0", True])
def test_a_seed_is_a_whole_number_in_range(seed):
    with pytest.raises(UserError, match=f"seed={seed} is no whole number"):
        begin(seed=seed)
    with pytest.raises(UserError, match="is no whole number"):
        begin(splits={seed: SPLITS[0]})


@pytest.mark.parametrize(
    "given", [{"meta_optimizer": "adam"}, {"meta_optimizer": optax.adam}, {"hooks": "x"}]
)
def test_the_rest_is_of_its_kind(given):
    with pytest.raises(UserError, match=f"{next(iter(given))}=.* is no .*; give one"):
        begin(**given)


@pytest.mark.parametrize("splits", [[SPLITS[0]], "x", None])
def test_examples_are_splits(splits):
    with pytest.raises(UserError, match="are no Splits"):
        begin(splits={0: splits})


def test_a_checkpoint_of_another_seed_is_refused():
    saved = []
    list(begin(hooks=Hooks(checkpoint=lambda seed, content: saved.append(content))))
    with pytest.raises(UserError, match="of another run"):
        begin(seed=1, checkpoints={1: saved[-1:]})


@pytest.mark.parametrize("method", ["local", Local, None])
def test_a_method_is_an_object_of_its_class(method):
    with pytest.raises(UserError, match="is no method"):
        begin(method=method)


@pytest.mark.parametrize("split", ["train", "validation", "test", "meta"])
@pytest.mark.parametrize("change", [lambda y: y[:-1], lambda y: y[0], lambda y: 1.0])
def test_examples_share_their_leading_axis(split, change):
    examples = SPLITS[0].validation
    altered = replace(SPLITS[0], **{split: examples | {"y": change(examples["y"])}})
    with pytest.raises(UserError, match=f"The {split} examples differ in number or are none"):
        begin(splits=altered)


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_a_split_has_examples(split):
    nothing = jax.tree.map(lambda leaf: leaf[:0], SPLITS[0].train)
    with pytest.raises(UserError, match=f"The {split} examples .* are none"):
        begin(splits=replace(SPLITS[0], **{split: nothing}))


class Dropping(InnerProblem):
    """Ridge with a random key of its own in the state, as a user may keep one."""

    def init(self, key):
        return InnerState({"w": jnp.ones(3)}, key, jnp.zeros((), int)), {"rate": jnp.zeros(())}

    def step(self, state, phi, batch, key):
        own, new = jax.random.split(state.opt_state)
        kept = jax.random.bernoulli(own, 0.5, (3,))
        loss, slope = jax.value_and_grad(self._loss)(state.params, batch, kept)
        rate = 0.1 * jax.nn.sigmoid(phi["rate"])
        params = jax.tree.map(lambda p, g: p - rate * g, state.params, slope)
        return InnerState(params, new, state.step + 1), loss

    def meta_loss(self, state, phi, batch):
        return self._loss(state.params, batch, 1.0)

    def describe(self, phi):
        return {"rate": 0.1 * jax.nn.sigmoid(phi["rate"])}

    def _loss(self, params, batch, kept):
        return jnp.mean((batch["x"] @ (params["w"] * kept) - batch["y"]) ** 2)


@pytest.mark.parametrize("seeds", [(0,), (0, 1)])
def test_a_random_key_in_the_state_is_checkpointed(seeds):
    splits, saved = {seed: SPLITS[seed] for seed in seeds}, {seed: [] for seed in seeds}
    hooks = Hooks(checkpoint=lambda seed, content: saved[seed].insert(0, content))
    whole = begin(Dropping(), splits, hooks=hooks)
    expected = [record.metrics for record in whole]
    again = begin(Dropping(), splits, checkpoints={s: blobs[1:2] for s, blobs in saved.items()})
    found = [record.metrics for record in again]
    assert again.resumed
    assert found
    assert repr(found) == repr(expected[-len(found) :])
    for seed, blobs in saved.items():
        snapshot = from_bytes(blobs[0], begin(Dropping(), splits[seed], seed=seed).snapshots[seed])
        assert to_bytes(snapshot) == blobs[0] or equal(
            jax.random.key_data(snapshot.state.opt_state),
            jax.random.key_data(whole.states[seed].opt_state),
        )


class Learned(Network):
    """The network with a rule of optax, and further hyperparameters that it may not read."""

    rules: str = "rprop"

    def init(self, key):
        params = {"w1": jax.random.normal(key, (3, 5)) / 2, "w2": jnp.linspace(-1, 1, 5)}
        phi = {"learning_rate": jnp.zeros(()), "other": jnp.zeros(2)}
        return InnerState(params, self._optimizer(phi).init(params), jnp.zeros((), int)), phi

    def describe(self, phi):
        return {"learning_rate": 0.1 * jax.nn.sigmoid(phi["learning_rate"])}

    def _optimizer(self, phi):
        rate = self.describe(phi)["learning_rate"]
        beta = jax.nn.sigmoid(phi["other"][0])
        return {"rprop": optax.rprop(rate), "lion": optax.lion(rate, b1=beta)}[self.rules]


@pytest.mark.parametrize(
    ("rule", "named"),
    [("rprop", "learning_rate, other[0], other[1]"), ("lion", "other[0], other[1]")],
)
@pytest.mark.parametrize("method", [Local(), EmaLocal(window=3, decay=0.5)])
def test_a_hyperparameter_without_effect_is_named_once(rule, named, method):
    # Without the direct term of the network's own meta loss.
    problem = type("Plain", (Learned,), {"meta_loss": lambda s, x, p, b: s._loss(x.params, b)})
    records = list(begin(problem("sgd", rules=rule), method=method))
    said = [remark for record in records for remark in record.remarks]
    assert len(said) == len(records[1].remarks) == 1
    assert f"exactly 0: {named};" in said[0]
    assert records[1].hypergradient["other[1]"] == 0


def test_hyperparameters_that_all_matter_are_not_remarked_upon():
    for method in (Local(), EmaLocal(window=3, decay=0.5)):
        assert not any(record.remarks for record in begin(method=method))
    one_step = {"steps": 3, "interval": 1}  # in which momentum can have no effect
    assert not any(record.remarks for record in begin(**one_step))


class Answers(Local):
    """A method that answers with what it was given."""

    def __init__(self, answer):
        object.__setattr__(self, "answer", answer)

    def estimate(self, measured, moment):
        return self.answer(measured, moment)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda measured, _: Estimate(measured.h[-1]), None),
        (lambda *_: Estimate(None), None),
        (
            lambda measured, _: Estimate(measured.h[-1, :2]),
            r"of shape \(2,\), .* are 3 \(a, b, c\)",
        ),
        (lambda measured, _: Estimate(measured.h), r"of shape \(1, 3\)"),
        (lambda measured, _: measured.h[-1], "should return an Estimate, not "),
        (
            lambda _, moment: moment.values["rate"] / 0,
            r"fails \(test_contract.py, line \d+\): Zero",
        ),
    ],
)
def test_what_a_method_makes_of_it_is_looked_at_before_training(answer, said):
    plan = Plan(Schedule(20, 10, 5), Answers(answer))
    with pytest.raises(UserError, match=said) if said else nullcontext():
        check_method(plan, ["a", "b", "c"], {"rate": np.float32(0.1), "weights": np.zeros(3)})
