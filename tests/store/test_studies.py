"""Units of a study: stored once, kept while they fit, read back as one frame."""

import shutil
from unittest import mock

import numpy as np
import pytest

from glocal_exp.errors import UserError
from glocal_exp.store import studies
from glocal_exp.store.studies import StudyDirectory, load_study, study_config, unit_arrays

FACTS = {"config_hash": "0123abcd", "source_hash": "ff", "seed": 3, "study": "toy"}
CONFIG = "study:\n  size: 2\n"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "toy" / "0123abcd" / "seed=3"


def fill(path, facts=FACTS):
    with StudyDirectory(path, facts, CONFIG) as directory:
        directory.store("a.0.1", [{"error": 0.1, "name": "x"}, {"error": 1 / 3}], {})
        directory.store("b", [{"slope": 2.0}], {"h": np.eye(2)})


def test_all_rows_in_one_frame(path, tmp_path):
    fill(path)
    fill(path.with_name("seed=4"), FACTS | {"seed": 4})
    frame = load_study(tmp_path, "toy")
    assert list(frame.unit) == ["a.0.1", "a.0.1", "b"] * 2
    assert list(frame.seed) == [3] * 3 + [4] * 3
    assert frame.error[1] == 1 / 3
    assert np.isnan(frame.error[2])
    assert frame.slope[2] == 2.0
    assert set(frame.folder[:3]) == {str(path)}


def test_a_seed_of_the_rows_own_stays(path, tmp_path):
    with StudyDirectory(path, FACTS, CONFIG) as directory:
        directory.store("runs", [{"seed": 7, "regret": 0.1}, {"seed": 8, "regret": 0.2}], {})
        directory.store("other", [{"regret": 0.3}], {})
    frame = load_study(tmp_path, "toy")
    assert dict(zip(frame.regret, frame.seed, strict=True)) == {0.3: 3, 0.1: 7, 0.2: 8}


def test_arrays_and_config_are_found_by_folder(path):
    fill(path)
    np.testing.assert_array_equal(unit_arrays(path, "b")["h"], np.eye(2))
    assert unit_arrays(path, "a.0.1") == {}
    assert study_config(path).study.size == 2


def test_no_study_is_an_empty_frame(tmp_path):
    assert load_study(tmp_path, "toy").empty


def test_what_is_stored_stays(path):
    fill(path)
    with StudyDirectory(path, FACTS, CONFIG) as directory:
        assert directory.has("b")
        assert directory.has("a.0.1")
        assert not directory.has("c")


@pytest.mark.parametrize("name", ["config_hash", "source_hash"])
def test_units_of_other_code_or_config_go(path, name):
    fill(path)
    with StudyDirectory(path, FACTS | {name: "other"}, CONFIG) as directory:
        assert not directory.has("b")
    assert list((path / "units").iterdir()) == []
    assert (path / "units-ff" / "b.csv").exists()


def test_units_of_older_source_that_gives_the_same_numbers_stay(path, monkeypatch):
    fill(path)
    known = {(FACTS["source_hash"], "new")}
    monkeypatch.setattr(studies, "is_replayed", lambda *sources: sources in known)
    with StudyDirectory(path, FACTS | {"source_hash": "new"}, CONFIG) as directory:
        assert directory.has("b")
        assert directory.aside is None


def test_a_unit_is_there_once_its_checksums_are(path, tmp_path):
    """A kill before that leaves a unit that is measured again."""
    with StudyDirectory(path, FACTS, CONFIG) as directory:
        killed = mock.patch.object(StudyDirectory, "update_manifest", side_effect=MemoryError)
        with killed, pytest.raises(MemoryError):
            directory.store("b", [{"slope": 2.0}], {"h": np.eye(2)})
        assert not directory.has("b")
    assert load_study(tmp_path, "toy").empty
    with StudyDirectory(path, FACTS, CONFIG) as directory:
        assert not directory.has("b")
        directory.store("b", [{"slope": 2.0}], {"h": np.eye(2)})
        assert directory.has("b")


def test_units_set_aside_twice_are_both_kept(path):
    for number, source in enumerate(("other", FACTS["source_hash"], "other")):
        fill(path, FACTS | {"source_hash": source})
        with StudyDirectory(path, FACTS | {"source_hash": f"new{number}"}, CONFIG) as directory:
            aside = directory.aside
        assert aside == path / f"units-{source}{'-2' * (number == 2)}"
        assert (aside / "b.csv").exists()
    assert len([*path.glob("units-*/b.csv")]) == 3
    shutil.rmtree(path / "units-other")
    fill(path, FACTS | {"source_hash": "oth"})
    fill(path, FACTS | {"source_hash": "other"})
    fill(path, FACTS | {"source_hash": "new"})
    assert {p.name for p in path.glob("units-oth*")} == {
        "units-oth",
        "units-other",
        "units-other-2",
    }


def test_two_writers_do_not_meet(path):
    with (
        StudyDirectory(path, FACTS, CONFIG),
        pytest.raises(UserError, match="is being written by process"),
    ):
        StudyDirectory(path, FACTS, CONFIG)


def test_damage_is_said(path, tmp_path):
    fill(path)
    (path / "units" / "b.npz").write_bytes(b"no archive")
    with pytest.raises(UserError, match=r"cannot read .*b\.npz"):
        unit_arrays(path, "b")
    with pytest.warns(UserWarning, match=r"units/b\.npz changed or lost"):
        frame = load_study(tmp_path, "toy")
    assert "b" not in set(frame["unit"])
    assert len(frame)
