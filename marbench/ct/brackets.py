"""Which rays of a view can meet a pixel: an interval of bins around the ray through its centre."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from marbench.geometry import FanBeam, Geometry, ImageGrid

__all__ = ["ARC", "Bracket", "obstacle"]

ARC = "arc"
# In bins: what float32 may be wrong about the bin of a pixel.
_SLACK = 0.02
# The kernel's arc tangent ends here.
_WIDEST = math.pi / 4


class Bracket(NamedTuple):
    """Joseph's method reads a pixel for a ray that passes it, perpendicularly, at less than one pixel.

    Attributes
    ----------
    fan : bool
    detector : str
        "arc", "flat", or "" for parallel rays.
    distance : float
        From the source to the isocentre, in pixels.
    scale : float
        Bins per radian, per tangent, or per pixel: the bin of a pixel is ``centre + scale · g``, where g is the fan
        angle (arc), its tangent (flat), or t in pixels (parallel).
    centre : float
        The bin of the ray through the isocentre.
    reach : float
        Half the width of the interval, in bins.
    rays : int
        Most bins that the interval holds.
    views : ``(views, 2)``
        cos and sin of β or θ.
    """

    fan: bool
    detector: str
    distance: float
    scale: float
    centre: float
    reach: float
    rays: int
    views: NDArray[np.float64]

    @classmethod
    def of(cls, geometry: Geometry, grid: ImageGrid) -> Bracket:
        """Return the interval that holds for all pixels and views."""
        if isinstance(geometry, FanBeam):
            angles, detector, distance = geometry.beta, str(geometry.detector), geometry.source_distance / grid.pixel
            spread = _spread(geometry, grid)
            # Bins from the central ray: γ / pitch on an arc, tan γ · (source to detector) / pitch on a flat detector.
            if detector == ARC:
                scale = 1 / geometry.pitch
                reach = scale * spread
            else:
                scale = geometry.detector_distance / geometry.pitch
                # The tangent grows fastest at the edge of the detector, where the interval is widest.
                edge = geometry.widest
                reach = scale * (math.tan(edge + spread) - math.tan(edge))
        else:
            angles, detector, distance = geometry.theta, "", 0.0
            # A ray that reads a pixel passes its centre within one pixel, at any angle.
            scale = reach = grid.pixel / geometry.spacing
        reach += _SLACK
        views = np.stack([np.cos(angles), np.sin(angles)], axis=1)
        centre = (geometry.bins - 1) / 2 - (geometry.offset if isinstance(geometry, FanBeam) else 0.0)
        return cls(bool(detector), detector, distance, scale, centre, reach, math.ceil(2 * reach), views)


def obstacle(geometry: Geometry, grid: ImageGrid) -> str | None:
    """Return why no such interval exists for this scan, or None if one does."""
    if not isinstance(geometry, FanBeam):
        return None
    # The angle under which a pixel is seen has no value where the source is nearer than a pixel.
    if geometry.source_distance <= _radius(grid) + 2 * grid.pixel:
        return "the source stands inside the image"
    if geometry.widest + _spread(geometry, grid) >= _WIDEST:
        return f"the fan opens to ±{math.degrees(geometry.widest):.0f}°, beyond ±{math.degrees(_WIDEST):.0f}°"
    return None


def _spread(fan: FanBeam, grid: ImageGrid) -> float:
    """Return the angle under which the source sees one pixel at its nearest."""
    return math.asin(grid.pixel / (fan.source_distance - _radius(grid)))


def _radius(grid: ImageGrid) -> float:
    height, width = grid.field_of_view
    return math.hypot(height, width) / 2
