"""The formats in which the arrays of a case are written for other programs."""

from __future__ import annotations

import importlib
import io
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import scipy.io
from numpy.typing import NDArray

from marbench.anatomy.dicom_header import pydicom
from marbench.errors import DataError
from marbench.machine.arrays import npz

__all__ = ["FORMATS", "QUANTITIES", "CaseFiles", "Quantity", "hdf5", "sidecar"]

Arrays = Mapping[str, NDArray[Any]]
Facts = Mapping[str, Any]


@dataclass(frozen=True)
class Quantity:
    """What an array of a case is: its unit, its axes, and whether a method must not see it.

    ``meaning`` takes values of the benchmark's ``[metals]`` in braces.
    """

    unit: str
    axes: str
    meaning: str
    truth: bool = False


_IMAGE, _RAYS = "(rows, columns)", "(views, bins)"
QUANTITIES: dict[str, Quantity] = {
    "image_hu": Quantity("HU", _IMAGE, "uncorrected reconstruction"),
    "truth_hu": Quantity("HU", _IMAGE, "what a perfect method would return", truth=True),
    "sinogram_line_integral": Quantity("", _RAYS, "measured, corrected for beam hardening in water"),
    "truth_sinogram_line_integral": Quantity("", _RAYS, "the same without metal", truth=True),
    "metal_mask": Quantity(
        "",
        _IMAGE,
        (
            "pixels taken for metal: at least half metal, of a piece that covers none by half the fullest one; or "
            "those of `[segmentation]` or of recorded files"
        ),
    ),
    "metal_any": Quantity("", _IMAGE, "pixels that hold any metal; they are not scored", truth=True),
    "metal_trace": Quantity(
        "", _RAYS, "rays whose line integral through metal exceeds {trace_threshold:g}; or those of recorded files"
    ),
    "window_hu": Quantity("HU", "(low, high)", "display window"),
}


@dataclass(frozen=True)
class CaseFiles:
    """A format: suffix of the file that is written last, encoder to suffix → bytes, and how the files are read."""

    suffix: str
    encode: Callable[[Arrays, Facts], dict[str, bytes]]
    reading: str


def hdf5() -> ModuleType:
    """Return h5py; DataError says how to install it."""
    try:
        return importlib.import_module("h5py")
    except ImportError as error:
        raise DataError('HDF5 needs h5py, which is not installed: pip install "marbench[hdf5]"') from error


def sidecar(arrays: Arrays, facts: Facts, files: Mapping[str, str]) -> bytes:
    """Return the JSON text beside the files of a case: its facts, and of every array file, shape, type, unit, axes."""
    about = {
        name: {
            "file": f"{facts['case_id']}{files[name]}",
            "shape": list(array.shape),
            "dtype": "float32" if array.dtype.kind == "f" else "uint8",
            "unit": QUANTITIES[name].unit,
            "axes": QUANTITIES[name].axes,
        }
        for name, array in arrays.items()
        if name in files
    }
    return json.dumps({**facts, "arrays": about}, indent=1, sort_keys=True).encode() + b"\n"


def _npz(arrays: Arrays, facts: Facts) -> dict[str, bytes]:
    return {".npz": npz({**arrays, "info_json": np.array(json.dumps(facts, sort_keys=True))})}


def _hdf5(arrays: Arrays, facts: Facts) -> dict[str, bytes]:
    buffer = io.BytesIO()
    with hdf5().File(buffer, "w") as file:
        for name, array in arrays.items():
            stored = file.create_dataset(name, data=_plain(array), track_times=False)  # equal cases, equal bytes
            stored.attrs["unit"], stored.attrs["axes"] = QUANTITIES[name].unit, QUANTITIES[name].axes
    return {".h5": buffer.getvalue(), ".json": sidecar(arrays, facts, dict.fromkeys(arrays, ".h5"))}


def _mat(arrays: Arrays, facts: Facts) -> dict[str, bytes]:
    buffer = io.BytesIO()
    # Masks as logical, which scipy makes of booleans; vectors as rows.
    scipy.io.savemat(buffer, dict(arrays), do_compression=True, oned_as="row")
    # The text at the head of the file holds the date: equal cases are to give equal bytes.
    content = b"MATLAB 5.0 MAT-file, written by marbench".ljust(116) + buffer.getvalue()[116:]
    return {".mat": content, ".json": sidecar(arrays, facts, dict.fromkeys(arrays, ".mat"))}


def _raw(arrays: Arrays, facts: Facts) -> dict[str, bytes]:
    names = {name: f".{name}.raw" for name in arrays if name != "window_hu"}  # the sidecar has the window
    files = {names[name]: _plain(arrays[name]).tobytes() for name in names}
    return {**files, ".json": sidecar(arrays, facts, names)}


def _dicom(arrays: Arrays, facts: Facts) -> dict[str, bytes]:
    images = {name: f".{name}.dcm" for name in arrays if name.endswith("_hu") and name != "window_hu"}
    others = _raw({name: array for name, array in arrays.items() if name not in images}, facts)
    names = {name: images.get(name, f".{name}.raw") for name in arrays if name != "window_hu"}
    pictures = {suffix: _ct_image(name, arrays[name], facts) for name, suffix in images.items()}
    return {**pictures, **others, ".json": sidecar(arrays, facts, names)}


def _plain(array: NDArray[Any]) -> NDArray[Any]:
    """Return float32 or uint8, little-endian: what every language reads."""
    return np.ascontiguousarray(array, dtype="<f4" if array.dtype.kind == "f" else np.uint8)


def _ct_image(name: str, image: NDArray[Any], facts: Facts) -> bytes:
    """Return a CT image of 16 bits, in HU by its rescale slope and intercept (DICOM PS3.3, C.8.2)."""
    package = pydicom()
    uid = package.uid
    low, high = math.floor(image.min()), math.ceil(image.max())
    # The finest power of two that holds the range, metal of 20 000 HU included: 1/2 HU there, far below the noise.
    slope = max(2.0 ** math.ceil(math.log2(max(high - low, 1) / 65535)), 2.0**-6)
    dataset = package.Dataset()
    dataset.file_meta = package.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = uid.CTImageStorage
    # The same case has the same UIDs, in whichever folder.
    seeds = [str(facts[key]) for key in ("benchmark", "patient_id", "slice_id", "case_id")]
    dataset.SOPInstanceUID = uid.generate_uid(entropy_srcs=[*seeds, name])
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.StudyInstanceUID = uid.generate_uid(entropy_srcs=seeds[:2])
    # Viewers and converters stack what is of one series: image and truth lie in the same place.
    dataset.SeriesInstanceUID = uid.generate_uid(entropy_srcs=[*seeds, name, "series"])
    dataset.FrameOfReferenceUID = uid.generate_uid(entropy_srcs=seeds)
    dataset.Modality, dataset.ImageType = "CT", ["DERIVED", "SECONDARY", "AXIAL"]
    dataset.PatientID, dataset.PatientName, dataset.SeriesDescription = facts["patient_id"], "", name
    dataset.StudyDate = dataset.StudyTime = dataset.AccessionNumber = dataset.StudyID = ""
    dataset.SeriesNumber = 2 * int(facts["case_index"]) + int(QUANTITIES[name].truth) + 1
    dataset.InstanceNumber = 1
    dataset.Rows, dataset.Columns = image.shape
    millimetres = 10 * float(facts["pixel_cm"])
    corner = [-(size - 1) / 2 * millimetres for size in (image.shape[1], image.shape[0])]
    dataset.PixelSpacing, dataset.SliceThickness = [f"{millimetres:.10g}"] * 2, f"{millimetres:.10g}"
    dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    dataset.ImagePositionPatient = [f"{value:.10g}" for value in (*corner, 0.0)]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 0
    dataset.RescaleSlope, dataset.RescaleIntercept, dataset.RescaleType = f"{slope:.10g}", f"{low}", "HU"
    window = facts["window"]
    dataset.WindowCenter, dataset.WindowWidth = f"{sum(window) / 2:.10g}", f"{window[1] - window[0]:.10g}"
    dataset.PixelData = np.rint((image.astype(np.float64) - low) / slope).clip(0, 65535).astype("<u2").tobytes()
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


_RAW = """\
Arrays are flat files, <case_id>.<array>.raw, row by row, little-endian: float32, masks uint8 (0 or 1).
  Python  numpy.fromfile(file, "<f4").reshape(rows, columns)
  MATLAB  f = fopen(file); image = fread(f, [columns rows], 'float32')'; fclose(f);
  C       fread(image, sizeof(float), rows * columns, file);"""
_BESIDE = "<case_id>.json says what the case is, and of every array file, shape, type, unit and axes."

FORMATS: dict[str, CaseFiles] = {
    "npz": CaseFiles(
        ".npz",
        _npz,
        'One file per case, <case_id>.npz. Python: numpy.load(file)["image_hu"]; info_json says what it is.',
    ),
    "h5": CaseFiles(
        ".json",
        _hdf5,
        "One HDF5 file per case, <case_id>.h5: a dataset per array, float32, masks uint8 (0 or 1).\n"
        '  Python  h5py.File(file)["image_hu"][:]\n'
        "  MATLAB  image = h5read(file, '/image_hu')';   % the axes come in reverse order, hence the '\n" + _BESIDE,
    ),
    "raw": CaseFiles(".json", _raw, f"{_RAW}\n{_BESIDE}"),
    "mat": CaseFiles(
        ".json",
        _mat,
        "One MAT file (version 5) per case, <case_id>.mat: a variable per array, single, masks logical.\n"
        "  MATLAB  scan = load(file); image = scan.image_hu;\n" + _BESIDE,
    ),
    "dicom": CaseFiles(
        ".json",
        _dicom,
        "Images are DICOM, <case_id>.image_hu.dcm, 16 bits: HU = stored * RescaleSlope + RescaleIntercept. The other\n"
        f"arrays have no place in DICOM. {_RAW}\n{_BESIDE}",
    ),
}
"""Name of a format → how a case is written in it."""
