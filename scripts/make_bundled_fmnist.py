"""Write the embedded part of Fashion-MNIST from the original files.

Usage: python scripts/make_bundled_fmnist.py DATA_DIR
"""

import os
import sys
from pathlib import Path

import numpy as np
import yaml

from glocal_exp.data import DatasetSpec
from glocal_exp.data.files import Files
from glocal_exp.data.idx import IdxFiles

ROOT = Path(__file__).resolve().parents[1]
SEED = 0
PER_CLASS = {"train": 600, "test": 100}


def choose(labels: np.ndarray, per_class: int) -> np.ndarray:
    """The first `per_class` images of each class in a random order, sorted."""
    order = np.argsort(np.random.PCG64(SEED).random_raw(len(labels)), kind="stable")
    by_class = [order[labels[order] == c][:per_class] for c in np.unique(labels)]
    return np.sort(np.concatenate(by_class))


def described() -> DatasetSpec:
    """Fashion-MNIST as its YAML describes it."""
    settings = yaml.safe_load((ROOT / "configs/dataset/fmnist.yaml").read_text())
    del settings["_target_"], settings["_convert_"], settings["format"]["_target_"]
    return DatasetSpec(**{**settings, "format": IdxFiles(**settings["format"])})


def main(data_dir: str) -> None:
    """Choose the images and write them, whole or not at all."""
    spec = described()
    data = Files(data_dir).load(spec)
    if not data.original:
        sys.exit(f"{data.place} does not hold the original Fashion-MNIST.")
    train = choose(data.train_labels, PER_CLASS["train"])
    test = choose(data.test_labels, PER_CLASS["test"])
    path = ROOT / "glocal_exp/data/bundled" / str(spec.bundled)
    partial = path.with_suffix(".partial.npz")
    np.savez_compressed(
        partial,
        train_images=data.train_images[train],
        train_labels=data.train_labels[train].astype(np.uint8),
        test_images=data.test_images[test],
        test_labels=data.test_labels[test].astype(np.uint8),
    )
    os.replace(partial, path)
    print(f"wrote {path}: {len(train):,} + {len(test):,} images, {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
