import json
from unittest import mock

import pytest

from glocal_exp.store import RunDirectory, status
from glocal_exp.store.status import stored_status
from tests.sealing import reseal

from .examples import record


def run(path, **manifest):
    with RunDirectory(path) as directory:
        directory.update_manifest(config_hash="c0ffee00", source_hash="5eed", **manifest)
        directory.append(record(0))
    return reseal(path)


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
    assert status(tmp_path) == "damaged"
    (tmp_path / "manifest.json").write_text("[]")
    assert status(tmp_path) == "damaged"


def test_a_manifest_without_hashes_is_another_configs(tmp_path):
    reseal(tmp_path, status="complete")
    assert status(tmp_path) == "complete"
    assert status(tmp_path, "c0ffee00") == "stale"


@pytest.mark.parametrize("name", ["metrics.csv", "arrays.npz", "config.yaml", "weights.npz"])
@pytest.mark.parametrize("change", [lambda b: b[:-1], lambda b: b"1" + b[1:], lambda b: None])
def test_what_changes_after_the_end_is_damage(tmp_path, name, change):
    for one in ("config.yaml", "arrays.npz", "weights.npz"):
        (tmp_path / one).write_bytes(b"content of some length")
    with mock.patch.object(RunDirectory, "_refuse_others"):
        run(tmp_path, status="complete")
    assert status(tmp_path) == "complete"
    content = change((tmp_path / name).read_bytes())
    (tmp_path / name).unlink() if content is None else (tmp_path / name).write_bytes(content)
    expected = "complete" if content is None and name == "weights.npz" else "damaged"
    assert status(tmp_path) == status(tmp_path, "c0ffee00", "5eed") == expected


@pytest.mark.parametrize("stored", ["complete", "running", "failed"])
def test_an_edited_manifest_is_damage(tmp_path, stored):
    run(tmp_path, status=stored)
    file = tmp_path / "manifest.json"
    file.write_text(file.read_text().replace('"5eed"', '"5eee"'))
    assert status(tmp_path) == "damaged"
    file.write_text(json.dumps({"status": "complete"}))
    assert status(tmp_path) == "damaged"


def test_a_held_lock_comes_first(tmp_path):
    with RunDirectory(tmp_path) as directory:
        directory.update_manifest(status="complete", config_hash="old")
        assert status(tmp_path, "new") == "running"
        assert stored_status(tmp_path, "new") == "stale"
