"""Pixel-driven parallel back-projection and its transpose, both as gathers: no atomics, so the same bits every time.

Where pixel and bin meet is computed by one function, `_position`, in both kernels, with explicit fused
multiply-adds, so that the compiler cannot round differently: the second kernel is the exact transpose of the first.
"""

# Kernels are Triton's language in Python syntax: their arguments have no Python types.
# mypy: disallow-untyped-decorators=False, disallow-untyped-defs=False, disallow-incomplete-defs=False
# mypy: disallow-untyped-calls=False

from __future__ import annotations

import math

import torch
import triton
import triton.language as tl
from torch import Tensor

from marbench.ct.linear import LinearMap
from marbench.ct.triton.launch import PLANS, group_of, on_device_of, with_transpose
from marbench.geometry import ImageGrid, ParallelBeam

__all__ = ["KERNELS", "BackProjection"]

# Rounding of a position must not lose a pixel from the candidates of the adjoint.
_SLACK = 0.01


class BackProjection(LinearMap):
    """Parallel sinogram ``(views, width)`` → image ``(rows, columns)``: the sum of linear interpolations in t.

    Bin i stands in column i + 1; column 0 and the columns behind the last bin are 0 (so no load needs a mask), and
    the adjoint leaves them 0.
    """

    def __init__(
        self, parallel: ParallelBeam, grid: ImageGrid, width: int, device: torch.device, dtype: torch.dtype
    ) -> None:
        if width < parallel.bins + 2:
            raise ValueError(f"Expected rows of at least {parallel.bins + 2} for {parallel.bins} bins. Got {width}.")
        self.domain_shape, self.range_shape = (parallel.views, width), grid.shape
        self._bins = parallel.bins
        scale = grid.pixel / parallel.spacing
        angles = torch.from_numpy(parallel.theta)
        # Rounded before they are compared, as the kernel compares them: at 45° rounding decides.
        cos, sin = (angles.cos() * scale).to(dtype), (angles.sin() * scale).to(dtype)
        steepest = torch.where(cos.abs() >= sin.abs(), cos, sin)
        self._views = torch.stack([cos, sin, 1 / steepest], dim=1).to(device)
        # Pixels of one row that are less than a bin away from one bin.
        self._taps = math.ceil(2 / float(steepest.abs().min()) + 2 * _SLACK)

    def forward(self, x: Tensor) -> Tensor:
        """Let every pixel read every view."""
        plan, batch = PLANS["back_project"], len(x)
        group, (rows, columns) = group_of(plan, batch), self.range_shape
        out = x.new_empty(batch, rows, columns)
        grid = triton.cdiv(columns, plan.columns), triton.cdiv(rows, plan.rows), triton.cdiv(batch, group)
        with on_device_of(x):
            back_project[grid](
                x, out, self._views, batch, *self.domain_shape, self._bins, rows, columns,
                GROUP=group, TILE_ROWS=plan.rows, TILE_COLUMNS=plan.columns, UNROLL=plan.unroll, num_warps=plan.warps,
                num_stages=1,
            )  # fmt: skip
        return out

    def adjoint(self, y: Tensor) -> Tensor:
        """Let every bin read the pixels that read it."""
        plan, batch = PLANS["back_project_adjoint"], len(y)
        group, (views, width) = group_of(plan, batch), self.domain_shape
        both = with_transpose(y)
        out = y.new_empty(batch, views, width)
        grid = views, triton.cdiv(width, plan.columns), triton.cdiv(batch, group)
        with on_device_of(y):
            back_project_adjoint[grid](
                both, out, self._views, batch, views, width, self._bins, *self.range_shape,
                TAPS=self._taps, GROUP=group, BLOCK=plan.columns, num_warps=plan.warps, num_stages=1,
            )  # fmt: skip
        return out


@triton.jit
def _position(x, y, cos, sin, centre):
    """Return the fractional bin of a point given in pixels from the isocentre, y upwards."""
    return tl.fma(x, cos, tl.fma(y, sin, centre))


@triton.jit
def back_project(
    sinograms, images, table, batch, views, width, bins, rows, columns,
    GROUP: tl.constexpr, TILE_ROWS: tl.constexpr, TILE_COLUMNS: tl.constexpr, UNROLL: tl.constexpr,
):  # fmt: skip
    """One program: a tile of pixels of a group of images, which share positions and weights."""
    kind = images.dtype.element_ty
    place = tl.arange(0, TILE_ROWS * TILE_COLUMNS)
    row = tl.program_id(1) * TILE_ROWS + place // TILE_COLUMNS
    column = tl.program_id(0) * TILE_COLUMNS + place % TILE_COLUMNS
    # Beyond the image the last pixel is computed again, and not stored.
    x = tl.minimum(column, columns - 1).to(kind) - tl.cast(columns - 1, kind) * 0.5
    y = tl.cast(rows - 1, kind) * 0.5 - tl.minimum(row, rows - 1).to(kind)
    item = tl.program_id(2) * GROUP + tl.arange(0, GROUP)
    # Beyond the batch the last sinogram is read again, and the result is not stored.
    source = sinograms + (tl.minimum(item, batch - 1).to(tl.int64) * views * width)[:, None]
    centre = tl.cast(bins - 1, kind) * 0.5
    total = tl.zeros([GROUP, TILE_ROWS * TILE_COLUMNS], dtype=kind)
    for view in tl.range(0, views, loop_unroll_factor=UNROLL):
        cos, sin = tl.load(table + view * 3), tl.load(table + view * 3 + 1)
        position = _position(x, y, cos, sin, centre)
        position = tl.minimum(tl.maximum(position, -1), tl.cast(bins, kind))
        lower = tl.minimum(tl.floor(position), tl.cast(bins - 1, kind))
        fraction = (position - lower)[None, :]
        at = source + (view * width + 1 + lower.to(tl.int32))[None, :]
        before, after = tl.load(at), tl.load(at + 1)
        total = tl.fma(1 - fraction, before, tl.fma(fraction, after, total))
    pixel = (row * columns + column)[None, :]
    out = images + (item.to(tl.int64) * rows * columns)[:, None] + pixel
    tl.store(out, total, mask=(item < batch)[:, None] & ((row < rows) & (column < columns))[None, :])


@triton.jit
def back_project_adjoint(
    both, out, table, batch, views, width, bins, rows, columns,
    TAPS: tl.constexpr, GROUP: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """One program: a block of bins of one view of a group of sinograms; it walks over the rows or columns of pixels."""
    kind = out.dtype.element_ty
    view = tl.program_id(0)
    slot = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    item = tl.program_id(2) * GROUP + tl.arange(0, GROUP)
    source = both + (tl.minimum(item, batch - 1).to(tl.int64) * 2 * rows * columns)[:, None]
    cos, sin = tl.load(table + view * 3), tl.load(table + view * 3 + 1)
    if tl.abs(cos) >= tl.abs(sin):
        total = _gather(source, slot, table + view * 3, bins, rows, columns, True, TAPS, GROUP, BLOCK, kind)
    else:
        across = source + rows * columns
        total = _gather(across, slot, table + view * 3, bins, rows, columns, False, TAPS, GROUP, BLOCK, kind)
    inside = (slot > 0) & (slot <= bins)
    target = out + ((item.to(tl.int64) * views + view) * width)[:, None] + slot[None, :]
    total = tl.where(inside[None, :], total, 0)
    tl.store(target, total, mask=(item < batch)[:, None] & (slot < width)[None, :])


@triton.jit
def _gather(
    source, slot, table, bins, rows, columns,
    BY_ROW: tl.constexpr, TAPS: tl.constexpr, GROUP: tl.constexpr, BLOCK: tl.constexpr, KIND: tl.constexpr,
):  # fmt: skip
    """Sum over the pixels less than a bin away from each bin, row by row (or column by column)."""
    cos, sin, inverse = tl.load(table), tl.load(table + 1), tl.load(table + 2)
    at = (slot - 1).to(KIND)
    centre = tl.cast(bins - 1, KIND) * 0.5
    x0, y0 = tl.cast(columns - 1, KIND) * 0.5, tl.cast(rows - 1, KIND) * 0.5
    lines, length = (rows, columns) if BY_ROW else (columns, rows)
    total = tl.zeros([GROUP, BLOCK], dtype=KIND)
    for line in range(lines):
        # Pixels across are candidates where |position − at| < 1; which ones exactly, the weight decides.
        if BY_ROW:
            y = y0 - tl.cast(line, KIND)
            lowest = x0 + (at - centre - y * sin) * inverse - tl.abs(inverse)
        else:
            x = tl.cast(line, KIND) - x0
            lowest = y0 - (at - centre - x * cos) * inverse - tl.abs(inverse)
        first = tl.floor(tl.minimum(tl.maximum(lowest, -TAPS - 1.0), tl.cast(length, KIND)) - 0.01).to(tl.int32) + 1
        for tap in tl.static_range(TAPS):
            pixel = first + tap
            if BY_ROW:
                position = _position(pixel.to(KIND) - x0, y, cos, sin, centre)
            else:
                position = _position(x, y0 - pixel.to(KIND), cos, sin, centre)
            weight = tl.maximum(1 - tl.abs(position - at), 0)
            valid = (pixel >= 0) & (pixel < length)
            value = tl.load(source + (line * length + pixel)[None, :], mask=valid[None, :], other=0)
            total = tl.fma(weight[None, :], value, total)
    return total


KERNELS = (back_project, back_project_adjoint)
