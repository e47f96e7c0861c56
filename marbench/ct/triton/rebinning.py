"""Fan-beam rays sorted into parallel views, both measurements of a line averaged: a gather in either direction."""

# Kernels are Triton's language in Python syntax: their arguments have no Python types.
# mypy: disallow-untyped-decorators=False, disallow-untyped-defs=False, disallow-incomplete-defs=False
# mypy: disallow-untyped-calls=False

from __future__ import annotations

import math

import numpy as np
import torch
import triton
import triton.language as tl
from torch import Tensor

from marbench.ct.linear import LinearMap
from marbench.ct.triton.launch import on_device_of
from marbench.geometry import FanBeam, ParallelBeam

__all__ = ["KERNELS", "Rebinning"]

_BLOCK = 256
# Rounding of a position must not lose a view from the candidates of the adjoint.
_SLACK = 0.01


class Rebinning(LinearMap):
    """Fan ``(views, bins)`` → parallel directions at the fan's angles, ``(parallel views, width)``.

    The same map as `marbench.ct.rebinning.rebinning_matrix`: line (θ, γ) is read at β = θ − γ and, in the opposite
    direction, at β = θ + π + γ with fan angle −γ. ``width`` ≥ bins; what is beyond the bins is 0.
    """

    def __init__(
        self, fan: FanBeam, parallel: ParallelBeam, width: int, device: torch.device, dtype: torch.dtype
    ) -> None:
        self.domain_shape, self.range_shape = fan.shape, (parallel.views, width)
        # In steps of β; the direction p adds p · views / (2 · parallel views), which the kernels do in integers.
        steps = np.stack([-fan.gamma, math.pi + fan.gamma]) - fan.start
        position = steps * (fan.views / (2 * math.pi))
        lower = np.floor(position)
        self._base = torch.as_tensor(lower % fan.views, device=device).to(torch.int32)
        self._fraction = torch.as_tensor(position - lower, device=device).to(dtype)
        self._candidates = math.ceil(4 * parallel.views / fan.views + _SLACK)

    def forward(self, x: Tensor) -> Tensor:
        """Interpolate between sources."""
        out = x.new_empty(len(x), *self.range_shape)
        grid = self.range_shape[0], triton.cdiv(self.range_shape[1], _BLOCK), len(x)
        with on_device_of(x):
            rebin[grid](x, out, self._base, self._fraction, *self.domain_shape, *self.range_shape, BLOCK=_BLOCK)
        return out

    def adjoint(self, y: Tensor) -> Tensor:
        """Give every source what it contributed."""
        out = y.new_empty(len(y), *self.domain_shape)
        grid = self.domain_shape[0], triton.cdiv(self.domain_shape[1], _BLOCK), len(y)
        with on_device_of(y):
            rebin_adjoint[grid](
                y, out, self._base, self._fraction, *self.domain_shape, *self.range_shape,
                CANDIDATES=self._candidates, BLOCK=_BLOCK,
            )  # fmt: skip
        return out


@triton.jit
def _source_of(base, fraction, direction, views, directions):
    """Return the source view (not yet taken modulo ``views``) and the fraction towards the next one."""
    # direction · views / (2 · directions) steps of β, whole part and rest in integers: no rounding at any angle.
    turned = direction * views
    whole = turned // (2 * directions)
    fraction = fraction + (turned - whole * 2 * directions).to(fraction.dtype) / (2 * directions)
    carry = tl.where(fraction >= 1, 1, 0)
    return base + whole + carry, fraction - carry.to(fraction.dtype)


@triton.jit
def rebin(
    fan, out, base, fraction, views, bins, directions, width,
    BLOCK: tl.constexpr,
):  # fmt: skip
    """One program: a block of bins of one direction of one sinogram."""
    direction = tl.program_id(0)
    j = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    item = tl.program_id(2).to(tl.int64)
    fan += item * views * bins
    inside = j < bins
    total = tl.zeros([BLOCK], dtype=out.dtype.element_ty)
    for opposite in tl.static_range(2):
        column = (bins - 1 - j) if opposite else j
        start = tl.load(base + opposite * bins + j, mask=inside, other=0)
        part = tl.load(fraction + opposite * bins + j, mask=inside, other=0)
        view, part = _source_of(start, part, direction, views, directions)
        before = tl.load(fan + view % views * bins + column, mask=inside, other=0)
        after = tl.load(fan + (view + 1) % views * bins + column, mask=inside, other=0)
        total += (1 - part) * before + part * after
    tl.store(out + (item * directions + direction) * width + j, total * 0.5, mask=j < width)


@triton.jit
def rebin_adjoint(
    parallel, out, base, fraction, views, bins, directions, width,
    CANDIDATES: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """One program: a block of bins of one source view of one sinogram."""
    view = tl.program_id(0)
    column = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    item = tl.program_id(2).to(tl.int64)
    parallel += item * directions * width
    inside = column < bins
    total = tl.zeros([BLOCK], dtype=out.dtype.element_ty)
    for opposite in tl.static_range(2):
        j = (bins - 1 - column) if opposite else column
        start = tl.load(base + opposite * bins + j, mask=inside, other=0)
        part = tl.load(fraction + opposite * bins + j, mask=inside, other=0)
        # Directions cover half a turn, so in steps from ``start`` nothing wraps; `view` counts from there.
        steps = (view - start + views) % views
        lowest = ((steps - 1).to(tl.float32) - part.to(tl.float32)) * (2.0 * directions / views)
        first = tl.floor(lowest - 0.005).to(tl.int32) + 1
        for candidate in tl.static_range(CANDIDATES):
            direction = first + candidate
            valid = inside & (direction >= 0) & (direction < directions)
            lower, weight = _source_of(start * 0, part, tl.where(valid, direction, 0), views, directions)
            weight = tl.where(lower == steps, 1 - weight, tl.where(lower + 1 == steps, weight, 0))
            total += weight * tl.load(parallel + direction * width + j, mask=valid, other=0)
    tl.store(out + (item * views + view) * bins + column, total * 0.5, mask=inside)


KERNELS = (rebin, rebin_adjoint)
