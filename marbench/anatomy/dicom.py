"""CT slices from a folder tree of DICOM files."""

from __future__ import annotations

import io
import math
import re
import warnings
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from marbench.anatomy.collection import DEFAULT_WINDOW, NativeSlice, SliceCollection, digest_of, safe_name
from marbench.anatomy.resample import AIR_HU, Fit
from marbench.anatomy.split import Counts
from marbench.errors import DataError

__all__ = ["DicomFolder"]

PREAMBLE = 128

DICOMDIR = "1.2.840.10008.1.3.10"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"

NOMINAL_SPACING_CM = 0.08
"""Stands in for a missing spacing where the whole picture is fitted: only metal screening sees it."""

HEADER = [
    "BitsAllocated", "BodyPartExamined", "ImageOrientationPatient", "ImagePositionPatient", "ImageType",
    "InstanceNumber", "Modality", "NumberOfFrames", "PatientID", "PatientIdentityRemoved",
    "PhotometricInterpretation", "PixelSpacing", "RescaleIntercept", "RescaleSlope", "SamplesPerPixel",
    "SeriesInstanceUID", "SeriesNumber", "SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "WindowCenter",
    "WindowWidth",
]  # fmt: skip


class DicomFolder(SliceCollection):
    """The axial CT slices below a folder, grouped by patient, series and position.

    Other modalities, localizers, reformats that are not axial, screen captures and files that are not DICOM are
    passed over and counted in ``skipped``. A CT slice that cannot be used is an error that names its file.
    Every slice is resampled by its own matrix and spacing, so the slices of a series may differ in both.

    Patients are named by PatientID where the file declares it de-identified, else by a digest of it: names
    reach results and web pages. Without any PatientID a study counts as a patient.

    Parameters
    ----------
    path : str or Path
        Searched recursively.
    counts, seed, fit
        See `SliceCollection`. ``fit="physical"`` needs PixelSpacing in every slice.

    Attributes
    ----------
    skipped : Counter
        Number of files passed over, by reason.

    Raises
    ------
    DataError
        For a folder without CT slices, a broken or unsuitable slice, or when pydicom is not installed.
    """

    def __init__(self, path: str | Path, counts: Counts, seed: int, fit: Fit = "physical") -> None:
        super().__init__(path, counts, seed, fit)
        self.skipped: Counter[str] = Counter()
        self._slices = self._index()

    def patient_ids(self) -> Sequence[str]:
        """Return every patient, sorted."""
        return self._patient_ids

    def stored_slices(self, patient_id: str) -> Sequence[_DicomSlice]:
        """Return the slices of a patient by series and position."""
        return self._slices[patient_id]

    @cached_property
    def _patient_ids(self) -> tuple[str, ...]:
        return tuple(sorted(self._slices))

    def _index(self) -> dict[str, list[_DicomSlice]]:
        files = sorted(path for path in self.path.rglob("*") if path.is_file())
        found: defaultdict[str, dict[str, _DicomSlice]] = defaultdict(dict)
        for path in files:
            header = _header(path)
            reason = "not DICOM" if header is None else _reason_to_skip(header, path)
            if header is None or reason is not None:
                self.skipped[str(reason)] += 1
                continue
            _calibration(header, path, self.fit)
            patient, instance = _patient_id(header), str(header.get("SOPInstanceUID") or path)
            if instance in found[patient]:
                self.skipped["copies of a slice"] += 1
                continue
            name = _slice_name(patient, header)
            found[patient][instance] = _DicomSlice(path, name, self.fit, _order(header), instance)
        if not found:
            contents = ", ".join(f"{count} {reason}" for reason, count in self.skipped.most_common())
            raise DataError(
                f"no CT slice in {self.path}: {len(files)} files{': ' if contents else ''}{contents}. "
                "Name a folder that holds axial CT images in DICOM format."
            )
        return {patient: _distinct(sorted(slices.values(), key=_place)) for patient, slices in found.items()}


@dataclass(frozen=True)
class _DicomSlice:
    path: Path
    name: str
    fit: Fit
    order: tuple[int, str, float, int]
    instance: str

    def renamed(self) -> _DicomSlice:
        return replace(self, name=f"{self.name}-{digest_of(self.instance.encode())}")

    def read(self) -> NativeSlice:
        content = self.path.read_bytes()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                dataset = _pydicom().dcmread(io.BytesIO(content))
                calibration = _calibration(dataset, self.path, self.fit)
                stored = dataset.pixel_array
                padding = _padding(dataset, stored)
        except DataError:
            raise
        except Exception as error:  # pydicom and its decoders raise many kinds
            raise DataError(
                f"{self.path}: the pixels cannot be read ({error}). Replace a truncated file or take it out of the "
                "folder; a compressed one needs pylibjpeg, or decompress it."
            ) from error
        image = stored.astype(np.float32) * np.float32(calibration.slope) + np.float32(calibration.intercept)
        image[padding] = AIR_HU
        np.maximum(image, AIR_HU, out=image)
        return NativeSlice(image, calibration.spacing, digest_of(content), calibration.window, calibration.region)


@dataclass(frozen=True)
class _Calibration:
    """What turns stored values into HU on a grid of known size."""

    slope: float
    intercept: float
    spacing: tuple[float, float]
    window: tuple[float, float]
    region: str


def _pydicom() -> ModuleType:
    try:
        import pydicom
    except ImportError as error:
        raise DataError('reading DICOM needs pydicom, which is not installed: pip install "marbench[dicom]"') from error
    return pydicom


def _header(path: Path) -> Any:
    """Return the header without the pixels, or None for a file that is not DICOM."""
    with path.open("rb") as file:
        if file.read(PREAMBLE + 4)[PREAMBLE:] != b"DICM":
            return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _pydicom().dcmread(path, stop_before_pixels=True, specific_tags=HEADER)
    except DataError:
        raise
    except Exception as error:  # pydicom raises many kinds
        raise DataError(f"{path}: the DICOM header cannot be read ({error}). Replace the file or remove it.") from error


def _reason_to_skip(header: Any, path: Path) -> str | None:
    if header.file_meta.get("MediaStorageSOPClassUID") == DICOMDIR:
        return "DICOMDIR"
    modality = header.get("Modality")
    if not modality:
        raise DataError(
            f"{path}: expected a Modality in the DICOM header; it ends before. Replace the file or remove it."
        )
    if modality != "CT":
        return str(modality)
    if str(header.get("SOPClassUID", "")).startswith(SECONDARY_CAPTURE):
        return "CT screen captures"
    if "LOCALIZER" in (header.get("ImageType") or ()):
        return "CT localizers"
    if abs(_normal(header)[2]) < 0.7:
        return "CT reformats that are not axial"
    return None


def _normal(header: Any) -> NDArray[np.float64]:
    """Return the direction across the slice; axial where the header does not tell."""
    cosines = header.get("ImageOrientationPatient")
    if cosines is None or len(cosines) != 6:
        return np.array([0.0, 0.0, 1.0])
    along_row, along_column = np.array(cosines, dtype=float).reshape(2, 3)
    return np.cross(along_row, along_column)


def _calibration(header: Any, path: Path, fit: Fit) -> _Calibration:
    """Read and check what the header says of the pixels."""
    _expect(path, "one sample per pixel (grey)", "SamplesPerPixel", header.get("SamplesPerPixel", 1), {1})
    kinds = {"MONOCHROME1", "MONOCHROME2"}
    _expect(path, "grey pixels", "PhotometricInterpretation", header.get("PhotometricInterpretation"), kinds)
    _expect(path, "16 bits per pixel", "BitsAllocated", header.get("BitsAllocated"), {16})
    _expect(path, "one slice per file", "NumberOfFrames", int(header.get("NumberOfFrames") or 1), {1})
    # MONOCHROME1 asks viewers to show low values bright; it does not change what the values mean.
    slope, intercept = _number(header, path, "RescaleSlope"), _number(header, path, "RescaleIntercept")
    if slope == 0:
        raise DataError(f"{path}: expected a RescaleSlope other than 0. Take the file out of the folder.")
    region = re.sub("[^a-z0-9]+", "_", str(header.get("BodyPartExamined") or "").lower()).strip("_")
    return _Calibration(slope, intercept, _spacing(header, path, fit), _window(header), region or "unknown")


def _expect(path: Path, what: str, keyword: str, value: object, valid: set[Any]) -> None:
    if value not in valid:
        wanted = " or ".join(sorted(map(str, valid)))
        raise DataError(
            f"{path}: expected {what}, {keyword} {wanted}. Got {value}. Convert the file or take it out of the folder."
        )


def _number(header: Any, path: Path, keyword: str) -> float:
    try:
        value = float(header[keyword].value)
    except (KeyError, TypeError, ValueError, OverflowError):
        value = math.nan
    if not math.isfinite(value):
        raise DataError(
            f"{path}: expected a finite {keyword}, without which HU are unknown; it is missing or not a number. "
            "Take the file out of the folder."
        )
    return value


def _spacing(header: Any, path: Path, fit: Fit) -> tuple[float, float]:
    try:
        row, column = (float(size) / 10 for size in header["PixelSpacing"].value)
    except (KeyError, TypeError, ValueError, OverflowError):
        row = column = math.nan
    if math.isfinite(row) and math.isfinite(column) and min(row, column) > 0:
        return row, column
    if fit == "image":
        return NOMINAL_SPACING_CM, NOMINAL_SPACING_CM
    raise DataError(
        f'{path}: expected PixelSpacing of two positive numbers for fit = "physical"; it is missing or invalid. '
        'Take the file out of the folder, or use fit = "image", which ignores the spacing.'
    )


def _window(header: Any) -> tuple[float, float]:
    try:
        level, width = (float(np.atleast_1d(header[key].value)[0]) for key in ("WindowCenter", "WindowWidth"))
    except (KeyError, IndexError, TypeError, ValueError, OverflowError):
        return DEFAULT_WINDOW
    if not (math.isfinite(level) and math.isfinite(width) and width > 0):
        return DEFAULT_WINDOW
    return level - width / 2, level + width / 2


def _padding(dataset: Any, stored: NDArray[Any]) -> NDArray[np.bool_]:
    """Return the pixels outside the scanner's circle, where the file marks them with a value or a range."""
    if dataset.get("PixelPaddingValue") is None:
        return np.zeros(stored.shape, dtype=bool)
    ends = int(dataset.PixelPaddingValue), int(dataset.get("PixelPaddingRangeLimit", dataset.PixelPaddingValue))
    return (stored >= min(ends)) & (stored <= max(ends))


def _patient_id(header: Any) -> str:
    patient = str(header.get("PatientID") or "").strip()
    if patient and header.get("PatientIdentityRemoved") == "YES":
        return safe_name(patient)
    return f"patient-{digest_of((patient or str(header.get('StudyInstanceUID'))).encode())}"


def _slice_name(patient: str, header: Any) -> str:
    series, instance = int(header.get("SeriesNumber") or 0), int(header.get("InstanceNumber") or 0)
    return f"{patient}-s{series}-i{instance:04d}"


def _order(header: Any) -> tuple[int, str, float, int]:
    """Return the key that sorts by series, then along the patient."""
    corner = header.get("ImagePositionPatient")
    position = float(np.dot(_normal(header), np.array(corner, dtype=float))) if corner is not None else 0.0
    series = int(header.get("SeriesNumber") or 0), str(header.get("SeriesInstanceUID"))
    return *series, position, int(header.get("InstanceNumber") or 0)


def _place(stored: _DicomSlice) -> tuple[tuple[int, str, float, int], str]:
    return stored.order, stored.instance


def _distinct(slices: Sequence[_DicomSlice]) -> list[_DicomSlice]:
    """Tell apart slices of several studies that share their series and instance numbers."""
    uses = Counter(stored.name for stored in slices)
    return [stored if uses[stored.name] == 1 else stored.renamed() for stored in slices]
