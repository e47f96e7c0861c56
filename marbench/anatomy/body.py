"""Finding the patient in a CT slice: the body without the table."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

__all__ = ["body_centre", "body_extent", "body_mask"]

TISSUE_HU = -300.0
"""Above it lies everything but gas, lung and the foam inside the table."""

COARSE_CM = 0.3
THINNEST_CM = 1.5
"""Thinner sheets are the shells of table and headrest, clothes and blankets."""

SECOND_PART = 0.25
"""A part this large relative to the largest belongs to the body too: the other leg."""


def body_mask(image: NDArray[np.floating[Any]], spacing: tuple[float, float]) -> NDArray[np.bool_]:
    """Return the pixels of the patient, inner gas included, table and headrest excluded.

    Parameters
    ----------
    image : array ``(rows, columns)``
        HU.
    spacing : (row, column)
        Pixel size in cm.

    Returns
    -------
    bool array ``(rows, columns)``
        All false where nothing in the picture is as thick as a body.
    """
    steps = [max(1, round(COARSE_CM / size)) for size in spacing]
    thick = _thick_parts(_block_means(image, steps[0], steps[1]) > TISSUE_HU)
    near = np.repeat(np.repeat(thick, steps[0], axis=0), steps[1], axis=1)[: image.shape[0], : image.shape[1]]
    body: NDArray[np.bool_] = scipy.ndimage.binary_fill_holes(near & (image > TISSUE_HU))
    return body


def body_centre(image: NDArray[np.floating[Any]], spacing: tuple[float, float]) -> tuple[float, float]:
    """Return the (row, column) centre of the body's bounding box, or of the picture where there is no body."""
    (top, bottom), (left, right) = _bounding_box(image, spacing)
    return (top + bottom) / 2, (left + right) / 2


def body_extent(image: NDArray[np.floating[Any]], spacing: tuple[float, float]) -> tuple[float, float]:
    """Return (height, width) of the body's bounding box in cm, or of the picture where there is no body."""
    (top, bottom), (left, right) = _bounding_box(image, spacing)
    return (bottom - top + 1) * spacing[0], (right - left + 1) * spacing[1]


def _bounding_box(
    image: NDArray[np.floating[Any]], spacing: tuple[float, float]
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the first and the last row, and column, of the body, or of the picture where there is no body."""
    body = body_mask(image, spacing)
    if not body.any():
        return (0, image.shape[0] - 1), (0, image.shape[1] - 1)
    rows, columns = np.flatnonzero(body.any(axis=1)), np.flatnonzero(body.any(axis=0))
    return (int(rows[0]), int(rows[-1])), (int(columns[0]), int(columns[-1]))


def _block_means(image: NDArray[np.floating[Any]], down: int, across: int) -> NDArray[np.floating[Any]]:
    """Average ``down × across`` blocks; the last ones are completed with air."""
    rows, columns = image.shape
    padding = ((0, -rows % down), (0, -columns % across))
    padded = np.pad(image, padding, constant_values=-1000.0)
    blocks = padded.reshape(padded.shape[0] // down, down, padded.shape[1] // across, across)
    means: NDArray[np.floating[Any]] = blocks.mean(axis=(1, 3))
    return means


def _thick_parts(tissue: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the neighbourhood of the large parts that are thicker than ``THINNEST_CM``, on the coarse grid."""
    # Two erosions with a plus of 3 pixels remove what is thinner than 5 coarse pixels; the frame counts as
    # tissue, or a body that reaches beyond the picture would be peeled there.
    erosions = int(THINNEST_CM / COARSE_CM) // 2
    core = scipy.ndimage.binary_erosion(scipy.ndimage.binary_fill_holes(tissue), iterations=erosions, border_value=1)
    labels, parts = scipy.ndimage.label(core)
    if parts == 0:
        return np.zeros_like(tissue)
    areas = np.bincount(labels.ravel())
    areas[0] = 0
    large = areas >= SECOND_PART * areas.max()
    grown: NDArray[np.bool_] = scipy.ndimage.binary_dilation(large[labels], iterations=erosions + 1)
    return grown
