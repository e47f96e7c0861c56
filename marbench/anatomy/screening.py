"""Which slices cannot be ground truth: those that already contain metal, and those without a patient."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from marbench.anatomy.body import body_mask

__all__ = ["METAL_HU", "unfit"]

METAL_HU = 3000.0
"""Enamel, the densest tissue, stays below in all but a stray pixel; 12-bit scanners saturate at 3071."""

METAL_EDGE_HU = 2500.0
METAL_AREA_CM2 = 0.05
"""Metal counts from here, measured above ``METAL_EDGE_HU``: hooks of clothes and single noisy pixels do not."""


def unfit(image: NDArray[np.floating[Any]], spacing: tuple[float, float]) -> str | None:
    """Say why a slice cannot serve as metal-free anatomy, or return None where it can.

    Metal is a connected region above 2500 HU that measures at least 5 mm², reaches 3000 HU and touches the
    body. The two thresholds keep dense teeth and petrous bone, which are as bright as the blurred edge of
    metal but not as its core; metal in table and headrest is no implant.

    Parameters
    ----------
    image : array ``(rows, columns)``
        HU.
    spacing : (row, column)
        Pixel size in cm.
    """
    body = body_mask(image, spacing)
    if not body.any():
        return "no patient in the picture"
    if image.max() <= METAL_HU:
        return None
    labels, count = ndimage.label(image > METAL_EDGE_HU, structure=np.ones((3, 3)))
    areas = np.bincount(labels.ravel(), minlength=count + 1) * (spacing[0] * spacing[1])
    candidates = np.flatnonzero(areas >= METAL_AREA_CM2)
    for label in candidates[candidates > 0]:
        region = labels == label
        if body[region].any() and image[region].max() > METAL_HU:
            return f"metal: {100 * areas[label]:.0f} mm² up to {image[region].max():.0f} HU"
    return None
