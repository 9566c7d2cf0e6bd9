"""Ours and PyTorch's compute the same, in float64, where no rounding decides a maximum."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks.entries.one_hypergradient import paper_loop
from benchmarks.experiments import SMALL
from benchmarks.work import CHOICES, START, TENSORS, make_work, starts, tuned_sgd
from glocal_exp.tasks.rules import sgd

TOLERANCE = 1e-10  # the same sums in another order: rounding only
PARAMS = [jnp.full(3, float(index + 1)) for index in range(TENSORS)]


@pytest.fixture(scope="module")
def work():
    return make_work(replace(SMALL, validation=50), "precision=float64", steps=3)


@pytest.fixture(scope="module")
def peer():
    """A way of `TorchWork` to do a work."""
    pytest.importorskip("torch", reason="PyTorch is not installed; `make bench` installs it")

    def call(work, way, **settings):
        try:
            return getattr(work.torch, way)(**settings)
        except ImportError as error:
            pytest.skip(f"{error}; `make bench` installs it")

    return call


@pytest.fixture(scope="module")
def ours():
    """A part of ours of a work, compiled once."""
    made = {}
    return lambda work, part: made.setdefault((work, part), work.ours("", part)).run()


@pytest.fixture(scope="module")
def tuned(work):
    return {q: work.tuning(q) for q in (2, 3, TENSORS)}


def agree(ours, peer):
    """Leaf by leaf."""
    assert set(ours) == set(peer)
    for kind, value in ours.items():
        for mine, other in zip(value, peer[kind], strict=True):
            mine, other = np.asarray(mine), np.asarray(other)
            assert mine.dtype == other.dtype == np.float64
            assert mine.shape == other.shape
            assert np.linalg.norm(other) > 0, kind
            assert np.linalg.norm(mine - other) / np.linalg.norm(other) < TOLERANCE, kind


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.torch.jit.script:DeprecationWarning")
@pytest.mark.parametrize(
    ("q", "part", "settings"),
    [
        (3, "plain", {}),
        *[(q, "tangent", {}) for q in (3, TENSORS)],
        (3, "validation_gradient", {"chunk": 50}),
        (3, "validation_gradient", {"chunk": 20}),  # with a last chunk that is shorter
    ],
)
def test_parts_agree(ours, peer, tuned, q, part, settings):
    agree(ours(tuned[q], part), peer(tuned[q], part, **settings))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of old syntax, when Python compiles the libraries
@pytest.mark.parametrize("way", ["reverse", "forward", "higher", "torchopt"])
def test_peers_give_the_same_h(ours, peer, tuned, way):
    agree(ours(tuned[3], "forward"), peer(tuned[3], way, chunk=20))


@pytest.mark.slow
def test_wide_resnets_agree(ours, peer):
    size = ["model=wide_resnet", "model.depth=10", "model.width=1", "precision=float64"]
    wide = make_work(SMALL, *size, steps=2).tuning(2)
    agree(ours(wide, "plain"), peer(wide, "plain"))


@pytest.mark.slow  # LeNet, compiled twice over
def test_both_modes_and_the_paper_s_loop_give_one_h(ours, work, tuned):
    last, every = (np.asarray(ours(tuned[3], part)["h"]) for part in ("forward", "every"))
    np.testing.assert_allclose(every[-1], last, rtol=TOLERANCE)
    np.testing.assert_allclose(ours(tuned[3], "reverse")["h"], last, rtol=TOLERANCE)
    paper = paper_loop(work.tuning(3, whole=True))()["h"]
    np.testing.assert_allclose(paper, every, rtol=TOLERANCE)


def test_every_call_starts_anew_and_knows_its_memory(work):
    way = work.ours("ours", "plain")
    assert way.facts() == {}
    first, second = way.run(), way.run()
    np.testing.assert_array_equal(first["losses"], second["losses"])
    assert first["losses"].shape == (3,)
    held = sum(leaf.nbytes for leaf in jax.tree.leaves(first))  # its results at least
    assert held < 2**30 * way.facts()["memory, GiB"] < 100 * held


def test_batches_are_different_images():
    work = make_work(SMALL, steps=2)
    assert work.train["x"].shape == (2, SMALL.batch, 28, 28, 1)
    assert not (work.train["x"][0] == work.train["x"][1]).all(axis=(1, 2, 3)).any()
    assert len(work.cut(steps=1).train["y"]) == 1
    assert len(work.cut(validation=7).validation["y"]) == 7


def twice(rule):
    """Updates of a second step, by tensor."""
    state, gradient = rule.init(PARAMS), jax.tree.map(jnp.cos, PARAMS)
    _, state = rule.update(gradient, state, PARAMS)
    return rule.update(gradient, state, PARAMS)[0]


@pytest.mark.parametrize("q", CHOICES)
def test_all_are_the_same_sgd_and_each_tensor_follows_its_own_rate(q):
    start = starts(q)
    assert len(start) == q
    updates = twice(tuned_sgd(**start))
    for mine, other in zip(updates, twice(sgd(**START)), strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-14)
    changed = "rate5" if q == TENSORS else "learning_rate"
    ratios = [
        a[0] / b[0]
        for a, b in zip(twice(tuned_sgd(**start | {changed: 0.03})), updates, strict=True)
    ]
    expected = [1, 1, 1, 1, 1, 3, 1, 1] if q == TENSORS else [3] * TENSORS
    np.testing.assert_allclose(ratios, expected, rtol=1e-14)
