"""One array out of a file of somebody else, turned to lie as ours do."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io
import scipy.sparse
from numpy.typing import NDArray
from PIL import Image

from marbench.cases.export_formats import hdf5
from marbench.errors import DataError, MarbenchError, nearest
from marbench.machine.arrays import names_in, parse_npy, read_npz
from marbench.machine.files import read_file
from marbench.machine.text import said_by
from marbench.spec_recorded import ArrayFile, ImageFile, RaysFile

__all__ = ["lying_as_ours", "outermost", "read_array", "read_hdf5", "read_mat"]

Array = NDArray[Any]
Shape = tuple[int, int]
Choose = Callable[[Mapping[str, tuple[int, ...]]], str]

HDF5 = b"\x89HDF\r\n\x1a\n"
"""How a file begins (HDF5 File Format Specification, II.A)."""

_MOST_NAMES = 1000
"""In the groups of an HDF5 file that are looked at, all together."""

LIMIT = 2**28
"""Bytes of a file and of an array: several times those of the largest scans."""


def read_array(path: Path, name: str, how: ArrayFile, shape: Shape) -> Array:
    """Return the array of a file as it lies there.

    Parameters
    ----------
    path : Path
    name : str
        What messages call the file.
    how : ArrayFile
    shape : (int, int)
        Of a ``.raw`` file that ``how`` gives no shape.

    Raises
    ------
    DataError
        The file is missing, damaged, of an unknown format, or lacks the array.
    """
    try:
        content = read_file(path.resolve(), LIMIT)  # data sets are often trees of links
        array = _parsed(content, path, how, shape)
    except FileNotFoundError:
        raise DataError(f"{name} is missing. Restore it, or take its case away.") from None
    except MarbenchError as error:
        raise DataError(f"{name}: {error}") from None
    except Exception as error:  # the readers of five formats raise dozens of kinds
        raise DataError(f"{name} cannot be read ({said_by(error)}): it is damaged or cut off. Copy it again.") from None
    if array.dtype.kind not in "biuf":
        raise DataError(f"{name}: expected numbers, got {array.dtype}.")
    return array


def _parsed(content: bytes, path: Path, how: ArrayFile, shape: Shape) -> Array:
    suffix, choose = path.suffix.lower(), partial(_chosen, how.key)
    if suffix == ".npy":
        return parse_npy(content, "it")
    if suffix == ".npz":
        name = choose(names_in(path.resolve()))
        return read_npz(path.resolve(), [name], LIMIT)[name]
    if suffix in (".h5", ".hdf5"):
        return read_hdf5(content, choose)
    if suffix == ".mat":
        return read_mat(content, choose)
    if suffix == ".raw":
        return _raw(content, how, how.shape or (shape[::-1] if how.transposed else shape))
    raise DataError(f"its ending is not known; {nearest(suffix, ('.npy', '.npz', '.h5', '.mat', '.raw'))}")


def _chosen(key: str | None, there: Collection[str]) -> str:
    """Return which array is meant; without a key the only one, or the only one outside groups."""
    if key is None and len(names := outermost(there)) == 1:
        return names[0]
    if key is None:
        raise DataError(f"it holds {', '.join(sorted(there)) or 'nothing'}: say with key which one is meant")
    if (found := key.removeprefix("/")) not in there:
        raise DataError(f"it lacks {key!r}; {nearest(found, there)}")
    return found


def outermost(names: Collection[str]) -> list[str]:
    """Return the names of arrays that lie in no group; where there are none, all: what others put in groups is more."""
    return [name for name in names if "/" not in name] or list(names)


def read_hdf5(content: bytes, choose: Choose) -> Array:
    """Return the array of an HDF5 file that ``choose`` names of name → shape, as in ``exchange/data``.

    Raises
    ------
    DataError
        It is too large, h5py is not installed, or what ``choose`` raises. Of a damaged file h5py raises many kinds.
    """
    with hdf5().File(io.BytesIO(content), "r") as file:
        sets = dict(_data_sets(file))
        # Virtual and external ones would read other files.
        shapes = {name: each.shape for name, each in sets.items() if not (each.is_virtual or each.external)}
        name = choose({name: shape for name, shape in shapes.items() if shape is not None})
        if sets[name].nbytes > LIMIT:
            raise DataError(f"{name!r} is larger than {LIMIT:,} bytes")
        array: Array = sets[name][()]
        return array


def _data_sets(file: Any) -> Iterator[tuple[str, Any]]:
    """Yield the data sets of an HDF5 file by name, level by level: ``data``, ``exchange/data``."""
    package, seen = hdf5(), 0
    groups, known = [("", file)], {file}
    for above, group in groups:
        for name in group:
            seen += bool(above)
            if seen > _MOST_NAMES:
                return
            # Other links lead into other files; #refs# is MATLAB's own.
            if name.startswith("#") or not isinstance(group.get(name, getlink=True), package.HardLink):
                continue
            if isinstance(one := group[name], package.Dataset):
                yield above + name, one
            elif isinstance(one, package.Group) and one not in known:  # links may make a circle
                known.add(one)
                groups.append((f"{above}{name}/", one))


def read_mat(content: bytes, choose: Choose) -> Array:
    """Return the array of a MATLAB file that ``choose`` names of name → shape; in full, where it is sparse."""
    # MATLAB 7.3 writes HDF5 behind a text of 512 bytes, with its axes in reverse order.
    if HDF5 in (content[:8], content[512:520]):
        return read_hdf5(content, lambda shapes: choose({name: size[::-1] for name, size in shapes.items()})).T
    listed = {str(name): tuple(size) for name, size, kind in scipy.io.whosmat(io.BytesIO(content)) if kind != "object"}
    name = choose(listed)
    stored = scipy.io.loadmat(io.BytesIO(content), variable_names=[name])[name]
    if not scipy.sparse.issparse(stored):
        return np.asarray(stored)
    if math.prod(stored.shape) * stored.dtype.itemsize > LIMIT:
        raise DataError(f"{name!r} is sparse, and in full larger than {LIMIT:,} bytes")
    return np.asarray(stored.toarray())


def _raw(content: bytes, how: ArrayFile, shape: tuple[int, ...]) -> Array:
    dtype = np.dtype(how.dtype).newbyteorder("<")
    wanted = math.prod(shape) * dtype.itemsize
    if len(content) != wanted:
        raise DataError(
            f"expected {wanted:,} bytes for {' × '.join(map(str, shape))} values of {how.dtype}, got {len(content):,}. "
            "Give its shape and dtype, or copy it again"
        )
    return np.frombuffer(content, dtype).reshape(shape)


def lying_as_ours(array: Array, name: str, how: ArrayFile, index: int | None, shape: Shape) -> Array:
    """Return an array with its axes as ours, ``(rows, columns)`` or ``(views, bins)``.

    Parameters
    ----------
    array : array
        As `read_array` returned it.
    name, how
        As there.
    index : int or None
        Which picture of a stack along the last axis.
    shape : (int, int)
        That it must have then.

    Raises
    ------
    DataError
        It has another shape.
    """
    there = array.shape
    if index is not None:
        if array.ndim != 3 or not 0 <= index < array.shape[2]:
            raise DataError(f"{name}: expected a stack with a picture {index} on its last axis. Got the shape {there}.")
        array = array[:, :, index]
    elif array.ndim > 2:  # an axis of one is no other array
        array = array.reshape([size for size in array.shape if size != 1])
    if how.transposed:
        array = array.T
    if isinstance(how, ImageFile) and how.resized and array.ndim == 2 and array.shape != shape:
        array = _resized(array, shape)
    if array.shape != shape:
        hint = "Its axes lie the other way round: transposed. " if array.shape == shape[::-1] else ""
        raise DataError(
            f"{name}: expected {shape[0]} × {shape[1]}, as the benchmark's geometry and grid have it. Got the shape "
            f"{there}. {hint}Mend the file, the table that describes it, or the geometry."
        )
    axes = ("views", "bins") if isinstance(how, RaysFile) else ("rows", "columns")
    for axis in getattr(how, "reverse", ()):
        array = np.flip(array, axes.index(axis))
    if isinstance(how, RaysFile) and how.turned_deg:  # of an evenly divided circle: a spec has no other
        array = np.roll(array, _views(how.turned_deg, shape[0]), axis=0)
    return array


def _resized(mask: Array, shape: Shape) -> Array:
    # On bytes of 0 and 1, of which PIL keeps what rounds to 1: so the InDuDoNet family makes its masks.
    picture = Image.fromarray((mask != 0).astype(np.uint8)).resize(shape[::-1], Image.Resampling.BILINEAR)
    return np.asarray(picture)


def _views(degrees: float, views: int) -> int:
    turned = degrees / 360 * views
    if abs(turned - round(turned)) > 1e-3:
        raise DataError(f"turned_deg = {degrees:g} is {turned:.3f} of {views} views: it has to be a whole number.")
    return round(turned)
