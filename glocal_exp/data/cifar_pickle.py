"""A reader of CIFAR's pickles that executes nothing.

A pickle names functions to call. This reader knows the few names that NumPy's arrays need and maps
each to a stand-in of its own, so that not even NumPy's functions are reached; every other name is
refused, dotted names and the same functions under other modules included.
"""

import io
import math
import pickle
import pickletools
from typing import Any, Self

import numpy as np

# An image file holds bytes, and labels as integers: no objects, no records, no floats.
LARGEST_MEMO = 2**20
INTEGER_CODES = frozenset({"b1", "u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8"})


class Refused(pickle.UnpicklingError):
    """The file asks for something that no CIFAR file holds."""


def load(content: bytes) -> dict[str, Any]:
    """The dictionary in a pickle of protocol 0 to 5, keys as str, arrays as `np.ndarray`.

    Raises `Refused` for anything but dictionaries, lists, strings, numbers and integer arrays, and
    whatever `pickle` raises for a damaged file.
    """
    for opcode, argument, _ in pickletools.genops(content):
        # Nine bytes that store something under a large number take gigabytes for the table.
        if "PUT" in opcode.name and isinstance(argument, int) and argument > LARGEST_MEMO:
            raise Refused(f"it numbers an object {argument:,}")
    loaded = _Unpickler(io.BytesIO(content), encoding="bytes").load()
    if not isinstance(loaded, dict):
        raise Refused(f"it holds a {type(loaded).__name__} where a dictionary is expected")
    return {_text(k): v.value if isinstance(v, _Array) else v for k, v in loaded.items()}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module_name: str, global_name: str, /) -> Any:
        module = module_name.replace("numpy._core.", "numpy.core.", 1)  # its name since NumPy 2
        stand_in = _STAND_INS.get((module, global_name))
        if stand_in is None:
            raise Refused(f"it asks for '{module_name}.{global_name}'")
        return _Admitted(stand_in)


class _Admitted:
    """A callable that a pickle can call, but neither alter nor subclass."""

    def __init__(self, function: Any):
        self._function = function

    def __call__(self, *arguments: Any) -> Any:
        return self._function(*arguments)

    def __setstate__(self, state: Any) -> None:
        """Where this is defined, a pickle has no other way to alter an object."""
        raise Refused("it alters a function")


class _DType:
    """Stands in for `numpy.dtype`: an integer type by its code."""

    def __init__(self, code: Any, *_flags: Any):
        code = _text(code)
        if code not in INTEGER_CODES:
            raise Refused(f"it holds an array of type {code!r}")
        self.value = np.dtype(code)

    def __setstate__(self, state: Any) -> None:
        order, structure = _text(state[1]), state[2:5]
        if order not in ("<", ">", "|", "=") or any(part is not None for part in structure):
            raise Refused("it holds an array with fields")
        self.value = self.value.newbyteorder(order)


class _Array:
    """Stands in for `numpy.ndarray`: built empty, then filled by its state."""

    value: Any = None

    def __setstate__(self, state: Any) -> None:
        shape, dtype, is_fortran, content = state[-4:]
        self.fill(content, dtype, shape, "F" if is_fortran else "C")

    def fill(self, content: Any, dtype: Any, shape: Any, order: Any) -> Self:
        sizes = tuple(shape)
        if not isinstance(dtype, _DType) or not isinstance(content, bytes | bytearray):
            raise Refused("it holds an array of objects")
        if not all(isinstance(size, int) and size >= 0 for size in sizes):
            raise Refused(f"it holds an array of shape {sizes}")
        if math.prod(sizes) * dtype.value.itemsize != len(content):
            raise pickle.UnpicklingError(f"an array of shape {sizes} has {len(content):,} bytes")
        flat = np.frombuffer(content, dtype.value)
        self.value = flat.reshape(sizes, order="F" if _text(order) == "F" else "C")
        return self


def _encode(text: Any, encoding: Any = "latin1") -> bytes:
    if not isinstance(text, str) or _text(encoding) not in ("latin1", "latin-1", "iso-8859-1"):
        raise Refused("it encodes something that is no byte string")
    return text.encode("latin1")


def _scalar(dtype: Any, content: Any) -> int:
    return int(_Array().fill(content, dtype, (), "C").value)


def _ndarray(*_arguments: Any) -> Any:
    raise Refused("it calls numpy.ndarray")


_STAND_INS = {
    ("_codecs", "encode"): _encode,
    ("numpy", "dtype"): _DType,
    ("numpy", "ndarray"): _ndarray,
    ("numpy.core.multiarray", "_reconstruct"): lambda *_subtype_shape_code: _Array(),
    ("numpy.core.multiarray", "scalar"): _scalar,
    ("numpy.core.numeric", "_frombuffer"): lambda *filling: _Array().fill(*filling),
}


def _text(value: Any) -> str:
    """Python 2 wrote byte strings where Python 3 writes text."""
    if isinstance(value, bytes):
        return value.decode("latin1")
    if not isinstance(value, str):
        raise Refused(f"it holds a {type(value).__name__} where a name is expected")
    return value
