"""What can be said of a corrected slice whose truth nobody knows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from marbench.anatomy.body import body_mask
from marbench.scans.series import Picture

__all__ = ["CLEAN_CM", "RING_CM", "Measures", "Regions", "artifact_index", "clean_change"]

RING_CM = 0.3, 3.0
"""Distance from metal of the ring in which streaks are looked for."""

CLEAN_CM = 5.0
"""Beyond this distance from metal a slice counts as clean."""

SOFT_TISSUE_HU = -200.0, 200.0
SMOOTHING_CM = 0.25
"""Wide enough that a streak does not decide what is soft tissue, narrow enough that bone does."""

SMALLEST_CM2 = 1.0
"""Less tissue than this tells no standard deviation."""

Image = NDArray[np.float32]


@dataclass(frozen=True)
class Measures:
    """What is measured of one slice as one method left it. NaN is what could not be measured.

    Attributes
    ----------
    residual : float
        ‖P D y − s‖ / ‖s‖ outside the metal trace, see `marbench.scans.correction.Reprojector.residual`.
    clean_change : float
        Root mean square change, HU, of the body beyond 5 cm from metal.
    artifact_index : float
        See `artifact_index`, HU.
    seconds : float
        What the method itself took.
    """

    residual: float
    clean_change: float
    artifact_index: float
    seconds: float


@dataclass(frozen=True, eq=False)
class Regions:
    """Where a slice is looked at. The regions come from the original, so that all methods are judged by the same ones.

    Attributes
    ----------
    picture : Picture
    metal : bool array ``(rows, columns)``
    """

    picture: Picture
    metal: NDArray[np.bool_]

    @cached_property
    def body(self) -> NDArray[np.bool_]:
        """The patient without table and metal."""
        native = self.picture.native
        body: NDArray[np.bool_] = body_mask(native.image, native.spacing) & ~self.metal & ~self.picture.outside
        return body

    @cached_property
    def distance(self) -> NDArray[np.float64]:
        """Distance of every pixel from the nearest metal, cm."""
        return np.asarray(ndimage.distance_transform_edt(~self.metal, sampling=self.picture.native.spacing))

    @cached_property
    def soft(self) -> NDArray[np.bool_]:
        """The body where the slice, smoothed, is soft tissue."""
        native = self.picture.native
        sigma = [SMOOTHING_CM / size for size in native.spacing]
        smooth = ndimage.gaussian_filter(native.image, sigma)
        soft: NDArray[np.bool_] = self.body & (smooth > SOFT_TISSUE_HU[0]) & (smooth < SOFT_TISSUE_HU[1])
        return soft

    @cached_property
    def ring(self) -> NDArray[np.bool_]:
        """Soft tissue in a ring around metal."""
        ring: NDArray[np.bool_] = self.soft & (self.distance > RING_CM[0]) & (self.distance <= RING_CM[1])
        return ring

    @cached_property
    def clean(self) -> NDArray[np.bool_]:
        """The body far from metal."""
        clean: NDArray[np.bool_] = self.body & (self.distance > CLEAN_CM)
        return clean

    def is_large(self, region: NDArray[np.bool_]) -> bool:
        """Say whether a region is large enough to be measured."""
        rows, columns = self.picture.native.spacing
        return float(np.count_nonzero(region)) * rows * columns >= SMALLEST_CM2


def artifact_index(image: Image, regions: Regions) -> float:
    """Return the artifact index √(σ² − σ₀²) in HU, 0 where σ < σ₀.

    σ is the standard deviation in the ring around metal, σ₀ that of soft tissue far from it. As in X. Z. Lin et al.,
    J. Comput. Assist. Tomogr. 35 (2011) 294, where readers draw the two regions. What is anatomy in the ring and not
    in the clean tissue counts too, so that it compares methods on one slice, and not slices.
    """
    far = regions.soft & regions.clean
    if not (regions.is_large(regions.ring) and regions.is_large(far)):
        return math.nan
    return math.sqrt(max(float(image[regions.ring].var()) - float(image[far].var()), 0.0))


def clean_change(change: Image, regions: Regions) -> float:
    """Return the root mean square change, HU, of the body far from metal; NaN where there is no such part."""
    if not regions.is_large(regions.clean):
        return math.nan
    return float(np.sqrt(np.mean(np.square(change[regions.clean], dtype=np.float64))))
