"""Cases of DICOM files: what is no slice, text for numbers, names and UIDs, enhanced images, truncated files."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from corpus_dicom import write
from corpus_judge import Image, body, case
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items

ENHANCED = "1.2.840.10008.5.1.4.1.1.2.1"


def series(folder: Path, places: Sequence[int] = (0, 1, 2), **changes: Any) -> list[Image]:
    """Write slices one above the other."""
    for place in places:
        write(folder / f"{place}.dcm", hu=body(place), InstanceNumber=place + 1, ImagePositionPatient=[0, 0, place],
              **changes)  # fmt: skip
    return [body(place) for place in places]


def beside(name: str, source: str, told: str, add: Callable[[Path], Any]) -> None:
    """Register a good series with files beside it that are no slices of CT."""

    @case(name, source, "dicom", told=told)
    def files(folder: Path) -> Sequence[Image]:
        add(folder / "other")
        return series(folder)


# What is no slice.

beside(
    "raw data beside a series",
    "pyvoxel#32",
    "1 CT objects without a picture",
    lambda path: write(path, SOPClassUID="1.2.840.10008.5.1.4.1.1.66", Rows=None, PhotometricInterpretation=None),
)
beside(
    "Siemens non-image beside a series",
    "dicomsort#2",
    "1 CT objects without a picture",
    lambda path: write(path, SOPClassUID="1.3.12.2.1107.5.9.1", Rows=None, PhotometricInterpretation=None),
)
beside(
    "a perfusion map in colour",
    "Slicer#2831",
    "1 CT pictures in colour",
    lambda path: write(
        path,
        stored=np.zeros((64, 64, 3), np.uint8),
        SamplesPerPixel=3,
        PhotometricInterpretation="RGB",
        BitsAllocated=8,
        Rows=64,
        Columns=64,
    ),
)
beside(
    "a screen save of 8 bits",
    "Slicer#2831",
    "1 CT pictures of 8 bits",
    lambda path: write(path, stored=np.zeros((64, 64), np.uint8), BitsAllocated=8, BitsStored=8, HighBit=7),
)
beside(
    "a screen capture",
    "dcm_qa_ct",
    "1 CT screen captures",
    lambda path: write(path, SOPClassUID="1.2.840.10008.5.1.4.1.1.7"),
)
beside(
    "a localizer",
    "dcm_qa_ct",
    "1 CT localizers",
    lambda path: write(path, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]),
)
beside("another modality", "–", "1 MR", lambda path: write(path, Modality="MR"))
beside("a name as modality", "–", "1 of another modality", lambda path: write(path, Modality="DOE JANE"))
beside("an effective-Z series", "Weasis#624", "3 CT maps", lambda path: series(path, RescaleType="Z_EFF"))
beside("notes", "–", "1 not DICOM", lambda path: path.write_text("notes"))
beside("hidden files of macOS", "openneuro#2520", "1 hidden", lambda path: path.with_name("._0.dcm").write_bytes(b"\0"))
beside("broken links", "med-imagetools#425", "1 broken links", lambda path: path.symlink_to("annex"))

# Text, commas and nothing for numbers.


def patched(name: str, keyword: str, value: Any, old: str, new: str, refused: str = "") -> None:
    """Register a slice in whose header some bytes are others."""

    @case(f"{keyword} {name}", "DICOM.jl#90, dcmstack#63, dcmjs#287, pydicom#173", "dicom", refused=refused)
    def files(folder: Path) -> Sequence[Image]:
        path = folder / "1.dcm"
        write(path, **{keyword: value})
        content = path.read_bytes()
        assert len(old) == len(new) and old.encode() in content
        path.write_bytes(content.replace(old.encode(), new.encode()))
        return [body()]


patched("of text", "InstanceNumber", "1234567", "1234567", "Amadeus")
patched("of text", "SeriesNumber", "1234567", "1234567", "Amadeus")
patched("of text", "ImagePositionPatient", ["1234567", "1", "2"], "1234567", "Amadeus")
patched(
    "with commas", "ImagePositionPatient", ["-192.5", "-192.5", "10.5"], "-192.5\\-192.5\\10.5", "-192,5\\-192,5\\10,5"
)
patched("of two", "ImagePositionPatient", ["-192.5", "-192.5", "10.5"], "-192.5\\-192.5\\10.5", "-192.5\\-192.5 10.5")
patched("with a fraction", "InstanceNumber", "1234", "1234", "12.5")
for number in ("RescaleSlope", "RescaleIntercept"):
    patched("of text", number, "1.00000", "1.00000", "Amadeus", rf"1\.dcm: .*{number}")
    patched("with a comma", number, "1.00000", "1.00000", "1,00000", rf"1\.dcm: .*{number}")
patched("of text", "NumberOfFrames", "1234567", "1234567", "Amadeus", r"1\.dcm: .*NumberOfFrames")
patched("with a fraction", "NumberOfFrames", "0001", "0001", "1.5 ", r"1\.dcm: .*NumberOfFrames")
patched("of text", "ImageOrientationPatient", ["1.00000", "0", "0", "0", "1", "0"], "1.00000", "Amadeus",
        r"1\.dcm: .*ImageOrientationPatient")  # fmt: skip
patched("with commas", "ImageOrientationPatient", ["1.00", "0.00", "0.00", "0.00", "1.00", "0.00"],
        "1.00\\0.00\\0.00\\0.00\\1.00\\0.00", "1,00\\0,00\\0,00\\0,00\\1,00\\0,00",
        r"1\.dcm: .*ImageOrientationPatient")  # fmt: skip
patched("with commas", "PixelSpacing", ["3.00", "3.00"], "3.00\\3.00", "3,00\\3,00", r"1\.dcm: .*PixelSpacing")


def slice_with(name: str, source: str, refused: str = "", told: str = "", **changes: Any) -> None:
    """Register one slice with other attributes."""

    @case(name, source, "dicom", refused=refused, told=told)
    def files(folder: Path) -> Sequence[Image]:
        write(folder / "1.dcm", **changes)
        return [body()]


for empty in (
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "InstanceNumber",
    "SeriesNumber",
    "ImageType",
    "PixelPaddingValue",
):
    slice_with(f"an empty {empty}", "dicom2nifti#135, dcm2niix#341", **{empty: ""})
slice_with("no Modality", "–", Modality="")
slice_with("pixels of 3 m", "MRIReco#126", r"1\.dcm: .*pixel size.*3000", PixelSpacing=[3000, 3000])
slice_with("pixels of 3 µm", "ITK PR 4595", r"1\.dcm: .*pixel size", PixelSpacing=[0.003, 0.003])
slice_with("a picture 3.8 cm wide", "ITK PR 4595", r"1\.dcm: .*pixel size", PixelSpacing=[0.3, 0.3])
slice_with("no PixelSpacing", "–", r"1\.dcm: .*PixelSpacing", PixelSpacing=None)
slice_with("no PixelRepresentation", "–", r"1\.dcm: .*Pixel ?Representation", PixelRepresentation=None)
slice_with("no RescaleSlope", "–", r"1\.dcm: .*RescaleSlope", RescaleSlope=None)

# Beginnings and ends of files.


def bare(path: Path, implicit: bool, little: bool) -> None:
    """Write a slice as a data set alone."""
    dataset = write(path)
    buffer = io.BytesIO()
    del dataset.file_meta
    if not little:
        dataset.PixelData = np.frombuffer(dataset.PixelData, "<u2").astype(">u2").tobytes()
    pydicom.dcmwrite(buffer, dataset, implicit_vr=implicit, little_endian=little, enforce_file_format=False)
    path.write_bytes(buffer.getvalue())


for implicit, little in ((True, True), (False, True), (False, False)):
    what = f"{'implicit' if implicit else 'explicit'}, {'little' if little else 'big'} endian"

    @case(f"no preamble and meta information, {what}", "pydicom#2231, pydicom#1102, hazen#433", "dicom")
    def no_meta(folder: Path, implicit: bool = implicit, little: bool = little) -> Sequence[Image]:
        bare(folder / "1", implicit, little)
        return [body()]


@case("no preamble in three of four slices", "dicom2nifti#134, dcmjs#93", "dicom")
def mixed_meta(folder: Path) -> Sequence[Image]:
    images = series(folder, range(4))
    for path in sorted(folder.iterdir())[:3]:
        path.write_bytes(path.read_bytes()[132:])
    return images


@case("no transfer syntax", "pydicom meta_missing_tsyntax.dcm", "dicom")
def no_syntax(folder: Path) -> Sequence[Image]:
    write(folder / "1.dcm")
    dataset = pydicom.dcmread(folder / "1.dcm")
    del dataset.file_meta.TransferSyntaxUID
    dataset.save_as(folder / "1.dcm", implicit_vr=False, little_endian=True, enforce_file_format=False)
    return [body()]


for kept in (300, 900, 20_000):

    @case(f"the first {kept} bytes of a file", "–", "dicom", refused=r"1\.dcm: .*(Replace|remove)")
    def truncated(folder: Path, kept: int = kept) -> None:
        write(folder / "1.dcm")
        (folder / "1.dcm").write_bytes((folder / "1.dcm").read_bytes()[:kept])


# Names, UIDs, order.


@case("ten slices of one SOPInstanceUID", "rt-utils#122", "dicom")
def one_uid(folder: Path) -> Sequence[Image]:
    return series(folder, range(10), SOPInstanceUID="1.2.3.4.5")


@case("ten slices of one SOPInstanceUID, without a place", "rt-utils#122", "dicom")
def one_uid_nowhere(folder: Path) -> Sequence[Image]:
    for number in range(10):
        write(folder / f"{number}.dcm", hu=body(number), SOPInstanceUID="1.2.3", ImagePositionPatient=None)
    return [body(number) for number in range(10)]


@case("copies with UIDs of their own", "pytrip#292", "dicom", told="3 copies")
def copies(folder: Path) -> Sequence[Image]:
    series(folder / "again", SeriesInstanceUID="1.2.3.5", SeriesNumber=7)
    return series(folder)


@case("two reconstructions of a scan", "–", "dicom")
def two_series(folder: Path) -> Sequence[Image]:
    images = series(folder)
    for place in range(3):
        write(folder / f"b{place}.dcm", hu=body(10 + place), InstanceNumber=place + 1, SeriesNumber=3,
              SeriesInstanceUID="1.2.3.5", ImagePositionPatient=[0, 0, place])  # fmt: skip
    return [*images, *(body(10 + place) for place in range(3))]


@case("a series UID for each slice", "medInria PR 156", "dicom")
def own_series(folder: Path) -> Sequence[Image]:
    for place in range(8):
        write(folder / f"{place}.dcm", hu=body(place), InstanceNumber=place + 1, ImagePositionPatient=[0, 0, place],
              SeriesInstanceUID=f"1.2.{place * 7919 % 101}")  # fmt: skip
    return [body(place) for place in range(8)]


@case("slices numbered from the head, files in disorder", "–", "dicom")
def disorder(folder: Path) -> Sequence[Image]:
    for place in range(6):
        write(folder / f"{place * 5 % 6}{place}.dcm", hu=body(place), InstanceNumber=9 - place,
              ImagePositionPatient=[0, 0, 5 * place])  # fmt: skip
    return [body(place) for place in range(6)]


@case("de-identified by one file, not by the other", "fastai#2724, COVID-CT#11", "dicom")
def flags(folder: Path) -> Sequence[Image]:
    first = series(folder, (0, 1), PatientIdentityRemoved="YES")
    return first + series(folder, (2, 3), PatientIdentityRemoved=None)


@case("a PatientID in some files of a study only", "–", "dicom")
def some_ids(folder: Path) -> Sequence[Image]:
    return series(folder, (0, 1)) + series(folder, (2, 3), PatientID=None)


@case("PatientIDs with blanks around", "–", "dicom")
def blanks(folder: Path) -> Sequence[Image]:
    return series(folder, (0, 1)) + series(folder, (2, 3), PatientID="P1 ")


@case("names of all alphabets", "–", "dicom")
def alphabets(folder: Path) -> Sequence[Image]:
    return series(folder / "Größe 患者 #1" / "[a] 0's.dcm", PatientID="Müller^Ü", SpecificCharacterSet="ISO_IR 192")


# Links.


@case("patient folders as links", "med-imagetools#425, pybids#632", "dicom")
def linked_folders(folder: Path) -> Sequence[Image]:
    (folder / "link").symlink_to(folder.parent / "elsewhere")
    return series(folder.parent / "elsewhere")


@case("a link to the folder above", "–", "dicom")
def loop(folder: Path) -> Sequence[Image]:
    (folder / "loop").symlink_to(folder)
    return series(folder)


@case("nothing but broken links", "dicm2nii#57", "dicom", refused="no CT slice in .*3 broken links")
def broken(folder: Path) -> None:
    for number in range(3):
        (folder / f"{number}.dcm").symlink_to(".git/annex/objects/x")


# Enhanced images.


def macro(keyword: str, **values: Any) -> dict[str, Any]:
    """Return a functional group macro."""
    item = Dataset()
    for name, value in values.items():
        setattr(item, name, value)
    return {keyword: Items([item])}


def group(*macros: dict[str, Any]) -> Dataset:
    """Return an item of the functional groups."""
    item = Dataset()
    for each in macros:
        for keyword, value in each.items():
            setattr(item, keyword, value)
    return item


def enhanced(
    path: Path, frames: int, own: Callable[[int], list[dict[str, Any]]] = lambda _: [], **changes: Any
) -> list[Image]:
    """Write an enhanced image; what frames have beside their position is their own."""
    moved = dict.fromkeys((
        "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "RescaleSlope", "RescaleIntercept",
        "InstanceNumber",
    ))  # fmt: skip
    shared = group(
        macro("PixelMeasuresSequence", PixelSpacing=[3, 3], SliceThickness=1),
        macro("PlaneOrientationSequence", ImageOrientationPatient=[1, 0, 0, 0, 1, 0]),
        macro("PixelValueTransformationSequence", RescaleSlope=1, RescaleIntercept=-1024, RescaleType="HU"),
        macro("CTImageFrameTypeSequence", FrameType=["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]),
    )
    each = [
        group(macro("PlanePositionSequence", ImagePositionPatient=[0, 0, place]), *own(place))
        for place in range(frames)
    ]
    write(path, stored=np.stack([body(place) + 1024 for place in range(frames)]).astype(np.uint16),
          **{"SOPClassUID": ENHANCED, "NumberOfFrames": frames, **moved,
             "SharedFunctionalGroupsSequence": Items([shared]),
             "PerFrameFunctionalGroupsSequence": Items(each), **changes})  # fmt: skip
    return [body(place) for place in range(frames)]


for count in (1, 6):

    @case(f"an enhanced image of {count} frames", "pydicom#2353, Weasis#375, OHIF#2193", "dicom")
    def frames(folder: Path, count: int = count) -> Sequence[Image]:
        return enhanced(folder / "1.dcm", count)


@case("a legacy converted enhanced image", "PS3.4 B.5", "dicom")
def legacy(folder: Path) -> Sequence[Image]:
    return enhanced(folder / "1.dcm", 3, SOPClassUID=f"{ENHANCED[:-1]}2")


@case("frames with a calibration of their own", "monai-deploy#532", "dicom")
def own_calibration(folder: Path) -> Sequence[Image]:
    images = enhanced(folder / "1.dcm", 3, lambda place: [
        macro("PixelValueTransformationSequence", RescaleSlope=1, RescaleIntercept=-1024 + place, RescaleType="HU")
    ])  # fmt: skip
    return [image + place for place, image in enumerate(images)]


@case("frames in descending order, turned upside down", "–", "dicom")
def own_orientation(folder: Path) -> Sequence[Image]:
    images = enhanced(folder / "1.dcm", 3, lambda place: [
        macro("PlanePositionSequence", ImagePositionPatient=[0, 0, -place]),
        macro("PlaneOrientationSequence", ImageOrientationPatient=[-1, 0, 0, 0, -1, 0]),
    ])  # fmt: skip
    return [image[::-1, ::-1] for image in reversed(images)]


@case("frames of effective Z among those in HU", "–", "dicom", told="2 CT maps")
def own_quantity(folder: Path) -> Sequence[Image]:
    images = enhanced(folder / "1.dcm", 5, lambda place: [
        macro("PixelValueTransformationSequence", RescaleSlope=1, RescaleIntercept=-1024,
              RescaleType="HU" if place < 3 else "Z_EFF")
    ])  # fmt: skip
    return images[:3]


@case("an enhanced image that counts its frames wrong", "–", "dicom", refused=r"1\.dcm: .*NumberOfFrames 7")
def wrong_count(folder: Path) -> None:
    enhanced(folder / "1.dcm", 3, NumberOfFrames=7)


@case("several frames without functional groups", "–", "dicom", refused=r"1\.dcm: .*NumberOfFrames 1. Got 3.*Convert")
def plain_frames(folder: Path) -> None:
    write(folder / "1.dcm", stored=np.stack([body(place) + 1024 for place in range(3)]).astype(np.uint16),
          NumberOfFrames=3)  # fmt: skip
