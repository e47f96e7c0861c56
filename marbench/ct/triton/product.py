"""One matrix for all views of a batch, as one product."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from marbench.ct.linear import LinearMap

__all__ = ["MatrixProduct", "aligned"]

_ALIGNMENT = 8


def aligned(size: int) -> int:
    """Return the next multiple of 8: rows that begin on 32 bytes are read by wide loads."""
    return -(-size // _ALIGNMENT) * _ALIGNMENT


class MatrixProduct(LinearMap):
    """``(views, matrix rows)`` → ``(views, matrix columns)``.

    The whole batch is one product in full float32 (the caller switches TF32 and autocast off). cuBLAS may sum in
    another order for another size of batch: of all maps, only this one depends on its neighbours, by rounding.
    """

    def __init__(self, matrix: NDArray[np.float64], views: int, device: torch.device, dtype: torch.dtype) -> None:
        self._matrix = torch.as_tensor(matrix, device=device).to(dtype)
        self.domain_shape, self.range_shape = (views, matrix.shape[0]), (views, matrix.shape[1])

    def forward(self, x: Tensor) -> Tensor:
        """Multiply every view by the matrix."""
        # (n · views, rows) × (rows, columns): large enough to fill a GPU at batch 1.
        return torch.matmul(x, self._matrix)

    def adjoint(self, y: Tensor) -> Tensor:
        """Multiply every view by the transposed matrix."""
        return torch.matmul(y, self._matrix.T)
