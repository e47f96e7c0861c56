"""Simulated cases as the pool keeps them: fixed-point numbers, two bytes each.

At the values that sinograms have, 16-bit fixed point is finer than float16: the step is 1/1024 of a line integral
everywhere, where float16 has 1/256 from 4 on, and the ramp filter amplifies whatever is lost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from marbench.geometry import Geometry, ImageGrid

__all__ = ["FIELDS", "Packed", "bytes_per_case", "join", "pack", "unpack"]

SINOGRAM_STEP = 1 / 1024
"""Line integrals; the range is ±32."""
IMAGE_STEP = 1 / 8
"""HU; the range is ±4096."""

FIELDS = ("sinogram", "true_sinogram", "true_image", "trace", "metal")
_MASK, _ANY_METAL = 1, 2

Packed = dict[str, NDArray[np.int16] | NDArray[np.uint8]]


def pack(
    sinogram: torch.Tensor,
    true_sinogram: torch.Tensor,
    true_image: torch.Tensor,
    trace: torch.Tensor,
    mask: torch.Tensor,
    any_metal: torch.Tensor,
) -> Packed:
    """Return one case, of tensors without a batch axis, as `FIELDS`."""
    return {
        "sinogram": _fixed(sinogram, SINOGRAM_STEP),
        "true_sinogram": _fixed(true_sinogram, SINOGRAM_STEP),
        "true_image": _fixed(true_image, IMAGE_STEP),
        "trace": trace.to(torch.uint8).numpy(),
        "metal": (mask * _MASK + any_metal * _ANY_METAL).to(torch.uint8).numpy(),
    }


def unpack(packed: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the tensors of a batch of packed cases, with the names of the arguments of `pack`."""
    return {
        "sinogram": packed["sinogram"].float() * SINOGRAM_STEP,
        "true_sinogram": packed["true_sinogram"].float() * SINOGRAM_STEP,
        "true_image": packed["true_image"].float() * IMAGE_STEP,
        "trace": packed["trace"].bool(),
        "mask": (packed["metal"] & _MASK).bool(),
        "any_metal": (packed["metal"] & _ANY_METAL).bool(),
    }


def join(cases: Sequence[Packed]) -> Packed:
    """Return several cases as one block with a leading axis."""
    return {name: np.stack([case[name] for case in cases]) for name in FIELDS}  # type: ignore[misc]


def bytes_per_case(geometry: Geometry, grid: ImageGrid) -> int:
    """Return the size of a packed case."""
    return 5 * geometry.views * geometry.bins + 3 * grid.rows * grid.columns


def _fixed(values: torch.Tensor, step: float) -> NDArray[np.int16]:
    limits = torch.iinfo(torch.int16)
    fixed: NDArray[np.int16] = (values / step).round().clamp(limits.min, limits.max).to(torch.int16).numpy()
    return fixed
