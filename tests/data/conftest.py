"""A small data set, and the original ones of `GLOCAL_DATA_DIR` where they are at hand."""

import os
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from glocal_exp.data import ImageData
from glocal_exp.data.files import Files
from tests.data.writers import small, spec


@pytest.fixture(autouse=True)
def tfds_home(monkeypatch, tmp_path) -> Path:
    """Where TFDS prepares data sets if it is not told: a folder that is not there."""
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def arrays() -> dict:
    return small((28, 28, 1))


@pytest.fixture(scope="session")
def folder_of(tmp_path_factory) -> Callable[[str], Path]:
    """Where the original files of a data set lie; skips where they do not.

    CIFAR may be packed: folders cifar10 and cifar100 beside a script that unpacks them.
    """

    @cache
    def found(name: str) -> Path:
        if not os.environ.get("GLOCAL_DATA_DIR"):
            pytest.skip("GLOCAL_DATA_DIR names no folder of data sets")
        root, wanted = Path(os.environ["GLOCAL_DATA_DIR"]), spec(name)
        if Files(str(root)).absence(wanted) is None:
            return root
        script = root / "unpack_cifar.py"
        if not (script.is_file() and (root / name).is_dir()):
            pytest.skip(f"GLOCAL_DATA_DIR has no files of {wanted.title}")
        unpacked = tmp_path_factory.mktemp(name)
        command = [sys.executable, script, root / name, unpacked]
        subprocess.run(command, check=True, capture_output=True)
        return unpacked

    return found


@pytest.fixture(
    scope="module",
    params=[
        "mnist",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("fmnist", "kmnist", "cifar10", "cifar100")
        ),
    ],
)
def original(request, folder_of) -> ImageData:
    """A data set as it is read from its original files."""
    return Files(str(folder_of(request.param))).load(spec(request.param))
