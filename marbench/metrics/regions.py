"""Where clinical measures look: regions found from the truth, the uncorrected image and the metal, in millimetres.

The rules follow what the organisers of the AAPM CT-MAR challenge did by hand for each of their cases. All of a slice's
regions are a pure function of its arrays; what a slice has no place for is absent, with the reason.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from marbench.errors import MetricError
from marbench.metrics.fidelity import Image, Mask, Reference, body_mask

__all__ = ["REGIONS", "AbsentRegion", "Disc", "Regions", "find_regions", "regions_of"]

SOFT = (0.0, 80.0)
"""HU of soft tissue: what the mean of a disc lies in."""

NOISE_RADIUS_MM, TARGET_RADIUS_MM, WINDOW_MM = 8.0, 10.0, 20.0
METAL_REGION_MM, METAL_MARGIN_MM, EDGE_MARGIN_MM = 10.0, 2.0, 5.0
STREAK_MM = (10.0, 40.0)
TARGET_MM = 60.0
"""How far from metal the middle of a proton target lies at most."""

_STREAK_HU = 5.0
_EDGE_PIXELS = 8
_Floats = NDArray[np.float64]


class AbsentRegion(MetricError):
    """A slice has no place for a region; a measure that needs it has no number there."""


@dataclass(frozen=True)
class Disc:
    """A disc; its middle in rows and columns, its radius in pixels."""

    row: float
    column: float
    radius: float

    def mask(self, shape: tuple[int, ...]) -> Mask:
        """Return the pixels whose middle lies within."""
        rows, columns = np.ogrid[: shape[0], : shape[1]]
        return np.asarray(np.hypot(rows - self.row, columns - self.column) <= self.radius)


@dataclass(frozen=True, eq=False)
class Regions:
    """The regions of one slice.

    Attributes
    ----------
    masks : mapping
        Name of `REGIONS` → bool array ``(rows, columns)``, of those that were found.
    absent : mapping
        Name → why there is none.
    pixel_mm : float
    target : Disc or None
        The proton target, whose mask is ``masks["target"]``.
    beam : float
        Direction from the nearest metal to the target in degrees: 0 along a row to the right, 90 down a column.
    """

    masks: Mapping[str, Mask]
    absent: Mapping[str, str]
    pixel_mm: float
    target: Disc | None = None
    beam: float = 0.0

    def __getitem__(self, name: str) -> Mask:
        """Return the mask of a region, or raise `AbsentRegion` with the reason."""
        if name in self.absent:
            raise AbsentRegion(f"There is no region {name!r}: {self.absent[name]}")
        return self.masks[name]


def regions_of(reference: Reference) -> Regions:
    """Return the regions of what images are scored against; found once for each `Reference`."""
    return reference.derived(_regions_of)


def find_regions(truth: Image, raw: Image, metal: Mask, pixel_mm: float) -> Regions:
    """Find the regions of a slice.

    body
        The largest part of the truth above −500 HU, closed and filled, without metal.
    clear
        The body farther than 2 mm from metal.
    metal_region
        Metal and what lies within 10 mm of it.
    noise
        A disc of 8 mm in soft tissue: of the most homogeneous tenth the one that artifacts change least.
    bone_edge, soft_edge
        The windows of 20 × 20 mm with most edges of bone (above 150 HU) and between soft tissues (30 … 150 HU),
        farther than 5 mm from metal.
    streak
        The window of 20 × 20 mm, its middle 10 … 40 mm from metal, where the artifact varies most.
    target
        A disc of 10 mm in soft tissue, as near to metal as there is one.

    Parameters
    ----------
    truth, raw : real array ``(rows, columns)``
        The truth and the uncorrected image, HU.
    metal : bool array ``(rows, columns)``
        Pixels that hold any metal.
    pixel_mm : float
        Side of a pixel.
    """
    try:
        found = _Slice(truth.astype(np.float64), np.nan_to_num(raw.astype(np.float64)), metal, pixel_mm)
    except MetricError as error:
        return Regions({}, dict.fromkeys(REGIONS, str(error)), pixel_mm)
    masks, absent, discs = {}, {}, {}
    for name, find in _FINDERS.items():
        try:
            region = find(found)
        except AbsentRegion as error:
            absent[name] = str(error)
        else:
            discs[name] = region if isinstance(region, Disc) else None
            masks[name] = region.mask(metal.shape) if isinstance(region, Disc) else region
    target = discs.get("target")
    return Regions(masks, absent, pixel_mm, target, _beam(found, target) if target else 0.0)


class _Slice:
    """A slice with what several finders need of it."""

    def __init__(self, truth: _Floats, raw: _Floats, metal: Mask, pixel_mm: float) -> None:
        self.truth, self.metal, self.pixel_mm = truth, metal, pixel_mm
        self.body = body_mask(truth) & ~metal
        if metal.any():
            distance, nearest = ndimage.distance_transform_edt(~metal, return_indices=True)
            self.from_metal, self.nearest_metal = distance * pixel_mm, nearest
        else:
            self.from_metal, self.nearest_metal = np.full(truth.shape, math.inf), None
        self.clear = self.body & (self.from_metal > METAL_MARGIN_MM)
        self.artifact = np.where(self.clear, raw - truth, 0.0)
        self.side = max(3, round(WINDOW_MM / pixel_mm))

    @cached_property
    def edges(self) -> _Floats:
        """Height in HU of the step at each pixel: a quarter of Sobel's gradient."""
        return np.asarray(np.hypot(ndimage.sobel(self.truth, axis=0), ndimage.sobel(self.truth, axis=1)) / 4)

    @cached_property
    def lowest_and_highest(self) -> tuple[_Floats, _Floats]:
        """The lowest and the highest HU of each pixel and its neighbours."""
        return ndimage.minimum_filter(self.truth, 3), ndimage.maximum_filter(self.truth, 3)

    def need_metal(self) -> None:
        if self.nearest_metal is None:
            raise AbsentRegion("the slice holds no metal.")

    def window(self, weights: _Floats, middles: Mask, room: Mask, least: float, why: str) -> Mask:
        """Return what of the heaviest window lies in ``room``: of all that have their middle in ``middles`` and more
        than half of their pixels in ``room``."""
        share = ndimage.uniform_filter(room.astype(np.float64), self.side, mode="constant")
        allowed = np.where(middles & (share > 0.5), np.round(weights, 6), -math.inf)
        if allowed.max() < least:
            raise AbsentRegion(why)
        row, column = np.unravel_index(np.argmax(allowed), allowed.shape)
        mask = np.zeros(self.truth.shape, dtype=bool)
        top, left = (max(0, int(at) - self.side // 2) for at in (row, column))
        mask[top : int(row) + (self.side + 1) // 2, left : int(column) + (self.side + 1) // 2] = True
        return mask & room

    def discs(self, radius_mm: float) -> tuple[float, Mask]:
        """Return the radius in pixels, and the middles of discs that lie in the clear body on soft tissue."""
        radius = max(1.5, radius_mm / self.pixel_mm)
        inside = ndimage.distance_transform_edt(np.pad(self.clear, 1))[1:-1, 1:-1] > radius
        mean = _disc_mean(self.truth, radius)
        return radius, inside & (mean >= SOFT[0]) & (mean <= SOFT[1])


def _regions_of(reference: Reference) -> Regions:
    if reference.pixel_mm is None or reference.raw is None:
        why = "the size of a pixel and the uncorrected image are not known of this case."
        return Regions({}, dict.fromkeys(REGIONS, why), math.nan)
    return find_regions(reference.known_truth(), reference.raw, ~reference.valid, reference.pixel_mm)


def _metal_region(here: _Slice) -> Mask:
    here.need_metal()
    return np.asarray(here.from_metal <= METAL_REGION_MM)


def _noise(here: _Slice) -> Disc:
    radius, allowed = here.discs(NOISE_RADIUS_MM)
    if not allowed.any():
        raise AbsentRegion(f"no disc of {NOISE_RADIUS_MM:g} mm lies in soft tissue.")
    level = here.truth - sum(SOFT) / 2
    deviation = np.sqrt(np.maximum(0, _disc_mean(level**2, radius) - _disc_mean(level, radius) ** 2))
    # In whole HU, so that the rounding of a transform decides nothing.
    deviation = np.round(deviation)
    homogeneous = allowed & (deviation <= np.quantile(deviation[allowed], 0.1))
    changed = np.round(_disc_mean(np.abs(here.artifact), radius), 3)
    return _at(np.argmin(np.where(homogeneous, changed, math.inf)), here.truth.shape, radius)


def _bone_edge(here: _Slice) -> Mask:
    lowest, highest = here.lowest_and_highest
    # The skin is a step of 1000 HU, and no edge of bone.
    edges = (here.edges > 150) & (highest >= 150) & (lowest > -300)
    return _edge_window(here, edges, "edges of bone")


def _soft_edge(here: _Slice) -> Mask:
    lowest, highest = here.lowest_and_highest
    edges = (here.edges >= 30) & (here.edges <= 150) & (highest < 150) & (lowest > -200)
    return _edge_window(here, edges, "edges between soft tissues")


def _edge_window(here: _Slice, edges: Mask, what: str) -> Mask:
    far = here.body & (here.from_metal > EDGE_MARGIN_MM)
    share = ndimage.uniform_filter((edges & far).astype(np.float64), here.side, mode="constant")
    least = min(_EDGE_PIXELS / here.side**2, 0.5)
    why = f"no window of {WINDOW_MM:g} mm holds {_EDGE_PIXELS} pixels of {what}."
    return here.window(share, far, far, least - 1e-6, why)


def _streak(here: _Slice) -> Mask:
    here.need_metal()
    mean, square = (ndimage.uniform_filter(values, here.side) for values in (here.artifact, here.artifact**2))
    near = here.body & (here.from_metal >= STREAK_MM[0]) & (here.from_metal <= STREAK_MM[1])
    why = f"no window {STREAK_MM[0]:g} … {STREAK_MM[1]:g} mm from metal has streaks of {_STREAK_HU:g} HU."
    return here.window(np.sqrt(np.maximum(0, square - mean**2)), near, here.clear, _STREAK_HU, why)


def _target(here: _Slice) -> Disc:
    here.need_metal()
    radius, allowed = here.discs(TARGET_RADIUS_MM)
    soft = _disc_mean(((here.truth > -50) & (here.truth < 150)).astype(np.float64), radius)
    distance = np.where(allowed & (soft > 0.9), np.round(here.from_metal, 3), math.inf)
    if distance.min() > TARGET_MM:
        raise AbsentRegion(f"no disc of {TARGET_RADIUS_MM:g} mm in soft tissue lies within {TARGET_MM:g} mm of metal.")
    return _at(np.argmin(distance), here.truth.shape, radius)


def _beam(here: _Slice, target: Disc) -> float:
    row, column = here.nearest_metal[:, int(target.row), int(target.column)]
    return math.degrees(math.atan2(target.row - row, target.column - column))


def _at(place: np.intp, shape: tuple[int, ...], radius: float) -> Disc:
    row, column = divmod(int(place), shape[1])
    return Disc(row, column, radius)


def _disc_mean(values: _Floats, radius: float) -> _Floats:
    """Return the mean over the disc about each pixel; discs that cross the border go on at the other side."""
    down, across = (np.minimum(np.arange(size), size - np.arange(size)) for size in values.shape)
    disc = np.hypot(down[:, None], across) <= radius
    spectrum = np.fft.rfft2(values) * np.fft.rfft2(disc / disc.sum())
    return np.fft.irfft2(spectrum, s=values.shape)


_FINDERS: dict[str, Callable[[_Slice], Mask | Disc]] = {
    "body": lambda here: here.body,
    "clear": lambda here: here.clear,
    "metal_region": _metal_region,
    "noise": _noise,
    "bone_edge": _bone_edge,
    "soft_edge": _soft_edge,
    "streak": _streak,
    "target": _target,
}

REGIONS = tuple(_FINDERS)
"""The names of the regions."""
