"""CT slices from a folder tree of NIfTI volumes."""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from marbench.anatomy.collection import SliceCollection
from marbench.anatomy.files import files_below
from marbench.anatomy.native import NativeSlice, UnreadableFile, content_of
from marbench.anatomy.pseudonyms import patient_label
from marbench.anatomy.resample import Fit
from marbench.anatomy.split import Counts
from marbench.errors import DataError

__all__ = ["NiftiFolder", "axial_image"]

CM_PER_UNIT = {0: 0.1, 1: 100.0, 2: 0.1, 3: 1e-4}
"""Of xyzt_units & 7: unknown, which everybody takes for mm, metre, mm, µm."""

SUFFIXES = (".nii", ".nii.gz")

VOLUMES_IN_MEMORY = 2


class NiftiFolder(SliceCollection):
    """The axial slices of every ``*.nii`` and ``*.nii.gz`` below a folder, in HU.

    A volume is turned by its affine (the sform, or the qform where that is all there is) to the nearest anatomical
    axes and shown as radiologists see it: the patient's right on the left, anterior up. A volume is a patient, but
    volumes whose names start with the same ``sub-<label>_`` (the BIDS convention) belong to one. Names of files and
    folders may be names of people, so patients are known by a salted digest of them alone (see
    `marbench.anatomy.pseudonyms`).

    Parameters
    ----------
    path : str or Path
        Searched recursively.
    counts, seed, fit, pattern
        See `SliceCollection`.

    Raises
    ------
    DataError
        For a folder without volumes, a volume that is not three-dimensional or cannot be read, that does not tell its
        unit or its orientation, NaN or infinite voxels, values that are not HU, or when nibabel is not installed.
    """

    def __init__(
        self, path: str | Path, counts: Counts, seed: int, fit: Fit = "physical", pattern: str | None = None
    ) -> None:
        super().__init__(path, counts, seed, fit)
        below = files_below(self.path, pattern)
        files = [file for file in below.found if file.name.lower().endswith(SUFFIXES)]
        self.skipped.update(below.skipped)
        if len(files) < len(below.found):
            self.skipped["files of another kind"] = len(below.found) - len(files)
        if not files:
            raise DataError(
                f"no *.nii or *.nii.gz file in {self.path}{self._passed_over()}. Name a folder that holds CT volumes."
            )
        if alike := _alike(files):
            self.remarks["volumes with the content of another are scans of their own"] = alike
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
            depth = volume.shape[_axes(_affine(volume))[2]]
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
        name = file.relative_to(self.path).as_posix()
        return subject.group(1) if subject else re.sub(r"\.gz$", "", name, flags=re.IGNORECASE)


def axial_image(file: Path, pixels: int) -> NDArray[np.float32]:
    """Return the only axial slice of a volume ``(rows, columns)``, scaled, as radiologists see it.

    Raises
    ------
    DataError
        It has another number of voxels than ``pixels``, or its orientation is not told.
    """
    shape = _open(file).shape
    if math.prod(shape) != pixels:
        raise DataError(f"expected one slice of {pixels} pixels. Got a volume of shape {shape}: one image a file.")
    return _Volume.of(file).axial(0)


def _alike(files: Sequence[Path]) -> int:
    """Return how many files hold the same as one before: of one patient, maybe, under two names."""
    sizes = Counter(file.stat().st_size for file in files)
    contents = [hashlib.sha256(content_of(file)).digest() for file in files if sizes[file.stat().st_size] > 1]
    return len(contents) - len(set(contents))


@dataclass(frozen=True)
class _NiftiSlice:
    file: Path
    index: int
    name: str

    remedy = (
        "Rescale the volume to HU (scl_slope, scl_inter) and millimetres (pixdim, xyzt_units); keep masks and label "
        'maps in another folder, or say which files are meant: anatomy.pattern = "*/ct.nii.gz".'
    )

    def read(self) -> NativeSlice:
        volume = _Volume.of(self.file)
        image = volume.axial(self.index)
        if not np.isfinite(image).all():
            what = "NaN" if np.isnan(image).any() else "infinite values"
            raise DataError(f"expected HU in every voxel; axial slice {self.index} holds {what}. Fill them with air.")
        return NativeSlice.of(image, volume.spacing)


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
    affine = _affine(volume)
    sizes = _nibabel().affines.voxel_sizes(affine) * _unit(volume)
    column, row, _ = _axes(affine)
    return _Volume(
        _nibabel().orientations.apply_orientation(stored.reshape(stored.shape[:3]), _turn(affine)),
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
    _affine(volume), _unit(volume)
    return volume


def _affine(volume: Any) -> NDArray[np.float64]:
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


def _unit(volume: Any) -> float:
    """Return the volume's unit of length in cm."""
    code = int(volume.header["xyzt_units"]) & 7
    if code not in CM_PER_UNIT:
        raise DataError(
            f"expected 0, 1, 2 or 3 (unknown, metre, mm, µm) as the unit of length in xyzt_units. Got {code}. "
            "Set it to mm (nibabel: image.header.set_xyzt_units('mm'))."
        )
    return CM_PER_UNIT[code]


def _turn(affine: NDArray[np.float64]) -> NDArray[Any]:
    """Return the flips and swaps of axes that lead to (left, posterior, superior)."""
    orientations = _nibabel().orientations
    turn: NDArray[Any] = orientations.ornt_transform(
        orientations.io_orientation(affine), orientations.axcodes2ornt("LPS")
    )
    return turn


def _axes(affine: NDArray[np.float64]) -> tuple[int, int, int]:
    """Return which stored axes become (column, row, slice)."""
    column, row, depth = (int(axis) for axis in np.argsort(_turn(affine)[:, 0]))
    return column, row, depth


def _nibabel() -> ModuleType:
    try:
        import nibabel
    except ImportError as error:
        raise DataError('reading NIfTI needs nibabel, which is not installed: pip install "marbench[dicom]"') from error
    return nibabel
