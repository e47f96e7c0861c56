"""The metal mask that methods are given, where it is not that of what was put in."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from marbench.spec_sections import SegmentationSection

__all__ = ["segmented"]


def segmented(
    metal: NDArray[np.bool_], image: NDArray[np.float32], section: SegmentationSection
) -> NDArray[np.bool_] | None:
    """Return the mask that a benchmark's segmentation finds; None where it finds what was put in.

    Parameters
    ----------
    metal : bool array ``(rows, columns)``
        The mask of what was put in.
    image : float32 array ``(rows, columns)``
        The uncorrected reconstruction, HU.
    section : SegmentationSection

    Returns
    -------
    bool array ``(rows, columns)`` or None
        It may be empty: a threshold that nothing reaches, a wire that is shrunk.
    """
    if section == SegmentationSection():
        return None
    found = metal if section.threshold_hu is None else image >= section.threshold_hu
    return _shifted(_grown(found, section.grow_px), section.shift_px)


def _grown(mask: NDArray[np.bool_], pixels: int) -> NDArray[np.bool_]:
    """Return all within so many pixels of a mask, or what of it is farther than that from all else."""
    # Of nothing, and of everything, there is no distance to the other.
    if pixels == 0 or mask.all() or not mask.any():
        return mask
    near: NDArray[np.bool_] = ndimage.distance_transform_edt(~mask) <= pixels
    return near if pixels > 0 else ndimage.distance_transform_edt(mask) > -pixels


def _shifted(mask: NDArray[np.bool_], columns: int) -> NDArray[np.bool_]:
    """Return a mask displaced to the right; what leaves the image is lost."""
    rows, found = np.nonzero(mask)
    inside = (found + columns >= 0) & (found + columns < mask.shape[1])
    moved = np.zeros_like(mask)
    moved[rows[inside], found[inside] + columns] = True
    return moved
