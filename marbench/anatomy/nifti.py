"""CT slices from a folder tree of NIfTI volumes."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from marbench.anatomy.collection import NativeSlice, SliceCollection, UnreadableFile
from marbench.anatomy.pseudonyms import patient_label
from marbench.anatomy.resample import AIR_HU, Fit
from marbench.anatomy.split import Counts
from marbench.errors import DataError

__all__ = ["NiftiFolder"]

CM_PER_UNIT = {"unknown": 0.1, "mm": 0.1, "meter": 100.0, "micron": 1e-4}

HIGHEST_MINIMUM_HU = -200.0
"""Every CT slice shows some gas or surrounding air below it; masks and label maps do not."""

VOLUMES_IN_MEMORY = 2


class NiftiFolder(SliceCollection):
    """The axial slices of every ``*.nii`` and ``*.nii.gz`` below a folder, in HU.

    A volume is turned by its affine to the nearest anatomical axes and shown as radiologists see it: the patient's
    right on the left, anterior up. A volume is a patient, but volumes whose names start with the same
    ``sub-<label>_`` (the BIDS convention) belong to one. Names of files and folders may be names of people, so patients
    are known by a salted digest of them alone (see `marbench.anatomy.pseudonyms`).

    Parameters
    ----------
    path : str or Path
        Searched recursively.
    counts, seed, fit
        See `SliceCollection`.

    Raises
    ------
    DataError
        For a folder without volumes, a volume that is not three-dimensional or cannot be read, NaN voxels, values
        that are not HU, or when nibabel is not installed.
    """

    def __init__(self, path: str | Path, counts: Counts, seed: int, fit: Fit = "physical") -> None:
        super().__init__(path, counts, seed, fit)
        files = sorted(file for file in self.path.rglob("*") if file.name.endswith((".nii", ".nii.gz")))
        if not files:
            raise DataError(f"no *.nii or *.nii.gz file in {self.path}. Name a folder that holds CT volumes.")
        by_identity: defaultdict[str, list[Path]] = defaultdict(list)
        for file in files:
            by_identity[self._identity_of(file)].append(file)
        self._identities = {patient_label(identity): identity for identity in by_identity}
        self._volumes = {label: by_identity[identity] for label, identity in self._identities.items()}

    def patient_ids(self) -> Sequence[str]:
        """Return what every patient is called, sorted."""
        return self._patient_ids

    def stored_slices(self, patient_id: str) -> Sequence[_NiftiSlice]:
        """Return the slices of a patient from inferior to superior, volume by volume."""
        slices = []
        volumes = self._volumes[patient_id]
        for number, file in enumerate(volumes):
            try:
                volume = _open(file)
            except DataError as error:
                raise UnreadableFile(file, str(error)) from error
            depth = volume.shape[_axes(volume)[2]]
            which = f"v{number}-" if len(volumes) > 1 else ""
            slices += [_NiftiSlice(file, index, f"{which}z{index:04d}") for index in range(depth)]
        return slices

    def identity(self, patient_id: str) -> str:
        """Return the subject's label, or the volume's name in the folder."""
        return self._identities[patient_id]

    @cached_property
    def _patient_ids(self) -> tuple[str, ...]:
        return tuple(sorted(self._volumes))

    def _identity_of(self, file: Path) -> str:
        subject = re.match(r"(sub-[A-Za-z0-9]+)_", file.name)
        return subject.group(1) if subject else file.relative_to(self.path).as_posix().removesuffix(".gz")


@dataclass(frozen=True)
class _NiftiSlice:
    file: Path
    index: int
    name: str

    def read(self) -> NativeSlice:
        volume = _Volume.of(self.file)
        image = volume.axial(self.index)
        if np.isnan(image).any():
            raise DataError(f"expected HU in every voxel; axial slice {self.index} holds NaN. Fill it.")
        if image.min() > HIGHEST_MINIMUM_HU:
            raise DataError(
                f"expected HU, with air near -1000; axial slice {self.index} runs from {image.min():g} to "
                f"{image.max():g}. Keep masks and label maps in another folder, and rescale the volume to HU."
            )
        return NativeSlice(np.maximum(image, np.float32(AIR_HU)), volume.spacing)


@dataclass(frozen=True, eq=False)
class _Volume:
    """A volume with axes (column, row, slice), columns running to the patient's left and rows to posterior."""

    stored: NDArray[Any]
    slope: float
    intercept: float
    spacing: tuple[float, float]

    @classmethod
    def of(cls, file: Path) -> _Volume:
        """Return a volume, the last few of them from memory unless the file has changed."""
        try:
            state = file.stat()
        except OSError as error:
            raise DataError(f"the file cannot be read ({error.strerror}). Restore it or take it out.") from error
        return _read_volume(file, state.st_mtime_ns, state.st_size)

    def axial(self, index: int) -> NDArray[np.float32]:
        return self.stored[:, :, index].T.astype(np.float32) * np.float32(self.slope) + np.float32(self.intercept)


@lru_cache(maxsize=VOLUMES_IN_MEMORY)
def _read_volume(file: Path, modified: int, size: int) -> _Volume:
    volume = _open(file)
    try:
        stored = np.asarray(volume.dataobj.get_unscaled())
    except Exception as error:  # the decompressors raise many kinds
        raise DataError(f"the voxels cannot be read ({error}). Replace the file or remove it.") from error
    sizes = _nibabel().affines.voxel_sizes(volume.affine) * CM_PER_UNIT[volume.header.get_xyzt_units()[0]]
    column, row, _ = _axes(volume)
    return _Volume(
        _nibabel().orientations.apply_orientation(stored.reshape(stored.shape[:3]), _turn(volume)),
        float(volume.dataobj.slope),
        float(volume.dataobj.inter),
        (float(sizes[row]), float(sizes[column])),
    )


def _open(file: Path) -> Any:
    """Return a volume whose header is sound, its voxels not yet read."""
    try:
        volume = _nibabel().load(file)
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
    if not np.isfinite(volume.affine).all() or np.linalg.det(volume.affine[:3, :3]) == 0:
        raise DataError(f"expected an affine that can be inverted. Got {volume.affine.tolist()}.")
    return volume


def _turn(volume: Any) -> NDArray[Any]:
    """Return the flips and swaps of axes that lead to (left, posterior, superior)."""
    orientations = _nibabel().orientations
    turn: NDArray[Any] = orientations.ornt_transform(
        orientations.io_orientation(volume.affine), orientations.axcodes2ornt("LPS")
    )
    return turn


def _axes(volume: Any) -> tuple[int, int, int]:
    """Return which stored axes become (column, row, slice)."""
    column, row, depth = (int(axis) for axis in np.argsort(_turn(volume)[:, 0]))
    return column, row, depth


def _nibabel() -> ModuleType:
    try:
        import nibabel
    except ImportError as error:
        raise DataError('reading NIfTI needs nibabel, which is not installed: pip install "marbench[dicom]"') from error
    return nibabel
