"""What a method invents: whether its image agrees with the rays that metal has not touched, and lets be what was right.

Both are called for by those who apply networks to patients. The first needs no truth: it has a number on recorded scans
too. A method that changes nothing has a perfect second number, so that neither ranks alone.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from marbench.metrics.clinical import Clinical
from marbench.metrics.consistency import Measured, inconsistency
from marbench.metrics.fidelity import Reference, ScoredImage
from marbench.metrics.places import AbsentRegion
from marbench.metrics.regions import regions_of

__all__ = ["HALLUCINATION", "clean_change", "data_inconsistency"]

_AIR_HU, _WATER_HU = -1000.0, 0.0


def data_inconsistency(image: ScoredImage) -> float:
    """Return 100 ‖(1 − T)(P f − s)‖ / ‖(1 − T) s‖ in %, see `marbench.metrics.consistency.inconsistency`.

    T holds the metal trace and every ray through a pixel that holds any metal: what a method shows in metal, or whether
    it was given too small a mask, changes nothing.
    """
    measured = _scan(image.reference)
    metal = image.reference.derived(_touched)
    if metal.all():
        raise AbsentRegion("every ray meets metal.")
    projected = measured.project(np.where(image.reference.valid, image.image, _WATER_HU))
    return 100 * inconsistency(projected, measured.sinogram, metal)


def clean_change(image: ScoredImage) -> float:
    """Return √(mean (f − r)²) in HU of the image against the uncorrected one, r, in the region ``artifact_free``.

    Corrected images should be what the uncorrected one is where that is right. (After FIND-Net, 2025, which takes the
    PSNR between input and output in patches without artifacts.)
    """
    region = regions_of(image.reference)["artifact_free"]
    raw = image.reference.raw
    assert raw is not None  # or there were no regions
    return math.sqrt(float(np.mean((image.image[region].astype(np.float64) - raw[region]) ** 2)))


def _scan(reference: Reference) -> Measured:
    if reference.measured is None:
        raise AbsentRegion("the scan and its geometry are not known of this case.")
    return reference.measured


def _touched(reference: Reference) -> NDArray[np.bool_]:
    measured = _scan(reference)
    # Air has no line integral but what rounding leaves, alike in both: what remains is the way through metal.
    air = np.full(reference.valid.shape, _AIR_HU, dtype=np.float32)
    through = measured.project(np.where(reference.valid, air, _WATER_HU)) - measured.project(air)
    return np.asarray(measured.trace | (through > 0))


HALLUCINATION = (
    Clinical(
        "inconsistency",
        "Data inconsistency",
        "%",
        2,
        False,
        data_inconsistency,
        (0, 1e6),
        needs=frozenset({"scan", "region"}),
    ),
    Clinical("clean_change", "Change of clean regions", "HU", 1, False, clean_change, (0, 1e6)),
)
"""The measures of the convention ``hallucination``; the first one ranks."""
