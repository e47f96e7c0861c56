"""The metal library: implants as axial CT slices show them, drawn on any grid as area fractions.

A metal is a continuous drawing, so its coverage can be computed on any grid, at any sub-pixel shift, angle and scale.
Sizes are declared on the reference grid, 416 × 416 pixels (Lin et al., "DuDoNet", CVPR 2019): one *reference pixel* is
a length in cm that the benchmark states, and a metal has the same physical size on every grid.
The ten test metals cover the paper's [2054, 879, 878, 448, 242, 115, 115, 111, 53, 32] pixels; the ninety for training
spread log-uniformly over its 16–4967 pixels, the ten for validation over 2000–31.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from typing import get_args

import numpy as np
import scipy
from numpy.typing import NDArray

from marbench.anatomy.slices import Split
from marbench.errors import DataError, GeometryError
from marbench.geometry import ImageGrid
from marbench.phantoms.implants import catalogue
from marbench.phantoms.implants.metal import CENTRE, MATERIALS, Material, Metal, Part, Site
from marbench.phantoms.implants.raster import Frame, paint
from marbench.phantoms.shapes import Union

__all__ = ["MATERIALS", "Material", "Metal", "Part", "Site", "coverage", "library", "mask", "whole_pixels"]


# Powers of 2, so that fractions and their sums are exact in float32.
SAMPLES_PER_SIDE = 8
SAMPLES_PER_SIDE_COARSE = 16


@cache
def library(split: Split, region: str | None = None) -> tuple[Metal, ...]:
    """Return the metals of a split, none of which stands in another.

    90 to train with, by increasing size; 10 to validate and 10 to test with, by decreasing size.

    Parameters
    ----------
    split : {"train", "val", "test"}
    region : str, optional
        A region of the body, for the metals that surgeons put there (the neck takes those of the spine). Left out, or
        where a region has none (a scene, say), they are those for any slice. Test metals of all regions have the same
        sizes. Those to train and to validate with have the sizes of the set for any slice, as far as such implants go.

    Raises
    ------
    DataError
        There is no such split.
    """
    if split not in get_args(Split):
        raise DataError(f"The metal library has the splits {', '.join(get_args(Split))}. Got {split!r}.")
    general = catalogue.metals(split)
    own = next((one for one in get_args(catalogue.Region) if one == ("spine" if region == "neck" else region)), None)
    return general if own is None else catalogue.regional(split, own, [metal.area_px for metal in general])


def coverage(
    metal: Metal,
    grid: ImageGrid,
    reference_pixel: float,
    shift: tuple[float, float] = (0.0, 0.0),
    angle: float = 0.0,
    scale: float = 1.0,
    mirror: bool = False,
) -> dict[str, NDArray[np.float32]]:
    """Return the fraction of every pixel's area that each material covers.

    The metal is mirrored left to right (if so told), scaled, turned and shifted, in this order; it may leave the grid.
    Fractions are counted from 8 × 8 samples per pixel, 16 × 16 where its pixels are one and a half times as
    wide as those of the (scaled) reference or wider.
    Shifts by whole pixels shift the result bit for bit.

    Parameters
    ----------
    metal : Metal
    grid : ImageGrid
    reference_pixel : float
        Length of one reference pixel, cm.
    shift : (x, y)
        Where the metal's centre comes to lie, cm from the isocentre; x to the right, y up.
    angle : float
        Radians, counter-clockwise.
    scale : float
        Factor on lengths; the area grows with its square.
    mirror : bool
        Whether to exchange left and right first.

    Returns
    -------
    dict
        Material → float32 array ``(rows, columns)`` in [0, 1]. The sum over materials nowhere exceeds 1.

    Raises
    ------
    GeometryError
        If ``reference_pixel`` or ``scale`` is not positive.
    """
    for name, length in (("reference_pixel (cm)", reference_pixel), ("scale", scale)):
        if not (math.isfinite(length) and length > 0):
            raise GeometryError(f"coverage: {name} must be a positive number. Got {length!r}.")
    per_side = SAMPLES_PER_SIDE if grid.pixel < 1.5 * scale * reference_pixel else SAMPLES_PER_SIDE_COARSE
    frame = Frame(
        rows=grid.rows,
        columns=grid.columns,
        unit=metal.unit * scale * (reference_pixel / grid.pixel),
        x=shift[0] / grid.pixel,
        y=shift[1] / grid.pixel,
        angle=angle,
        mirror=mirror,
        centre=(CENTRE[0] / metal.unit, CENTRE[1] / metal.unit),
        per_side=per_side,
    )
    materials = metal.materials
    fractions = {str(material): np.zeros(grid.shape, dtype=np.float32) for material in materials}
    window = frame.window(Union(tuple(part.shape for part in metal.parts)).bounds)
    samples = np.zeros((*window.shape, per_side**2), dtype=np.uint8)
    if samples.size == 0:
        return fractions
    for part in metal.parts:
        paint(samples, window, part.shape, materials.index(part.material) + 1, frame)
    for label, material in enumerate(materials, start=1):
        fractions[material][window.slices] = np.count_nonzero(samples == label, axis=2) / per_side**2
    return fractions


def whole_pixels(coverage_by_material: Mapping[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
    """Return metal as masks have it: 1 in the pixels of `mask`, of the material that covers most of each, else 0."""
    metal, most = mask(coverage_by_material), np.argmax(list(coverage_by_material.values()), axis=0)
    return {name: (metal & (most == order)).astype(np.float32) for order, name in enumerate(coverage_by_material)}


def mask(coverage_by_material: Mapping[str, NDArray[np.float32]]) -> NDArray[np.bool_]:
    """Return the metal pixels: those covered by half or more, and what would be lost without others.

    A clip or a thin wire may cover no pixel of a coarse grid by half. So a pixel that is covered less counts too if it
    is covered more than all its eight neighbours and none of these is metal: no separate part is lost.

    Parameters
    ----------
    coverage_by_material : mapping
        As `coverage` returns it; at least one material.

    Returns
    -------
    bool array ``(rows, columns)``

    Raises
    ------
    DataError
        If there is no material.
    """
    if not coverage_by_material:
        raise DataError("mask needs the coverage of at least one material. Got none.")
    whole: NDArray[np.float32] = np.add.reduce(list(coverage_by_material.values()))
    metal: NDArray[np.bool_] = whole >= 0.5
    rows, columns = (np.flatnonzero((whole > 0).any(axis=axis)) for axis in (1, 0))
    if rows.size == 0:
        return metal
    window = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    # Of pixels covered alike the first is the fullest: what is taken off is less than the smallest step, 1/256.
    order = np.arange(whole[window].size).reshape(whole[window].shape) / whole[window].size
    rank = whole[window] - order / 512
    fullest = (whole[window] > 0) & (rank == scipy.ndimage.maximum_filter(rank, size=3))
    metal[window] |= fullest & ~scipy.ndimage.binary_dilation(metal[window], np.ones((3, 3)))
    return metal
