"""Prepares one data set with TFDS's own builder, with only the network step replaced.

Usage: python -m tests.data.prepare_with_tfds NAME DOWNLOADS ROOT

DOWNLOADS holds what TFDS would have downloaded and unpacked.
"""

import sys
from pathlib import Path
from typing import Any
from unittest import mock

import tensorflow_datasets
from etils import epath

from glocal_exp.data import tfds


def main(name: str, downloads: Path, root: Path) -> None:
    def unpacked(manager: Any, resource: Any) -> Any:
        if isinstance(resource, dict):  # the MNIST family asks for files
            names = {key: url.rsplit("/", 1)[1] for key, url in resource.items()}
            return {key: epath.Path(downloads / n.removesuffix(".gz")) for key, n in names.items()}
        return epath.Path(downloads)  # CIFAR asks for the folder of an archive

    manager = tensorflow_datasets.download.DownloadManager
    with (
        mock.patch.object(manager, "download_and_extract", unpacked),
        mock.patch.object(tfds, "refuse_offline"),
    ):
        print(tfds.prepare(name, root))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
