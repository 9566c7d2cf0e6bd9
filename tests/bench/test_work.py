"""Ours and PyTorch's compute the same, in float64, where no rounding decides a maximum."""

import jax.numpy as jnp
import numpy as np
import pytest

from glocal_exp.bench.ours import Ours, Program
from glocal_exp.bench.ours_hypergradient import OurHypergradients, PaperLoop
from glocal_exp.bench.work import SMALL, make_work, scaled
from tests.compilation import quick_compilation  # noqa: F401

# The same sums in another order: rounding only.
TOLERANCE = 1e-10
PEERS = ("TorchHypergradients", "Higher", "TorchOpt")


def test_a_programs_memory_holds_what_it_is_given_and_what_it_makes():
    x = jnp.ones((64, 64))
    program = Program(lambda x: (jnp.sin(x), x @ x), x)
    np.testing.assert_array_equal(program()[1], np.full((64, 64), 64.0))
    assert 3 * x.nbytes <= program.memory < 6 * x.nbytes


@pytest.fixture(scope="module")
def work():
    return make_work("precision=float64", "batch_size=16", steps=3, validation=50, gradients=2)


@pytest.fixture(scope="module", params=[3, 8])
def sides(work, request):
    pytest.importorskip("torch", reason="PyTorch is not installed; `make bench` installs it")
    from glocal_exp.bench.torch_parts import TorchParts

    tuned = work.tuning(request.param)
    return Ours(tuned), TorchParts(tuned), request.param


@pytest.fixture(scope="module")
def last(work):
    """The last h of three steps, by tangents."""
    return np.asarray(OurHypergradients(work.tuning(3)).forward())


def agree(ours, peer):
    assert set(ours) == set(peer)
    for name, value in ours.items():
        assert value.dtype == np.float64
        assert np.linalg.norm(peer[name]) > 0, name
        error = np.linalg.norm(value - peer[name]) / np.linalg.norm(peer[name])
        assert error < TOLERANCE, name


def test_plain_steps_agree(sides):
    agree(sides[0].plain_outcome(), sides[1].plain())


@pytest.mark.filterwarnings("ignore:.torch.jit.script:DeprecationWarning")
@pytest.mark.parametrize("together", [True, False])
def test_tangents_agree(sides, together):
    ours, peer, q = sides
    outcome = ours.tangent_outcome()
    assert outcome["conv1.weight value tangents"].shape == (q, 16, 1, 5, 5)
    agree(outcome, peer.tangent(together=together))


@pytest.mark.parametrize("chunk", [50, 20])
def test_validation_gradients_agree(sides, chunk):
    """Also with a last chunk that is shorter, on either side."""
    outcome = sides[0].validation_outcome()
    assert outcome["conv1.bias gradients"].shape == (2, 16)
    agree(outcome, sides[1].validation_gradient(chunk))


def test_both_modes_and_the_paper_s_loop_give_one_h(work, last):
    tuned = work.tuning(3)
    ours = OurHypergradients(tuned, block=2)
    every = np.asarray(ours.every())
    np.testing.assert_allclose(every[-1], last, rtol=TOLERANCE)
    np.testing.assert_allclose(ours.reverse(), last, rtol=TOLERANCE)
    np.testing.assert_allclose(PaperLoop(tuned).every(), every, rtol=TOLERANCE)


@pytest.mark.filterwarnings("ignore:.torch.jit.script:DeprecationWarning")
@pytest.mark.parametrize("kind", PEERS)
def test_peers_give_the_same_h(work, last, kind):
    pytest.importorskip("torch", reason="PyTorch is not installed; `make bench` installs it")
    from glocal_exp.bench import torch_hypergradient

    try:
        peer = getattr(torch_hypergradient, kind)(work.tuning(3), 20)
    except ImportError as error:
        pytest.skip(f"{error}; `make bench` installs it")
    np.testing.assert_allclose(peer.reverse(), last, rtol=TOLERANCE)
    if kind == "TorchHypergradients":
        np.testing.assert_allclose(peer.forward(), last, rtol=TOLERANCE)


def test_every_call_starts_anew(sides):
    ours, peer, _ = sides
    np.testing.assert_array_equal(ours.plain_outcome()["losses"], ours.plain_outcome()["losses"])
    np.testing.assert_array_equal(peer.plain()["losses"], peer.plain()["losses"])


def test_batches_are_different_images():
    work = scaled(SMALL, steps=2)
    assert work.x.shape == (2, SMALL.batch, 28, 28, 1)
    assert not (work.x[0] == work.x[1]).all(axis=(1, 2, 3)).any()
    assert work.y.shape == (2, SMALL.batch)
    assert len(work.cut(1).x) == 1
    assert len(work.validated_on(7).validation_y) == 7
