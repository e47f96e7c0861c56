"""Images that were made elsewhere, as files: one image each, in HU, in a format that anything can write.

Files are read with distrust: nothing is unpickled or executed, no link leads to another file, and what a header claims
is compared with the grid of the benchmark before anything is unpacked.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from marbench.anatomy.dicom_header import frames_of, pydicom
from marbench.anatomy.dicom_slice import upright
from marbench.anatomy.dicom_values import calibration
from marbench.anatomy.nifti import axial_image
from marbench.cases.array_files import outermost, read_hdf5, read_mat
from marbench.errors import DataError, MarbenchError
from marbench.machine.arrays import parse_npy, read_npz, shapes_in
from marbench.machine.files import read_file

__all__ = ["SUFFIXES", "read_image", "suffix_of"]

Shape = tuple[int, int]
Array = NDArray[Any]

_NAMES = ("image_hu", "image")
"""Which array of a file is meant, if there are several."""


def suffix_of(name: str) -> str:
    """Return the ending of a file name that tells its format, in lower case; empty where it is none of `SUFFIXES`.

    >>> suffix_of("case-7.NII.gz"), suffix_of("case.v2.npy"), suffix_of("notes.txt")
    ('.nii.gz', '.npy', '')
    """
    return next((suffix for suffix in sorted(SUFFIXES, key=len, reverse=True) if name.lower().endswith(suffix)), "")


def read_image(path: Path, shape: Shape, offset: float | None = None) -> NDArray[np.float32]:
    """Return the image of a file.

    Parameters
    ----------
    path : Path
        One of `SUFFIXES`.
    shape : (rows, columns)
        Of the benchmark's grid.
    offset : float, optional
        What is added to the values of a PNG to get HU.

    Raises
    ------
    DataError
        The file is damaged, holds no image of this shape, or one of 8 bits; or its format needs a package.
    """
    try:
        array = _READERS[suffix_of(path.name)](path, shape, offset)
    except MarbenchError as error:
        raise DataError(f"{path.name}: {error}") from None
    except Exception as error:  # the readers of eight formats raise dozens of kinds
        raise DataError(f"{path.name}: it cannot be read ({error}). Save it again.") from None
    return _checked(path.name, array, shape)


def _checked(name: str, array: Array, shape: Shape) -> NDArray[np.float32]:
    if array.dtype.kind == "b" or (array.dtype.kind in "iu" and array.dtype.itemsize < 2):
        raise DataError(f"{name}: expected HU as float32 or 16 bits, got {array.dtype}: a windowed picture has no HU.")
    if array.dtype.kind not in "iuf":
        raise DataError(f"{name}: expected real numbers, got {array.dtype}.")
    # An axis of one is no other image; everything else is.
    squeezed = array.reshape([size for size in array.shape if size != 1]) if array.ndim > 2 else array
    if squeezed.shape != shape:
        raise DataError(
            f"{name}: expected (rows, columns) = {shape}, got {array.shape}. One image a file, on that grid."
        )
    with np.errstate(over="ignore"):  # what float32 does not hold becomes infinite, and is told as such
        return np.ascontiguousarray(squeezed, dtype=np.float32)


def _limit(shape: Shape) -> int:
    return 64 * math.prod(shape) + 2**20


def _npy(path: Path, shape: Shape, _: float | None) -> Array:
    return parse_npy(read_file(path, _limit(shape)), path.name)


def _npz(path: Path, shape: Shape, _: float | None) -> Array:
    # What lies beside the image may be large, or no array.
    name = _chosen(shape, shapes_in(path))
    return read_npz(path, [name])[name]


def _mat(path: Path, shape: Shape, _: float | None) -> Array:
    return read_mat(read_file(path, _limit(shape)), partial(_chosen, shape))


def _h5(path: Path, shape: Shape, _: float | None) -> Array:
    return read_hdf5(read_file(path, _limit(shape)), partial(_chosen, shape))


def _nifti(path: Path, shape: Shape, _: float | None) -> Array:
    return axial_image(path, math.prod(shape))


def _dicom(path: Path, shape: Shape, _: float | None) -> Array:
    dataset = pydicom().dcmread(io.BytesIO(read_file(path, _limit(shape))))
    header, *others = frames_of(dataset)
    values = calibration(header, "image")
    found = (dataset.Rows, dataset.Columns)[:: -1 if values.turn[0] else 1]
    if found != shape or others:
        raise DataError(f"expected one image of {shape} rows and columns, got {1 + len(others)} of {found}.")
    stored: Array = dataset.pixel_array
    return upright(stored * values.slope + values.intercept, *values.turn)


def _raw(path: Path, shape: Shape, _: float | None) -> Array:
    content, pixels = read_file(path, _limit(shape)), math.prod(shape)
    if len(content) != 4 * pixels:
        other = {8: "float64", 2: "16 bits", 1: "8 bits"}.get(len(content) // pixels * (len(content) % pixels == 0), "")
        raise DataError(
            f"expected {4 * pixels} bytes, little-endian float32 of {shape} rows and columns, got {len(content)}"
            f"{f', which may be {other}' if other else ''}. Convert it to float32, without a header."
        )
    image, turned = (np.frombuffer(content, kind).reshape(shape) for kind in ("<f4", ">f4"))
    # In the wrong order of bytes HU become numbers of any size.
    with np.errstate(all="ignore"):
        absurd = [not np.nanmax(np.abs(each)) < 1e6 or np.median(np.abs(each)) < 1e-20 for each in (image, turned)]
    if absurd == [True, False]:
        raise DataError("its bytes are in big-endian order. Write little-endian float32.")
    return image


def _png(path: Path, shape: Shape, offset: float | None) -> Array:
    with Image.open(io.BytesIO(read_file(path, _limit(shape))), formats=["png"]) as picture:
        if not picture.mode.startswith("I"):
            raise DataError(f"expected a PNG of 16 bits, got one of mode {picture.mode}: a windowed picture has no HU.")
        if picture.size != shape[::-1]:
            raise DataError(f"expected {shape} rows and columns, got {picture.size[::-1]}.")
        if offset is None:
            raise DataError("a PNG holds no negative numbers: say what is to be added for HU, e.g. --offset -1024.")
        return np.asarray(picture, dtype=np.float32) + np.float32(offset)


def _chosen(shape: Shape, shapes: Mapping[str, tuple[int, ...]]) -> str:
    """Return the name of the array that is the image: the one so named, or the only one of its shape."""
    fitting = [name for name, size in shapes.items() if size == shape or tuple(n for n in size if n != 1) == shape]
    fitting = outermost(fitting)
    named = [name for name in _NAMES if name in fitting]
    if named or len(fitting) == 1:
        return (named or fitting)[0]
    there = ", ".join(f"{name} {size}" for name, size in list(shapes.items())[:8]) or "none"
    raise DataError(f"expected one array (rows, columns) = {shape}, or one named image_hu. Got {there}.")


_READERS: Mapping[str, Callable[[Path, Shape, float | None], Array]] = {
    ".npy": _npy,
    ".npz": _npz,
    ".mat": _mat,
    ".h5": _h5,
    ".hdf5": _h5,
    ".nii": _nifti,
    ".nii.gz": _nifti,
    ".dcm": _dicom,
    ".raw": _raw,
    ".png": _png,
}
SUFFIXES = tuple(_READERS)
"""The formats, by the endings of their files."""
