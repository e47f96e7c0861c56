"""What a DICOM header says of the pixels: numbers, where the slice lies, what turns stored values into HU."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from marbench.anatomy.native import DEFAULT_WINDOW
from marbench.anatomy.proof import unlikely_size
from marbench.anatomy.regions import region_of
from marbench.anatomy.resample import Fit
from marbench.errors import DataError

__all__ = ["Calibration", "axes_of", "calibration", "numbers", "position", "whole"]

HIGHEST_LEVEL_HU, NARROWEST_HU, WIDEST_HU = 1000.0, 20.0, 6000.0
"""Display windows go from 40 HU for strokes to 4000 and more for the inner ear and implants, about levels from −700 in
lungs to 800. The soft tissue window of values that are HU + 1024 has the level 1064."""

SPACING_BY_FIT_CM = 0.08
"""Stands in for a missing spacing where the whole picture is fitted: only metal screening sees it."""


@dataclass(frozen=True)
class Calibration:
    """What turns stored values into HU on a grid of known size, the patient's right on the left, anterior up.

    Attributes
    ----------
    slope, intercept : float
    spacing : (row, column)
        Of the stored picture, in cm.
    window : (low, high)
        HU.
    odd_window : bool
        Whether the header's window is none of HU, but of stored values or the whole range of a viewer: the default
        takes its place.
    region : str
    turn : (transpose, flip rows, flip columns)
        What to do to the stored picture, in this order.
    """

    slope: float
    intercept: float
    spacing: tuple[float, float]
    window: tuple[float, float]
    odd_window: bool
    region: str
    turn: tuple[bool, bool, bool]


def numbers(header: Any, keyword: str, count: int) -> NDArray[np.float64] | None:
    """Return the numbers of an attribute; None where they are missing or none."""
    try:
        values = np.array(header[keyword].value, dtype=float).reshape(count)
    except Exception:  # pydicom raises kinds of its own where the length of a value does not fit its type
        return None
    return values if np.isfinite(values).all() else None


def whole(header: Any, keyword: str) -> int:
    """Return a number that merely names, counts or orders; 0 where there is none."""
    number = numbers(header, keyword, 1)
    return 0 if number is None else int(number[0])


def axes_of(header: Any) -> NDArray[np.float64]:
    """Return the directions along a row and down a column, to the patient's (left, posterior, head)."""
    if not header.get("ImageOrientationPatient"):
        return np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])  # `DicomFolder` tells that it is not known
    cosines = numbers(header, "ImageOrientationPatient", 6)
    axes = np.zeros((2, 3)) if cosines is None else cosines.reshape(2, 3)
    if np.abs(axes @ axes.T - np.eye(2)).max() > 0.01:
        raise DataError(
            "expected ImageOrientationPatient of two perpendicular directions of length 1, without which left and "
            "right are unknown; it is not that. Mend the attribute or take the file out of the folder."
        )
    return axes


def position(header: Any) -> float | None:
    """Return where the slice lies along the patient, towards the head, in mm; None where that is unknown."""
    corner = numbers(header, "ImagePositionPatient", 3)
    normal = np.cross(*axes_of(header))
    return None if corner is None else float(np.dot(normal * np.sign(normal[2]), corner))


def calibration(header: Any, fit: Fit) -> Calibration:
    """Read and check what the header says of the pixels.

    Raises
    ------
    DataError
        Names the attribute that is missing, no number, or not of a slice.
    """
    _expect("16 bits per pixel", "BitsAllocated", header.get("BitsAllocated"), {16, 32})
    _expect("one slice per file", "NumberOfFrames", _count(header), {1})
    # MONOCHROME1 asks viewers to show low values bright; it does not change what the values mean.
    slope, intercept = _number(header, "RescaleSlope"), _number(header, "RescaleIntercept")
    if slope == 0:
        raise DataError("expected a RescaleSlope other than 0. Take the file out of the folder.")
    region = region_of(str(header.get("BodyPartExamined") or ""))
    window = _window(header)
    odd = window is not None and not _is_of_tissue(*window)
    shown = DEFAULT_WINDOW if window is None or odd else window
    return Calibration(slope, intercept, _spacing(header, fit), shown, odd, region, _turn(axes_of(header)))


def _turn(axes: NDArray[np.float64]) -> tuple[bool, bool, bool]:
    """Return whether to transpose, flip the rows and flip the columns, so that they run to posterior and to the left.

    >>> _turn(np.array([[1.0, 0, 0], [0, 1, 0]])), _turn(np.array([[0.0, -1, 0], [1, 0, 0]]))
    ((False, False, False), (True, True, False))
    """
    along_row, down_column = axes
    transpose = abs(along_row[0]) < abs(along_row[1])
    to_left, to_back = (down_column, along_row) if transpose else (along_row, down_column)
    return bool(transpose), bool(to_back[1] < 0), bool(to_left[0] < 0)


def _expect(what: str, keyword: str, value: object, valid: set[Any]) -> None:
    if value not in valid:
        wanted = " or ".join(map(str, sorted(valid)))
        raise DataError(
            f"expected {what}, {keyword} {wanted}. Got {value}. Convert the file or take it out of the folder."
        )


def _count(header: Any) -> int:
    element = header.get_item("NumberOfFrames")
    if element is None or not element.value:
        return 1
    count = numbers(header, "NumberOfFrames", 1)
    if count is None or count[0] % 1:
        raise DataError("expected a whole number as NumberOfFrames. Mend it or take the file out of the folder.")
    return int(count[0])


def _number(header: Any, keyword: str) -> float:
    value = numbers(header, keyword, 1)
    if value is None:
        raise DataError(
            f"expected a finite {keyword}, without which HU are unknown; it is missing or not a number. "
            "Take the file out of the folder."
        )
    return float(value[0])


def _spacing(header: Any, fit: Fit) -> tuple[float, float]:
    sizes = numbers(header, "PixelSpacing", 2)
    known = sizes is not None and sizes.min() > 0
    if known and sizes is not None:
        spacing = float(sizes[0]) / 10, float(sizes[1]) / 10
        if fit == "physical" or unlikely_size(spacing, (header.Rows, header.Columns)) is None:
            return spacing
    if fit == "image":
        return SPACING_BY_FIT_CM, SPACING_BY_FIT_CM
    raise DataError(
        'expected PixelSpacing of two positive numbers for fit = "physical"; it is missing or invalid. '
        'Take the file out of the folder, or use fit = "image", which ignores the spacing.'
    )


def _window(header: Any) -> tuple[float, float] | None:
    """Return (low, high) of the display window, as it stands there; None where there is none."""
    try:
        level, width = (float(np.atleast_1d(header[key].value)[0]) for key in ("WindowCenter", "WindowWidth"))
    except Exception:  # see `numbers`
        return None
    if not (math.isfinite(level) and math.isfinite(width) and width > 0):
        return None
    return level - width / 2, level + width / 2


def _is_of_tissue(low: float, high: float) -> bool:
    return abs(low + high) / 2 <= HIGHEST_LEVEL_HU and NARROWEST_HU <= high - low <= WIDEST_HU
