"""Where each region of a slice lies: one rule per region, in millimetres, from what a slice shows."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy
from numpy.typing import NDArray

from marbench.errors import MetricError
from marbench.metrics.fidelity import Mask, body_mask

__all__ = ["FINDERS", "AbsentRegion", "Disc", "SlicePlaces", "beam_direction"]

SOFT = (0.0, 80.0)
"""HU of soft tissue: what the mean of a disc lies in."""

NOISE_RADIUS_MM, TARGET_RADIUS_MM, WINDOW_MM = 8.0, 10.0, 20.0
METAL_REGION_MM, METAL_MARGIN_MM, EDGE_MARGIN_MM, EDGE_MM = 10.0, 2.0, 5.0, 2.0
STREAK_MM = (10.0, 40.0)
FREE_FROM_MM, FREE_DISC_MM, FREE_HU = 30.0, 5.0, 10.0
"""An artifact-free place is this far from metal, and its surroundings lie no further from the truth than this."""

TARGET_MM = 60.0
"""How far from metal the middle of a proton target lies at most."""

_STREAK_HU = 5.0
_FREE_MM2 = 100.0
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


class SlicePlaces:
    """A slice with what several finders need of it."""

    def __init__(self, truth: _Floats, raw: _Floats, metal: Mask, pixel_mm: float) -> None:
        self.truth, self.metal, self.pixel_mm = truth, metal, pixel_mm
        self.body = body_mask(truth) & ~metal
        if metal.any():
            distance, nearest = scipy.ndimage.distance_transform_edt(~metal, return_indices=True)
            self.from_metal, self.nearest_metal = distance * pixel_mm, nearest
        else:
            self.from_metal, self.nearest_metal = np.full(truth.shape, math.inf), None
        # Metal is blurred by the pixels, however large they are.
        margin = max(METAL_MARGIN_MM, 2 * pixel_mm)
        self.clear = self.body & (self.from_metal > margin)
        self.far = self.body & (self.from_metal > max(EDGE_MARGIN_MM, margin))
        self.artifact = np.where(self.clear, raw - truth, 0.0)
        self.side = max(3, round(WINDOW_MM / pixel_mm))

    @cached_property
    def edges(self) -> _Floats:
        """Height in HU of the step at each pixel: a quarter of Sobel's gradient."""
        return np.asarray(
            np.hypot(scipy.ndimage.sobel(self.truth, axis=0), scipy.ndimage.sobel(self.truth, axis=1)) / 4
        )

    @cached_property
    def lowest_and_highest(self) -> tuple[_Floats, _Floats]:
        """The lowest and the highest HU of each pixel and its neighbours."""
        return scipy.ndimage.minimum_filter(self.truth, 3), scipy.ndimage.maximum_filter(self.truth, 3)

    def need_metal(self) -> None:
        """Raise `AbsentRegion` where there is no metal."""
        if self.nearest_metal is None:
            raise AbsentRegion("the slice holds no metal.")

    def window(self, weights: _Floats, middles: Mask, least: float, why: str) -> Mask:
        """Return what of the heaviest window is far from metal: of all that have their middle in ``middles`` and more
        than half of their pixels far."""
        share = scipy.ndimage.uniform_filter(self.far.astype(np.float64), self.side, mode="constant")
        allowed = np.where(middles & (share > 0.5), np.round(weights, 6), -math.inf)
        if allowed.max() < least:
            raise AbsentRegion(why)
        row, column = np.unravel_index(np.argmax(allowed), allowed.shape)
        mask = np.zeros(self.truth.shape, dtype=bool)
        top, left = (max(0, int(at) - self.side // 2) for at in (row, column))
        mask[top : int(row) + (self.side + 1) // 2, left : int(column) + (self.side + 1) // 2] = True
        return np.asarray(mask & self.far)

    def discs(self, radius_mm: float) -> tuple[float, Mask]:
        """Return the radius in pixels, and the middles of discs that lie in the clear body on soft tissue."""
        radius = max(1.5, radius_mm / self.pixel_mm)
        inside = scipy.ndimage.distance_transform_edt(np.pad(self.clear, 1))[1:-1, 1:-1] > radius
        # By Fourier transforms: what rounding makes of 0 HU, the lower bound, must not choose the place.
        mean = np.round(_disc_mean(self.truth, radius), 3)
        return radius, np.asarray(inside & (mean >= SOFT[0]) & (mean <= SOFT[1]))


def _some(mask: Mask) -> Mask:
    if not mask.any():
        raise AbsentRegion("metal fills the body.")
    return mask


def _metal_region(here: SlicePlaces) -> Mask:
    here.need_metal()
    return np.asarray(here.from_metal <= METAL_REGION_MM)


def _noise(here: SlicePlaces) -> Disc:
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


def _bone_edge(here: SlicePlaces) -> Mask:
    lowest, highest = here.lowest_and_highest
    # The skin is a step of 1000 HU, and no edge of bone.
    edges = (here.edges > 150) & (highest >= 150) & (lowest > -300)
    return _edge_window(here, edges, "edges of bone")


def _soft_edge(here: SlicePlaces) -> Mask:
    lowest, highest = here.lowest_and_highest
    edges = (here.edges >= 30) & (here.edges <= 150) & (highest < 150) & (lowest > -200)
    return _edge_window(here, edges, "edges between soft tissues")


def _edge_window(here: SlicePlaces, edges: Mask, what: str) -> Mask:
    share = scipy.ndimage.uniform_filter((edges & here.far).astype(np.float64), here.side, mode="constant")
    least = min(_EDGE_PIXELS / here.side**2, 0.5)
    why = f"no window of {WINDOW_MM:g} mm holds {_EDGE_PIXELS} pixels of {what}."
    window = here.window(share, here.far, least - 1e-6, why)
    reach = max(EDGE_MM, 1.5 * here.pixel_mm)
    return np.asarray(window & (scipy.ndimage.distance_transform_edt(~(edges & window)) * here.pixel_mm <= reach))


def _streak(here: SlicePlaces) -> Mask:
    here.need_metal()
    artifact = np.where(here.far, here.artifact, 0.0)
    mean, square = (scipy.ndimage.uniform_filter(values, here.side) for values in (artifact, artifact**2))
    near = here.body & (here.from_metal >= STREAK_MM[0]) & (here.from_metal <= STREAK_MM[1])
    why = f"no window {STREAK_MM[0]:g} … {STREAK_MM[1]:g} mm from metal has streaks of {_STREAK_HU:g} HU."
    return here.window(np.sqrt(np.maximum(0, square - mean**2)), near, _STREAK_HU, why)


def _artifact_free(here: SlicePlaces) -> Mask:
    here.need_metal()
    radius = max(1.5, FREE_DISC_MM / here.pixel_mm)
    inside = scipy.ndimage.distance_transform_edt(np.pad(here.clear, 1))[1:-1, 1:-1] > radius
    # Transforms leave a rounding below zero where nothing is.
    error = np.sqrt(np.maximum(0, _disc_mean(here.artifact**2, radius)))
    free = inside & (here.from_metal > FREE_FROM_MM) & (np.round(error, 3) <= FREE_HU)
    if free.sum() * here.pixel_mm**2 < _FREE_MM2:
        raise AbsentRegion(f"no {_FREE_MM2:g} mm² beyond {FREE_FROM_MM:g} mm from metal are free of artifacts.")
    return np.asarray(free)


def _target(here: SlicePlaces) -> Disc:
    here.need_metal()
    radius, allowed = here.discs(TARGET_RADIUS_MM)
    soft = _disc_mean(((here.truth > -50) & (here.truth < 150)).astype(np.float64), radius)
    distance = np.where(allowed & (soft > 0.9), np.round(here.from_metal, 3), math.inf)
    if distance.min() > TARGET_MM:
        raise AbsentRegion(f"no disc of {TARGET_RADIUS_MM:g} mm in soft tissue lies within {TARGET_MM:g} mm of metal.")
    return _at(np.argmin(distance), here.truth.shape, radius)


def beam_direction(here: SlicePlaces, target: Disc) -> float:
    """Return the direction from the nearest metal to a target in degrees, see `marbench.metrics.regions.Regions`."""
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


FINDERS: dict[str, Callable[[SlicePlaces], Mask | Disc]] = {
    "body": lambda here: _some(here.body),
    "clear": lambda here: _some(here.clear),
    "metal_region": _metal_region,
    "noise": _noise,
    "bone_edge": _bone_edge,
    "soft_edge": _soft_edge,
    "streak": _streak,
    "artifact_free": _artifact_free,
    "target": _target,
}
