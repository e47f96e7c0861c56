"""Whether the files of a case belong together: what they say of each other, as numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from scipy.signal import fftconvolve

__all__ = ["BODY_HU", "apart", "brightness", "grown", "missed_and_foreign", "tissue"]

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
_GREY = (-1000.0, 3000.0)
"""HU between which metal is compared: above, a speck of gold would outweigh titanium."""


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


def brightness(mask: Mask, measured: Image) -> NDArray[np.float64]:
    """Return the mean HU below a mask, wherever it is moved to: unmoved at ``[rows − 1, columns − 1]``.

    Of an image ``(rows, columns)`` it is ``(2·rows − 1, 2·columns − 1)``; beyond the picture is air.
    """
    lit = np.clip(measured.astype(np.float64), *_GREY) - _GREY[0]
    below: NDArray[Any] = fftconvolve(lit, mask[::-1, ::-1].astype(np.float64))
    return np.asarray(below / mask.sum() + _GREY[0], dtype=np.float64)


def _rms(values: torch.Tensor) -> float:
    return float(values.square().mean().sqrt())


def _blocks(values: torch.Tensor) -> torch.Tensor:
    side = max(1, min(values.shape) // _BLOCKS)
    means: torch.Tensor = torch.nn.functional.avg_pool2d(values[None, None], side)[0, 0]
    return means
