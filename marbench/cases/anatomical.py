"""Implants where surgeons put them, told from the HU image: the place, and how the implant is turned there.

A place is found by what lies about it (a table, `marbench.cases.sites`), on the raster of `marbench.cases.placement`.
The best places are then judged by what the implant would lie in at each: bone, teeth or soft tissue, and no gas.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from marbench.anatomy.body import body_mask
from marbench.cases.placement import CELL_CM, CELLS, GAS, OUTSIDE, Pose, coarse, covered_cells, marrow, whole_pixels
from marbench.cases.sites import REACH, SITES, Disc, Site, Sought
from marbench.geometry import ImageGrid
from marbench.phantoms.implants.metal import CENTRE, Metal

__all__ = ["pose"]

FloatArray = NDArray[np.float64]

CANDIDATES, TURNS = 150, 7
"""Places, and turns at each, that are judged with the implant in them."""

SPREAD = 0.03
"""Temperature of the draw; scores of good places are between 1 and 4."""

SIDES = 0.2
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
    picture, mirrored = _pictures(coarse(image_hu, grid).tobytes(), cell)
    drawing = _drawing(metal, cell, scale)
    noise, turns = SPREAD * rng.gumbel(size=(2, CELLS, CELLS)), rng.uniform(-1.0, 1.0, TURNS)
    right = _best(picture, site, drawing, noise[0], turns)
    # What is sought at the left of the picture is sought at the right of its mirror image.
    left = _best(mirrored, site, drawing, noise[1], turns) if site.paired else right
    luck = SIDES * rng.gumbel(size=2)
    mirror = site.paired and bool(left.score + luck[1] > right.score + luck[0])
    best = left if mirror else right
    # It is turned about its anchor there, and by `coverage` about its centre.
    cos, sin = math.cos(best.angle), math.sin(best.angle)
    x = best.x - drawing.anchor[0] * cos + drawing.anchor[1] * sin
    y = best.y - drawing.anchor[0] * sin - drawing.anchor[1] * cos
    shift = whole_pixels(-x if mirror else x, y, reference_pixel, grid)
    return Pose(shift, -best.angle if mirror else best.angle, mirror)


@dataclass(frozen=True, eq=False)
class _Picture:
    """Tissues on the raster, ``cell`` reference pixels a cell."""

    tissues: Mapping[str, NDArray[Any]]
    cell: float

    @cached_property
    def spectra(self) -> Mapping[str, NDArray[np.complex128]]:
        """The spectra of what discs of sites are of, with room beside the raster."""
        side = _side(self.cell)
        return {name: fft.rfft2(self.tissues[name].astype(np.float64), (side, side)) for name in get_args(Sought)}


class _Drawing(NamedTuple):
    """An implant's points about its anchor, ``(2, points)``, the anchor (reference pixels), and what it lies in."""

    points: FloatArray
    anchor: tuple[float, float]
    within: str


@dataclass(frozen=True)
class _Found:
    score: float
    x: float
    y: float
    angle: float


# Ten implants look for their places in a slice, one after the other.
@lru_cache(maxsize=2)
def _pictures(raster: bytes, cell: float) -> tuple[_Picture, _Picture]:
    """Return what there is in every cell of a raster (HU, float64), and the mirror image."""
    hu = np.frombuffer(raster).reshape(CELLS, CELLS)
    bone = hu > 200.0
    solid = bone | marrow(bone)
    # Spongy bone and the discs between vertebrae, too.
    dense = np.maximum(np.clip((hu - 80.0) / 60.0, 0.0, 1.0), solid)
    hard = np.clip((hu - 150.0) / 1000.0, 0.0, 1.0)
    soft = (hu > -30.0) & (hu < 400.0) & ~solid
    body = body_mask(hu, (CELL_CM, CELL_CM))
    body = body if body.any() else np.ones_like(bone)
    # One cell of margin, as pixels of a finer grid may lie outside a cell that is mostly body.
    inner = ndimage.binary_erosion(body, np.ones((3, 3)))
    gas = GAS * np.clip((-250.0 - hu) / 250.0, 0.0, 1.0)
    even = ndimage.gaussian_gradient_magnitude(hu, 1.0) < 60.0
    tissues = {
        "skin": body,
        "bone": bone,
        "solid": solid,
        "dense": dense,
        "hard": hard,
        "soft": soft,
        "blood": soft & (hu > 10.0) & even & ~ndimage.binary_closing(bone, iterations=3),
        "vault": ndimage.binary_fill_holes(ndimage.binary_closing(bone, iterations=2)),
        # How well an implant lies in a cell, by the tissue that it is for; about teeth there is air.
        "in bone": np.where(inner, dense + gas, OUTSIDE),
        "in teeth": np.where(inner, hard, OUTSIDE),
        "in soft": np.where(inner, 1.0 - solid + gas, OUTSIDE),
        "in any": np.where(inner, 1.0 + gas, OUTSIDE),
    }
    return _Picture(tissues, cell), _Picture({name: tissue[:, ::-1] for name, tissue in tissues.items()}, cell)


@lru_cache(maxsize=128)
def _drawing(metal: Metal, cell: float, scale: float) -> _Drawing:
    rows, columns = np.nonzero(covered_cells(metal, 1.0 / cell, 0.0, scale, False))
    anchor = [scale * (middle + metal.unit * own) for middle, own in zip(CENTRE, metal.anchor, strict=True)]
    x, y = _position(rows, columns, cell)
    return _Drawing(np.stack([x - anchor[0], y - anchor[1]]), (anchor[0], anchor[1]), f"in {metal.site}")


def _best(picture: _Picture, site: Site, drawing: _Drawing, noise: FloatArray, turns: FloatArray) -> _Found:
    """Return the best pose at the site, of the implant as it is drawn."""
    suits, normal, off = _suitability(picture, site)
    order = np.argpartition(suits + noise, -CANDIDATES, axis=None)[-CANDIDATES:]
    rows, columns = np.unravel_index(order, suits.shape)
    x, y = _position(rows, columns, picture.cell)
    # From the middle of the cell on to the face, along its normal.
    x, y = x + (off * np.cos(normal))[rows, columns], y + (off * np.sin(normal))[rows, columns]
    standing = np.zeros(len(rows)) if site.face is None or site.upright else normal[rows, columns] - math.pi / 2
    angles = standing[:, None] + math.radians(site.turn) * turns
    x, y = x + site.offset[0], y + site.offset[1]
    cos, sin = np.cos(angles)[..., None], np.sin(angles)[..., None]
    px, py = drawing.points
    across, up = x[:, None, None] + cos * px - sin * py, y[:, None, None] + sin * px + cos * py
    merit = _at(picture, drawing.within, across, up).mean(axis=2)
    score = (suits + noise)[rows, columns][:, None] + merit
    place, turn = divmod(int(np.argmax(score)), len(turns))
    return _Found(float(score[place, turn]), float(x[place]), float(y[place]), float(angles[place, turn]))


def _suitability(picture: _Picture, site: Site) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return how well each cell suits a site, where a face looks there (radians), and how far the place is outwards."""
    body = picture.tissues["skin"]
    suits, normal, off = _means(picture, site.discs), np.zeros(body.shape), np.zeros(body.shape)
    # Where the picture has no such face, only the zone and what lies about the place tell it.
    if site.face and picture.tissues[site.face.of].any():
        depth, normal = _facing(picture, site.face.of)
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


def _means(picture: _Picture, discs: tuple[Disc, ...]) -> FloatArray:
    """Return the weighted sum of what discs about every cell hold, each the mean of its tissue."""
    sought = _sought(discs, picture.cell)
    total = sum(picture.spectra[name] * spectrum for name, spectrum in sought.items())
    means: FloatArray = (
        fft.irfft2(total, 2 * [_side(picture.cell)])[:CELLS, :CELLS] if sought else np.zeros((CELLS, CELLS))
    )
    return means


@lru_cache(maxsize=16)
def _sought(discs: tuple[Disc, ...], cell: float) -> Mapping[str, NDArray[np.complex128]]:
    """Return, for every tissue that is sought, the conjugate spectrum of its discs, drawn about a cell."""
    side = _side(cell)
    steps = fft.fftfreq(side, 1.0 / (side * cell))
    drawn: dict[str, FloatArray] = {}
    for disc in discs:
        distance = np.hypot(steps - disc.x, -steps[:, None] - disc.y)
        # The rim of a disc covers cells in part, so that even the smallest covers some.
        share = np.clip((disc.radius - distance) / cell + 0.5, 0.0, 1.0)
        drawn[disc.tissue] = drawn.get(disc.tissue, 0.0) + disc.weight * share / share.sum()
    return {name: np.conj(fft.rfft2(share)) for name, share in drawn.items()}


def _side(cell: float) -> int:
    """Return the cells of the raster and as many beside it as discs reach: what leaves at one side enters at none."""
    return int(fft.next_fast_len(CELLS + min(math.ceil(REACH / cell) + 1, CELLS), real=True))


@lru_cache(maxsize=4)
def _facing(picture: _Picture, face: str) -> tuple[FloatArray, FloatArray]:
    """Return how deep below a face each cell lies (reference pixels), and where the face there looks (radians)."""
    inside = picture.tissues[face] >= 1.0
    depth = ndimage.distance_transform_edt(inside) - ndimage.distance_transform_edt(~inside)
    depth = ndimage.gaussian_filter(depth - np.where(inside, 0.5, -0.5), 1.2)
    down, right = np.gradient(depth)
    return depth * picture.cell, np.arctan2(down, -right)


def _at(picture: _Picture, name: str, x: FloatArray, y: FloatArray) -> FloatArray:
    """Return what there is in the cells in which points lie; beyond the picture, what its border has."""
    columns = np.clip(np.rint(x / picture.cell + (CELLS - 1) / 2), 0, CELLS - 1).astype(np.intp)
    rows = np.clip(np.rint((CELLS - 1) / 2 - y / picture.cell), 0, CELLS - 1).astype(np.intp)
    found: FloatArray = picture.tissues[name][rows, columns]
    return found


def _position(rows: NDArray[Any], columns: NDArray[Any], cell: float) -> tuple[FloatArray, FloatArray]:
    """Return where cells are, from the middle of the picture, reference pixels."""
    return (columns - (CELLS - 1) / 2) * cell, ((CELLS - 1) / 2 - rows) * cell
