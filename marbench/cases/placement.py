"""Where an implant of the set for any slice goes, told from the HU image alone.

All places are judged at once: the score of a place is the mean of a merit map under the implant, a correlation.
The map is made on a raster of fixed size, whatever the image's resolution, so that the same slice on another grid
yields (nearly) the same place.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from marbench.anatomy.body import body_mask
from marbench.anatomy.resample import resample
from marbench.cases.own_metals import AnyMetal, MaskMetal, draw
from marbench.errors import DataError, GeometryError
from marbench.geometry import ImageGrid
from marbench.phantoms.implants.metal import Site

__all__ = [
    "CELLS",
    "CELL_CM",
    "GAS",
    "OUTSIDE",
    "Pose",
    "coarse",
    "covered_cells",
    "marrow",
    "merit_map",
    "place",
    "whole_pixels",
]

FloatArray = NDArray[np.float64]

CELLS = 128
"""Rows and columns of the raster, which spans the longer side of the image."""

CELL_CM = 0.32
"""Cell size told to `body_mask`, and where sizes in cm are meant: a patient fills the raster at any pixel size."""

MARROW_CM2 = 9.0
"""Larger spaces enclosed by bone are no marrow: the skull, the pelvis."""

OUTSIDE = -1000.0
"""Merit outside the body: no site is good enough to make up for one cell there."""

GAS = -20.0
"""Merit of gas and lung: nor for a twentieth of the implant in gas."""

SPREAD = 0.07
"""Temperature of the draw relative to how far the best place stands above the average one."""


@dataclass(frozen=True)
class Pose:
    """How a metal lies in a slice, as `marbench.phantoms.metals.coverage` takes it: cm and radians."""

    shift: tuple[float, float]
    angle: float = 0.0
    mirror: bool = False


def place(
    metal: AnyMetal,
    image_hu: NDArray[np.floating[Any]],
    grid: ImageGrid,
    reference_pixel: float,
    rng: np.random.Generator,
    angle: float = 0.0,
    scale: float = 1.0,
    mirror: bool = False,
) -> tuple[float, float]:
    """Return the shift, as `coverage` takes it, that puts a metal where such a metal is found.

    The mask lies within the body (table and outside air excluded), and in gas only where nothing else is left. "bone"
    prefers bone and marrow under much of the mask, "teeth" the densest bone in front, "soft" what is neither bone nor
    gas, "any" all tissue alike. One of the good places is drawn, the better the likelier: p ∝ exp(score/temperature).
    A metal too large for the body lies where it sticks out least. One with a place of its own lies there.

    Parameters
    ----------
    metal : Metal or MaskMetal
    image_hu : array ``(rows, columns)``
        HU; the patient lies on the back, anterior is up.
    grid : ImageGrid
    reference_pixel : float
        Length of one reference pixel, cm.
    rng : numpy.random.Generator
        Gives the same number of values, whatever the image.
    angle, scale, mirror
        The metal's pose, as `coverage` takes it.

    Returns
    -------
    (x, y)
        Shift in cm, a whole number of image pixels each.

    Raises
    ------
    GeometryError
        If the image does not fit the grid, or the metal is too small to be seen on the raster.
    DataError
        If the image is not finite.
    """
    picture = coarse(image_hu, grid)
    if isinstance(metal, MaskMetal) and metal.centre is not None:
        return metal.centre
    merit = merit_map(picture, metal.site)
    spectrum, allowed = _footprint(metal, reference_pixel * CELLS / max(grid.field_of_view), angle, scale, mirror)
    score = fft.irfft2(fft.rfft2(merit) * spectrum, merit.shape)
    best = score[allowed].max()
    # Merits of tissue lie between 0 and 1, so what is worse by more than 1 sticks out, or lies in gas.
    fair = score[allowed & (score >= best - 1.0)]
    temperature = max(SPREAD * float(best - fair.mean()), 1e-3)
    # The largest of score/T + Gumbel noise is a draw from the softmax, and noise that belongs to places in the
    # patient, not to candidates in a list, makes the draw much the same at every resolution.
    drawn = np.where(allowed, score + temperature * rng.gumbel(size=merit.shape), -np.inf)
    row, column = divmod(int(np.argmax(drawn)), CELLS)
    # In whole numbers, so that the cm of a pixel have no say in how halves are rounded.
    longer = max(grid.shape)
    x, y = round(_signed(column) * longer / CELLS), round(-_signed(row) * longer / CELLS)
    return x * grid.pixel, y * grid.pixel


def coarse(image_hu: NDArray[np.floating[Any]], grid: ImageGrid) -> FloatArray:
    """Return an image on the raster; GeometryError or DataError where it is none that metal can be put into."""
    if image_hu.shape != grid.shape:
        raise GeometryError(f"place needs an image of the grid's shape {grid.shape}. Got {image_hu.shape}.")
    if not np.isfinite(image_hu).all():
        raise DataError(f"place needs finite HU. Got {np.count_nonzero(~np.isfinite(image_hu))} pixels that are not.")
    raster = ImageGrid(CELLS, CELLS, max(grid.field_of_view) / CELLS)
    image = image_hu if grid == raster else resample(image_hu, (grid.pixel, grid.pixel), raster, "image")
    return image.astype(np.float64)


def merit_map(hu: FloatArray, site: Site) -> FloatArray:
    """Return how well each cell of the raster suits a site: 0 … 1 in tissue."""
    body = body_mask(hu, (CELL_CM, CELL_CM))
    # One cell of margin: pixels of a finer grid may lie outside a cell that is mostly body.
    inner = ndimage.binary_erosion(body, np.ones((3, 3))) if body.any() else np.ones_like(body)
    bone = np.clip((hu - 150.0) / 100.0, 0.0, 1.0)
    if site == "bone":
        merit = np.maximum(bone, marrow(bone > 0.5))
    elif site == "teeth":
        merit = np.clip((hu - 300.0) / 1200.0, 0.0, 1.0) * _anterior(body) ** 2
    elif site == "soft":
        merit = 1.0 - bone
    else:
        merit = np.ones_like(hu)
    gas = np.clip((-250.0 - hu) / 250.0, 0.0, 1.0)
    return np.where(inner, merit + GAS * gas, OUTSIDE)


def marrow(bone: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the small spaces that bone on the raster encloses."""
    spaces, _ = ndimage.label(~bone)
    small = np.bincount(spaces.ravel()) * CELL_CM**2 <= MARROW_CM2
    enclosed: NDArray[np.bool_] = ~bone & small[spaces]
    return enclosed


def _anterior(body: NDArray[np.bool_]) -> FloatArray:
    """Return 1 at the front of the body, 0 at its back, shape ``(rows, 1)``."""
    rows = np.flatnonzero(body.any(axis=1))
    if rows.size < 2:
        return np.ones((body.shape[0], 1))
    height: FloatArray = (rows[-1] - np.arange(body.shape[0])[:, None]) / (rows[-1] - rows[0])
    return np.clip(height, 0.0, 1.0)


@lru_cache(maxsize=64)
def _footprint(
    metal: AnyMetal, reference_cells: float, angle: float, scale: float, mirror: bool
) -> tuple[NDArray[np.complex128], NDArray[np.bool_]]:
    """Return the conjugate spectrum of a metal's normalised footprint, and the shifts that keep it on the raster."""
    covered = covered_cells(metal, reference_cells, angle, scale, mirror)
    rows, columns = (np.flatnonzero(covered.any(axis=axis)) for axis in (1, 0))
    steps = _signed(np.arange(CELLS))
    allowed_rows = (rows[0] + steps >= 0) & (rows[-1] + steps < CELLS)
    allowed_columns = (columns[0] + steps >= 0) & (columns[-1] + steps < CELLS)
    spectrum = np.conj(fft.rfft2(covered / np.count_nonzero(covered)))
    return spectrum, allowed_rows[:, None] & allowed_columns[None, :]


def covered_cells(
    metal: AnyMetal, reference_cells: float, angle: float, scale: float, mirror: bool
) -> NDArray[np.bool_]:
    """Return the cells of the raster that a metal in its middle touches; a reference pixel is that many cells long.

    Raises
    ------
    GeometryError
        There is none.
    """
    grid = ImageGrid(CELLS, CELLS, 1.0)
    areas = draw(metal, grid, reference_cells, (0.0, 0.0), angle, scale, mirror)
    covered: NDArray[np.bool_] = np.add.reduce(list(areas.values())) > 0
    if not covered.any():
        raise GeometryError(
            f"The metal {metal.id!r} covers nothing of a picture that is {CELLS / reference_cells:.3g} reference "
            "pixels wide: metals.reference_pixel_cm does not fit the grid."
        )
    return covered


def _signed(step: Any) -> Any:
    """Return a circular shift 0 … CELLS − 1 as a shift to either side."""
    return (step + CELLS // 2) % CELLS - CELLS // 2


def whole_pixels(x: float, y: float, length: float, grid: ImageGrid) -> tuple[float, float]:
    """Return a shift in units of ``length`` (cm) as a whole number of image pixels, in cm."""
    return round(x * length / grid.pixel) * grid.pixel, round(y * length / grid.pixel) * grid.pixel
