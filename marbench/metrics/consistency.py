"""Whether an image agrees with what was measured: the rays that miss metal need no correction, and bear witness."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from marbench.errors import MetricError

__all__ = ["Measured", "inconsistency"]


@dataclass(frozen=True, eq=False)
class Measured:
    """What a scanner measured of a slice, and what it would measure of an image.

    Attributes
    ----------
    sinogram : real array ``(views, bins)``
        Line integrals, ``scan.sinogram``.
    trace : bool array ``(views, bins)``
        Rays that meet metal, ``scan.metal_trace``.
    project : callable
        HU image ``(rows, columns)`` → line integrals ``(views, bins)``.
    """

    sinogram: NDArray[np.floating]
    trace: NDArray[np.bool_]
    project: Callable[[NDArray[np.floating]], NDArray[np.floating]]


def inconsistency(projected: ArrayLike, measured: ArrayLike, trace: ArrayLike) -> float:
    """Return ‖(1 − T)(P f − s)‖ / ‖(1 − T) s‖: how far an image is from the measurement outside of the metal trace.

    An image that shows what is not there, or not what is, disagrees with rays that metal has not touched. The truth has
    a number above 0 as well, of noise, pixels and beam hardening: compare with it.

    Parameters
    ----------
    projected : real array ``(views, bins)``
        P f, the line integrals of the image: `marbench.ct.Operators.project` of it.
    measured : real array ``(views, bins)``
        s, ``scan.sinogram``.
    trace : bool array ``(views, bins)``
        T, ``scan.metal_trace``.

    Raises
    ------
    MetricError
        The shapes differ, or no ray outside of the trace measured anything.
    """
    image, scan, metal = np.asarray(projected, np.float64), np.asarray(measured, np.float64), np.asarray(trace)
    if image.shape != scan.shape or metal.shape != scan.shape or metal.dtype != np.bool_:
        raise MetricError(
            "Expected line integrals of an image and of a scan, and a boolean trace, of one shape. Got "
            f"{image.shape}, {scan.shape} and {metal.dtype} {metal.shape}."
        )
    size = float(np.linalg.norm(scan[~metal]))
    if not size > 0:
        raise MetricError("No ray outside of the metal trace measured anything.")
    return float(np.linalg.norm((image - scan)[~metal])) / size
