"""A batch that does not fit the memory of a GPU, in parts that do."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from marbench.ct.linear import LinearMap, Shape

__all__ = ["SmallerBatches"]


class SmallerBatches(LinearMap):
    """A map that halves a batch when memory runs out, and again, down to single items.

    What a single item needs beyond the memory is a ``torch.OutOfMemoryError`` that says so.
    """

    def __init__(self, base: LinearMap) -> None:
        self.base = base
        self.domain_shape, self.range_shape = base.domain_shape, base.range_shape

    def forward(self, x: Tensor) -> Tensor:
        """Apply the base map, in parts if need be."""
        return _in_parts(self.base.forward, x, self.range_shape)

    def adjoint(self, y: Tensor) -> Tensor:
        """Apply the adjoint of the base map, in parts if need be."""
        return _in_parts(self.base.adjoint, y, self.domain_shape)


def _in_parts(apply: Callable[[Tensor], Tensor], batch: Tensor, shape: Shape) -> Tensor:
    size = len(batch)
    while True:
        try:
            if size == len(batch):
                return apply(batch)
            # Items do not depend on each other, so the parts are what the whole would be.
            out = batch.new_empty(len(batch), *shape)
            for part, result in zip(torch.split(batch, size), torch.split(out, size), strict=True):
                result.copy_(apply(part))
            return out
        except torch.OutOfMemoryError as error:
            if size == 1:
                error.add_note(f"Even one item, {tuple(batch.shape[1:])} → {shape}, does not fit on {batch.device}.")
                raise
        # Outside the handler: its traceback would keep the tensors of the failed attempt alive.
        size = (size + 1) // 2
        torch.cuda.empty_cache()
