"""Water-equivalent thickness: how far a proton beam reaches, from HU by way of the relative stopping power."""

from __future__ import annotations

import math

import numpy as np
import scipy
from numpy.typing import NDArray

from marbench.metrics.fidelity import Mask
from marbench.metrics.places import Disc

__all__ = ["stopping_power", "water_equivalent_mm"]

# The stoichiometric calibration of the AAPM CT-MAR challenge: linear between these points, constant beyond them.
_HU = (-1000, -200, -120, -20, 50, 100, 140, 2990, 2995, 999960)
_POWER = (0, 0.788, 0.897, 1.003, 1.038, 1.084, 1.097, 2.732, 3.200, 3.200)

_STEP = 0.5
"""Between samples along a beam, pixels."""


def stopping_power(hu: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the stopping power for protons relative to water.

    >>> stopping_power(np.array([-1000.0, 0.0, 50.0])).round(3).tolist()
    [0.0, 1.013, 1.038]
    """
    return np.asarray(np.interp(hu, _HU, _POWER))


def water_equivalent_mm(
    hu: NDArray[np.floating], body: Mask, target: Disc, angle: float, pixel_mm: float
) -> NDArray[np.float64]:
    """Return the water-equivalent thickness along the rays of a parallel beam, up to the far side of a target.

    WET = ∫ SPR dl, by the midpoint rule in steps of half a pixel, bilinear between pixels. What lies outside of the
    body is air; the picture is not turned, the rays are.

    Parameters
    ----------
    hu : real array ``(rows, columns)``
    body : bool array ``(rows, columns)``
        What is no air.
    target : Disc
    angle : float
        Direction of the beam in degrees: 0 along a row to the right, 90 down a column.
    pixel_mm : float

    Returns
    -------
    float array ``(rays,)``
        mm of water; the rays are one pixel apart.
    """
    power = np.where(body, stopping_power(hu), 0.0)
    aside = np.arange(-math.floor(target.radius), math.floor(target.radius) + 1)
    reach = np.sqrt(target.radius**2 - aside**2)
    # Back from the far side, through all of the picture.
    along = reach[:, None] - _STEP * (np.arange(math.ceil(math.hypot(*hu.shape) / _STEP) + 1) + 0.5)
    down, right = math.sin(math.radians(angle)), math.cos(math.radians(angle))
    places = (
        target.row + along * down + aside[:, None] * right,
        target.column + along * right - aside[:, None] * down,
    )
    sampled = scipy.ndimage.map_coordinates(power, places, order=1, mode="constant")
    return np.asarray(sampled.sum(axis=1) * _STEP * pixel_mm)
