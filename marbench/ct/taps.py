"""Which pixel meets which ray, and with what weight: the two discretisations of the line integral.

Both are given as *taps*, a few views at a time. All backends are made of the same taps: the reference
computes them on the fly, the sparse backend stores them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from marbench.geometry import Geometry, ImageGrid, ParallelBeam

__all__ = ["TapFunction", "Taps", "interpolation_taps", "joseph_taps"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


class Taps(NamedTuple):
    """Matrix entries ``A[ray, pixel] += weight``; the three arrays broadcast to one shape.

    So that no entry needs a mask, the arrays that are indexed have a border: ``pixel`` counts in the
    flattened image of ``(rows + 2, columns + 2)``, ``ray`` in the flattened sinogram of ``(views, bins + 2)``.
    What falls outside the image or the detector falls on the border. Indices are int32.
    """

    ray: Tensor
    pixel: Tensor
    weight: Tensor


TapFunction = Callable[[Geometry, ImageGrid, IntArray, torch.device, torch.dtype], Taps]


def joseph_taps(geometry: Geometry, grid: ImageGrid, views: IntArray, device: torch.device, dtype: torch.dtype) -> Taps:
    """Ray-driven line integrals by Joseph's method, in cm.

    A ray is followed along the axis that it is more parallel to, one row or column of pixels at a time,
    and the image is interpolated linearly across.

    References
    ----------
    P. M. Joseph, "An improved algorithm for reprojecting rays through pixel images", IEEE Trans. Med.
    Imaging 1(3), 1982.
    """
    rows, columns = grid.shape
    theta, t = (lines[views] for lines in geometry.lines())
    cos, sin = np.cos(theta), np.sin(theta)
    # (c − c₀) cos θ − (r − r₀) sin θ = t / pixel, solved for the column of every row where |cos θ| is the
    # larger, else for the row of every column.
    by_row = np.abs(cos) >= np.abs(sin)
    across, along = np.where(by_row, cos, sin), np.where(by_row, sin, cos)
    centre_across, centre_along = _by(by_row, columns - 1, rows - 1) / 2, _by(by_row, rows - 1, columns - 1) / 2
    slope = along / across
    offset = np.where(by_row, t, -t) / grid.pixel / across + centre_across - slope * centre_along

    def per_ray(values: NDArray[np.generic], kind: torch.dtype) -> Tensor:
        return torch.as_tensor(values, device=device).to(kind)[..., None]

    step = torch.arange(max(rows, columns), device=device, dtype=torch.int32)
    position = torch.addcmul(per_ray(offset, dtype), per_ray(slope, dtype), step.to(dtype))
    lower, fraction = _split(position, per_ray(_by(by_row, columns, rows), dtype))
    # On an image that is not square, the shorter way ends on the border.
    step = torch.minimum(step, per_ray(_by(by_row, rows, columns), torch.int32))
    stride = per_ray(_by(by_row, 1, columns + 2), torch.int32)
    pixel = (lower + 1) * stride + (step + 1) * per_ray(_by(by_row, columns + 2, 1), torch.int32)
    # From one row to the next a ray runs pixel/|cos θ| cm, split between the two pixels that it passes between.
    length = per_ray(grid.pixel / np.abs(across), dtype)
    return Taps(
        ray=torch.as_tensor(_first_ray(geometry, views) + np.arange(geometry.bins), device=device)[..., None],
        pixel=_pairs(pixel, pixel + stride).flatten(-2),
        weight=_pairs(length - fraction * length, fraction * length).flatten(-2),
    )


def interpolation_taps(
    geometry: Geometry, grid: ImageGrid, views: IntArray, device: torch.device, dtype: torch.dtype
) -> Taps:
    """Pixel-driven parallel back-projection: each pixel reads every view by linear interpolation in t.

    The weights sum to 1 over the bins that a pixel sees in one view; beyond the detector the sinogram is 0.
    """
    if not isinstance(geometry, ParallelBeam):
        raise TypeError(f"Expected a ParallelBeam. Got {geometry!r}.")
    theta = geometry.theta[views]
    # t = x cos θ + y sin θ in bins; t = 0 lies at (bins − 1)/2.
    per_row = np.sin(theta)[:, None] * grid.y / geometry.spacing
    per_column = np.cos(theta)[:, None] * grid.x / geometry.spacing + (geometry.bins - 1) / 2
    position = (
        torch.as_tensor(per_row, device=device).to(dtype)[:, :, None]
        + torch.as_tensor(per_column, device=device).to(dtype)[:, None, :]
    ).flatten(1)
    lower, fraction = _split(position, geometry.bins)
    ray = lower + torch.as_tensor(_first_ray(geometry, views), device=device)
    row, column = torch.arange(1, grid.rows + 1, device=device), torch.arange(1, grid.columns + 1, device=device)
    pixel = (row[:, None] * (grid.columns + 2) + column).to(torch.int32)
    return Taps(
        ray=_pairs(ray, ray + 1),
        pixel=pixel.view(1, -1, 1),
        weight=_pairs(1 - fraction, fraction),
    )


def _split(position: Tensor, length: Tensor | int) -> tuple[Tensor, Tensor]:
    """Return index and fraction, so that both neighbours lie in [−1, length]: the cells and one more each side."""
    # Clamped first: a position far outside would leave the range of int32.
    position = torch.clamp(position, min=-1).clamp_(max=length)
    lower = torch.minimum(position.floor(), torch.as_tensor(length - 1, dtype=position.dtype, device=position.device))
    return lower.to(torch.int32), position - lower


def _pairs(first: Tensor, second: Tensor) -> Tensor:
    """Return ``torch.stack([first, second], dim=-1)``, which PyTorch takes twice as long for on the CPU."""
    pairs = first.new_empty(*first.shape, 2)
    pairs[..., 0], pairs[..., 1] = first, second
    return pairs


def _first_ray(geometry: Geometry, views: IntArray) -> NDArray[np.int32]:
    """Return the index of bin 0 of the given views, a column."""
    return (views[:, None] * (geometry.bins + 2) + 1).astype(np.int32)


def _by(by_row: NDArray[np.bool_], rows: int, columns: int) -> IntArray:
    return np.where(by_row, rows, columns)
