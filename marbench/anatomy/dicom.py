"""CT slices from a folder tree of DICOM files."""

from __future__ import annotations

import io
import math
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

from marbench.anatomy.collection import DEFAULT_WINDOW, NativeSlice, SliceCollection, UnreadableFile, content_of
from marbench.anatomy.pseudonyms import patient_label
from marbench.anatomy.regions import region_of
from marbench.anatomy.resample import AIR_HU, Fit
from marbench.anatomy.split import Counts
from marbench.errors import DataError

__all__ = ["DicomFolder"]

PREAMBLE = 128

DICOMDIR = "1.2.840.10008.1.3.10"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"

NOMINAL_SPACING_CM = 0.08
"""Stands in for a missing spacing where the whole picture is fitted: only metal screening sees it."""

LARGEST_NUMBER = 99_999
"""Of series and instance in the name of a slice."""

HEADER = [
    "BitsAllocated", "BodyPartExamined", "ImageOrientationPatient", "ImagePositionPatient", "ImageType",
    "InstanceNumber", "Modality", "NumberOfFrames", "PatientID", "PhotometricInterpretation", "PixelSpacing",
    "RescaleIntercept", "RescaleSlope", "SamplesPerPixel",
    "SeriesInstanceUID", "SeriesNumber", "SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "WindowCenter",
    "WindowWidth",
]  # fmt: skip

_Order = tuple[int, str, float, int]
"""Series number, series UID, position across the slices, instance number."""


class DicomFolder(SliceCollection):
    """The axial CT slices below a folder, grouped by patient, series and position.

    Other modalities, localizers, reformats that are not axial, screen captures and files that are not DICOM are
    passed over and counted in ``skipped``. A CT slice that cannot be used is an error that names its file.
    Every slice is resampled by its own matrix and spacing, so the slices of a series may differ in both.

    A patient is whoever has one PatientID, and without any a study is one. Both are known by a salted digest alone (see
    `marbench.anatomy.pseudonyms`), also where the file calls itself de-identified: what stands there may be a name.
    Slices are known by the numbers of series and instance and by their pixels.

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
        """Return what every patient is called, sorted."""
        return self._patient_ids

    def stored_slices(self, patient_id: str) -> Sequence[_DicomSlice]:
        """Return the slices of a patient by series and position."""
        return self._slices[patient_id]

    def identity(self, patient_id: str) -> str:
        """Return the patient's PatientID, or the study's UID."""
        return self._identities[patient_id]

    @cached_property
    def _patient_ids(self) -> tuple[str, ...]:
        return tuple(sorted(self._slices))

    def _index(self) -> dict[str, list[_DicomSlice]]:
        files = sorted(path for path in self.path.rglob("*") if path.is_file())
        found: defaultdict[str, dict[tuple[str, _Order], _DicomSlice]] = defaultdict(dict)
        for path in files:
            header = self._read_header(path)
            if header is None:
                continue
            instance, order = str(header.get("SOPInstanceUID") or path), _order(header)
            slices = found[_identity(header)]
            # Of one name and place: some software gives all slices of a series one SOPInstanceUID.
            if (instance, order) in slices:
                self.skipped["copies of a slice"] += 1
            else:
                slices[instance, order] = _DicomSlice(path, _slice_name(header), self.fit, order, instance)
        if not found:
            contents = ", ".join(f"{count} {reason}" for reason, count in self.skipped.most_common())
            raise DataError(
                f"no CT slice in {self.path}: {len(files)} files{': ' if contents else ''}{contents}. "
                "Name a folder that holds axial CT images in DICOM format."
            )
        self._identities = {patient_label(identity): identity for identity in found}
        return {
            label: _distinct(sorted(found[identity].values(), key=_place))
            for label, identity in self._identities.items()
        }

    def _read_header(self, path: Path) -> Any:
        """Return the checked header of a CT slice; None for a file that is passed over, which is counted."""
        try:
            header = _header(path)
            reason = "not DICOM" if header is None else _reason_to_skip(header)
            if reason is None:
                _calibration(header, self.fit)
                return header
        except DataError as error:
            raise UnreadableFile(path, str(error)) from error
        self.skipped[reason] += 1
        return None


@dataclass(frozen=True)
class _DicomSlice:
    file: Path
    name: str
    fit: Fit
    order: _Order
    instance: str

    def read(self) -> NativeSlice:
        content = content_of(self.file)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                dataset = _pydicom().dcmread(io.BytesIO(content))
                calibration = _calibration(dataset, self.fit)
                stored = dataset.pixel_array
                padding = _padding(dataset, stored)
        except DataError:
            raise
        except Exception as error:  # pydicom and its decoders raise many kinds
            raise DataError(
                f"the pixels cannot be read ({error}). Replace a truncated file or take it out of the folder; a "
                "compressed one needs pylibjpeg, or decompress it."
            ) from error
        image = stored.astype(np.float32) * np.float32(calibration.slope) + np.float32(calibration.intercept)
        image[padding] = AIR_HU
        np.maximum(image, AIR_HU, out=image)
        return NativeSlice(image, calibration.spacing, calibration.window, calibration.region)


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
    try:
        with path.open("rb") as file:
            if file.read(PREAMBLE + 4)[PREAMBLE:] != b"DICM":
                return None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _pydicom().dcmread(path, stop_before_pixels=True, specific_tags=HEADER)
    except DataError:
        raise
    except Exception as error:  # pydicom raises many kinds
        raise DataError(f"the DICOM header cannot be read ({error}). Replace the file or remove it.") from error


def _reason_to_skip(header: Any) -> str | None:
    if header.file_meta.get("MediaStorageSOPClassUID") == DICOMDIR:
        return "DICOMDIR"
    modality = header.get("Modality")
    if not modality:
        raise DataError("expected a Modality in the DICOM header; it ends before. Replace the file or remove it.")
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
    cosines = _numbers(header, "ImageOrientationPatient", 6)
    if cosines is None:
        return np.array([0.0, 0.0, 1.0])
    along_row, along_column = cosines.reshape(2, 3)
    return np.cross(along_row, along_column)


def _numbers(header: Any, keyword: str, count: int) -> NDArray[np.float64] | None:
    """Return the numbers of an attribute that merely orders or turns slices; None where they are missing or none."""
    try:
        values = np.array(header[keyword].value, dtype=float).reshape(count)
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    return values if np.isfinite(values).all() else None


def _calibration(header: Any, fit: Fit) -> _Calibration:
    """Read and check what the header says of the pixels."""
    _expect("one sample per pixel (grey)", "SamplesPerPixel", header.get("SamplesPerPixel", 1), {1})
    kinds = {"MONOCHROME1", "MONOCHROME2"}
    _expect("grey pixels", "PhotometricInterpretation", header.get("PhotometricInterpretation"), kinds)
    _expect("16 bits per pixel", "BitsAllocated", header.get("BitsAllocated"), {16})
    _expect("one slice per file", "NumberOfFrames", _whole_number(header, "NumberOfFrames") or 1, {1})
    # MONOCHROME1 asks viewers to show low values bright; it does not change what the values mean.
    slope, intercept = _number(header, "RescaleSlope"), _number(header, "RescaleIntercept")
    if slope == 0:
        raise DataError("expected a RescaleSlope other than 0. Take the file out of the folder.")
    region = region_of(str(header.get("BodyPartExamined") or ""))
    return _Calibration(slope, intercept, _spacing(header, fit), _window(header), region)


def _expect(what: str, keyword: str, value: object, valid: set[Any]) -> None:
    if value not in valid:
        wanted = " or ".join(sorted(map(str, valid)))
        raise DataError(
            f"expected {what}, {keyword} {wanted}. Got {value}. Convert the file or take it out of the folder."
        )


def _number(header: Any, keyword: str) -> float:
    try:
        value = float(header[keyword].value)
    except (KeyError, TypeError, ValueError, OverflowError):
        value = math.nan
    if not math.isfinite(value):
        raise DataError(
            f"expected a finite {keyword}, without which HU are unknown; it is missing or not a number. "
            "Take the file out of the folder."
        )
    return value


def _whole_number(header: Any, keyword: str) -> int:
    """Return a number that merely names or orders; 0 where there is none."""
    number = _numbers(header, keyword, 1)
    return 0 if number is None else int(number[0])


def _spacing(header: Any, fit: Fit) -> tuple[float, float]:
    try:
        row, column = (float(size) / 10 for size in header["PixelSpacing"].value)
    except (KeyError, TypeError, ValueError, OverflowError):
        row = column = math.nan
    if math.isfinite(row) and math.isfinite(column) and min(row, column) > 0:
        return row, column
    if fit == "image":
        return NOMINAL_SPACING_CM, NOMINAL_SPACING_CM
    raise DataError(
        'expected PixelSpacing of two positive numbers for fit = "physical"; it is missing or invalid. '
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


def _identity(header: Any) -> str:
    """Return who the patient is, by one rule for all files: else one person would be two, in two splits."""
    patient = str(header.get("PatientID") or "").strip()
    return patient or f"study {header.get('StudyInstanceUID')}"


def _slice_name(header: Any) -> str:
    numbers = _whole_number(header, "SeriesNumber"), _whole_number(header, "InstanceNumber")
    # Longer ones are dates or the like, which are nobody's business; `_distinct` tells such slices apart.
    series, instance = (number if 0 <= number <= LARGEST_NUMBER else 0 for number in numbers)
    return f"s{series}-i{instance:04d}"


def _order(header: Any) -> _Order:
    """Return the key that sorts by series, then along the patient."""
    corner = _numbers(header, "ImagePositionPatient", 3)
    position = float(np.dot(_normal(header), corner)) if corner is not None else 0.0
    series = _whole_number(header, "SeriesNumber"), str(header.get("SeriesInstanceUID"))
    return *series, position, _whole_number(header, "InstanceNumber")


def _place(stored: _DicomSlice) -> tuple[_Order, str]:
    return stored.order, stored.instance


def _distinct(slices: Sequence[_DicomSlice]) -> list[_DicomSlice]:
    """Number the slices that share their series and instance numbers, as those of several studies may."""
    uses = Counter(stored.name for stored in slices)
    seen: Counter[str] = Counter()
    named = []
    for stored in slices:
        seen[stored.name] += 1
        shared = uses[stored.name] > 1
        named.append(replace(stored, name=f"{stored.name}-{seen[stored.name]}") if shared else stored)
    return named
