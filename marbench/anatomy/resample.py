"""From the matrix of a scanner to an image grid, without aliasing and without a half-pixel shift."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse

from marbench.anatomy.body import body_centre
from marbench.geometry import ImageGrid

__all__ = ["AIR_HU", "Fit", "Placement", "averaged", "interpolated", "placement_of", "resample"]

AIR_HU = -1000.0

Fit = Literal["physical", "image"]
"""``physical`` keeps the true size of the patient; ``image`` scales the whole picture to the field of view."""


@dataclass(frozen=True)
class Placement:
    """How a picture lies on a grid.

    Attributes
    ----------
    spacing : (row, column)
        What a pixel of the picture measures on the grid, cm: of ``fit="image"`` another length than in the patient.
    centre : (row, column)
        Where in the picture the isocentre is, in pixels.
    """

    spacing: tuple[float, float]
    centre: tuple[float, float]


def placement_of(
    image: NDArray[np.floating[Any]], spacing: tuple[float, float], grid: ImageGrid, fit: Fit
) -> Placement:
    """Return how a slice is put on a grid; the parameters are those of `resample`."""
    if fit == "physical":
        return Placement(spacing, body_centre(image, spacing))
    extent = image.shape[0] * spacing[0], image.shape[1] * spacing[1]
    scale = min(grid.field_of_view[0] / extent[0], grid.field_of_view[1] / extent[1])
    return Placement((spacing[0] * scale, spacing[1] * scale), ((image.shape[0] - 1) / 2, (image.shape[1] - 1) / 2))


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
    return averaged(image, placement_of(image, spacing, grid, fit), grid)


def averaged(
    image: NDArray[np.floating[Any]], place: Placement, grid: ImageGrid, around: float = AIR_HU
) -> NDArray[np.float32]:
    """Return a picture on a grid as `resample` does, ``around`` being what lies outside it."""
    down, across = (
        _averaging(image.shape[axis], place.centre[axis], grid.shape[axis], grid.pixel / place.spacing[axis])
        for axis in (0, 1)
    )
    above = across @ (down @ (image.astype(np.float64) - around)).T
    return np.ascontiguousarray(above.T + around, dtype=np.float32)


def interpolated(
    image: NDArray[np.floating[Any]], place: Placement, grid: ImageGrid, shape: tuple[int, int]
) -> NDArray[np.float32]:
    """Return an image on a grid, ``grid.shape``, in the pixels of the picture, ``shape``, by cubic splines.

    What lies outside the grid is 0, and the identity is exact: it passes through the values at the grid's pixels.
    """
    rows, columns = (
        (np.arange(shape[axis]) - place.centre[axis]) * (place.spacing[axis] / grid.pixel) + (grid.shape[axis] - 1) / 2
        for axis in (0, 1)
    )
    coefficients = ndimage.spline_filter(image.astype(np.float64), order=3, mode="mirror")
    where = np.meshgrid(rows, columns, indexing="ij")
    fine = ndimage.map_coordinates(coefficients, where, order=3, mode="mirror", prefilter=False)
    # Half a pixel beyond the outermost centres the grid ends.
    for axis, at in enumerate((rows[:, None], columns[None, :])):
        fine = np.where(np.abs(at - (grid.shape[axis] - 1) / 2) <= grid.shape[axis] / 2, fine, 0.0)
    return np.asarray(fine, dtype=np.float32)


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
