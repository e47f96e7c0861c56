"""Arrays as ``.npz`` files, written repeatably and read with distrust."""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from marbench.errors import StoreError
from marbench.machine.files import read_file
from marbench.machine.text import said_by

__all__ = ["names_in", "npz", "parse_npy", "read_npz", "shapes_in"]

LIMIT = 2**28
"""Bytes of a file, and of all that it unpacks to: far more than a case has, and no harm to a laptop."""

_MEMBERS = 64
_HEADER_BYTES = 2**16
# Booleans, integers, floats and text; never objects, which would be unpickled.
_KINDS = "biufU"


def npz(arrays: dict[str, NDArray[Any]]) -> bytes:
    """Return a compressed ``.npz`` file; equal arrays give equal bytes."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def read_npz(path: Path, names: Collection[str] | None = None, limit: int = LIMIT) -> dict[str, NDArray[Any]]:
    """Return the arrays of a ``.npz`` file, or those of these names. They are read-only, and verified by their CRC.

    `numpy.load` would unpack whatever a file claims to hold, and makes room for whatever a header claims.

    Raises
    ------
    StoreError
        The file is missing, a link, damaged, no ``.npz``, or would unpack to more than ``limit`` bytes.
    """
    with _opened(path) as (archive, members):
        wanted = [name for name in members if names is None or name in names]
        size = sum(members[name].file_size for name in wanted)
        if size > limit:
            raise ValueError(f"it would unpack to {len(wanted)} arrays of {size:,} bytes")
        return {name: _array(archive, members[name]) for name in wanted}


def names_in(path: Path) -> list[str]:
    """Return what the arrays of a ``.npz`` file are called, of whatever kind and size; errors as of `read_npz`."""
    with _opened(path) as (_, members):
        return list(members)


def shapes_in(path: Path) -> dict[str, tuple[int, ...]]:
    """Return name → shape of the arrays of a ``.npz`` file, by their headers; what is none of numbers is left out."""
    shapes = {}
    with _opened(path) as (archive, members):
        for name, member in members.items():
            with archive.open(member) as stream, suppress(ValueError):
                shapes[name], _, _ = _header(io.BytesIO(stream.read(_HEADER_BYTES)), name)
    return shapes


@contextmanager
def _opened(path: Path) -> Iterator[tuple[zipfile.ZipFile, dict[str, zipfile.ZipInfo]]]:
    """Open an archive and list its members by the names of their arrays; StoreError for whatever is wrong with it."""
    try:
        with zipfile.ZipFile(io.BytesIO(read_file(path, LIMIT))) as archive:
            members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
            if len(members) > _MEMBERS:
                raise ValueError(f"it holds {len(members)} arrays, more than {_MEMBERS}")
            yield archive, members
    except Exception as error:  # the readers of zip and npy raise a dozen kinds, MemoryError and zlib.error among them
        raise StoreError(f"{path.parent.name}/{path.name} cannot be read: {said_by(error)}") from None


def parse_npy(content: bytes, name: str) -> NDArray[Any]:
    """Return the array of an ``.npy`` file; ValueError where it is none, or holds objects; ``name`` is for that."""
    stream = io.BytesIO(content)
    shape, columns_first, dtype = _header(stream, name)
    data = stream.getbuffer()[stream.tell() :]
    if math.prod(shape) * dtype.itemsize != len(data):
        raise ValueError(f"{name} has {len(data)} bytes, which are no {dtype} array of shape {shape}")
    flat = np.frombuffer(data, dtype) if len(data) else np.zeros(math.prod(shape), dtype)
    return flat.reshape(shape, order="F" if columns_first else "C")


def _header(stream: io.BytesIO, name: str) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Return shape, whether columns come first, and dtype."""
    version = np.lib.format.read_magic(stream)
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    shape, columns_first, dtype = readers[version](stream)
    if dtype.kind not in _KINDS:
        raise ValueError(f"expected numbers or text in {name}, got {dtype}")
    return shape, columns_first, dtype


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> NDArray[Any]:
    # The directory bounds what is unpacked: zipfile reads no more of a member than the size that stands there.
    with archive.open(member) as stream:
        return parse_npy(stream.read(member.file_size + 1), member.filename)
