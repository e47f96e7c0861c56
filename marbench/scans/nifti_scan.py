"""A scan as one NIfTI volume: its axial slices, and corrected volumes with the same affine."""

from __future__ import annotations

import gzip
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from marbench.anatomy.native import NativeSlice, UnreadableFile
from marbench.anatomy.nifti_volume import Volume, affine_of, axes_of, nibabel, open_volume
from marbench.errors import DataError
from marbench.machine.files import safe_name
from marbench.report.page import Output
from marbench.scans.series import RESEARCH, Change, Picture, Version, Writer, untouched

__all__ = ["NiftiScan", "encode_volume", "read_mask"]

MOST_APART = 0.5
"""Voxels by which the corners of a mask may lie beside those of the scan: affines are rounded."""


class NiftiScan:
    """The axial slices of a volume, from inferior to superior.

    Raises
    ------
    DataError
        The file is no three-dimensional volume with a known orientation.
    """

    kind = "NIfTI volume"
    notices: tuple[str, ...] = ()

    def __init__(self, file: Path) -> None:
        self.file = file
        try:
            volume = open_volume(file)
            self._depth = int(volume.shape[axes_of(affine_of(volume))[2]])
        except DataError as error:
            raise UnreadableFile(file, str(error)) from error

    def __len__(self) -> int:
        return self._depth

    def label(self, index: int) -> str:
        """See `Series`."""
        return f"slice {index + 1} of {len(self)}"

    def picture(self, index: int) -> Picture:
        """See `Series`."""
        try:
            volume = Volume.of(self.file)
        except DataError as error:
            raise UnreadableFile(self.file, str(error)) from error
        image = volume.axial(index)
        if not np.isfinite(image).all():
            raise UnreadableFile(self.file, f"expected HU in every voxel; {self.label(index)} holds NaN or infinity.")
        nowhere = np.zeros(image.shape, dtype=bool)
        return Picture(NativeSlice.of(image.copy(), volume.spacing, padding=nowhere), untouched(image, nowhere))

    def writer(self, version: Version, output: Output) -> Writer:
        """See `Series`."""
        return _CorrectedVolume(self.file, version, output)

    @property
    def affine(self) -> NDArray[np.float64]:
        """See `Volume`."""
        return Volume.of(self.file).affine


class _CorrectedVolume:
    """Collects a corrected volume and writes it when it is complete."""

    def __init__(self, file: Path, version: Version, output: Output) -> None:
        self._file, self._version, self._output = file, version, output
        self._volume = Volume.of(file)
        # Of changed slices alone: all methods of a call share the volume.
        self._changed: dict[int, NDArray[Any]] = {}

    def add(self, index: int, change: Change | None) -> None:
        """See `Writer`."""
        if change is None:
            return
        steps = change.T / np.float32(self._volume.slope)
        here = self._volume.stored[:, :, index]
        if here.dtype.kind == "f":
            changed = here + steps
        else:
            whole, limits = np.rint(steps).astype(np.int64), np.iinfo(here.dtype)
            changed = np.where(whole, np.clip(here + whole, limits.min, limits.max), here)
        self._changed[index] = changed.astype(here.dtype)

    def discard(self) -> None:
        """See `Writer`: nothing is written before `close`."""
        self._changed.clear()

    def close(self) -> None:
        """See `Writer`."""
        volume = open_volume(self._file)
        stored = self._volume.stored.copy()
        for index, changed in self._changed.items():
            stored[:, :, index] = changed
        turned = self._volume.turned_back(stored).reshape(volume.shape)
        image = nibabel().Nifti1Image(turned, volume.affine, volume.header)
        # These are stored values: nibabel writes them as they are where the scale is set.
        image.header.set_slope_inter(self._volume.slope, self._volume.intercept)
        self._output.write(f"{safe_name(self._version.label)}.nii.gz", encode_volume(image, self._version))


def encode_volume(image: Any, version: Version) -> bytes:
    """Return a nibabel image as a compressed file that says what made it; equal images give equal bytes."""
    image.header["descrip"] = f"{RESEARCH}: marbench {version.label}".encode("ascii", "replace")[:79]
    # What else is text may be a name.
    for name in ("data_type", "db_name", "aux_file", "intent_name"):
        image.header[name] = b""
    image.header.extensions.clear()
    return gzip.compress(image.to_bytes(), compresslevel=6, mtime=0)


def read_mask(
    file: Path, shape: tuple[int, int], slices: int, affine: NDArray[np.float64] | None = None
) -> list[NDArray[np.bool_]]:
    """Return the metal of every slice, ``(rows, columns)``, from a NIfTI file of the same shape.

    Parameters
    ----------
    file : Path
        0 is no metal, every other number is. It is turned by its own affine.
    shape : (rows, columns)
        Of the slices, the right way up.
    slices : int
    affine : array, optional
        Of the scan, see `Volume`, where it has one.

    Raises
    ------
    DataError
        The shapes or the affines differ, or the file holds what is no number.
    """
    try:
        volume = Volume.of(file)
    except DataError as error:
        raise UnreadableFile(file, str(error)) from error
    found = volume.stored.shape[1], volume.stored.shape[0], volume.stored.shape[2]
    if found != (*shape, slices):
        raise DataError(
            f"{file}: expected a metal mask of {slices} slices of {shape[0]} × {shape[1]} pixels, as the scan has. Got "
            f"{found[2]} of {found[0]} × {found[1]}."
        )
    if affine is not None and (away := _apart(volume, affine)) > MOST_APART:
        raise DataError(
            f"{file}: expected the affine of the scan. By its own the metal mask lies up to {away:.3g} voxels beside "
            "the scan. Save it with that of the scan (nibabel: Nifti1Image(mask, scan.affine))."
        )
    if not np.isfinite(volume.stored).all():
        raise DataError(f"{file}: the metal mask holds NaN or infinity; write 0 where there is no metal.")
    return [volume.axial(index) != 0 for index in range(slices)]


def _apart(volume: Volume, affine: NDArray[np.float64]) -> float:
    """Return how many voxels of another affine the corners of a volume lie beside where that has them."""
    corners = np.array([(*corner, 1) for corner in product(*((0, size - 1) for size in volume.stored.shape))]).T
    return float(np.abs(np.linalg.solve(affine, volume.affine @ corners) - corners).max())
