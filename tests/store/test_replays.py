import json
from importlib import import_module

import pytest

from glocal_exp.store import RunDirectory, status
from glocal_exp.store.status import REPLAYS, add_replays, is_replayed, read_replays

from .examples import record


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "replays.json"
    add_replays([{"stored": "a", "current": "b"}, {"stored": "b", "current": "c"}], path)
    add_replays([{"stored": "x", "current": "b", "run": "fig2"}], path)
    return path


@pytest.mark.parametrize(
    ("stored", "current", "expected"),
    [
        ("a", "a", True),
        ("a", "b", True),
        ("a", "c", True),  # over b
        ("x", "c", True),
        ("b", "a", False),  # an older source says nothing about a newer one's runs
        ("a", "x", False),
        ("unknown", "c", False),
        (None, "c", False),
    ],
)
def test_replays_lead_from_older_sources_to_newer_ones(file, stored, current, expected):
    assert is_replayed(stored, current, file) is expected


def test_replays_are_added_in_their_order(file):
    assert [replay["stored"] for replay in read_replays(file)] == ["a", "b", "x"]
    assert read_replays(file)[2]["run"] == "fig2"


def test_what_another_process_has_added_meanwhile_stays(file):
    theirs = [*read_replays(file), {"stored": "y", "current": "c"}]
    file.write_text(json.dumps(theirs))
    add_replays([{"stored": "z", "current": "c"}], file)
    assert [replay["stored"] for replay in read_replays(file)] == ["a", "b", "x", "y", "z"]


def test_without_a_file_nothing_was_replayed(tmp_path):
    assert read_replays(tmp_path / "none.json") == []
    assert not is_replayed("a", "b", tmp_path / "none.json")


def test_a_run_of_a_replayed_source_is_current(tmp_path, monkeypatch, file):
    replays = read_replays(file)
    module = import_module("glocal_exp.store.status")  # not the function of that name
    monkeypatch.setattr(module, "read_replays", lambda _: replays)
    with RunDirectory(tmp_path / "run") as directory:
        directory.append(record(0))
        directory.update_manifest(config_hash="c0ffee00", source_hash="a", status="complete")
    assert status(tmp_path / "run", "c0ffee00", "c") == "complete"
    assert status(tmp_path / "run", "c0ffee00", "d") == "stale"


def test_what_is_committed_can_be_read():
    replays = read_replays(REPLAYS)
    assert all(replay["stored"] != replay["current"] for replay in replays)
    assert json.dumps(replays)
