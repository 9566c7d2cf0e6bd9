import json

import pytest

from glocal_exp.store import RunDirectory, status
from glocal_exp.store.status import stored_status

from .examples import record


def run(path, **manifest):
    with RunDirectory(path) as directory:
        directory.append(record(0))
        directory.update_manifest(config_hash="c0ffee00", source_hash="5eed", **manifest)
    return path


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        ("complete", "complete"),
        ("running", "partial"),
        ("interrupted", "partial"),
        ("failed", "failed"),
        ("a word from the future", "partial"),
    ],
)
def test_what_the_manifest_says(tmp_path, stored, expected):
    run(tmp_path, status=stored, unknown_field=[1, 2])
    assert status(tmp_path, "c0ffee00", "5eed") == expected
    assert status(tmp_path) == expected


@pytest.mark.parametrize("stored", ["complete", "running", "failed"])
@pytest.mark.parametrize("hashes", [("other000", "5eed"), ("c0ffee00", "other"), ("a", "b")])
def test_another_config_or_source_makes_it_stale(tmp_path, stored, hashes):
    run(tmp_path, status=stored)
    assert status(tmp_path, *hashes) == "stale"


def test_missing_and_unreadable(tmp_path):
    assert status(tmp_path / "nowhere") == "missing"
    (tmp_path / "config.yaml").write_text("steps: 1")
    assert status(tmp_path) == "missing"
    (tmp_path / "manifest.json").write_text('{"status": "comp')
    assert status(tmp_path) == "failed"
    (tmp_path / "manifest.json").write_text("[]")
    assert status(tmp_path) == "failed"


def test_a_manifest_of_an_older_version_without_hashes(tmp_path):
    (tmp_path / "manifest.json").write_text(json.dumps({"status": "complete"}))
    (tmp_path / "metrics.csv").write_text("outer_step\n0\n")
    assert status(tmp_path) == "complete"
    assert status(tmp_path, "c0ffee00") == "stale"


def test_complete_without_records_is_not_complete(tmp_path):
    run(tmp_path, status="complete")
    (tmp_path / "metrics.csv").unlink()
    assert status(tmp_path) == "partial"


def test_a_held_lock_comes_first(tmp_path):
    with RunDirectory(tmp_path) as directory:
        directory.update_manifest(status="complete", config_hash="old")
        assert status(tmp_path, "new") == "running"
        assert stored_status(tmp_path, "new") == "stale"
