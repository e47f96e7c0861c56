"""Derived DICOM images: those of a series plus a change, as objects of a new series of the same study."""

from __future__ import annotations

import hashlib
import io
import uuid
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from marbench.anatomy.dicom_header import naming, pydicom, read_header
from marbench.anatomy.dicom_slice import DecodedSlice, DicomSlice, pixel_digest
from marbench.anatomy.native import UnreadableFile, content_of
from marbench.errors import DataError
from marbench.machine.files import safe_name
from marbench.report.page import Output
from marbench.scans.series import RESEARCH, Change, Version
from marbench.version import __version__

__all__ = ["DerivedSeries", "identity_of", "named_uid"]

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
NAMESPACE = uuid.UUID("9a5f7d43-6a55-5c3f-8f6e-2f1c8f3c6b1d")
"""Of the UIDs that are made here; drawn once."""

EMPTY_IF_UNKNOWN = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID",
    "AccessionNumber", "ReferringPhysicianName", "Manufacturer", "PositionReferenceIndicator", "SliceThickness", "KVP",
    "AcquisitionNumber", "SeriesNumber", "InstanceNumber",
)  # fmt: skip
"""Type 2 of the CT Image IOD (PS3.3, A.3): they must be there, and may be empty."""

WHO = ("PatientName", "PatientID", "AccessionNumber")
"""Where an image is filed by these: they have to be those of the original."""

OF_THE_ORIGINAL = (
    "InstanceCreationDate", "InstanceCreationTime", "InstanceCreatorUID", "SeriesDate", "SeriesTime",
    "SmallestImagePixelValue", "LargestImagePixelValue", "SmallestPixelValueInSeries", "LargestPixelValueInSeries",
    "IconImageSequence", "DigitalSignaturesSequence", "MACParametersSequence", "DataSetTrailingPadding",
    "PixelDataProviderURL", "FloatPixelData",
)  # fmt: skip
"""What is true of the original alone."""

FIRST_NUMBER = 10_000
"""Of derived series: lists then show them below those of the scanner, in the same order."""

OVERLAYS = range(0x6000, 0x6100)
LONGEST = 1024
"""Characters of a short text (PS3.5, 6.2)."""


def named_uid(*names: object) -> str:
    """Return a UID that follows from names: equal ones make equal UIDs, below the root 2.25 (PS3.5, B.2)."""
    return f"2.25.{uuid.uuid5(NAMESPACE, chr(0).join(map(str, names))).int}"


def identity_of(slices: Sequence[DicomSlice]) -> str:
    """Return what tells a series from all others: its UID, whose it is, and its pixels.

    The UID says little: some software writes none, or one and the same into every series.
    """
    with naming(slices[0].file):
        patient = str(read_header(slices[0].file).get("PatientID") or "")
    digest = hashlib.sha256("\0".join((slices[0].order[1], patient)).encode("utf-8", "surrogatepass"))
    for one in slices:
        digest.update(pixel_digest(one))
    return digest.hexdigest()


class DerivedSeries:
    """Writes a series of derived images, one file per slice, uncompressed, with the original's stored scale.

    The UIDs follow from the original and from what the image is made of: whoever repeats a command gets the same
    objects, and another version or threshold gets others. Who the patient is stays as it is: so it is filed with
    the original. Private elements, overlays and signatures of the original are left out.

    Parameters
    ----------
    slices : sequence of DicomSlice
        In order.
    identity : str
        See `identity_of`.
    version : Version
    output : Output
        Where the folder of the series goes.
    """

    def __init__(self, slices: Sequence[DicomSlice], identity: str, version: Version, output: Output) -> None:
        self._slices, self._identity, self._version, self._output = slices, identity, version, output
        self._folder = safe_name(version.label)
        self._uid = named_uid(identity, version.label, version.made_of, __version__)
        self._written: list[str] = []

    def add(self, index: int, change: Change | None) -> None:
        """See `Writer`."""
        original = self._slices[index]
        try:
            decoded, content = original.decode(), content_of(original.file)
        except DataError as error:
            raise UnreadableFile(original.file, str(error)) from error
        try:
            with warnings.catch_warnings():
                # What is odd in the original, and no business of ours, is copied as it is.
                warnings.simplefilter("ignore")
                image = self._derived(index, decoded, change, _header(content))
        except Exception as error:  # pydicom raises many kinds
            raise UnreadableFile(original.file, f"its header cannot be copied ({error}). Mend it.") from error
        self._written.append(self._output.write(f"{self._folder}/IM{index + 1:05d}.dcm", image))

    def discard(self) -> None:
        """See `Writer`."""
        for name in self._written:
            self._output.discard(name)

    def close(self) -> None:
        """See `Writer`: everything is written."""

    def _derived(self, index: int, decoded: DecodedSlice, change: Change | None, dataset: Any) -> bytes:
        """Return a slice plus a change as a file, of the elements that the original leaves to it."""
        stored = decoded.stored if change is None else _changed(decoded, decoded.turned_back(change), dataset)
        self._describe(dataset, index, self._slices[index].instance)
        dataset.PixelData = np.ascontiguousarray(stored).astype(stored.dtype.newbyteorder("<")).tobytes()
        dataset["PixelData"].VR = "OW"
        buffer = io.BytesIO()
        dataset.save_as(buffer, enforce_file_format=True)
        return buffer.getvalue()

    def _describe(self, dataset: Any, index: int, original: str) -> None:
        """Say what the image is: derived, from which one, by what."""
        if original:  # without a UID it cannot be referred to
            _reference(dataset, original)
        dataset.SeriesNumber = FIRST_NUMBER + self._slices[0].order[0] % FIRST_NUMBER
        dataset.SOPClassUID = CT_IMAGE
        dataset.Modality = "CT"
        dataset.SOPInstanceUID = named_uid(self._uid, index, original)
        dataset.SeriesInstanceUID = self._uid
        kinds = [str(kind) for kind in np.atleast_1d(dataset.get("ImageType") or "")][2:]
        dataset.ImageType = ["DERIVED", "SECONDARY", *(kinds or ["AXIAL"])]
        name = _ascii(self._version.title)
        version = f", marbench {__version__}"
        # 64 characters, of which the warning and the version come first.
        dataset.SeriesDescription = f"For research only: {name[: 45 - len(version)]}{version}"
        dataset.DerivationDescription = (
            f"{RESEARCH}. Metal artifact reduction by {name} ({_ascii(self._version.label)}), marbench {__version__}, "
            f"{_ascii(self._version.made_of)}. Pixels of metal are those of the source image."
        )[:LONGEST]
        for keyword in EMPTY_IF_UNKNOWN:
            if keyword not in dataset:
                setattr(dataset, keyword, None)
        for keyword in ("StudyInstanceUID", "FrameOfReferenceUID"):
            if not dataset.get(keyword):
                setattr(dataset, keyword, named_uid(keyword, self._identity))
        _contributor(dataset, self._version)
        meta = pydicom().dataset.FileMetaDataset()
        meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = CT_IMAGE, dataset.SOPInstanceUID
        meta.TransferSyntaxUID = pydicom().uid.ExplicitVRLittleEndian
        dataset.file_meta = meta


def _changed(decoded: DecodedSlice, change: NDArray[np.float32], header: Any) -> NDArray[Any]:
    """Return stored values plus a change in HU, within what their bits can hold."""
    steps = np.rint(change / decoded.calibration.slope).astype(np.int64)
    bits = int(header.get("BitsStored") or header.BitsAllocated)
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if header.get("PixelRepresentation") else (0, 2**bits - 1)
    moved = np.clip(decoded.stored + steps, low, high)
    # Where nothing changes the stored value stays, whatever it is.
    return np.asarray(np.where(steps == 0, decoded.stored, moved), dtype=decoded.stored.dtype)


def _header(content: bytes) -> Any:
    """Return the elements of an original that also hold for what is derived from it."""
    source = pydicom().dcmread(io.BytesIO(content), force=True, stop_before_pixels=True)
    dataset, keyword_of = pydicom().dataset.Dataset(), pydicom().datadict.keyword_for_tag
    for tag in sorted(source.keys()):  # by tag: what is left out may be something that cannot be read
        if not (tag.is_private or tag.group in OVERLAYS or keyword_of(tag) in OF_THE_ORIGINAL):
            dataset[tag] = source[tag]
    for keyword in WHO:
        if "\N{REPLACEMENT CHARACTER}" in str(dataset.get(keyword) or ""):
            raise ValueError(f"{keyword} is in other characters than SpecificCharacterSet says")
    dataset.remove_private_tags()  # those within sequences, too
    return dataset


def _reference(dataset: Any, original: str) -> None:
    """Name the image that this one is derived from, and for which purpose it served."""
    source = _item(ReferencedSOPClassUID=str(dataset.get("SOPClassUID") or CT_IMAGE), ReferencedSOPInstanceUID=original)
    source.PurposeOfReferenceCodeSequence = [_code("121322", "Source image for image processing operation")]
    dataset.SourceImageSequence = [source]


def _contributor(dataset: Any, version: Version) -> None:
    """Add what has changed the image to those that contributed to it; the manufacturer stays the scanner's."""
    equipment = _item(
        Manufacturer="marbench",
        ManufacturerModelName=_ascii(version.label)[:64],
        SoftwareVersions=__version__,
        ContributionDescription=RESEARCH,
    )
    equipment.PurposeOfReferenceCodeSequence = [_code("109103", "Modifying Equipment")]
    dataset.ContributingEquipmentSequence = [*(dataset.get("ContributingEquipmentSequence") or []), equipment]


def _code(value: str, meaning: str) -> Any:
    return _item(CodeValue=value, CodingSchemeDesignator="DCM", CodeMeaning=meaning)


def _item(**values: str) -> Any:
    item = pydicom().dataset.Dataset()
    for keyword, value in values.items():
        setattr(item, keyword, value)
    return item


def _ascii(text: str) -> str:
    """Return text that every character set of DICOM has; a backslash would separate values."""
    return text.encode("ascii", "replace").decode().replace("\\", "/")
