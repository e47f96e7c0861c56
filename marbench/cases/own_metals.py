"""Implants that a benchmark brings along as masks, beside those that are drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

from marbench.anatomy.body import body_mask
from marbench.anatomy.slices import Split
from marbench.errors import DataError
from marbench.geometry import ImageGrid
from marbench.mask_files import decode_mask
from marbench.phantoms.implants.metal import Metal, Site
from marbench.phantoms.metals import coverage, library, whole_pixels
from marbench.spec import Spec
from marbench.spec_implants import OwnMetalSection
from marbench.spec_sections import MetalsSection

__all__ = ["AnyMetal", "MaskMetal", "draw", "hold_inside", "made_of", "metals_of"]

LEAST_INSIDE = 0.5
"""Share of an implant that has to lie within the body: less of it is a mistake in size or place."""
_SLIVER = 1e-9
"""Of a pixel's width."""


@dataclass(frozen=True, eq=False)
class MaskMetal:
    """An implant given by masks.

    Attributes
    ----------
    id, title : str
    site : {"bone", "teeth", "soft", "any"}
        Where it is put, unless it has a place of its own.
    centre : (x, y) or None
        Where the middle of the mask lies, cm from the isocentre; x to the right, y up.
    unit : float
        Reference pixels per pixel of the masks.
    masks : dict
        Material → share of each pixel's area, ``(rows, columns)``; they add up to 1 at most.
    """

    id: str
    title: str
    site: Site
    centre: tuple[float, float] | None
    unit: float
    masks: dict[str, NDArray[np.float64]]

    @property
    def area_px(self) -> float:
        """Area in reference pixels."""
        return float(sum(fractions.sum() for fractions in self.masks.values())) * self.unit**2

    def coverage(
        self, grid: ImageGrid, reference_pixel: float, shift: tuple[float, float]
    ) -> dict[str, NDArray[np.float32]]:
        """Return the fraction of every pixel's area that each material covers: exact area averages."""
        step = self.unit * reference_pixel / grid.pixel
        rows, columns = next(iter(self.masks.values())).shape
        down = _overlaps(grid.rows, rows, step, -shift[1] / grid.pixel)
        across = _overlaps(grid.columns, columns, step, shift[0] / grid.pixel)
        covered = {name: (across @ (down @ mask).T).T for name, mask in self.masks.items()}
        return {name: np.ascontiguousarray(area.clip(0, 1), np.float32) for name, area in covered.items()}


AnyMetal = Metal | MaskMetal


def metals_of(spec: Spec, split: Split, region: str | None = None) -> tuple[AnyMetal, ...]:
    """Return the metals of a split: those of the library, or to test with those that the benchmark brings along.

    Its own metals are never trained on or validated with, which stays with the library.
    """
    if split != "test" or not spec.metals.own:
        return library(split, region)
    own = [_mask_metal(section, spec.metals.reference_pixel_cm) for section in spec.metals.own]
    # As in the library, the largest ones come first: size group 1.
    return tuple(sorted(own, key=lambda metal: -metal.area_px))


def draw(
    metal: AnyMetal,
    grid: ImageGrid,
    reference_pixel: float,
    shift: tuple[float, float] = (0.0, 0.0),
    angle: float = 0.0,
    scale: float = 1.0,
    mirror: bool = False,
) -> dict[str, NDArray[np.float32]]:
    """Return the coverage of any metal, see `marbench.phantoms.metals.coverage`; masks keep their pose."""
    if isinstance(metal, MaskMetal):
        return metal.coverage(grid, reference_pixel, shift)
    return coverage(metal, grid, reference_pixel, shift, angle, scale, mirror)


def made_of(
    areas: dict[str, NDArray[np.float32]], section: MetalsSection, own: bool = False
) -> dict[str, NDArray[np.float32]]:
    """Return what `draw` covers as a benchmark has it: of which materials, by shares of pixels or whole ones.

    ``own`` metals stay of what they are, whatever the library's are made of.
    """
    if section.material != "own" and not own:
        areas = {section.material: np.sum(list(areas.values()), axis=0, dtype=np.float32)}
    return whole_pixels(areas) if section.pixels == "whole" else areas


def hold_inside(metal: MaskMetal, total: NDArray[np.float32], image_hu: NDArray[Any], grid: ImageGrid) -> None:
    """See that an implant lies within the patient.

    Raises
    ------
    DataError
        More than half of it does not.
    """
    body = body_mask(image_hu, (grid.pixel, grid.pixel))
    inside = float(total[body].sum(dtype=np.float64)) / max(float(total.sum(dtype=np.float64)), 1e-12)
    if inside < LEAST_INSIDE:
        where = f"at centre_cm = {list(metal.centre)}" if metal.centre else "wherever it is put"
        raise DataError(
            f"the metal {metal.id!r} lies with {inside:.0%} of its area in the body, {where}; {LEAST_INSIDE:.0%} are "
            "needed. Change its centre_cm or pixel_cm, or give a site instead of a centre."
        )


def _mask_metal(section: OwnMetalSection, reference_pixel: float) -> MaskMetal:
    # By name, as the hash has them: of materials that share a pixel equally `whole_pixels` takes the first.
    masks = {name: decode_mask(text).astype(np.float64) for name, text in sorted(section.masks.items())}
    # Rounded to 255ths, fractions of several materials may add up to a little more than 1.
    excess = np.maximum(np.sum(list(masks.values()), axis=0), 1)
    masks = {name: mask / excess for name, mask in masks.items()}
    if section.centre_cm is None:  # the margins of a picture say nothing of the implant, and must not bound its place
        rows, columns = (np.flatnonzero(np.sum(list(masks.values()), axis=0).any(axis=axis)) for axis in (1, 0))
        window = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
        masks = {name: mask[window] for name, mask in masks.items()}
    unit = section.pixel_cm / reference_pixel
    return MaskMetal(section.id, section.title, section.site or "any", section.centre_cm, unit, masks)


def _overlaps(targets: int, cells: int, step: float, shift: float) -> Any:
    """Return the sparse ``(targets, cells)`` matrix of how much of each target pixel each cell of a mask covers.

    Both are centred; a cell is ``step`` target pixels wide, and the mask lies ``shift`` target pixels further on.
    Sparse products sum in one fixed order, on any number of threads.
    """
    low = np.arange(targets)[:, None] - targets / 2
    start = (np.arange(cells)[None, :] - cells / 2) * step + shift
    overlap = np.minimum(low + 1, start + step) - np.maximum(low, start)
    # A shift by whole pixels, given in cm, misses them by rounding: a sliver so thin would lengthen the trace.
    return scipy.sparse.csr_array(np.where(overlap > _SLIVER, overlap, 0))
