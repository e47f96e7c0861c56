"""A NIfTI volume: its header checked, turned by its affine, in HU."""

from __future__ import annotations

import gzip
import zlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from marbench.errors import DataError
from marbench.machine.text import said_by

__all__ = ["Volume", "affine_of", "axes_of", "check_stream", "nibabel", "open_volume", "pixel_of", "turn_of"]

CM_PER_UNIT = {0: 0.1, 1: 100.0, 2: 0.1, 3: 1e-4}
"""Of xyzt_units & 7: unknown, which everybody takes for mm, metre, mm, µm."""

VOLUMES_IN_MEMORY = 2
FILES_CHECKED = 4096
"""That are known to be whole: to unpack a volume a second time takes as long as the first."""


@dataclass(frozen=True, eq=False)
class Volume:
    """A volume with axes (column, row, slice), columns running to the patient's left and rows to posterior.

    ``affine`` leads from these axes to (right, anterior, superior), in cm.
    """

    stored: NDArray[Any]
    slope: float
    intercept: float
    spacing: tuple[float, float]
    turn: NDArray[Any]
    affine: NDArray[np.float64]

    @classmethod
    def of(cls, file: Path) -> Volume:
        """Return a volume, the last few of them from memory unless the file has changed."""
        try:
            state = file.stat()
        except OSError as error:
            raise DataError(f"the file cannot be read ({said_by(error)}). Restore it or take it out.") from error
        return _read_volume(file, state.st_mtime_ns, state.st_size)

    def axial(self, index: int) -> NDArray[np.float32]:
        """Return a slice ``(rows, columns)``, scaled."""
        return self.stored[:, :, index].T.astype(np.float32) * np.float32(self.slope) + np.float32(self.intercept)

    def turned_back(self, stored: NDArray[Any]) -> NDArray[Any]:
        """Return an array with the axes of this volume as it lies in the file."""
        orientations = nibabel().orientations
        plain = np.array([[axis, 1] for axis in range(3)])
        back: NDArray[Any] = orientations.apply_orientation(stored, orientations.ornt_transform(plain, self.turn))
        return back


@lru_cache(maxsize=VOLUMES_IN_MEMORY)
def _read_volume(file: Path, modified: int, size: int) -> Volume:
    volume = open_volume(file)
    check_stream(file)
    try:
        stored = np.asarray(volume.dataobj.get_unscaled())
    except Exception as error:  # the decompressors raise many kinds
        raise DataError(f"the voxels cannot be read ({error}). Replace the file or remove it.") from error
    affine, orientations, unit = affine_of(volume), nibabel().orientations, _unit(volume)
    return Volume(
        orientations.apply_orientation(stored.reshape(stored.shape[:3]), turn_of(affine)),
        float(volume.dataobj.slope),
        float(volume.dataobj.inter),
        pixel_of(volume),
        turn_of(affine),
        np.diag([unit, unit, unit, 1.0]) @ affine @ orientations.inv_ornt_aff(turn_of(affine), stored.shape[:3]),
    )


def check_stream(file: Path) -> None:
    """Raise DataError where a compressed file is not what was written: nibabel stops before its checksum."""
    if file.suffix.lower() == ".gz":
        state = file.stat()
        _check_gzip(file, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=FILES_CHECKED)
def _check_gzip(file: Path, modified: int, size: int) -> None:
    try:
        with gzip.open(file) as stream:
            while stream.read(2**20):
                pass
    except (EOFError, OSError, zlib.error) as error:
        raise DataError(f"the file is damaged ({said_by(error)}). Copy it again.") from error


def open_volume(file: Path) -> Any:
    """Return a volume whose header is sound, its voxels not yet read."""
    try:
        volume = nibabel().load(file)
    except DataError:
        raise
    except Exception as error:  # nibabel raises many kinds
        raise DataError(f"the header cannot be read ({error}). Replace the file or remove it.") from error
    shape, kind = volume.shape, volume.get_data_dtype()
    if len(shape) < 3 or any(size != 1 for size in shape[3:]) or kind.kind not in "iuf":
        raise DataError(
            f"expected a three-dimensional volume of numbers. Got shape {shape}, type {kind}. "
            "Split a series of volumes, and keep vector and colour maps in another folder."
        )
    affine_of(volume), _unit(volume)
    return volume


def affine_of(volume: Any) -> NDArray[np.float64]:
    """Return voxel → (right, anterior, superior): the sform where it is one, else the qform.

    A header whose codes are both 0 says nothing of the orientation; software guesses then, not all the same way.
    """
    coded: list[NDArray[np.float64]] = []
    for form in (volume.header.get_sform, volume.header.get_qform):
        try:
            affine, code = form(coded=True)
        except Exception:  # a quaternion that is none
            continue
        if code:
            coded.append(affine)
    for affine in coded:
        if np.isfinite(affine).all() and np.linalg.det(affine[:3, :3]) != 0:
            return affine
    found = "sform_code and qform_code are 0" if not coded else f"got {[each.tolist() for each in coded]}"
    raise DataError(
        f"expected an affine that can be inverted, without which left and right are unknown; {found}. Set the sform "
        "(nibabel: image.set_sform(affine, 1)), or take the file out of the folder."
    )


def pixel_of(volume: Any) -> tuple[float, float]:
    """Return how high and how wide the pixels of axial slices are, in cm."""
    affine = affine_of(volume)
    column, row, _ = axes_of(affine)
    sizes = nibabel().affines.voxel_sizes(affine) * _unit(volume)
    return float(sizes[row]), float(sizes[column])


def _unit(volume: Any) -> float:
    """Return the volume's unit of length in cm."""
    code = int(volume.header["xyzt_units"]) & 7
    if code not in CM_PER_UNIT:
        raise DataError(
            f"expected 0, 1, 2 or 3 (unknown, metre, mm, µm) as the unit of length in xyzt_units. Got {code}. "
            "Set it to mm (nibabel: image.header.set_xyzt_units('mm'))."
        )
    return CM_PER_UNIT[code]


def turn_of(affine: NDArray[np.float64]) -> NDArray[Any]:
    """Return the flips and swaps of axes that lead to (left, posterior, superior)."""
    orientations = nibabel().orientations
    turn: NDArray[Any] = orientations.ornt_transform(
        orientations.io_orientation(affine), orientations.axcodes2ornt("LPS")
    )
    return turn


def axes_of(affine: NDArray[np.float64]) -> tuple[int, int, int]:
    """Return which stored axes become (column, row, slice)."""
    column, row, depth = (int(axis) for axis in np.argsort(turn_of(affine)[:, 0]))
    return column, row, depth


def nibabel() -> ModuleType:
    """Return the package; DataError says how to install it."""
    try:
        import nibabel as package
    except ImportError as error:
        raise DataError('reading NIfTI needs nibabel, which is not installed: pip install "marbench[dicom]"') from error
    return package
