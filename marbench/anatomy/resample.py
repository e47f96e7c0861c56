"""From the matrix of a scanner to an image grid, without aliasing and without a half-pixel shift."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from marbench.anatomy.body import body_centre
from marbench.geometry import ImageGrid

__all__ = ["AIR_HU", "Fit", "resample"]

AIR_HU = -1000.0

Fit = Literal["physical", "image"]
"""``physical`` keeps the true size of the patient; ``image`` scales the whole picture to the field of view."""


def resample(
    image: NDArray[np.floating[Any]], spacing: tuple[float, float], grid: ImageGrid, fit: Fit
) -> NDArray[np.float32]:
    """Return a slice on a grid; row 0 stays the top row.

    A target pixel is the mean over a square as wide as itself, or as a source pixel where those are larger:
    the exact area average when pixels grow, linear interpolation when they shrink, and the identity when
    nothing changes. What lies outside the source is air.

    Parameters
    ----------
    image : array ``(rows, columns)``
        HU.
    spacing : (row, column)
        Source pixel size in cm; the two may differ.
    grid : ImageGrid
    fit : {"physical", "image"}
        ``physical`` keeps lengths and brings the middle of the body's bounding box to the isocentre. ``image``
        scales the whole picture, its aspect kept, to fill the field of view, whatever the spacing.

    Returns
    -------
    float32 array ``grid.shape``
        HU, nothing below −1000.
    """
    if fit == "image":
        extent = image.shape[0] * spacing[0], image.shape[1] * spacing[1]
        scale = min(grid.field_of_view[0] / extent[0], grid.field_of_view[1] / extent[1])
        spacing = spacing[0] * scale, spacing[1] * scale
        centre = (image.shape[0] - 1) / 2, (image.shape[1] - 1) / 2
    else:
        centre = body_centre(image, spacing)
    down = _averaging(image.shape[0], centre[0], grid.rows, grid.pixel / spacing[0])
    across = _averaging(image.shape[1], centre[1], grid.columns, grid.pixel / spacing[1])
    above_air = across @ (down @ (image.astype(np.float64) - AIR_HU)).T
    return np.ascontiguousarray(above_air.T + AIR_HU, dtype=np.float32)


def _averaging(cells: int, centre: float, targets: int, pixel: float) -> Any:
    """Return the sparse ``(targets, cells)`` matrix of means along one axis; lengths in source cells.

    Sparse products sum in one fixed order, on any number of threads.
    """
    width = max(pixel, 1.0)
    low = centre + (np.arange(targets) - (targets - 1) / 2) * pixel - width / 2
    # Cell j covers j − 1/2 … j + 1/2.
    cell = np.floor(low + 0.5).astype(np.int64)[:, None] + np.arange(math.ceil(width) + 1)
    overlap = np.minimum(cell + 0.5, low[:, None] + width) - np.maximum(cell - 0.5, low[:, None])
    row = np.broadcast_to(np.arange(targets)[:, None], cell.shape)
    used = (overlap > 0) & (cell >= 0) & (cell < cells)
    return sparse.csr_array((overlap[used] / width, (row[used], cell[used])), shape=(targets, cells))
