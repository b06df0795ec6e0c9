"""Numpy's `.npz` files from others: nothing in them runs, and no more memory is taken than their bytes can fill."""

from __future__ import annotations

import io
import math
import struct
import tokenize
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgerift.errors import DataError, first_line
from edgerift.images._walk import printable

#: An array of this size is taken from any file; a larger one has at most this many bytes for each of the file's.
_ALWAYS: Final = 2**26
_MOST_PER_BYTE: Final = 200

_LONGEST_HEADER: Final = 2**14
_COMPRESSIONS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)

#: What reading a damaged archive, or numpy's header in it, may raise.
_DAMAGE: Final = (
    ArithmeticError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)


class _Header(NamedTuple):
    """What stands before the values of an array."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    fortran: bool
    length: int


class Arrays(NamedTuple):
    """The arrays that were asked for and are there, and the names of all others."""

    found: Mapping[str, NDArray[Any]]
    others: tuple[str, ...]


def read_arrays(origin: str, path: Path, wanted: Sequence[str]) -> Arrays:
    """Read the arrays of these names from an `.npz` file, those that it has.

    Raises `DataError` for a file that is damaged or encrypted, for an array of other things than whole numbers,
    text and their like, and for one that is larger than its file allows.
    """
    with _whole(origin), path.open("rb") as stream, zipfile.ZipFile(stream) as archive:
        names = Counter(member.filename.removesuffix(".npy") for member in archive.infolist())
        twice = [name for name in wanted if names[name] > 1]
        if twice:
            raise ValueError(f"it has the array {twice[0]!r} {names[twice[0]]} times")
        found = {}
        for member in archive.infolist():
            name = member.filename.removesuffix(".npy")
            if name in wanted:
                found[name] = _array(archive, member, path.stat().st_size)
        return Arrays(found, tuple(printable(name) for name in names if name not in wanted))


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo, file_size: int) -> NDArray[Any]:
    """Read one array; its header is checked against the archive before memory is taken."""
    name = printable(member.filename)
    if member.flag_bits & 1:
        raise ValueError(f"{name!r} is encrypted")
    if member.compress_type not in _COMPRESSIONS:
        raise ValueError(f"{name!r} is compressed in way {member.compress_type}; stored and deflated ones are read")
    if member.file_size > max(_ALWAYS, _MOST_PER_BYTE * file_size):
        raise ValueError(
            f"{name!r} unpacks to {member.file_size} bytes from a file of {file_size}, "
            f"more than {_MOST_PER_BYTE} times as many"
        )
    with archive.open(member) as stream:
        header = _header(name, stream.read(_LONGEST_HEADER))
    count = math.prod(header.shape)
    if header.length + count * header.dtype.itemsize != member.file_size:
        raise ValueError(
            f"{name!r} says it holds {header.dtype} {list(header.shape)}, which does not fill its "
            f"{member.file_size} bytes"
        )
    values = np.empty(count, header.dtype)
    with archive.open(member) as stream:
        stream.read(header.length)
        _fill(name, stream, values)
    return values.reshape(header.shape, order="F" if header.fortran else "C")


def _header(name: str, beginning: bytes) -> _Header:
    stream = io.BytesIO(beginning)
    version = np.lib.format.read_magic(stream)
    if version == (1, 0):
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(stream)
    elif version == (2, 0):
        shape, fortran, dtype = np.lib.format.read_array_header_2_0(stream)
    else:
        raise ValueError(f"{name!r} has a header of version {version[0]}.{version[1]}; 1.0 and 2.0 are read")
    if dtype.kind not in "biufUS" or dtype.subdtype is not None or not dtype.itemsize:
        raise ValueError(f"{name!r} holds {printable(str(dtype))}; whole numbers and text are read")
    if not all(type(extent) is int and extent >= 0 for extent in shape):
        raise ValueError(f"{name!r} has the shape {printable(str(shape))}; extents are whole numbers from 0 up")
    return _Header(dtype, shape, fortran, stream.tell())


def _fill(name: str, stream: IO[bytes], values: NDArray[Any]) -> None:
    """Read the values and what comes after them, which has to be the end and to agree with the checksum."""
    memory = values.view(np.uint8).data if values.nbytes else memoryview(bytearray())
    done = 0
    while done < len(memory):
        part = stream.read(min(len(memory) - done, 2**20))
        if not part:
            raise ValueError(f"{name!r} ends after {done} of {len(memory)} bytes")
        memory[done : done + len(part)] = part
        done += len(part)
    if stream.read(1):
        raise ValueError(f"{name!r} goes on behind its values")


@contextmanager
def _whole(origin: str) -> Iterator[None]:
    try:
        yield
    except _DAMAGE as error:
        reason = first_line(error)
        raise DataError(
            f"'{origin}' is no whole .npz file of plain arrays ({printable(reason)}); write it again"
        ) from error
