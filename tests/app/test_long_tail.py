"""Long-tailed CIFAR from its own files: learned and fixed weights, from the command line."""

import numpy as np
import pytest

from glocal_exp.app.assemble import examples
from glocal_exp.app.compose import jobs
from glocal_exp.data import Splits
from tests.data.writers import cifar10_batches, small, write_cifar

from .commands import TINY, Shell, manifest, rows, runs

SETTINGS = [*TINY, "dataset=cifar10_lt", "source=files", "interval=20", "steps=20"]
SETTINGS += ["dataset.imbalance.factor=4", "device.cpu.segment=10"]
LEARNED = ["task=reweight", "task.weight.hidden=8"]


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    write_cifar(root / "cifar-10-batches-py", cifar10_batches(small((32, 32, 3), n=200)))
    return root


@pytest.mark.parametrize(
    "chosen",
    [
        pytest.param(["task=unweighted", "method=none"], marks=pytest.mark.slow),
        ["task=class_balanced", "method=none", "augmentation=flip_crop"],
        [*LEARNED, "method=glocal", "method.window=16", "method.delays=4"],
        pytest.param(
            [*LEARNED, "method=one_step", "interval=1", "hypergradient=reverse", "eval_every=20"],
            marks=pytest.mark.slow,
        ),
    ],
    ids=["unweighted", "class_balanced", "glocal", "one_step"],
)
def test_training_on_fewer_and_fewer_images(shell: Shell, tmp_path, data_dir, chosen):
    shell.done(*SETTINGS, *chosen, f"data_dir={data_dir}", f"output_dir={tmp_path}")
    (run,) = runs(tmp_path).values()
    data = manifest(run)["data"]
    # 20 of each class, 2 held out, floor(18 * 4^(-c / 9)) left
    assert data["class_counts"]["train"] == [18, 15, 13, 11, 9, 8, 7, 6, 5, 4]
    assert data["class_counts"]["validation"] == [2] * 10
    assert "long-tailed (imbalance factor 4)" in data["title"]
    last = rows(run)[-1]
    by_class = [float(last[f"test_class_accuracy/{c}"]) for c in range(10)]
    assert sum(by_class) / 10 == pytest.approx(float(last["test_accuracy"]), abs=1e-6)


def test_mistakes_end_in_a_sentence(shell: Shell, tmp_path, data_dir):
    for settings, sentence in [
        (["dataset.imbalance.factor=0.5"], "dataset.imbalance.factor=0.5 is not at least 1"),
        (["dataset.imbalance.factor=1000"], "leaves no image of the last class"),
        (["dataset.imbalance.exponent=cui"], "published or paper"),
        (["task=class_balanced", "task.beta=1"], "task.beta=1 is not from 0 to below 1"),
        (["task=class_balanced", "method=local"], "has no hyperparameters to learn"),
        (["augmentation=flip"], "There is no augmentation=flip; did you mean flip_crop"),
        (["augmentation=flip_crop", "augmentation.padding=-1"], "augmentation.padding=-1"),
        (
            ["task=class_balanced", "method=none", "validation.balanced=false", "seeds=[0,1,2,3]"],
            "set validation.balanced=true",
        ),
    ]:
        method = [] if any(word.startswith("method=") for word in settings) else ["method=none"]
        settings = [*settings, *method]
        places = f"data_dir={data_dir}", f"output_dir={tmp_path}"
        assert sentence in shell.refused(*SETTINGS, *settings, *places)
        assert not (tmp_path / "runs").exists() or not any((tmp_path / "runs").rglob("*.json"))


@pytest.mark.parametrize(
    ("subset", "balanced"), [(20, True), (25, True), (20, False), (None, True)]
)
def test_a_subset_of_balanced_images_is_balanced(subset, balanced):
    """The first of each class in the split's order; the first of all where that cannot be."""
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(10), 10))
    chosen = ["dataset=cifar10_lt", f"validation.subset={subset}".replace("None", "null")]
    job = jobs([*chosen, f"validation.balanced={str(balanced).lower()}"], sweep=False)[0]
    part = {"x": np.arange(100), "y": labels}
    found = examples(job.config, Splits(train=part, validation=part, test=part, info={})).meta
    if subset is None:
        assert found is None
        return
    assert found is not None
    np.testing.assert_array_equal(found["y"], labels[found["x"]])
    if subset == 20 and balanced:
        firsts = [np.flatnonzero(labels == c)[:2] for c in range(10)]
        assert found["x"].tolist() == sorted(np.concatenate(firsts).tolist())
    else:
        assert found["x"].tolist() == list(range(subset))
