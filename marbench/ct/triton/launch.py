"""How kernels are launched: the device, and how much of the work one program takes."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["PLANS", "Plan", "group_of", "on_device_of", "with_transpose"]


class Plan(NamedTuple):
    """The share of one program (a CUDA block): how it is cut does not change the order of any sum, so not the result.

    Attributes
    ----------
    rows, columns : int
        Tile of pixels, or of (views, bins); powers of two.
    group : int
        Most images of a batch that share indices and weights; a power of two.
    warps : int
        Warps of 32 threads.
    unroll : int
        Turns of the innermost loop that are in flight together.
    """

    rows: int
    columns: int
    group: int
    warps: int
    unroll: int


# Tiles are long along a row of pixels, or along the detector: what neighbouring threads read lies side by side too.
PLANS: dict[str, Plan] = {
    "back_project": Plan(8, 32, 8, 4, 4),
    "back_project_adjoint": Plan(1, 64, 8, 2, 1),
    "project": Plan(1, 64, 8, 2, 4),
    "project_adjoint": Plan(8, 32, 8, 4, 2),
}
"""What is launched; `benchmarks/gpu_ril.py --tune` times the alternatives."""


def group_of(plan: Plan, batch: int) -> int:
    """Return how many images one program takes: a power of two, no more than the plan says and the batch needs."""
    return min(plan.group, 1 << (batch - 1).bit_length())


def on_device_of(x: Tensor) -> AbstractContextManager[object]:
    """Make the tensor's GPU the current one: Triton launches on the current device, wherever its tensors are."""
    return torch.cuda.device(x.device) if x.is_cuda else nullcontext()


def with_transpose(images: Tensor) -> Tensor:
    """Return ``(n, 2 · pixels)``: every image, and after it its transpose.

    Rays and views that run along columns read the transpose, so that neighbouring threads read neighbouring addresses.
    """
    # One buffer with a constant stride, so that a kernel reaches either by an offset, without a branch.
    n, rows, columns = images.shape
    both = images.new_empty(n, 2, rows * columns)
    both[:, 0].view(n, rows, columns).copy_(images)
    both[:, 1].view(n, columns, rows).copy_(images.mT)
    return both.view(n, -1)
