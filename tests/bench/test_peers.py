"""A peer that is not installed is named, and the others are made."""

from importlib import import_module

import pytest

from glocal_exp.bench.peers import Peers


def test_what_cannot_be_imported_is_missing_with_the_reason():
    def absent():
        return import_module("a_peer_that_nobody_wrote")

    peers = Peers()
    assert peers.make("here", lambda: 7) == 7
    assert peers.make("absent", absent) is None
    assert list(peers.missing) == ["absent"]
    assert "a_peer_that_nobody_wrote" in peers.missing["absent"]


def test_other_mistakes_are_not_hidden():
    with pytest.raises(ZeroDivisionError):
        Peers().make("broken", lambda: 1 / 0)
