"""Where clinical measures look: regions found from the truth, the uncorrected image and the metal, in millimetres.

The rules follow what the organisers of the AAPM CT-MAR challenge did by hand for each of their cases. All of a slice's
regions are a pure function of its arrays; what a slice has no place for is absent, with the reason.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from marbench.errors import MetricError
from marbench.metrics.fidelity import Mask, Reference, hu_image, pixel_mask
from marbench.metrics.places import FINDERS, AbsentRegion, Disc, SlicePlaces, beam_direction

__all__ = ["REGIONS", "Regions", "find_regions", "regions_of"]

REGIONS = tuple(FINDERS)
"""The names of the regions."""


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


def find_regions(truth: ArrayLike, raw: ArrayLike, metal: ArrayLike, pixel_mm: float) -> Regions:
    """Find the regions of a slice.

    body
        The largest part of the truth above −500 HU, closed and filled, without metal.
    clear
        The body farther than 2 mm and two pixels from metal.
    metal_region
        Metal and what lies within 10 mm of it.
    noise
        A disc of 8 mm in soft tissue: of the most homogeneous tenth the one that artifacts change least.
    bone_edge, soft_edge
        What lies within 2 mm of an edge, in the windows of 20 × 20 mm with most edges of bone (steps above 150 HU) and
        between soft tissues (30 … 150 HU), farther than 5 mm from metal.
    streak
        The window of 20 × 20 mm, its middle 10 … 40 mm from metal, where the artifact varies most; farther than 5 mm
        from metal.
    artifact_free
        The body farther than 30 mm from metal, where the uncorrected image is within 10 HU of the truth: the root mean
        square over the disc of 5 mm about each pixel, all of it in the clear body. At least 1 cm².
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

    Raises
    ------
    MetricError
        ``metal`` is no boolean mask ``(rows, columns)``, or an image is no real numbers or of another shape.
    """
    mask = pixel_mask(metal)
    true = hu_image(truth, "truth", mask.shape).astype(np.float64)
    uncorrected = hu_image(raw, "uncorrected image", mask.shape).astype(np.float64)
    try:
        found = SlicePlaces(true, np.nan_to_num(uncorrected), mask, pixel_mm)
    except MetricError as error:
        return Regions({}, dict.fromkeys(REGIONS, str(error)), pixel_mm)
    masks, absent, discs = {}, {}, {}
    for name, find in FINDERS.items():
        try:
            region = find(found)
        except AbsentRegion as error:
            absent[name] = str(error)
        else:
            discs[name] = region if isinstance(region, Disc) else None
            masks[name] = region.mask(mask.shape) if isinstance(region, Disc) else region
    target = discs.get("target")
    return Regions(masks, absent, pixel_mm, target, beam_direction(found, target) if target else 0.0)


def _regions_of(reference: Reference) -> Regions:
    if reference.pixel_mm is None or reference.raw is None:
        why = "the size of a pixel and the uncorrected image are not known of this case."
        return Regions({}, dict.fromkeys(REGIONS, why), math.nan)
    return find_regions(reference.known_truth(), reference.raw, ~reference.valid, reference.pixel_mm)
