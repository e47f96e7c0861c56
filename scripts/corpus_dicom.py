"""Cases of DICOM pictures: encodings, calibration, padding, orientation, enhanced images, real public files."""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from corpus_judge import PIXEL_MM, Image, body, case
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    CTImageStorage,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

__all__ = ["by_hand", "write"]

HALF = (127 / 2) * PIXEL_MM
ADVICE = r"RescaleIntercept.*PixelPaddingValue"
NOT_HU = rf"\.dcm: expected HU.*not in HU.*{ADVICE}"
SKIPPED = "no CT slice in .*RescaleType"


def write(path: Path, hu: Image | None = None, stored: Image | None = None, **changes: Any) -> Dataset:
    """Write a slice, by default with HU + 1024 in unsigned 16 bits; None takes an attribute away, or the file."""
    pixels = (
        stored if stored is not None else ((body() if hu is None else hu).astype(np.int32) + 1024).astype(np.uint16)
    )
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    attributes = {
        "SOPClassUID": CTImageStorage, "SOPInstanceUID": f"1.2.{zlib.crc32(str(path).encode())}",
        "StudyInstanceUID": "1.2.3", "SeriesInstanceUID": "1.2.3.4", "Modality": "CT", "PatientID": "P1",
        "SeriesNumber": 2, "InstanceNumber": 1, "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
        "ImagePositionPatient": [-HALF, -HALF, 0], "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
        "PixelSpacing": [PIXEL_MM, PIXEL_MM], "RescaleSlope": 1, "RescaleIntercept": -1024, "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2", "BitsAllocated": 16, "BitsStored": 16, "HighBit": 15,
        "PixelRepresentation": int(pixels.dtype.kind == "i"), "Rows": pixels.shape[-2], "Columns": pixels.shape[-1],
    }  # fmt: skip
    for keyword, value in (attributes | changes).items():
        if value is not None:
            setattr(dataset, keyword, value)
    dataset.PixelData = np.ascontiguousarray(pixels).tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)
    return dataset


def by_hand(path: Path) -> Image:
    """Read a file with pydicom alone; of eight ways to lay it out take that with left and posterior ascending."""
    dataset = pydicom.dcmread(path, force=True)
    image = dataset.pixel_array * float(dataset.RescaleSlope) + float(dataset.RescaleIntercept)
    along, down = np.reshape([float(value) for value in dataset.ImageOrientationPatient], (2, 3))
    rows, columns = np.indices(image.shape)
    left, back = (down[axis] * rows + along[axis] * columns for axis in (0, 1))
    ways = itertools.product((False, True), (1, -1), (1, -1))
    best = max(ways, key=lambda way: _ascent(_laid(left, *way), _laid(back, *way)))
    return _laid(image, *best)


def _laid(image: Image, transposed: bool, rows: int, columns: int) -> Image:
    return (image.T if transposed else image)[::rows, ::columns]


def _ascent(left: Image, back: Image) -> float:
    return float((left[:, -1] - left[:, 0]).mean() + (back[-1] - back[0]).mean())


def unchanged(name: str, source: str, make: Callable[[Path], Any], **expected: Any) -> None:
    """Register a case whose one slice is ``body()``, or that is refused."""

    def files(folder: Path) -> Sequence[Image]:
        made = make(folder / "1.dcm")
        return made if isinstance(made, list) else [body()]

    case(name, source, "dicom", **expected)(files)


# How values are stored.

unchanged("as it should be", "–", write)
unchanged(
    "12 of 16 bits, not sign-extended",
    "dicom2nifti#13, vtk-dicom#134",
    lambda path: write(
        path,
        stored=(body() & 0xFFF).astype(np.uint16),
        PixelRepresentation=1,
        BitsStored=12,
        HighBit=11,
        RescaleIntercept=0,
    ),
)
unchanged(
    "an overlay in the highest bits",
    "fo-dicom#187, pydicom#2026",
    lambda path: write(path, stored=(body() + 1024).astype(np.uint16) | 0x8000, BitsStored=12, HighBit=11),
)
unchanged(
    "slope 2",
    "–",
    lambda path: (
        [write(path, stored=((body() + 1024) // 2).astype(np.uint16), RescaleSlope=2)]
        and [(body() + 1024) // 2 * 2 - 1024]
    ),
)
unchanged(
    "32 bits",
    "–",
    lambda path: write(path, stored=(body() + 1024).astype(np.uint32), BitsAllocated=32, BitsStored=32, HighBit=31),
)
unchanged("MONOCHROME1", "–", lambda path: write(path, PhotometricInterpretation="MONOCHROME1"))


def _compressed(path: Path, syntax: str) -> None:
    write(path)
    dataset = pydicom.dcmread(path)
    dataset.compress(syntax)
    dataset.save_as(path)


unchanged("RLE", "pydicom test files", lambda path: _compressed(path, RLELossless))
unchanged("JPEG-LS", "pylibjpeg#69, pydicom#1053", lambda path: _compressed(path, JPEGLSLossless))
unchanged("JPEG 2000", "pydicom#2009", lambda path: _compressed(path, JPEG2000Lossless))
unchanged(
    "JPEG lossless, without a decoder",
    "pylibjpeg#58",
    lambda path: _called(path, JPEGLosslessSV1),
    refused=r"1\.dcm: .*pip install .*pylibjpeg-libjpeg",
)


def _called(path: Path, syntax: str) -> None:
    """Write a file that says it is compressed."""
    _compressed(path, RLELossless)
    dataset = pydicom.dcmread(path)
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.save_as(path)


# Values that are not HU.

unchanged(
    "negative values wrapped to 4096",
    "Kaggle RSNA haemorrhage",
    lambda path: write(path, stored=(body().astype(np.int32) % 4096).astype(np.uint16), RescaleIntercept=0),
    refused=NOT_HU,
)
unchanged("intercept lost", "lungmask#63, lungmask#117", lambda path: write(path, RescaleIntercept=0), refused=NOT_HU)
unchanged(
    "intercept lost, padding −2000",
    "lungmask#108",
    lambda path: write(path, stored=_circle(body() + 1024, -2000), RescaleIntercept=0),
    refused=NOT_HU,
)
unchanged(
    "intercept 1000 instead of 1024, lost",
    "CERR#494",
    lambda path: write(path, stored=(body() + 1024).astype(np.uint16), RescaleIntercept=-24),
    refused=NOT_HU,
)
unchanged("intercept applied twice", "CT-CLIP#50", lambda path: write(path, RescaleIntercept=-2048), refused=NOT_HU)
unchanged("half the slope", "–", lambda path: write(path, RescaleSlope=0.5, RescaleIntercept=-512), refused=NOT_HU)
for low, high in ((-200, 250), (-160, 240), (-500, 1000), (-1000, 400), (-1000, 300)):
    unchanged(
        f"clipped to [{low}, {high}]",
        "TotalSegmentator#455, MedM-VL#6",
        lambda path, low=low, high=high: write(path, hu=np.clip(body(), low, high)),
        refused=NOT_HU,
    )
for unit in ("Z_EFF", "PCT", "ED", "EDW", "MGML", "HU_MOD", "OD"):
    unchanged(
        f"RescaleType {unit}",
        "Weasis#624, pyDICOS#43",
        lambda path, unit=unit: write(path, stored=(body() + 1024).astype(np.uint16), RescaleType=unit),
        refused=SKIPPED,
    )
unchanged(
    "RescaleType HU, US and empty",
    "–",
    lambda path: (
        [
            write(path.with_name(f"{place}.dcm"), hu=body(place), RescaleType=unit, ImagePositionPatient=[0, 0, place])
            for place, unit in enumerate(("HU", "US", ""))
        ]
        and [body(place) for place in range(3)]
    ),
)
unchanged(
    "effective Z that no attribute names",
    "Clinical#9",
    lambda path: write(path, stored=((body() + 1024) * 0.74).astype(np.uint16), RescaleSlope=0.01, RescaleIntercept=0),
    refused=NOT_HU,
)
unchanged(
    "electron density that no attribute names",
    "Weasis#624",
    lambda path: write(path, RescaleSlope=0.1, RescaleIntercept=0),
    refused=NOT_HU,
)
unchanged(
    "iodine that no attribute names",
    "–",
    lambda path: write(
        path, stored=np.rint(np.where(body() > 200, 60, 5) + body(3) % 7).astype(np.int16), RescaleIntercept=0
    ),
    refused=NOT_HU,
)
unchanged(
    "ImageType EFF_ATOMIC_NUM",
    "PS3.3 C.8.15.2",
    lambda path: write(path, ImageType=["DERIVED", "PRIMARY", "AXIAL", "EFF_ATOMIC_NUM"]),
    refused=SKIPPED,
)


@case("one wrong slice in a series", "–", "dicom", told="1 not in HU")
def one_wrong(folder: Path) -> Sequence[Image]:
    for place in range(4):
        write(folder / f"{place}.dcm", hu=body(place), InstanceNumber=place, ImagePositionPatient=[0, 0, place],
              RescaleIntercept=0 if place == 1 else -1024)  # fmt: skip
    return [body(place) for place in (0, 2, 3)]


# Padding.


def _circle(image: Image, value: int) -> Image:
    """Fill what lies outside the scanner's circle."""
    y, x = np.mgrid[: len(image), : len(image)] - (len(image) - 1) / 2
    return np.where(np.hypot(x, y) > len(image) / 2, value, image).astype(np.uint16 if value > 32767 else np.int16)


def _padded(value: int, **changes: Any) -> Callable[[Path], list[Image]]:
    def make(path: Path) -> list[Image]:
        write(path, stored=_circle(body(), value), RescaleIntercept=0, **changes)
        return [_circle(body(), -1000)]

    return make


unchanged("padding −2000, named", "dcm2niix#262", _padded(-2000, PixelPaddingValue=-2000))
unchanged("padding −2000, not named", "vtk-dicom#173", _padded(-2000))
unchanged("padding −32768", "–", _padded(-32768))
unchanged("padding 0, named; water is 0 too", "dicom-rs#460, dcm4che#1368", _padded(0, PixelPaddingValue=0))
unchanged("padding 0, not named", "SuperElastix#398", _padded(0), refused=NOT_HU)
unchanged("padding 3000, not named", "vtk-dicom#128", _padded(3000), refused=NOT_HU)


def _bright(**changes: Any) -> Callable[[Path], list[Image]]:
    def make(path: Path) -> list[Image]:
        write(path, stored=_circle(body().astype(np.int32) + 1024, 63536), **changes)
        return [_circle(body(), -1000)]

    return make


unchanged("bright padding, named", "vtk-dicom#128", _bright(PixelPaddingValue=63536))
unchanged("bright padding, not named", "vtk-dicom#128", _bright(), refused=NOT_HU)


@case("an empty PixelPaddingRangeLimit", "dcm4che#1368", "dicom")
def empty_limit(folder: Path) -> Sequence[Image]:
    images = _bright(PixelPaddingValue=63536)(folder / "1.dcm")
    dataset = pydicom.dcmread(folder / "1.dcm")
    dataset.add_new(0x00280121, "US", None)
    dataset.save_as(folder / "1.dcm")
    return images


# Orientation: the same patient, stored in all ways.

for transposed, rows, columns in itertools.product((False, True), (1, -1), (1, -1)):
    turned = _laid(body(), transposed, rows, columns)
    step_left, step_back = [columns, 0, 0], [0, rows, 0]
    if transposed:  # its rows were columns, before they were turned round
        step_left, step_back = [0, columns, 0], [rows, 0, 0]
    axes = step_left + step_back
    unchanged(
        f"ImageOrientationPatient {axes}",
        "mriviewer#221, matRad#117, OHIF#2163",
        lambda path, turned=turned, axes=axes: write(path, hu=turned, ImageOrientationPatient=axes),
    )


@case("orientations that differ within a series", "dicompyler#107", "dicom")
def mixed_orientations(folder: Path) -> Sequence[Image]:
    for place, (flip, axes) in enumerate([(1, [1, 0, 0, 0, 1, 0]), (-1, [-1, 0, 0, 0, 1, 0]), (1, [1, 0, 0, 0, 1, 0])]):
        write(folder / f"{place}.dcm", hu=body(place)[:, ::flip], ImageOrientationPatient=axes, InstanceNumber=place,
              ImagePositionPatient=[0, 0, place])  # fmt: skip
    return [body(place) for place in range(3)]


unchanged(
    "a tilted gantry, 18.5°",
    "dcm2niix#253",
    lambda path: write(path, ImageOrientationPatient=[1, 0, 0, 0, 0.94832, -0.31730]),
)
unchanged(
    "without an orientation",
    "pydicom CT_small.dcm (≈)",
    lambda path: write(path, ImageOrientationPatient=None),
    told="1 slices without ImageOrientationPatient",
)
unchanged(
    "six zeros as orientation",
    "–",
    lambda path: write(path, ImageOrientationPatient=[0] * 6),
    refused=r"1\.dcm: .*ImageOrientationPatient.*Mend",
)
unchanged(
    "a sagittal reformat alone",
    "–",
    lambda path: write(path, ImageOrientationPatient=[0, 1, 0, 0, 0, -1]),
    refused="no CT slice.*not axial",
)

# Real public files, where they are.

_PUBLIC = Path(pydicom.__file__).parent / "data" / "test_files"
for file in ("CT_small.dcm", "693_J2KI.dcm", "J2K_pixelrep_mismatch.dcm"):
    if (_PUBLIC / file).is_file():

        @case(f"the real file {file}", "pydicom#1149, pydicom#693", "dicom")
        def real(folder: Path, file: str = file) -> Sequence[Image]:
            (folder / file).symlink_to(_PUBLIC / file)
            return [_without_padding(by_hand(_PUBLIC / file))]


def _without_padding(image: Image) -> Image:
    return np.where(image < -1100, -1000, image)


_SCANS = Path(__file__).resolve().parents[2] / "shared" / "data" / "ct"
for part in ("abdomen", "head"):
    if (_SCANS / part).is_dir():

        @case(f"a real scan: {part}", "TCIA", "dicom", told="not DICOM")
        def scan(folder: Path, part: str = part) -> Sequence[Image]:
            files = [
                _SCANS / part / name
                for name in ("LICENSE", *sorted(path.name for path in (_SCANS / part).glob("1-0*7.dcm")))
            ]
            for file in files:
                (folder / file.name).symlink_to(file)
            by_place = sorted(files[1:], key=lambda path: float(pydicom.dcmread(path).ImagePositionPatient[2]))
            return [by_hand(path) for path in by_place if path.name != "1-27.dcm"]
