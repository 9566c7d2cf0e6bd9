"""Ours and PyTorch's compute the same, in float64, where no rounding decides a maximum."""

import numpy as np
import pytest

from glocal_exp.bench.work import Ours, make_work

# The same sums in another order: rounding only.
TOLERANCE = 1e-10


@pytest.fixture(scope="module")
def sides():
    pytest.importorskip("torch", reason="PyTorch is not installed; `make bench` installs it")
    from glocal_exp.bench.torch_peer import Torch

    work = make_work("precision=float64", "batch_size=32", steps=3, validation=110, gradients=2)
    return Ours(work), Torch(work)


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
    outcome = sides[0].tangent_outcome()
    assert outcome["conv1.weight value tangents"].shape == (3, 16, 1, 5, 5)
    agree(outcome, sides[1].tangent(together=together))


@pytest.mark.parametrize("chunk", [110, 40])
def test_validation_gradients_agree(sides, chunk):
    """Also with a last chunk that is shorter, on either side."""
    outcome = sides[0].validation_outcome()
    assert outcome["conv1.bias gradients"].shape == (2, 16)
    agree(outcome, sides[1].validation_gradient(chunk))


def test_every_call_starts_anew(sides):
    ours, peer = sides
    np.testing.assert_array_equal(ours.plain_outcome()["losses"], ours.plain_outcome()["losses"])
    np.testing.assert_array_equal(peer.plain()["losses"], peer.plain()["losses"])


def test_batches_are_different_images():
    work = make_work("batch_size=16", steps=2, validation=10)
    assert work.x.shape == (2, 16, 28, 28, 1)
    assert not (work.x[0] == work.x[1]).all(axis=(1, 2, 3)).any()
    assert work.y.shape == (2, 16)
