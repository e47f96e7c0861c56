"""Which slices cannot be ground truth: those that already contain metal, and those with hardly any patient."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from marbench.anatomy.body import body_mask

__all__ = ["METAL_HU", "SMALLEST_BODY_CM2", "unfit"]

METAL_HU = 3000.0
"""Enamel, the densest tissue, stays below in all but a stray pixel; 12-bit scanners saturate at 3071."""

METAL_EDGE_HU = 2500.0
METAL_AREA_CM2 = 0.05
"""Metal counts from here, measured above ``METAL_EDGE_HU``: hooks of clothes and single noisy pixels do not."""

SMALLEST_BODY_CM2 = 15.0
"""A slim wrist has more; the last slice of a head, a cap of scalp in which no implant has its place, has less."""


def unfit(
    image: NDArray[np.floating[Any]], spacing: tuple[float, float], smallest_cm2: float = SMALLEST_BODY_CM2
) -> str | None:
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
    smallest_cm2 : float
        Of how much body a slice has to show.
    """
    body, pixel = body_mask(image, spacing), spacing[0] * spacing[1]
    if not body.any():
        return "no patient in the picture"
    if (area := body.sum() * pixel) < smallest_cm2:
        return f"hardly any patient: {area:.0f} cm² of body where implants need {smallest_cm2:.0f}"
    if image.max() <= METAL_HU:
        return None
    labels, count = ndimage.label(image > METAL_EDGE_HU, structure=np.ones((3, 3)))
    areas = np.bincount(labels.ravel(), minlength=count + 1) * pixel
    candidates = np.flatnonzero(areas >= METAL_AREA_CM2)
    for label in candidates[candidates > 0]:
        region = labels == label
        if body[region].any() and image[region].max() > METAL_HU:
            return f"metal: {100 * areas[label]:.0f} mm² up to {image[region].max():.0f} HU"
    return None
