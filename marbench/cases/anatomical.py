"""Implants where surgeons put them, told from the HU image: the place, and how the implant is turned there.

A place is found by what lies about it (a table, `marbench.cases.sites`), on the raster of `marbench.cases.placement`.
The best places are then judged by what the implant would lie in at each: bone, teeth or soft tissue, and no gas.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, signal

from marbench.anatomy.body import body_mask
from marbench.cases.placement import CELL_CM, CELLS, GAS, OUTSIDE, Pose, coarse, covered_cells, marrow, whole_pixels
from marbench.cases.sites import SITES, Disc, Face, Site
from marbench.geometry import ImageGrid
from marbench.phantoms.implants.metal import CENTRE, Metal

__all__ = ["pose"]

FloatArray = NDArray[np.float64]

CANDIDATES, TURNS = 250, 7
"""Places, and turns at each, that are judged with the implant in them."""

SPREAD = 0.03
"""Temperature of the draw; scores of good places are between 1 and 4."""

SIDES = 0.5
"""Temperature of the draw between left and right: only a side that is much worse is never taken."""

NEAR = 4.0
"""How far from its depth below a face a place may lie, reference pixels."""


def pose(
    metal: Metal,
    image_hu: NDArray[np.floating[Any]],
    grid: ImageGrid,
    reference_pixel: float,
    rng: np.random.Generator,
    scale: float = 1.0,
) -> Pose:
    """Return how a metal lies in its ``place``; arguments and errors are those of `marbench.cases.placement.place`.

    Where a slice does not show the place, the metal lies in what comes nearest to it, within the body all the same.
    """
    assert metal.place is not None
    site, cell = SITES[metal.place], max(grid.field_of_view) / CELLS / reference_pixel
    tissues = _tissues(coarse(image_hu, grid), metal)
    drawing = _drawing(metal, cell, scale)
    noise, turns = SPREAD * rng.gumbel(size=(2, CELLS, CELLS)), rng.uniform(-1.0, 1.0, TURNS)
    right = _best(_Picture(tissues, cell), site, drawing, noise[0], turns)
    # What is sought at the left of the picture is sought at the right of its mirror image.
    mirrored = {name: tissue[:, ::-1] for name, tissue in tissues.items()}
    left = _best(_Picture(mirrored, cell), site, drawing, noise[1], turns) if site.paired else right
    luck = SIDES * rng.gumbel(size=2)
    mirror = site.paired and bool(left.score + luck[1] > right.score + luck[0])
    best = left if mirror else right
    # It is turned about its anchor there, and by `coverage` about its centre.
    cos, sin = math.cos(best.angle), math.sin(best.angle)
    x = best.x - drawing.anchor[0] * cos + drawing.anchor[1] * sin
    y = best.y - drawing.anchor[0] * sin - drawing.anchor[1] * cos
    shift = whole_pixels(-x if mirror else x, y, reference_pixel, grid)
    return Pose(shift, -best.angle if mirror else best.angle, mirror)


class _Picture(NamedTuple):
    """Tissues on the raster, ``cell`` reference pixels a cell."""

    tissues: dict[str, NDArray[Any]]
    cell: float


class _Drawing(NamedTuple):
    """The points of an implant about its anchor, ``(2, points)``, and the anchor; reference pixels."""

    points: FloatArray
    anchor: tuple[float, float]


@dataclass(frozen=True)
class _Found:
    score: float
    x: float
    y: float
    angle: float


def _tissues(hu: FloatArray, metal: Metal) -> dict[str, NDArray[Any]]:
    """Return what there is in every cell; "merit" tells how well the metal lies in it."""
    bone = hu > 200.0
    solid = bone | marrow(bone)
    # Spongy bone and the discs between vertebrae, too.
    dense = np.maximum(np.clip((hu - 80.0) / 60.0, 0.0, 1.0), solid)
    hard = np.clip((hu - 150.0) / 1000.0, 0.0, 1.0)
    soft = (hu > -30.0) & (hu < 400.0) & ~solid
    body = body_mask(hu, (CELL_CM, CELL_CM))
    body = body if body.any() else np.ones_like(bone)
    merit = {"bone": dense, "teeth": hard, "soft": 1.0 - solid, "any": np.ones_like(hu)}[metal.site]
    gas = 0.0 if metal.site == "teeth" else GAS * np.clip((-250.0 - hu) / 250.0, 0.0, 1.0)
    even = ndimage.gaussian_gradient_magnitude(hu, 1.0) < 60.0
    return {
        "skin": body,
        "bone": bone,
        "solid": solid,
        "dense": dense,
        "hard": hard,
        "soft": soft,
        "blood": soft & (hu > 10.0) & even & ~ndimage.binary_closing(bone, iterations=3),
        "vault": ndimage.binary_fill_holes(ndimage.binary_closing(bone, iterations=2)),
        # One cell of margin, as pixels of a finer grid may lie outside a cell that is mostly body.
        "merit": np.where(ndimage.binary_erosion(body, np.ones((3, 3))), merit + gas, OUTSIDE),
    }


def _drawing(metal: Metal, cell: float, scale: float) -> _Drawing:
    rows, columns = np.nonzero(covered_cells(metal, 1.0 / cell, 0.0, scale, False))
    anchor = [scale * (middle + metal.unit * own) for middle, own in zip(CENTRE, metal.anchor, strict=True)]
    x, y = _position(rows, columns, cell)
    return _Drawing(np.stack([x - anchor[0], y - anchor[1]]), (anchor[0], anchor[1]))


def _best(picture: _Picture, site: Site, drawing: _Drawing, noise: FloatArray, turns: FloatArray) -> _Found:
    """Return the best pose at the site, of the implant as it is drawn."""
    suits, normal, off = _suitability(picture, site)
    order = np.argsort(suits + noise, axis=None)[-CANDIDATES:]
    rows, columns = np.unravel_index(order, suits.shape)
    x, y = _position(rows, columns, picture.cell)
    # From the middle of the cell on to the face, along its normal.
    x, y = x + (off * np.cos(normal))[rows, columns], y + (off * np.sin(normal))[rows, columns]
    standing = np.zeros(len(rows)) if site.face is None or site.upright else normal[rows, columns] - math.pi / 2
    angles = standing[:, None] + math.radians(site.turn) * turns
    x, y = x + site.offset[0], y + site.offset[1]
    cos, sin = np.cos(angles)[..., None], np.sin(angles)[..., None]
    px, py = drawing.points
    merit = _at(picture, x[:, None, None] + cos * px - sin * py, y[:, None, None] + sin * px + cos * py).mean(axis=2)
    score = (suits + noise)[rows, columns][:, None] + merit
    place, turn = divmod(int(np.argmax(score)), len(turns))
    return _Found(float(score[place, turn]), float(x[place]), float(y[place]), float(angles[place, turn]))


def _suitability(picture: _Picture, site: Site) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return how well each cell suits a site, where a face looks there (radians), and how far the place is outwards."""
    body = picture.tissues["skin"]
    suits, normal, off = np.zeros(body.shape), np.zeros(body.shape), np.zeros(body.shape)
    for disc in site.discs:
        suits += disc.weight * _mean(picture, disc)
    if site.face:
        depth, normal = _facing(picture, site.face)
        off = depth - site.face.depth
        suits += np.exp(-((off / NEAR) ** 2)) + site.face.x * np.cos(normal) + site.face.y * np.sin(normal)
        # Beside a face one may lie on it, further off one does not.
        suits[np.abs(off) > NEAR] -= 10.0
    rows, columns = (np.flatnonzero(body.any(axis=axis)) for axis in (1, 0))
    middle, half = (columns[0] + columns[-1]) / 2, (columns[-1] - columns[0] + 1) / 2
    x = (np.arange(CELLS) - middle) / half
    y = (rows[-1] + 0.5 - np.arange(CELLS)) / (rows[-1] - rows[0] + 1)
    zone = ((y >= site.y[0]) & (y <= site.y[1]))[:, None] & ((x >= site.x[0]) & (x <= site.x[1]))
    return np.where(zone & body, suits, suits - 100.0), normal, off


def _mean(picture: _Picture, disc: Disc) -> FloatArray:
    """Return the mean of a tissue about every cell."""
    reach = math.ceil(disc.radius / picture.cell)
    steps = np.arange(-reach, reach + 1) * picture.cell
    kernel = (np.hypot(steps[:, None], steps) <= disc.radius).astype(np.float64)
    mean = signal.fftconvolve(picture.tissues[disc.tissue].astype(np.float64), kernel / kernel.sum(), mode="same")
    moved: FloatArray = ndimage.shift(mean, (disc.y / picture.cell, -disc.x / picture.cell), order=1)
    return moved


def _facing(picture: _Picture, face: Face) -> tuple[FloatArray, FloatArray]:
    """Return how deep below a face each cell lies (reference pixels), and where the face there looks (radians)."""
    inside = picture.tissues[face.of] >= 1.0
    depth = ndimage.distance_transform_edt(inside) - ndimage.distance_transform_edt(~inside)
    depth = ndimage.gaussian_filter(depth - np.where(inside, 0.5, -0.5), 1.2)
    down, right = np.gradient(depth)
    return depth * picture.cell, np.arctan2(down, -right)


def _at(picture: _Picture, x: FloatArray, y: FloatArray) -> FloatArray:
    """Return the merit of the cells in which points lie; beyond the picture, that of its border."""
    columns = np.clip(np.rint(x / picture.cell + (CELLS - 1) / 2), 0, CELLS - 1).astype(np.intp)
    rows = np.clip(np.rint((CELLS - 1) / 2 - y / picture.cell), 0, CELLS - 1).astype(np.intp)
    found: FloatArray = picture.tissues["merit"][rows, columns]
    return found


def _position(rows: NDArray[Any], columns: NDArray[Any], cell: float) -> tuple[FloatArray, FloatArray]:
    """Return where cells are, from the middle of the picture, reference pixels."""
    return (columns - (CELLS - 1) / 2) * cell, ((CELLS - 1) / 2 - rows) * cell
