"""CT slices from a folder tree of NIfTI volumes."""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from marbench.anatomy.collection import SliceCollection
from marbench.anatomy.files import files_below
from marbench.anatomy.native import NativeSlice, UnreadableFile, content_of
from marbench.anatomy.nifti_volume import Volume, affine_of, axes_of, open_volume
from marbench.anatomy.pseudonyms import patient_label
from marbench.anatomy.resample import Fit
from marbench.anatomy.split import Counts
from marbench.errors import DataError

__all__ = ["SUFFIXES", "NiftiFolder", "axial_image"]

SUFFIXES = (".nii", ".nii.gz")


class NiftiFolder(SliceCollection):
    """The axial slices of every ``*.nii`` and ``*.nii.gz`` below a folder, in HU.

    A volume is turned by its affine (the sform, or the qform where that is all there is) to the nearest anatomical
    axes and shown as radiologists see it: the patient's right on the left, anterior up. A volume is a patient, but
    volumes whose names start with the same ``sub-<label>_``, or that lie below the same folder ``sub-<label>`` (the
    BIDS convention), belong to one. Of ``scan.nii`` and ``scan.nii.gz`` the first is read. Names of files and
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
        # Whoever unpacks a volume often keeps both.
        unpacked = set(files)
        packed = {file for file in files if file.suffix.lower() == ".gz" and file.with_suffix("") in unpacked}
        files = [file for file in files if file not in packed]
        if packed:
            self.skipped["volumes that lie there unpacked, too"] = len(packed)
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
        for file in self._volumes[patient_id]:
            try:
                volume = open_volume(file)
            except DataError as error:
                raise UnreadableFile(file, str(error)) from error
            depth = volume.shape[axes_of(affine_of(volume))[2]]
            slices += [_NiftiSlice(file, index, f"z{index:04d}") for index in range(depth)]
        return slices

    def identity(self, patient_id: str) -> str:
        """Return the subject's label, or the volume's name in the folder."""
        return self._identities[patient_id]

    @cached_property
    def _patient_ids(self) -> tuple[str, ...]:
        return tuple(sorted(self._volumes))

    def _identity_of(self, file: Path) -> str:
        name = file.relative_to(self.path).as_posix()
        # Its own name begins with the subject, or a folder is one: the last counts.
        subjects: list[str] = re.findall(r"(?:^|(?<=/))sub-[A-Za-z0-9]+(?=/|_[^/]*$)", name)
        return subjects[-1] if subjects else re.sub(r"\.gz$", "", name, flags=re.IGNORECASE)


def axial_image(file: Path, pixels: int) -> NDArray[np.float32]:
    """Return the only axial slice of a volume ``(rows, columns)``, scaled, as radiologists see it.

    Raises
    ------
    DataError
        It has another number of voxels than ``pixels``, or its orientation is not told.
    """
    shape = open_volume(file).shape
    if math.prod(shape) != pixels:
        raise DataError(f"expected one slice of {pixels} pixels. Got a volume of shape {shape}: one image a file.")
    return Volume.of(file).axial(0)


def _alike(files: Sequence[Path]) -> int:
    """Return how many files hold the same as one before: of one patient, maybe, under two names."""
    sizes = Counter(file.stat().st_size for file in files)
    contents = [_digest(file) for file in files if sizes[file.stat().st_size] > 1]
    return len(contents) - len(set(contents))


def _digest(file: Path) -> bytes:
    try:
        return hashlib.sha256(content_of(file)).digest()
    except DataError as error:
        raise UnreadableFile(file, str(error)) from error


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
        volume = Volume.of(self.file)
        image = volume.axial(self.index)
        if not np.isfinite(image).all():
            what = "NaN" if np.isnan(image).any() else "infinite values"
            raise DataError(f"expected HU in every voxel; axial slice {self.index} holds {what}. Fill them with air.")
        return NativeSlice.of(image, volume.spacing)
