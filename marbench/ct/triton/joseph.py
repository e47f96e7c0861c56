"""Joseph's projector for any fan or parallel beam, and its transpose, both as gathers.

Every ray is three numbers: where it crosses row (or column) 0, in pixels, how far it moves from one row to the
next, and the length of that step. Both kernels compute the crossing by the same fused multiply-add.
"""

# Kernels are Triton's language in Python syntax: their arguments have no Python types.
# mypy: disallow-untyped-decorators=False, disallow-untyped-defs=False, disallow-incomplete-defs=False
# mypy: disallow-untyped-calls=False

from __future__ import annotations

import numpy as np
import torch
import triton
import triton.language as tl
from numpy.typing import NDArray
from torch import Tensor

from marbench.ct.brackets import ARC, Bracket
from marbench.ct.linear import LinearMap
from marbench.ct.triton.launch import PLANS, group_of, on_device_of, with_transpose
from marbench.geometry import Geometry, ImageGrid

__all__ = ["KERNELS", "JosephProjection"]


class JosephProjection(LinearMap):
    """Image ``(rows, columns)`` → sinogram ``(views, bins)``: the map of `marbench.ct.taps.joseph_taps`."""

    def __init__(self, geometry: Geometry, grid: ImageGrid, device: torch.device, dtype: torch.dtype) -> None:
        self.domain_shape, self.range_shape = grid.shape, geometry.shape
        self._rays = torch.as_tensor(ray_table(geometry, grid), device=device).to(dtype).contiguous()
        self._bracket = Bracket.of(geometry, grid)
        self._sources = torch.as_tensor(self._bracket.views, device=device).to(torch.float32).contiguous()

    def forward(self, x: Tensor) -> Tensor:
        """Follow every ray through the image."""
        plan, batch = PLANS["project"], len(x)
        group, (views, bins) = group_of(plan, batch), self.range_shape
        both = with_transpose(x)
        out = x.new_empty(batch, views, bins)
        grid = views, triton.cdiv(bins, plan.columns), triton.cdiv(batch, group)
        with on_device_of(x):
            project[grid](
                both, out, self._rays, batch, views, bins, *self.domain_shape,
                GROUP=group, BLOCK=plan.columns, UNROLL=plan.unroll, num_warps=plan.warps, num_stages=1,
            )  # fmt: skip
        return out

    def adjoint(self, y: Tensor) -> Tensor:
        """Let every pixel read the rays that read it."""
        plan, batch, bracket = PLANS["project_adjoint"], len(y), self._bracket
        group, (rows, columns) = group_of(plan, batch), self.domain_shape
        out = y.new_empty(batch, rows, columns)
        grid = triton.cdiv(columns, plan.columns), triton.cdiv(rows, plan.rows), triton.cdiv(batch, group)
        with on_device_of(y):
            project_adjoint[grid](
                y, out, self._rays, self._sources, batch, *self.range_shape, rows, columns,
                bracket.distance, bracket.scale, bracket.centre, bracket.reach,
                RAYS=bracket.rays, FAN=bracket.fan, ARC_DETECTOR=bracket.detector == ARC, GROUP=group,
                TILE_ROWS=plan.rows, TILE_COLUMNS=plan.columns, UNROLL=plan.unroll, num_warps=plan.warps,
                num_stages=1,
            )  # fmt: skip
        return out


def ray_table(geometry: Geometry, grid: ImageGrid) -> NDArray[np.float64]:
    """Return offset, slope and signed step length of every ray, ``(3, views, bins)``.

    In pixels, pixels a step, and cm. The length is positive for a ray that is followed row by row, where
    |cos θ| ≥ |sin θ|, and negative for one that is followed column by column.
    """
    theta, t = geometry.lines()
    cos, sin = np.cos(theta), np.sin(theta)
    by_row = np.abs(cos) >= np.abs(sin)
    across, along = np.where(by_row, cos, sin), np.where(by_row, sin, cos)
    (rows, columns), sign = grid.shape, np.where(by_row, 1, -1)
    centre_across = np.where(by_row, columns - 1, rows - 1) / 2
    centre_along = np.where(by_row, rows - 1, columns - 1) / 2
    # (c − c₀) cos θ − (r − r₀) sin θ = t / pixel, solved for the column of row 0 (or the row of column 0).
    slope = along / across
    offset = sign * t / grid.pixel / across + centre_across - slope * centre_along
    return np.stack([offset, slope, sign * grid.pixel / np.abs(across)])


@triton.jit
def _crossing(offset, slope, step):
    """Return where a ray crosses a row (or column), in pixels."""
    return tl.fma(slope, step, offset)


@triton.jit
def project(
    both, out, table, batch, views, bins, rows, columns,
    GROUP: tl.constexpr, BLOCK: tl.constexpr, UNROLL: tl.constexpr,
):  # fmt: skip
    """One program: a block of rays of one view through a group of images, which share crossings and weights."""
    kind = out.dtype.element_ty
    bin_ = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    ray, exists = tl.program_id(0) * bins + bin_, bin_ < bins
    item = tl.program_id(2) * GROUP + tl.arange(0, GROUP)
    offset = tl.load(table + ray, mask=exists, other=0)
    slope = tl.load(table + views * bins + ray, mask=exists, other=0)
    length = tl.load(table + 2 * views * bins + ray, mask=exists, other=0)
    by_row = length > 0
    steps, size = tl.where(by_row, rows, columns), tl.where(by_row, columns, rows)
    source = both + (tl.minimum(item, batch - 1).to(tl.int64) * 2 * rows * columns)[:, None]
    source += tl.where(by_row, 0, rows * columns)[None, :]
    total = tl.zeros([GROUP, BLOCK], dtype=kind)
    for step in tl.range(0, tl.maximum(rows, columns), loop_unroll_factor=UNROLL):
        crossing = _crossing(offset, slope, tl.cast(step, kind))
        floor = tl.floor(crossing)
        fraction, lower = (crossing - floor)[None, :], floor.to(tl.int32)
        valid = exists & (step < steps)
        # Either neighbour may lie outside: a ray that enters between −1 and 0 has weight on pixel 0 alone.
        at = source + (step * size + lower)[None, :]
        before = tl.load(at, mask=(valid & (lower >= 0) & (lower < size))[None, :], other=0)
        after = tl.load(at + 1, mask=(valid & (lower >= -1) & (lower < size - 1))[None, :], other=0)
        total = tl.fma(1 - fraction, before, tl.fma(fraction, after, total))
    target = out + (item.to(tl.int64) * views * bins)[:, None] + ray[None, :]
    tl.store(target, total * tl.abs(length)[None, :], mask=(item < batch)[:, None] & exists[None, :])


@triton.jit
def project_adjoint(
    sinograms, images, table, sources, batch, views, bins, rows, columns,
    distance, scale, centre, reach,
    RAYS: tl.constexpr, FAN: tl.constexpr, ARC_DETECTOR: tl.constexpr, GROUP: tl.constexpr,
    TILE_ROWS: tl.constexpr, TILE_COLUMNS: tl.constexpr, UNROLL: tl.constexpr,
):  # fmt: skip
    """One program: a tile of pixels of a group of images; in each view a pixel meets at most ``RAYS`` rays."""
    kind = images.dtype.element_ty
    place = tl.arange(0, TILE_ROWS * TILE_COLUMNS)
    row = tl.program_id(1) * TILE_ROWS + place // TILE_COLUMNS
    column = tl.program_id(0) * TILE_COLUMNS + place % TILE_COLUMNS
    # Beyond the image the last pixel is computed again, and not stored.
    x = tl.minimum(column, columns - 1).to(tl.float32) - (columns - 1) * 0.5
    y = (rows - 1) * 0.5 - tl.minimum(row, rows - 1).to(tl.float32)
    item = tl.program_id(2) * GROUP + tl.arange(0, GROUP)
    source = sinograms + (tl.minimum(item, batch - 1).to(tl.int64) * views * bins)[:, None]
    total = tl.zeros([GROUP, TILE_ROWS * TILE_COLUMNS], dtype=kind)
    for view in tl.range(0, views, loop_unroll_factor=UNROLL):
        cos, sin = tl.load(sources + view * 2), tl.load(sources + view * 2 + 1)
        # Of the ray through the pixel's centre: t, or tan γ = (x cos β + y sin β) / (D + x sin β − y cos β).
        place_on_detector = x * cos + y * sin
        if FAN:
            place_on_detector = place_on_detector / (distance + x * sin - y * cos)
            if ARC_DETECTOR:
                place_on_detector = _arc_tangent(place_on_detector)
        first = tl.floor(place_on_detector * scale + centre - reach).to(tl.int32) + 1
        for candidate in tl.static_range(RAYS):
            bin_ = first + candidate
            exists = (bin_ >= 0) & (bin_ < bins)
            ray = view * bins + bin_
            offset = tl.load(table + ray, mask=exists, other=0)
            slope = tl.load(table + views * bins + ray, mask=exists, other=0)
            length = tl.load(table + 2 * views * bins + ray, mask=exists, other=0)
            by_row = length > 0
            crossing = _crossing(offset, slope, tl.where(by_row, row, column).to(kind))
            across = tl.where(by_row, column, row).to(kind)
            # Linear interpolation seen from the pixel: 1 at its centre, 0 from its neighbours on.
            weight = tl.maximum(1 - tl.abs(crossing - across), 0) * tl.abs(length)
            value = tl.load(source + ray[None, :], mask=exists[None, :], other=0)
            total = tl.fma(weight[None, :], value, total)
    out = images + (item.to(tl.int64) * rows * columns)[:, None] + (row * columns + column)[None, :]
    tl.store(out, total, mask=(item < batch)[:, None] & ((row < rows) & (column < columns))[None, :])


@triton.jit
def _arc_tangent(tangent):
    """Return atan for |tangent| ≤ 1, beyond ±1 its end value; the error is below 2e-8 plus rounding.

    Abramowitz and Stegun 1964, eq. 4.4.49.
    """
    tangent = tl.minimum(tl.maximum(tangent, -1.0), 1.0)
    square = tangent * tangent
    series = 0.0028662257 * square - 0.0161657367
    series = series * square + 0.0429096138
    series = series * square - 0.0752896400
    series = series * square + 0.1065626393
    series = series * square - 0.1420889944
    series = series * square + 0.1999355085
    series = series * square - 0.3333314528
    return (series * square + 1) * tangent


KERNELS = (project, project_adjoint)
