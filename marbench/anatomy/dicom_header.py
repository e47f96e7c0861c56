"""What a DICOM header says of a slice: is it one of CT, where does it lie, what do its values mean."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from marbench.anatomy.dicom_values import axes_of, whole
from marbench.anatomy.native import UnreadableFile
from marbench.errors import DataError

__all__ = ["frames_of", "naming", "pydicom", "read_header", "reason_to_skip"]

PREAMBLE = 128
BEGINNINGS = (b"\x08\x00", b"\x00\x08", b"\x02\x00")
"""The group of a data set's first element, 0008 in either order of bytes, or 0002 of meta information."""

DICOMDIR = "1.2.840.10008.1.3.10"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
CT_IMAGES = tuple(f"1.2.840.10008.5.1.4.1.1.2{end}" for end in ("", ".1", ".2"))
"""CT Image Storage, Enhanced CT and Legacy Converted Enhanced CT (PS3.4, B.5)."""

MODALITIES = frozenset({
    "AR", "AU", "BI", "BMD", "CR", "DOC", "DX", "ECG", "EPS", "ES", "IO", "IVOCT", "IVUS", "KO", "LS", "M3D", "MG",
    "MR", "NM", "OAM",
    "OCT", "OP", "OPT", "OT", "PLAN", "PR", "PT", "PX", "REG", "RESP", "RF", "RG", "RTDOSE", "RTIMAGE",
    "RTPLAN", "RTRECORD", "RTSTRUCT", "RWV", "SEG", "SM", "SMR", "SR", "SRF", "TG", "US", "XA", "XC",
})  # fmt: skip
"""Defined terms (PS3.3, C.7.3.1.1.1). What else stands there may be anything, and is not repeated."""

QUANTITIES = frozenset({
    "ED", "EDW", "EFF_ATOMIC_NUM", "ELECTRON_DENSITY", "HU_MOD", "MAT_FRACTIONAL", "MAT_MODIFIED", "MAT_SPECIFIC",
})  # fmt: skip
"""Of ImageType or RescaleType (PS3.3, C.8.15.2.1.4 and C.11.1.1.2): maps of something else than attenuation."""

UNITS = ("", "HU", "US", "UNSPECIFIED", "HOUNSFIELD", "HOUNSFIELD UNITS")
"""Of RescaleType: HU, and what is written where nobody said; the picture has to prove it."""

SEQUENCES = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")
HEADER = [
    "BitsAllocated", "BodyPartExamined", "Columns", "ImageOrientationPatient", "ImagePositionPatient", "ImageType",
    "InstanceNumber", "Modality", "NumberOfFrames", "PatientID", "PhotometricInterpretation", "PixelPaddingRangeLimit",
    "PixelPaddingValue", "PixelRepresentation", "PixelSpacing", "RescaleIntercept", "RescaleSlope", "RescaleType",
    "Rows", "SamplesPerPixel", "SeriesInstanceUID", "SeriesNumber", "SOPClassUID", "SOPInstanceUID", "StudyInstanceUID",
    "WindowCenter", "WindowWidth", *SEQUENCES,
]  # fmt: skip


def pydicom() -> ModuleType:
    """Return the package; DataError says how to install it."""
    try:
        import pydicom as package
    except ImportError as error:
        raise DataError('DICOM needs pydicom, which is not installed: pip install "marbench[dicom]"') from error
    return package


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Raise UnreadableFile, which names the file, for whatever is wrong with a header that is read in this context."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of text in other characters than it says, for one
            yield
    except DataError as error:
        raise UnreadableFile(path, str(error)) from error
    except Exception as error:  # pydicom raises many kinds, most of them only when a value is asked for
        raise UnreadableFile(
            path, f"the DICOM header cannot be read ({error}). Replace the file or remove it."
        ) from error


def read_header(path: Path) -> Any:
    """Return the header without the pixels, or None for a file that is not DICOM; for errors see `naming`.

    Exports of some systems lack the preamble and the meta information: they begin with the data set itself.
    """
    with path.open("rb") as file:
        start = file.read(PREAMBLE + 4)
    bare = start[PREAMBLE:] != b"DICM"
    if bare and start[:2] not in BEGINNINGS:
        return None
    header = pydicom().dcmread(path, stop_before_pixels=True, specific_tags=HEADER, force=bare)
    return None if bare and not (header.get("SOPClassUID") and header.get("Modality")) else header


def frames_of(header: Any) -> list[Any]:
    """Return the headers of the slices in a file: its own, or one per frame of an enhanced image.

    An enhanced image (PS3.3, A.38) says in its functional groups what others say at top level. What all frames share
    and what each has for itself is laid over the top level, so that a frame reads like a slice of its own.
    """
    shared, own = (_sequence(header, keyword) for keyword in SEQUENCES)
    if not (shared or own):
        return [header]
    count = whole(header, "NumberOfFrames") or 1
    if own and len(own) != count:
        raise DataError(
            f"expected one item of PerFrameFunctionalGroupsSequence per frame, NumberOfFrames {count}. Got {len(own)}. "
            "Replace the file or take it out of the folder."
        )
    frames = []
    for number in range(1, count + 1):
        frame = pydicom().dataset.Dataset()
        frame.update({tag: element for tag, element in header.items() if tag not in _tags(SEQUENCES)})
        for group in [*shared[:1], *own[number - 1 : number]]:
            for macro in group:
                for element in macro.value[0] if macro.VR == "SQ" and macro.value else ():
                    if element.keyword in HEADER or element.keyword == "FrameType":
                        frame[element.tag] = element
        frame.ImageType = frame.get("FrameType") or header.get("ImageType")
        frame.InstanceNumber, frame.NumberOfFrames = number, 1
        frames.append(frame)
    return frames


def _sequence(header: Any, keyword: str) -> Sequence[Any]:
    return header.get(keyword) or []


def _tags(keywords: Sequence[str]) -> set[int]:
    return {pydicom().datadict.tag_for_keyword(keyword) for keyword in keywords}


def reason_to_skip(header: Any) -> str | None:
    """Return why a file or frame is passed over, in words that may be published; None for an axial slice of CT."""
    if getattr(header, "file_meta", {}).get("MediaStorageSOPClassUID") == DICOMDIR:
        return "DICOMDIR"
    kind, modality = str(header.get("SOPClassUID") or ""), str(header.get("Modality") or "").strip()
    if not kind and not modality:
        raise DataError("the header has neither Modality nor SOPClassUID. Replace a truncated file or remove it.")
    if modality != "CT" and not (kind in CT_IMAGES and not modality):
        return modality if modality in MODALITIES else "of another modality"
    if kind.startswith(SECONDARY_CAPTURE):
        return "CT screen captures"
    if header.get("Rows") is None or header.get("PhotometricInterpretation") is None:
        if kind in CT_IMAGES:
            raise DataError("the header ends before Rows and PhotometricInterpretation. Replace the file or remove it.")
        return "CT objects without a picture"
    if header.get("SamplesPerPixel", 1) != 1 or "MONOCHROME" not in str(header.get("PhotometricInterpretation")):
        return "CT pictures in colour"
    if header.get("BitsAllocated") in (1, 8):
        return "CT pictures of 8 bits"
    kinds = [str(value).strip().upper() for value in np.atleast_1d(header.get("ImageType") or "").tolist()]
    if "LOCALIZER" in kinds:
        return "CT localizers"
    if QUANTITIES & {*kinds, _unit(header)} or _unit(header) not in UNITS:
        return "CT maps that are not in HU (RescaleType)"
    if abs(np.cross(*axes_of(header))[2]) < 0.7:
        return "CT reformats that are not axial"
    return None


def _unit(header: Any) -> str:
    """Return RescaleType in capitals."""
    return str(header.get("RescaleType") or "").strip().upper()
