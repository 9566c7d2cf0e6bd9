"""What is committed under results/ against what the stored runs give."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread, imsave

from glocal_exp.places import ROOT
from glocal_exp.report import verify


@pytest.fixture
def folders(tmp_path):
    found = tmp_path / "stored", tmp_path / "fresh"
    pixels = np.random.default_rng(0).integers(0, 256, (60, 80, 3)).astype(np.uint8)
    for folder in found:
        folder.mkdir()
        (folder / "a.csv").write_text("x\n1\n")
        (folder / "a.md").write_text("| x |\n")
        (folder / "b.pdf").write_bytes(b"%PDF")
        imsave(folder / "b.png", pixels)
    return found


def named(folders):
    return [line.rpartition("/")[2] for line in verify.differences(*folders)]


def test_equal_folders_do_not_differ(folders):
    assert named(folders) == []


def test_every_difference_is_named(folders):
    stored, fresh = folders
    (stored / "a.csv").write_text("x\n2\n")
    (stored / "old.md").write_text("gone\n")
    (fresh / "new.tex").write_text("to come\n")
    imsave(stored / "b.png", np.zeros((60, 80, 3), np.uint8))
    assert named(folders) == [
        "a.csv: differs",
        "b.png: differs",
        "new.tex: missing",
        "old.md: the stored runs do not give it",
    ]


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("x, 0.33,  1,234 of 36\n", True),
        ("x, 0.340, 1,235 of 36\n", True),
        ("x, 0.37, 1,234 of 36\n", False),
        ("x, 0.33, 1,234 of 35\n", False),
        ("y, 0.33, 1,234 of 36\n", False),
        ("x, 0.33, 1,234 of 36, 1\n", False),
        ("x, 3.3e-1, 1,234 of 36\n", True),
    ],
)
def test_numbers_may_differ_by_rounding(folders, text, same):
    stored, fresh = folders
    (stored / "a.md").write_text("x, 0.33, 1,234 of 36\n")
    (fresh / "a.md").write_text(text)
    assert named(folders) == ([] if same else ["a.md: differs"])


def test_pictures_are_compared_by_their_pixels(folders):
    stored, fresh = folders
    (fresh / "b.pdf").write_bytes(b"%PDF, drawn elsewhere")
    pixels = np.round(imread(fresh / "b.png") * 255).astype(np.uint8)
    pixels[0, :2] ^= 1
    imsave(fresh / "b.png", pixels)
    assert (fresh / "b.png").read_bytes() != (stored / "b.png").read_bytes()
    assert named(folders) == []
    imsave(fresh / "b.png", pixels[:-1])
    assert named(folders) == ["b.png: differs"]


@pytest.mark.parametrize(("change", "code"), [(False, 0), (True, 1)])
def test_the_whole_of_it_ends_with_a_count(folders, change, code, monkeypatch, capsys):
    stored, fresh = folders
    results = stored.parent / "results"
    results.mkdir()
    for kind in ("figures", "tables"):
        (results / kind).symlink_to(stored)
    if change:
        (stored / "a.csv").write_text("x\n2\n")

    def build(repository, places):
        for place in places.values():
            shutil.copytree(fresh, place)

    def write(repository, arguments):
        assert "x\n1\n" in (Path(arguments[1]) / "a.csv").read_text()  # of the fresh tables
        report = Path(arguments[3])
        report.mkdir()
        (report / "REPORT.md").write_text("# 1 holds\n")

    (results / "REPORT.md").write_text("# 2 hold\n" if change else "# 1 holds\n")
    monkeypatch.setattr(verify, "_build", build)
    monkeypatch.setattr(verify.write, "main", write)
    assert verify.main(stored.parent) == code
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1].startswith(f"{3 * change} differences")
    assert change == any(line.endswith("REPORT.md: differs") for line in lines)


def test_a_mistake_is_one_sentence_and_no_difference(tmp_path):
    for name in ("scripts", "configs"):
        shutil.copytree(ROOT / name, tmp_path / name)
    (tmp_path / "results").mkdir()
    program = [sys.executable, str(tmp_path / "scripts" / "verify.py")]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(program, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert done.stderr.startswith("error: ")


@pytest.mark.parametrize(
    ("others", "same"), [([0.55], True), ([0.65], False), ([0.55, 0.55, 0.55], False)]
)
def test_one_number_of_many_may_be_of_a_point_that_turned_round(folders, others, same):
    stored, fresh = folders
    for folder, changed in ((stored, []), (fresh, others)):
        values = [*changed, *[0.5] * (100 - len(changed))]
        (folder / "a.csv").write_text("\n".join(map(str, values)) + "\n")
    assert named(folders) == ([] if same else ["a.csv: differs"])
