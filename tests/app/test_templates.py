"""Every template, added to a copy of the repository as one Python file and one YAML file, works."""

import csv
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
TEMPLATES = ROOT / "docs" / "templates"
# Where each is copied to, and under which id.
PLACES = {
    "method": ("methods", "method", "window_median"),
    "mode": ("engine/modes", "hypergradient", "differences"),
    "model": ("models", "model", "perceptron"),
    "task": ("tasks", "task", "label_smoothing"),
    "dataset": ("data", "dataset", "digits"),
    "study": ("studies", "study", "overlap"),
    "figure": ("report/figures", "figure", "final_dots"),
    "table": ("report/tables", "table", "work"),
}
COPIED = ("configs", "glocal_exp", "scripts", "results/runs/fig2_sgd", "results/studies/fidelity")
SMOKE = [
    *["preset=smoke", "source=bundled", "tracker=none", "steps=80", "interval=40", "batch_size=8"],
    *["validation.size=50", "eval_every=80", "task.start=0.2"],
]
pytestmark = pytest.mark.slow  # processes that import and compile


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    root = tmp_path_factory.mktemp("copy")
    for name in COPIED:
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name, (room, group, identity) in PLACES.items():
        module = "archive" if name == "dataset" else identity  # a format, which others may have
        shutil.copy(TEMPLATES / f"{name}.py", root / "glocal_exp" / room / f"{module}.py")
        shutil.copy(TEMPLATES / f"{name}.yaml", root / "configs" / group / f"{identity}.yaml")
    shutil.copy(TEMPLATES / "estimator.yaml", root / "configs" / "estimator" / "median.yaml")
    return root


def run(root: Path, *command: str) -> str:
    done = subprocess.run(
        [sys.executable, *command],
        cwd=root,
        env=os.environ | {"PYTHONPATH": str(root), "JAX_ENABLE_X64": "0"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_a_method_a_mode_a_model_and_a_task_train_together(copy):
    new = [f"{PLACES[name][1]}={PLACES[name][2]}" for name in ("method", "mode", "model", "task")]
    run(copy, "scripts/train.py", *new, *SMOKE, "output_dir=outputs")
    (file,) = copy.glob("outputs/runs/*/window_median-*/seed=0/metrics.csv")
    rows = list(csv.DictReader(file.read_text().splitlines()))
    assert [row["outer_step"] for row in rows] == ["0", "1", "2"]
    assert rows[-1]["validation_gradients"] == str(2 * 40)
    assert float(rows[-1]["hyperparameter/smoothing"]) != 0.2
    assert float(rows[-1]["diagnostic/spread"]) > 0


def test_a_data_set_is_trained_on(copy, tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (300, 8, 8, 1), np.uint8)
    parts = {"x_train": images, "y_train": np.arange(300) % 10}
    np.savez(tmp_path / "digits.npz", **parts, x_test=images[:50], y_test=np.arange(50) % 10)
    new = ["dataset=digits", "source=files", f"data_dir={tmp_path}", "model=perceptron"]
    smoke = [word for word in SMOKE if not word.startswith(("source=", "task."))]
    said = run(copy, "scripts/train.py", *new, *smoke, "method=local", "output_dir=outputs")
    assert f"data: Digits from files ({tmp_path}/digits.npz)" in said
    assert "step 80/80" in said


def test_central_differences_are_forward_mode(copy):
    """The new mode's h against the old one's, of the same model and task."""
    found = {}
    for mode in ("differences", "forward"):
        new = ["method=window_median", f"hypergradient={mode}", "model=perceptron"]
        new += ["task=label_smoothing", "precision=float64", f"output_dir=outputs/{mode}"]
        run(copy, "scripts/train.py", *new, *SMOKE)
        (file,) = copy.glob(f"outputs/{mode}/runs/*/*/seed=0/metrics.csv")
        found[mode] = float(
            list(csv.DictReader(file.read_text().splitlines()))[1]["hypergradient/smoothing"]
        )
    assert found["differences"] == pytest.approx(found["forward"], rel=1e-4)


def test_a_study_is_measured(copy):
    assert "size16 (2 of 2)" in run(copy, "scripts/study.py", "study=overlap", "output_dir=outputs")


def test_a_figure_a_table_and_an_estimator_are_drawn(copy):
    run(copy, "scripts/make_figures.py", "final_dots", "--out", "figures")
    assert (copy / "figures" / "final_dots.png").stat().st_size > 5_000
    run(copy, "scripts/make_tables.py", "work", "fidelity", "--out", "tables")
    assert "| local " in (copy / "tables" / "work.md").read_text()
    assert "| window median " in (copy / "tables" / "fidelity.md").read_text()


def test_a_problem_of_ones_own_runs(copy):
    assert "400 {'mean_penalty'" in run(copy, str(TEMPLATES / "problem.py"))
