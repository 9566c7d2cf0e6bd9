"""The reader against pickles of all protocols, and against hostile ones that `pickle` would run."""

import os
import pickle
import struct

import numpy as np
import pytest

from glocal_exp.data import cifar_pickle
from tests.data.writers import (
    assert_refused,
    cifar10_batches,
    python2_pickle,
    small,
    spec,
    write_cifar,
)

CIFAR10 = spec("cifar10")
BATCH = cifar10_batches(small((32, 32, 3)))["data_batch_1"]


def assert_same(loaded, batch):
    wanted = {k.decode() if isinstance(k, bytes) else k: value for k, value in batch.items()}
    assert set(loaded) == set(wanted)
    for name, value in wanted.items():
        if isinstance(value, np.ndarray):
            assert loaded[name].dtype == value.dtype
            np.testing.assert_array_equal(loaded[name], value)
        else:
            assert loaded[name] == value


BATCHES = {
    "keys of bytes": BATCH,
    "keys of text": {"data": BATCH[b"data"], "labels": BATCH[b"labels"]},
    "orders and scalars": {
        "fortran": np.asfortranarray(np.arange(6, dtype=np.int64).reshape(2, 3)),
        "big_endian": np.arange(4, dtype=">i4"),
        "scalars": [np.int64(7), np.uint8(255), np.int32(-3)],
    },
}


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("name", BATCHES)
def test_every_protocol_with_this_numpys_names(name, protocol):
    content = pickle.dumps(BATCHES[name], protocol=protocol)
    assert_same(cifar_pickle.load(content), BATCHES[name])


@pytest.mark.parametrize("protocol", [0, 1, 2, 3])
@pytest.mark.parametrize(
    ("old", "new"), [("numpy._core.", "numpy.core."), ("numpy.core.", "numpy._core.")]
)
def test_old_and_new_module_names(protocol, old, new):
    content = pickle.dumps(BATCH, protocol=protocol).replace(old.encode(), new.encode())
    assert new.encode() in content or old == "numpy.core."
    assert_same(cifar_pickle.load(content), BATCH)


def test_the_form_of_the_original_files():
    content = python2_pickle(BATCH)
    assert b"cnumpy.core.multiarray\n_reconstruct" in content
    assert b"U\x06labels" in content
    assert_same(cifar_pickle.load(content), BATCH)


class Call:
    """Pickles as the call of a function, which unpickling then makes."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def text(value: str) -> bytes:
    return b"\x8c" + bytes([len(value)]) + value.encode()


def stack_global(module: str, name: str) -> bytes:
    """A protocol 4 pickle of a name, dots and all, called with no argument."""
    return b"\x80\x04" + text(module) + text(name) + b"\x93)R."


TOUCH = "touch {}"
HOSTILE = {
    "os.system": lambda mark: pickle.dumps({"data": Call(os.system, f"touch {mark}")}),
    "os.system, protocol 0": lambda mark: pickle.dumps(Call(os.system, f"touch {mark}"), 0),
    "eval": lambda mark: pickle.dumps(Call(eval, f"open({str(mark)!r}, 'w')")),
    "exec in a label": lambda mark: pickle.dumps(
        {**BATCH, b"labels": [Call(exec, f"open({str(mark)!r}, 'w')")]}, 2
    ),
    "instance opcode": lambda mark: f"(S'touch {mark}'\nios\nsystem\n.".encode(),
    "object opcode": lambda mark: b"(cos\nsystem\n" + f"S'touch {mark}'\no.".encode(),
    "object array": lambda mark: pickle.dumps(
        np.array([Call(os.system, f"touch {mark}"), None], dtype=object)
    ),
    "behind a good batch": lambda mark: pickle.dumps(
        {**BATCH, b"extra": Call(os.system, f"touch {mark}")}
    ),
    "getattr, nested": lambda mark: pickle.dumps(Call(getattr, Call(__import__, "os"), "system")),
    "numpy.load": lambda mark: pickle.dumps(Call(np.load, str(mark))),
    "numpy.memmap": lambda mark: (
        b"cnumpy\nmemmap\n(" + f"S'{mark}'\nS'uint8'\nS'w+'\nI0\n(I4\nttR.".encode()
    ),
    "ndarray.tofile by a dotted name": lambda mark: stack_global("numpy", "ndarray.tofile"),
    "a module behind a dotted name": lambda mark: stack_global(
        "numpy", "_core.multiarray._reconstruct"
    ),
    "_codecs.lookup": lambda mark: stack_global("_codecs", "lookup"),
    "another module's encode": lambda mark: stack_global("codecs", "encode"),
    "codec that runs code": lambda mark: b"c_codecs\nencode\n(Vx\nVrot13\ntR.",
    "ndarray called": lambda mark: b"cnumpy\nndarray\n((I8\nttR.",
    "new ndarray": lambda mark: b"\x80\x02cnumpy\nndarray\n(I8\nt\x81.",
    "function altered": lambda mark: b"\x80\x02c_codecs\nencode\n}U\x08__code__K\x01sb.",
    "function's slots altered": lambda mark: (
        b"\x80\x02c_codecs\nencode\nN}U\x09_functionK\x01s\x86b."
    ),
    "dtype of objects": lambda mark: b"cnumpy\ndtype\n(S'O8'\nI0\nI1\ntR.",
    "dtype with fields": lambda mark: (
        b"cnumpy\ndtype\n(S'u1'\nI0\nI1\ntR(I3\nS'|'\nN(S'a'\nt(dI-1\nI-1\nI0\ntb."
    ),
    "array of objects by state": lambda mark: (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR"
        b"(I1\n(I1\ntcnumpy\ndtype\n(S'u1'\nI0\nI1\ntRI00\n(lI1\natb."
    ),
    "persistent id": lambda mark: b"Pos.system\n.",
    "extension registry": lambda mark: b"\x80\x02\x82\x01.",
    "numpy.matrix": lambda mark: pickle.dumps(np.asmatrix(np.zeros((2, 2), np.uint8))),
    "copyreg": lambda mark: (
        b"ccopyreg\n_reconstructor\n(c__builtin__\nobject\nc__builtin__\nobject\nNtR."
    ),
}


@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused_and_nothing_runs(tmp_path, name):
    mark = tmp_path / "executed"
    write_cifar(tmp_path, cifar10_batches(small((32, 32, 3))))
    (tmp_path / "data_batch_2").write_bytes(HOSTILE[name](mark))
    assert_refused(tmp_path, CIFAR10, "data_batch_2 (was refused|is truncated or damaged)")
    assert not mark.exists()


REFUSED = [
    name for name in HOSTILE if name not in ("persistent id", "extension registry", "new ndarray")
]


@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
@pytest.mark.parametrize("name", REFUSED)
def test_what_was_refused_is_said(tmp_path, name):
    with pytest.raises(cifar_pickle.Refused, match=r"^it (asks|holds|calls|alters|encodes)"):
        cifar_pickle.load(HOSTILE[name](tmp_path / "executed"))


@pytest.mark.parametrize(
    "name",
    [
        "os.system",
        "os.system, protocol 0",
        "eval",
        "instance opcode",
        "object opcode",
        "object array",
    ],
)
@pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)
def test_the_hostile_files_are_hostile(tmp_path, name):
    """Python's own reader executes them."""
    mark = tmp_path / "executed"
    pickle.loads(HOSTILE[name](mark))
    assert mark.exists()


@pytest.mark.parametrize("shape", [(2**31, 2**31), (-1, 4), (5,)])
def test_a_shape_that_does_not_fit_its_bytes(shape):
    sizes = b"".join(b"\x8a\x08" + struct.pack("<q", size) for size in shape)
    content = (
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
        b"(K\x01(" + sizes + b"tcnumpy\ndtype\nU\x02u1K\x00K\x01\x87R\x89U\x04abcdtb."
    )
    with pytest.raises(pickle.UnpicklingError, match="array of shape"):
        cifar_pickle.load(content)


def test_every_truncation_and_many_flips_end_in_an_exception_or_a_dictionary():
    """No damaged file reaches a function; at worst it reads as other numbers."""
    content = python2_pickle({b"data": np.arange(12, dtype=np.uint8), b"labels": [1, 2, 3]})
    for size in range(len(content)):
        with pytest.raises(Exception, match=r"."):
            cifar_pickle.load(content[:size])
    generator = np.random.default_rng(0)
    for position in range(2, len(content)):
        flipped = bytearray(content)
        flipped[position] ^= int(generator.integers(1, 256))
        try:
            loaded = cifar_pickle.load(bytes(flipped))
        except Exception:
            continue
        assert isinstance(loaded, dict)
