import pandas as pd
import pytest

from glocal_exp.places import RESULTS
from glocal_exp.report.artifact import Context
from glocal_exp.report.caption import describe, marked
from glocal_exp.report.selection import Selection, select

from .synthetic import write_run

SIZE = {"steps": 10000, "interval": 100, "batch_size": 128, "validation_share": 0.1, "seeds": 1}
PAPER = pd.DataFrame(
    [("section4", key, "", value) for key, value in SIZE.items()],
    columns=["artifact", "quantity", "setting", "value"],
)


def selected(root, experiment="a") -> Selection:
    found = select(root, experiment)
    assert found is not None
    return found


@pytest.fixture
def text(tmp_path):
    def write(*runs):
        for run in runs:
            write_run(tmp_path, "a", **{"method": "glocal", "seed": 0, "steps": 10000, **run})
        return describe(selected(tmp_path), Context(tmp_path, PAPER))

    return write


def data(train=54000, validation=6000, notice="", title="Fashion-MNIST"):
    sizes = {"train": train, "validation": validation, "test": 10000}
    return {"data": {"title": title, "notice": notice, "sizes": sizes}}


def test_a_run_of_full_size(text):
    found = text({"manifest": data()})
    for part in (
        "a: Fashion-MNIST; lenet;", "T = 10,000 steps", "tau = 100", "batches of 128",
        "54,000 training, 6,000 validation and 10,000 test images", "1 seed (0)",
        "on Synthetic CPU", "commit 0123456789", "These runs have the paper's full size.",
    ):  # fmt: skip
        assert part in found


def test_smaller_runs_say_in_what(text):
    found = text({"manifest": data(59000, 1000), "steps": 2000, "config": {"batch_size": 64}})
    assert (
        "Not the paper's full size: T = 2,000 (paper: 10,000), batch = 64 (paper: 128), 1,000 "
        "validation images (paper: 10% of the training data)." in found
    )


def test_a_subset_of_the_validation_images_is_said(text):
    found = text(
        {"manifest": data(), "config": {"validation": {"size": 0.1, "subset": 1000}}},
        {"manifest": data(), "method": "none", "config": {"validation": {"size": 0.1}}},
    )
    assert "54,000 training, 6,000 [1,000 of them in a hypergradient] validation" in found
    assert "Not the paper's full size: 1,000 validation images (paper: 10%" in found


def test_size_that_does_not_matter_is_not_held_against_the_runs(tmp_path):
    write_run(tmp_path, "a", "glocal", 0, steps=100)
    selection, context = selected(tmp_path), Context(tmp_path, PAPER)
    assert "T = 100 (paper" in describe(selection, context)
    assert "the paper's full size." in describe(selection, context, ignore=("steps",))


def test_the_original_data_belong_to_the_full_size(text):
    found = text({"manifest": {"data": data()["data"] | {"original": False}}})
    assert "Not the paper's full size: not the original data." in found


def test_nothing_is_claimed_without_the_papers_numbers(tmp_path):
    write_run(tmp_path, "a", "glocal", 0, steps=100)
    assert "full size" not in describe(selected(tmp_path), Context(tmp_path))


def test_the_processor_and_seeds_side_by_side_are_named(text):
    device = {"platform": "cpu", "name": "cpu", "count": 2, "seeds": "batched"}
    found = text({"manifest": data() | {"device": device, "processor": "Some CPU, 2 cores"}})
    assert "on Some CPU, 2 cores, seeds side by side;" in found


def test_what_differs_between_methods_is_listed(text):
    gpu = {"platform": "gpu", "name": "NVIDIA H100", "count": 2}
    found = text(
        {"manifest": data()},
        {"manifest": data(), "method": "none"},
        {"manifest": data(59000, 1000) | {"device": gpu}, "method": "global"},
    )
    assert "6,000 (global: 1,000) validation" in found
    assert "on Synthetic CPU (global: 2 x NVIDIA H100)" in found
    assert "Not the paper's full size" in found


def test_notices_and_uncommitted_changes_are_passed_on(text):
    git = {"commit": "a" * 40, "dirty": True}
    found = text({"manifest": data(notice="Fashion-MNIST (re-encoded)") | {"git": git}})
    assert "a: Fashion-MNIST (re-encoded); lenet; T = " in found
    assert "commit aaaaaaaaaa with uncommitted changes" in found


def test_settings_of_glocal_and_of_the_network_that_are_not_the_papers(tmp_path):
    rows = [("window", "", 80), ("delays", "", 10), ("model.depth", "deep", 28)]
    rows += [("model.width", "deep", 2), ("model.depth", "other", 5)]
    paper = pd.DataFrame(
        [("section4", *row) for row in rows], columns=["artifact", "quantity", "setting", "value"]
    )
    model = {"model": {"depth": 16, "width": 2}}
    for method, settings in (("glocal", {"window": 32, "delays": 10}), ("local", {})):
        config = model | {"method": settings}
        write_run(tmp_path, "a", method, 0, config=config, manifest={"model": "deep"})
    found = describe(selected(tmp_path), Context(tmp_path, paper))
    assert "full size: sigma = 32 (paper: 80), depth = 16 (paper: 28)." in found


@pytest.mark.parametrize(
    ("label", "title", "notice", "expected"),
    [
        ("A, SGD", "A", "A (copy)", "A (copy), SGD"),
        ("A", "A, thinned (10)", "A (copy), thinned (10)", "A (copy)"),
        ("a sweep", "A", "A (copy)", "a sweep (copy)"),
        ("A, SGD", "A", "", "A, SGD"),
    ],
)
def test_labels_carry_the_mark_of_a_copy(tmp_path, label, title, notice, expected):
    manifest = data(title=title, notice=notice)
    write_run(tmp_path, "a", "glocal", 0, manifest=manifest)
    assert marked(label, selected(tmp_path).runs) == expected


def test_a_run_of_a_checkout_is_named_from_its_root():
    found = describe(selected(RESULTS / "runs", "fig2_sgd"), Context(RESULTS / "runs", PAPER))
    assert "`glocal train from=results/runs/fig2_sgd/VARIANT/seed=K`" in found


def test_a_manifest_that_knows_nothing(text):
    empty = {"data": None, "device": None, "git": None, "dataset": None}
    found = text({"manifest": empty, "config": {"validation": None}})
    assert "unknown data set" in found
    assert "an unknown device" in found
    assert "commit unknown" in found
    assert "images" not in found
