"""Linear maps that know their adjoint."""

from __future__ import annotations

from abc import ABC, abstractmethod
from itertools import pairwise

import torch
from torch import Tensor

__all__ = ["Adjoint", "Composed", "LinearMap", "Shape"]

Shape = tuple[int, ...]


class LinearMap(ABC):
    """A linear map between arrays, applied to a batch: ``(n, *domain_shape)`` → ``(n, *range_shape)``.

    Every item of a batch is computed on its own, in the same order of operations, so that a result
    does not depend on its neighbours, bit for bit. Two maps on CUDA devices leave the order to a library
    and promise this up to rounding only: `marbench.ct.triton.product.MatrixProduct`, where cuBLAS may sum
    in another order for another size of batch, and `marbench.ct.torch_radon.TorchRadonProjection`.

    Inputs are contiguous and have the dtype and device that the map was built for; so have results.
    """

    domain_shape: Shape
    range_shape: Shape

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """Apply the map to ``(n, *domain_shape)``."""

    @abstractmethod
    def adjoint(self, y: Tensor) -> Tensor:
        """Apply the transposed map to ``(n, *range_shape)``."""

    @property
    def nbytes(self) -> int:
        """Bytes of the weights and tables that are held at this moment."""
        # Matrices that are built at their first use become attributes then.
        return _bytes_of(tuple(vars(self).values()))


class Adjoint(LinearMap):
    """The transpose of a map."""

    def __init__(self, base: LinearMap) -> None:
        self.base = base
        self.domain_shape, self.range_shape = base.range_shape, base.domain_shape

    def forward(self, x: Tensor) -> Tensor:
        """Apply the adjoint of the base map."""
        return self.base.adjoint(x)

    def adjoint(self, y: Tensor) -> Tensor:
        """Apply the base map."""
        return self.base.forward(y)


class Composed(LinearMap):
    """Maps applied one after the other, the first one first."""

    def __init__(self, *maps: LinearMap) -> None:
        # A mistake of our own, so no MarbenchError: users choose geometries, not maps.
        for before, after in pairwise(maps):
            if before.range_shape != after.domain_shape:
                raise ValueError(f"Expected maps that fit. Got {before.range_shape} before {after.domain_shape}.")
        self.maps = maps
        self.domain_shape, self.range_shape = maps[0].domain_shape, maps[-1].range_shape

    def forward(self, x: Tensor) -> Tensor:
        """Apply all maps in order."""
        for each in self.maps:
            x = each.forward(x)
        return x

    def adjoint(self, y: Tensor) -> Tensor:
        """Apply all adjoints in reverse order."""
        # (C B A)ᵀ = Aᵀ Bᵀ Cᵀ
        for each in reversed(self.maps):
            y = each.adjoint(y)
        return y


def _bytes_of(part: object) -> int:
    if isinstance(part, LinearMap):
        return part.nbytes
    if isinstance(part, list | tuple):
        return sum(map(_bytes_of, part))
    if not isinstance(part, Tensor):
        return 0
    # The size that torch gives a sparse tensor is that of the dense one.
    if part.layout == torch.sparse_csr:
        return _bytes_of([part.crow_indices(), part.col_indices(), part.values()])
    return part.nbytes
