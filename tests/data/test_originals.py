"""The original data sets of full size, read from their own files."""

import dataclasses
import pickle

import numpy as np
import pytest
from hydra.utils import instantiate

from glocal_exp.app.compose import jobs
from glocal_exp.data import cifar_pickle, split
from glocal_exp.data.bundled import Bundled
from glocal_exp.data.files import Files
from glocal_exp.data.idx import locate
from glocal_exp.data.imbalance import LongTail
from glocal_exp.errors import UserError
from scripts.make_bundled_fmnist import PER_CLASS, choose
from tests.data.writers import IDX_NAMES, KEYS, spec, write_idx

MNIST_COUNTS = (
    [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949],
    [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009],
)
COUNTS = {  # images of each class in training and test part, as published
    "mnist": MNIST_COUNTS,
    "fmnist": ([6_000] * 10, [1_000] * 10),
    "kmnist": ([6_000] * 10, [1_000] * 10),
    "cifar10": ([5_000] * 10, [1_000] * 10),
    "cifar100": ([500] * 100, [100] * 100),
}
MOMENTS = {  # mean and deviation of the training images as published, and to how much of 255
    "mnist": ([33.318421], [78.567490], 1e-6),
    "fmnist": ([255 * 0.2860], [255 * 0.3530], 255 * 5e-5),
    "kmnist": ([255 * 0.1918], [255 * 0.3483], 255 * 5e-5),
    "cifar10": (
        [125.30691805, 122.95039414, 113.86538318],
        [62.99321928, 62.08870764, 66.70489964],
        1e-7,
    ),
    "cifar100": (
        [129.30416561, 124.0699627, 112.43405006],
        [68.1702429, 65.39180804, 70.41837019],
        1e-7,
    ),
}
FINGERPRINTS = {  # of a tenth held out by seed 0 and seed 1; stored runs name them
    "mnist": ("5537a11b38b66082", "5652bff14cdf839d"),
    "fmnist": ("203c017abb082b32", "02a993833cbafea5"),
    "kmnist": ("7eea9fd9456ba2de", "1ec5093777702956"),
    "cifar10": ("7b2bd30aec790d12", "1641dfbf81d2351b"),
    "cifar100": ("96f9b2f5bb807ed9", "66d70aa7a28e5021"),
}
TAILS = {  # by data set and imbalance factor: first and last class, all images, as published
    "cifar10": {
        10: (5000, 500, 20_431),
        50: (5000, 100, 13_996),
        100: (5000, 50, 12_406),
        200: (5000, 25, 11_203),
    },
    "cifar100": {100: (500, 5, 10_847)},
}
LEFT = {  # training images of each class, if 1,000 images are held out first
    "cifar10": {
        10: [4900, 3793, 2937, 2274, 1760, 1363, 1055, 817, 632, 490],
        50: [4900, 3172, 2054, 1330, 861, 557, 361, 233, 151, 98],
        100: [4900, 2937, 1760, 1055, 632, 379, 227, 136, 81, 49],
        200: [4900, 2719, 1509, 837, 465, 258, 143, 79, 44, 24],
    },
    "cifar100": {100: [int(490 * 100 ** (-c / 99)) for c in range(100)]},
}
# Fingerprints at factor 100, seed 0.
LONG_TAILED = {"cifar10": "9a72f5500564efc6", "cifar100": "7b805cee0ef85781"}
CIFAR10_LT = [5000, 2997, 1796, 1077, 645, 387, 232, 139, 83, 50]  # at factor 100
cifar = pytest.mark.parametrize(
    "original",
    [pytest.param(name, marks=pytest.mark.slow) for name in ("cifar10", "cifar100")],
    indirect=True,
)


def test_they_are_recognised_by_their_content(original):
    found = (original.original, original.notice, original.recognised_by)
    assert found == (True, "", "content")
    if original.spec.name != "cifar100":  # whose pickles may hold other file names
        assert {checked.original for checked in original.files.values()} == {True}


def test_their_classes_have_the_published_sizes(original):
    for labels, counts in zip(KEYS[1::2], COUNTS[original.spec.name], strict=True):
        assert np.bincount(getattr(original, labels)).tolist() == counts


def test_their_moments_and_splits(original):
    infos = [split(original, 0.1, seed).info for seed in (0, 1)]
    mean, std, tolerance = MOMENTS[original.spec.name]
    for name, published in (("mean", mean), ("std", std)):
        found = 255 * np.asarray(infos[0][name])
        np.testing.assert_allclose(found, published, rtol=0, atol=tolerance)
    assert tuple(info["fingerprint"] for info in infos) == FINGERPRINTS[original.spec.name]
    held_out = len(original.train_labels) // 10
    assert infos[1]["sizes"] == {
        "train": 9 * held_out,
        "validation": held_out,
        "test": len(original.test_labels),
    }


@cifar
def test_long_tails_have_the_published_sizes(original):
    for factor, published in TAILS[original.spec.name].items():
        every = np.arange(len(original.train_labels))
        kept = LongTail(factor).choose(every, original.train_labels, original.spec.num_classes)
        counts = np.bincount(original.train_labels[kept]).tolist()
        assert (counts[0], counts[-1], sum(counts)) == published
        if (original.spec.name, factor) == ("cifar10", 100):
            assert counts == CIFAR10_LT


@cifar
def test_long_tails_of_the_configs(original):
    name, classes, fingerprints = original.spec.name, original.spec.num_classes, {}
    for factor, counts in LEFT[name].items():
        chosen = [f"dataset={name}_lt", f"dataset.imbalance.factor={factor}"]
        config = jobs(chosen, sweep=False)[0].config
        data = dataclasses.replace(original, spec=instantiate(config.dataset))
        info = split(data, config.validation.size, 0, config.validation.balanced).info
        validation = [1_000 // classes] * classes
        parts = {"train": counts, "validation": validation, "test": COUNTS[name][1]}
        assert info["class_counts"] == parts
        fingerprints[factor] = info["fingerprint"]
    assert fingerprints[100] == LONG_TAILED[name]
    assert len(set(fingerprints.values())) == len(fingerprints)


@cifar
def test_cifar_with_other_file_names_is_still_the_original(tmp_path, folder_of, original):
    wanted = spec(original.spec.name)
    place = wanted.format.find(folder_of(original.spec.name))
    for name, content in wanted.format.contents(place).items():
        batch = cifar_pickle.load(content)
        batch["filenames"] = [f"{i}.png" for i in range(len(batch["data"]))]
        (tmp_path / name).write_bytes(pickle.dumps(batch))
    data = Files(str(tmp_path)).load(wanted)
    assert {checked.original for checked in data.files.values()} == {False}
    assert (data.original, data.notice, data.recognised_by) == (True, "", "content")


@pytest.mark.slow
@pytest.mark.parametrize("original", ["fmnist"], indirect=True)
def test_the_embedded_images_are_the_choice_of_the_script(original):
    part = Bundled().load(spec("fmnist"))
    for name, count in PER_CLASS.items():
        chosen = choose(getattr(original, f"{name}_labels"), count)
        for key in (f"{name}_images", f"{name}_labels"):
            np.testing.assert_array_equal(getattr(original, key)[chosen], getattr(part, key))


@pytest.mark.parametrize("original", ["mnist"], indirect=True)
def test_one_changed_pixel_is_not_the_original(tmp_path, original):
    arrays = {key: getattr(original, key).astype(np.uint8) for key in KEYS}
    arrays["test_images"][123, 14, 14, 0] ^= 1
    write_idx(tmp_path, arrays, "{}")
    changed = Files(str(tmp_path)).load(spec("mnist"))
    assert changed.notice == "MNIST (not the original files)"


@pytest.mark.parametrize(
    ("names", "order", "sentence"),
    [
        ("fmnist", (0, 1, 2, 3), "holds MNIST, not Fashion-MNIST"),
        ("kmnist", (0, 1, 2, 3), "holds MNIST, not KMNIST"),
        ("mnist", (0, 3, 2, 1), r"train-labels-idx1-ubyte(.gz)? is in truth t10k-labels-idx1"),
        ("mnist", (2, 3, 0, 1), r"train-images-idx3-ubyte(.gz)? is in truth t10k-images-idx3"),
    ],
)
def test_files_of_mnist_in_other_places(tmp_path, folder_of, names, order, sentence):
    place = spec("mnist").format.find(folder_of("mnist"))
    files = [locate(place, name)[0] for name in IDX_NAMES]
    for file, target in zip(files, order, strict=True):
        (tmp_path / files[target].name).symlink_to(file.resolve())
    with pytest.raises(UserError, match=sentence):
        Files(str(tmp_path)).load(spec(names))
