"""Files that announce, or unpack to, more than any data set holds, and whole ones beside them."""

import bz2
import gzip
import io
import lzma
import pickle
import resource
import struct
import tarfile
import tracemalloc

import numpy as np
import pytest

from glocal_exp.data import cifar_pickle, files, idx
from glocal_exp.data.files import Files
from tests.data.writers import (
    IDX_NAMES,
    assert_holds,
    assert_refused,
    cifar10_batches,
    small,
    spec,
    truncate,
    write_archive,
    write_cifar,
    write_idx,
)

FOLDER, ARCHIVE = "cifar-10-batches-py", "cifar-10-python.tar.gz"
CIFAR10, FMNIST = spec("cifar10"), spec("fmnist")
LARGEST = 2**24  # a sixteenth of what a file may hold outside of tests
MEMORY = 2 * LARGEST + 2**27


@pytest.fixture(autouse=True)
def _no_more_memory(monkeypatch):
    """Python's own allocations, NumPy's too, stay below what two files may take."""
    for module in (files, idx):
        monkeypatch.setattr(module, "LARGEST", LARGEST)
    tracemalloc.start()
    yield
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < MEMORY


@pytest.fixture
def ten():
    return small((32, 32, 3))


def zeros(file, size):
    """Write so many zeros, a megabyte at a time."""
    for _ in range(size // 2**20):
        file.write(bytes(2**20))


@pytest.mark.parametrize("name", IDX_NAMES)
def test_a_gzipped_idx_file_that_unpacks_to_gigabytes(tmp_path, arrays, name):
    write_idx(tmp_path, arrays)
    with gzip.open(tmp_path / f"{name}.gz", "wb", compresslevel=1) as file:
        zeros(file, LARGEST + 2**21)
    assert_refused(tmp_path, FMNIST, f"{name}.gz unpacks to more than any file of a data set")


def test_an_idx_file_that_is_one_large_hole(tmp_path, arrays):
    write_idx(tmp_path, arrays, "{}")
    with open(tmp_path / IDX_NAMES[0], "r+b") as file:
        file.truncate(2**40)
    assert_refused(tmp_path, FMNIST, f"{IDX_NAMES[0]} is larger than any file of a data set")


@pytest.mark.parametrize("shape", [(2**31, 2**31, 4), (2**32 - 1, 28, 28)])
def test_an_idx_header_that_announces_too_much(tmp_path, arrays, shape):
    write_idx(tmp_path, arrays, "{}")
    header = b"\x00\x00\x08\x03" + struct.pack(">3I", *(n % 2**32 for n in shape))
    (tmp_path / IDX_NAMES[0]).write_bytes(header + bytes(100))
    assert_refused(tmp_path, FMNIST, f"{IDX_NAMES[0]} is")


def bomb(path, opener, member):
    path.parent.mkdir(parents=True, exist_ok=True)
    with opener(path, "wb") as stream:
        header = tarfile.TarInfo(member)
        header.size = 4 * 2**30
        stream.write(header.tobuf())
        zeros(stream, LARGEST + 2**21)


@pytest.mark.parametrize("member", [f"{FOLDER}/data_batch_1", "readme", "./x"])
@pytest.mark.parametrize("opener", [gzip.open, bz2.open], ids=["gz", "bz2"])
def test_an_archive_that_unpacks_to_gigabytes(tmp_path, member, opener):
    bomb(tmp_path / ARCHIVE, opener, member)
    assert_refused(tmp_path, CIFAR10, f"{ARCHIVE} unpacks to more than any file of a data set")


def test_an_archive_with_a_member_that_is_one_large_hole(tmp_path, ten):
    unpacked = write_cifar(tmp_path / "unpacked", cifar10_batches(ten))
    (tmp_path / "data").mkdir()
    with tarfile.open(tmp_path / "data" / ARCHIVE, "w:gz", format=tarfile.PAX_FORMAT) as tar:
        for path in sorted(unpacked.iterdir()):
            member = tarfile.TarInfo(f"{FOLDER}/{path.name}")
            content = path.read_bytes()
            if path.name == "data_batch_2":
                member.pax_headers = {"GNU.sparse.size": str(2**40), "GNU.sparse.map": "0,0"}
                content = b""
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    assert_refused(tmp_path / "data", CIFAR10, f"lacks {FOLDER}/data_batch_2")


def test_headers_of_an_archive_that_announce_gigabytes(tmp_path):
    header = tarfile.TarInfo("pax")
    header.type, header.size = tarfile.XHDTYPE, 8 * 2**30 - 1
    with gzip.open(tmp_path / ARCHIVE, "wb") as stream:
        stream.write(header.tobuf())
        stream.write(bytes(2**20))
    assert_refused(tmp_path, CIFAR10, ARCHIVE)


PICKLES = {
    "a memo table": b"\x80\x02}r\xff\xff\xff\x0f.",
    "a memo table, in text": b"}p268435455\n.",
    "bytes that are not there": b"\x80\x04\x8e" + struct.pack("<Q", 2**34) + b".",
    "text that is not there": b"\x80\x04\x8d" + struct.pack("<Q", 2**34) + b".",
    "a frame that is not there": b"\x80\x04\x95" + struct.pack("<Q", 2**62) + b"}.",
    "a number that is not there": b"\x80\x02\x8b" + struct.pack("<i", 2**31 - 1) + b".",
}


@pytest.mark.parametrize("content", PICKLES.values(), ids=PICKLES)
def test_a_pickle_that_asks_for_gigabytes(tmp_path, ten, content):
    folder = write_cifar(tmp_path, cifar10_batches(ten))
    (folder / "data_batch_3").write_bytes(content)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert_refused(tmp_path, CIFAR10, "data_batch_3 (was refused|is truncated|holds no)")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2**18  # KiB


@pytest.mark.parametrize("label", [10**30, -(10**30), 2**31, -1, 10, True, 1.0, "1", None])
def test_labels_that_are_none(tmp_path, ten, label):
    batches = cifar10_batches(ten)
    batches["test_batch"][b"labels"][3] = label
    write_cifar(tmp_path, batches)
    assert_refused(tmp_path, CIFAR10, "test_batch|A label is")


@pytest.mark.parametrize("place", [0.1, 0.3, 0.6, 0.95])
@pytest.mark.parametrize("opener", [lzma.open, bz2.open, gzip.open], ids=["xz", "bz2", "gz"])
def test_a_flipped_byte_in_an_archive(tmp_path, ten, opener, place):
    unpacked = write_cifar(tmp_path / "unpacked", cifar10_batches(ten))
    path = write_archive(tmp_path / "data" / ARCHIVE, unpacked, FOLDER)
    content = gzip.decompress(path.read_bytes())
    with opener(path, "wb") as stream:
        stream.write(content)
    packed = bytearray(path.read_bytes())
    packed[int(place * len(packed))] ^= 0xFF
    path.write_bytes(packed)
    assert_refused(path.parent, CIFAR10, "damaged|truncated|lacks|was refused|holds|A label")


@pytest.mark.parametrize("opener", [lzma.open, bz2.open, gzip.open, open])
@pytest.mark.parametrize("name", [ARCHIVE, ARCHIVE.removesuffix(".gz")])
def test_an_archive_is_known_by_its_first_bytes(tmp_path, ten, opener, name):
    unpacked = write_cifar(tmp_path / "unpacked", cifar10_batches(ten))
    path = write_archive(tmp_path / "data" / ARCHIVE, unpacked, FOLDER)
    content = gzip.decompress(path.read_bytes())
    path.unlink()
    with opener(tmp_path / "data" / name, "wb") as stream:
        stream.write(content)
    assert_holds(Files(str(tmp_path / "data")).load(CIFAR10), ten)


def test_members_may_begin_with_a_dot(tmp_path, ten):
    unpacked = write_cifar(tmp_path / "unpacked", cifar10_batches(ten))
    path = write_archive(tmp_path / "data" / ARCHIVE, unpacked, f"./{FOLDER}")
    assert_holds(Files(str(path.parent)).load(CIFAR10), ten)


def test_a_whole_archive_wins_over_a_folder_that_lacks_a_batch(tmp_path, ten):
    unpacked = write_cifar(tmp_path / "unpacked", cifar10_batches(ten))
    write_archive(tmp_path / "data" / ARCHIVE, unpacked, FOLDER)
    folder = write_cifar(tmp_path / "data", cifar10_batches(ten))
    (folder / "data_batch_4").unlink()
    assert_holds(Files(str(tmp_path / "data")).load(CIFAR10), ten)
    (tmp_path / "data" / ARCHIVE).unlink()
    assert_refused(tmp_path / "data", CIFAR10, "lacks data_batch_4")


@pytest.mark.parametrize("keep", [0.9, 0.0])
def test_a_whole_archive_wins_over_a_damaged_batch_or_archive(tmp_path, ten, keep):
    unpacked = write_cifar(tmp_path / "unpacked", cifar10_batches(ten))
    archive = write_archive(tmp_path / "data" / ARCHIVE, unpacked, FOLDER)
    folder = write_cifar(tmp_path / "data", cifar10_batches(ten))
    truncate(folder / "data_batch_1", keep)
    assert_holds(Files(str(tmp_path / "data")).load(CIFAR10), ten)
    archive.with_suffix("").write_bytes(gzip.decompress(archive.read_bytes()))
    truncate(archive, keep)
    assert_holds(Files(str(tmp_path / "data")).load(CIFAR10), ten)
    truncate(archive.with_suffix(""), keep)
    assert_refused(tmp_path / "data", CIFAR10, "data_batch_1")


@pytest.mark.parametrize("keep", [0.9, 0.5, 0.0])
@pytest.mark.parametrize("torn", ["{}.gz", "{}"])
def test_a_whole_file_wins_over_a_torn_one_beside_it(tmp_path, arrays, torn, keep):
    write_idx(tmp_path, arrays)
    write_idx(tmp_path, arrays, "{}")
    for name in IDX_NAMES:
        truncate(tmp_path / torn.format(name), keep)
    assert_holds(Files(str(tmp_path)).load(FMNIST), arrays)


def test_of_torn_files_alone_the_first_is_named(tmp_path, arrays):
    write_idx(tmp_path, arrays)
    write_idx(tmp_path, arrays, "{}")
    for template in ("{}.gz", "{}"):
        truncate(tmp_path / template.format(IDX_NAMES[2]), 0.5)
    assert_refused(tmp_path, FMNIST, f"{IDX_NAMES[2]}.gz is truncated")


def test_the_originals_pickle_is_far_below_the_limit():
    batch = {b"data": np.zeros((10_000, 3072), np.uint8), b"labels": [1] * 10_000}
    for protocol in range(2, 6):
        assert cifar_pickle.load(pickle.dumps(batch, protocol))["labels"] == [1] * 10_000
