"""Masks of metal in files (PNG, NPY, NIfTI), and as text within a benchmark.

As text a mask is a data URI of a grey PNG, which browsers show: fractions in steps of 1/255.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import math
from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from marbench.anatomy.nifti_volume import affine_of, check_stream, nibabel, pixel_of, turn_of
from marbench.errors import DataError
from marbench.machine.files import read_file
from marbench.machine.text import said_by
from marbench.masks import area_fractions

__all__ = ["decode_mask", "encode_mask", "mask_digest", "mask_pixels", "read_mask"]

_FILE_BYTES = 2**26
_LONGEST_SIDE = 4096
_ALIKE = 0.02
"""Relative difference up to which sizes of pixels, rounded in headers, are the same."""
_PREFIX = "data:image/png;base64,"
_Read = TypeVar("_Read")


def read_mask(path: Path, pixel_cm: float | None = None) -> NDArray[np.float32]:
    """Return the mask in a file: the share of each pixel's area, ``(rows, columns)``.

    A PNG is grey, or has labels with a palette of colours, of which 0 is the darkest; a NIfTI volume has one axial
    slice that is not empty, and is turned so that rows run to posterior and columns to the patient's left, as slices of
    CT are shown, and has to have pixels of ``pixel_cm``, if that is given: others would be an implant of another size.
    See `area_fractions` for the values.

    Raises
    ------
    DataError
        The file cannot be read, is of another kind, or holds no mask, or one of other pixels.
    """
    nifti = partial(_nifti, pixel_cm=pixel_cm)
    kinds: dict[str, Callable[[Path], NDArray[Any]]] = {".png": _png, ".npy": _npy, ".nii": nifti, ".gz": nifti}
    if path.suffix.lower() not in kinds:
        raise DataError(f"{path}: masks are read from .png, .npy, .nii and .nii.gz")
    try:
        array = kinds[path.suffix.lower()](path)
    except DataError:
        raise
    except Exception as error:  # the readers raise a dozen kinds
        raise DataError(f"{path} cannot be read: {said_by(error)}") from None
    return _bounded(area_fractions(array, str(path)), str(path))


def encode_mask(fractions: NDArray[np.float32]) -> str:
    """Return a mask as text."""
    buffer = io.BytesIO()
    Image.fromarray(np.rint(fractions * 255).astype(np.uint8)).save(buffer, format="png", optimize=True)
    return _PREFIX + base64.b64encode(buffer.getvalue()).decode()


def mask_pixels(text: str) -> int:
    """Return how many pixels the mask of a text has, by its header: a picture of 4096 × 4096 may take 3 kB of text.

    Raises
    ------
    DataError
        The text holds no mask.
    """
    return _of_text(text, _pixels)


@lru_cache(maxsize=8)  # each of 64 MB at most
def decode_mask(text: str) -> NDArray[np.float32]:
    """Return the mask that a text holds, read-only.

    Raises
    ------
    DataError
        It holds none.
    """
    fractions = _bounded(np.asarray(_of_text(text, _grey) / 255, dtype=np.float32), "the mask")
    fractions.flags.writeable = False
    return fractions


def mask_digest(text: str) -> str:
    """Return the SHA-256 of a mask's pixels, however they are compressed."""
    levels = np.rint(decode_mask(text) * 255).astype(np.uint8)
    return hashlib.sha256(repr(levels.shape).encode() + levels.tobytes()).hexdigest()


def _of_text(text: str, read: Callable[[io.BytesIO], _Read]) -> _Read:
    if not text.startswith(_PREFIX):
        raise DataError(f"a mask is named by its file in a spec file (.png, .npy, .nii, .nii.gz). Got {text[:60]!r}")
    try:
        return read(io.BytesIO(base64.b64decode(text.removeprefix(_PREFIX), validate=True)))
    except (binascii.Error, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"the text of a mask is damaged: {error}") from None


def _pixels(content: io.BytesIO) -> int:
    with Image.open(content, formats=["PNG"]) as image:
        return math.prod(image.size)


def _png(path: Path) -> NDArray[Any]:
    return _grey(io.BytesIO(read_file(path, _FILE_BYTES)))


def _grey(content: io.BytesIO) -> NDArray[Any]:
    """Return the levels of a PNG without colours, or the labels of one whose palette gives each a colour."""
    with Image.open(content, formats=["PNG"]) as image:
        if max(image.size) > _LONGEST_SIDE:  # before it is unpacked
            raise DataError(f"a mask has at most {_LONGEST_SIDE} rows and columns. Got {image.size}")
        if image.mode not in ("RGB", "RGBA", "LA", "P"):
            return np.asarray(image)
        labels: NDArray[np.uint8] | None = np.asarray(image) if image.mode == "P" else None
        channels: NDArray[np.uint8] = np.asarray(image.convert("RGBA"))
        red, green, blue, opacity = np.moveaxis(channels, -1, 0)
    coloured = bool((red != green).any() or (red != blue).any())
    # Programs that reduce a picture to a palette put its colours into any order.
    if labels is not None and coloured and not labels.all():
        brightness = channels[..., :3].sum(axis=-1, dtype=int)
        if (labels > 0).any() and brightness[labels == 0].max() < brightness[labels > 0].min():
            return labels
    if coloured or (opacity != 255).any():
        raise DataError("a mask has no colours and no transparent pixels: save it in grey")
    return channels[..., 0]


def _npy(path: Path) -> NDArray[Any]:
    array: NDArray[Any] = np.load(io.BytesIO(read_file(path, _FILE_BYTES)), allow_pickle=False)
    return array


def _nifti(path: Path, pixel_cm: float | None) -> NDArray[Any]:
    volume = nibabel().load(path)
    try:
        check_stream(path)
        turn, sides = turn_of(affine_of(volume)), pixel_of(volume)
    except DataError as error:
        raise DataError(f"{path}: {error}") from None
    if pixel_cm is not None and not np.allclose(sides, pixel_cm, rtol=_ALIKE, atol=0):
        high, wide = (f"{side:.4g}" for side in sides)
        raise DataError(
            f"{path} has pixels of {high} × {wide} cm, of which pixel_cm = {pixel_cm:g} says something else. Give the "
            "size in the file, or resample the mask to square pixels."
        )
    stored = np.asarray(volume.dataobj)
    columns_rows_slices = nibabel().orientations.apply_orientation(stored.reshape((*stored.shape, 1, 1)[:3]), turn)
    filled = np.flatnonzero(columns_rows_slices.any(axis=(0, 1)))
    if filled.size != 1:
        raise DataError(f"{path}: a mask has one axial slice that is not empty. Got {filled.size}")
    mask: NDArray[Any] = columns_rows_slices[:, :, filled[0]].T
    return mask


def _bounded(fractions: NDArray[np.float32], what: str) -> NDArray[np.float32]:
    if fractions.ndim != 2 or max(fractions.shape) > _LONGEST_SIDE or not fractions.any():
        raise DataError(
            f"{what}: a mask has the shape (rows, columns), at most {_LONGEST_SIDE} each, and a pixel of metal. Got "
            f"shape {fractions.shape}{'' if fractions.any() else ', which is empty'}."
        )
    return fractions
