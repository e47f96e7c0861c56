"""Whether the files of a case belong together: what they say of each other, as numbers."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from scipy.signal import fftconvolve

from marbench.errors import GeometryError
from marbench.geometry import FanBeam

__all__ = [
    "BODY_HU",
    "DARK_HU",
    "GREY_HU",
    "TURNED_BACK",
    "Image",
    "Mask",
    "apart",
    "brightness",
    "ends_apart",
    "grown",
    "inverted",
    "measured_otherwise",
    "missed_and_foreign",
    "tissue",
    "wrong_unit",
]

Image = NDArray[np.float32]
Mask = NDArray[np.bool_]

BODY_HU = -500.0
"""What is body, and not air."""
_NEAR = 3
"""Pixels around metal whose values streaks and blur change most."""
_BLOCKS = 14
"""Blocks along the shorter side: of 1000 photons a ray, rays differ by 6 % from their expectation, blocks by 1 %."""
_AIR = 0.2
"""Part of the whole, as root mean square, below which values tell of nothing but noise."""
GREY_HU = (-1000.0, 3000.0)
"""HU between which metal is compared: above, a speck of gold would outweigh titanium."""
DARK_HU = -400.0
"""What a mask covers, against the body: metal that let no photon through is darker by 300, air by 1000."""
_LEAST_BODY = 0.005
"""Part of the picture above −500 HU; 0.016 with 100 photons a ray, 0 of a tenth of the line integrals."""
_MOST_TISSUE_HU = 1000.0
"""Of the middle of the body: −470 with 100 photons, to 200; 9000 where lengths are in mm."""

TURNED_BACK = "the source turning the other way (geometry.clockwise)"
"""How messages call it, in both places that try it."""
_ENDS_APART = 0.05
"""See `ends_apart`."""
_FEWEST_BOTH = 0.1
"""Part of the rays that have to be measured from both ends: half fans have some next to the centre alone."""
_FEWEST_VIEWS = 12
"""From which on another order leaves 0.66 of the difference at least; of 3 to 6 it is less than half by chance."""


def inverted(share: float) -> str:
    """Say that a mask marks too large a share of the picture to be one of metal, or return an empty text."""
    return f"{100 * share:.0f} % of the picture are metal. Is it inverted?" if share > 0.5 else ""


def wrong_unit(measured: Image, mask: Mask) -> str:
    """Say how a reconstruction in HU shows that its line integrals have another unit, or return an empty text."""
    share = float(((measured > BODY_HU) & ~mask).mean())
    body = tissue(measured, mask)
    middle = float(np.median(measured[body])) if body.any() else 0.0
    if share >= _LEAST_BODY and middle <= _MOST_TISSUE_HU:
        return ""
    found = f"{middle:.0f} HU in the middle of its body" if share >= _LEAST_BODY else "nothing but air"
    return f"our reconstruction of it shows {found}. Are these line integrals, −ln(I/I₀), in another unit?"


def tissue(measured: Image, mask: Mask) -> Mask:
    """Return the pixels of the body, without metal and what is next to it, in a reconstruction in HU."""
    body: Mask = (measured > BODY_HU) & ~grown(mask, _NEAR)
    return body


def grown(mask: Mask, pixels: int = 1) -> Mask:
    """Return a mask with so many pixels around it, corners included."""
    # Of 0 iterations SciPy makes as many as change something.
    result: Mask = ndimage.binary_dilation(mask, np.ones((3, 3)), iterations=pixels) if mask.any() else mask
    return result


def apart(one: torch.Tensor, other: torch.Tensor, where: torch.Tensor) -> float:
    """Return by how much two sinograms, or two images of µ, differ: relative to the second, in means of blocks.

    Noise and kernels of reconstruction average out in blocks, and another patient or level does not. It is 0 where no
    block lies in ``where``, a bool tensor of the same shape ``(rows, columns)``, and small where only air does.
    """
    weights = where.to(one.dtype)
    share = _blocks(weights)
    clear = share > 0.5
    if not clear.any():
        return 0.0
    difference, reference = (_blocks(values * weights)[clear] / share[clear] for values in (one - other, other))
    rms = max(_rms(reference), _AIR * _rms(other), 1e-12)
    return _rms(difference) / rms


def missed_and_foreign(
    trace: torch.Tensor, path: torch.Tensor, wide: torch.Tensor, least: float = 0.0
) -> tuple[float, float]:
    """Return the part of the metal that a trace misses, and the part of its rays that pass by the metal.

    Parameters
    ----------
    trace : bool tensor ``(views, bins)``
    path, wide : Tensor ``(views, bins)``
        Projections of the mask, and of the mask grown by a pixel: an implant may cover parts of pixels.
    least : float
        Path in cm from which on a ray has to be in the trace.
    """
    path = torch.where(path > least, path, 0)
    metal, rays = float(path.sum()), int(trace.sum())
    missed = float(path[~trace].sum()) / metal if metal else 0.0
    return missed, float((trace & ~(wide > 0)).sum()) / rays if rays else 0.0


def ends_apart(sinogram: Image, fan: FanBeam) -> float:
    """Return by how much the lines of a full circle differ from the same lines measured from their other end.

    p(β, γ) = p(β + π + 2γ, −γ) (Parker 1982) holds of any object, metal and truncated scans included. Returned is the
    root mean square of the difference, relative to that of p; NaN where too few lines are measured twice, or air alone.

    Parameters
    ----------
    sinogram : array ``(views, bins)``
    fan : FanBeam
        A full circle, see `FanBeam.is_circle`.
    """
    gamma = fan.gamma
    views = fan.view_of_beta(fan.beta[:, None] + math.pi + 2 * gamma) % fan.views
    bins = np.broadcast_to(fan.bin_of_gamma(-gamma), views.shape)
    twice = (bins > -1e-6) & (bins < fan.bins - 1 + 1e-6)
    if twice.mean() < _FEWEST_BOTH:
        return math.nan
    here = sinogram[twice].astype(np.float64)
    # Round the circle; along the detector no ray lies beyond its ends.
    there = ndimage.map_coordinates(
        sinogram.astype(np.float64), [views[twice], bins[twice].clip(0, fan.bins - 1)], order=1, mode="grid-wrap"
    )
    size = math.sqrt((here**2).mean())
    # Reversed, a half fan has its margin in the middle.
    if not size > _AIR * math.sqrt(np.square(sinogram, dtype=np.float64).mean()):
        return math.nan
    return math.sqrt(((here - there) ** 2).mean()) / size


def measured_otherwise(sinogram: Image, fan: FanBeam) -> str:
    """Say how else the rays of a full circle must have been measured to agree from both ends, or return an empty text.

    Noise and motion are no better in another order, so it takes one with less than half of the difference.
    """
    if not fan.is_circle or fan.views < _FEWEST_VIEWS or not (given := ends_apart(sinogram, fan)) > _ENDS_APART:
        return ""
    found = {name: ends_apart(rays, other) for name, rays, other in _otherwise(sinogram, fan)}
    least = min((apart_by for apart_by in found.values() if not math.isnan(apart_by)), default=math.inf)
    if not least < given / 2:
        return ""
    # Turned round and reversed bins differ by a mirror, which no ray sees.
    ways = " or ".join(name for name, apart_by in found.items() if apart_by < 1.1 * least)
    return (
        f"lines that were measured from both ends differ by {100 * given:.0f} % between them, and by "
        f"{100 * least:.1f} % with {ways}"
    )


def _otherwise(sinogram: Image, fan: FanBeam) -> Iterator[tuple[str, Image, FanBeam]]:
    """Yield how files of others are mostly measured otherwise, and the sinogram and the geometry of it."""
    angles = tuple(2 * fan.angles[0] - angle for angle in fan.angles)
    yield TURNED_BACK, sinogram, replace(fan, clockwise=not fan.clockwise, angles=angles)
    yield "its bins reversed", sinogram[:, ::-1], fan
    for cells in (-0.5, 0.5, -1, 1, -2, 2):
        with contextlib.suppress(GeometryError):  # of a shift that leaves no room for the central ray
            yield f"geometry.offset_bins = {fan.offset + cells:g}", sinogram, replace(fan, offset=fan.offset + cells)


def brightness(mask: Mask, measured: Image) -> NDArray[np.float64]:
    """Return the mean HU below a mask, wherever it is moved to: unmoved at ``[rows − 1, columns − 1]``.

    Of an image ``(rows, columns)`` it is ``(2·rows − 1, 2·columns − 1)``; beyond the picture is air.
    """
    lit = np.clip(measured.astype(np.float64), *GREY_HU) - GREY_HU[0]
    below: NDArray[Any] = fftconvolve(lit, mask[::-1, ::-1].astype(np.float64))
    return np.asarray(below / mask.sum() + GREY_HU[0], dtype=np.float64)


def _rms(values: torch.Tensor) -> float:
    return float(values.square().mean().sqrt())


def _blocks(values: torch.Tensor) -> torch.Tensor:
    side = max(1, min(values.shape) // _BLOCKS)
    means: torch.Tensor = torch.nn.functional.avg_pool2d(values[None, None], side)[0, 0]
    return means
