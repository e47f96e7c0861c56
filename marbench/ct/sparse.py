"""Stored weights: compressed sparse rows (CSR), with the symmetry of the square where the geometry has it."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from functools import cached_property, partial
from typing import Any

import numpy as np
import scipy.sparse
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import pad

from marbench.ct.linear import LinearMap, Shape
from marbench.ct.symmetry import copies, representatives, sum_of_copies
from marbench.ct.taps import TapFunction
from marbench.geometry import Geometry, ImageGrid

__all__ = ["Sparse", "SymmetricSparse"]

IntArray = NDArray[np.int64]

# Bytes of image that one product reads: what a core's second-level cache holds beside the weights that stream by.
BAND_BYTES = 256 * 1024


class Sparse(LinearMap):
    """A stored matrix. It and its transpose are each built from ``rows()`` when first used."""

    def __init__(
        self,
        rows: Callable[[], scipy.sparse.csr_matrix],
        domain_shape: Shape,
        range_shape: Shape,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        self.domain_shape, self.range_shape = domain_shape, range_shape
        self._rows, self._device, self._dtype = rows, device, dtype

    @classmethod
    def projector(
        cls, taps: TapFunction, geometry: Geometry, grid: ImageGrid, device: torch.device, dtype: torch.dtype
    ) -> Sparse:
        """Return image → sinogram with the weights of all rays."""
        rows = partial(stored_rows, taps, geometry, grid, np.arange(math.prod(geometry.shape)))
        return cls(rows, grid.shape, geometry.shape, device, dtype)

    def forward(self, x: Tensor) -> Tensor:
        """Multiply by the matrix, one item of the batch at a time."""
        return _item_by_item(self._matrix, x, self.range_shape)

    def adjoint(self, y: Tensor) -> Tensor:
        """Multiply by the transposed matrix, one item of the batch at a time."""
        return _item_by_item(self._transpose, y, self.domain_shape)

    @cached_property
    def _matrix(self) -> Tensor:
        return to_torch(self._rows(), self._device, self._dtype)

    @cached_property
    def _transpose(self) -> Tensor:
        return to_torch(self._rows().T.tocsr(), self._device, self._dtype)


class SymmetricSparse(LinearMap):
    """Image → sinogram with weights stored for an eighth of the rays.

    A square grid and a full circle of views look the same after each of the eight symmetries g of the
    square. So A x at the ray g(i) is A (x ∘ g) at the ray i: with one row i stored of every orbit of rays,
    the product of the stored rows with eight transformed copies of the image, as the columns of one
    matrix, holds every ray of the sinogram.

    The matrix and its transpose are each built when first used.
    """

    def __init__(
        self, taps: TapFunction, geometry: Geometry, grid: ImageGrid, device: torch.device, dtype: torch.dtype
    ) -> None:
        self.domain_shape, self.range_shape = grid.shape, geometry.shape
        self._system = taps, geometry, grid
        self._device, self._dtype = device, dtype
        self._rays, source = representatives(geometry)
        # Where every ray of the sinogram stands in the (stored rays, 8) product.
        self._source = torch.as_tensor(source, device=device)

    def forward(self, x: Tensor) -> Tensor:
        """Project eight copies of every image onto the stored rays."""
        out = x.new_empty(len(x), *self.range_shape)
        for image, sinogram in zip(x, out, strict=True):
            # Eight columns share every weight that is read from memory, which is what limits such a product.
            columns = copies(image)
            product = x.new_zeros(len(self._rays), 8)
            first = 0
            for band in self._bands:
                product.addmm_(band, columns[first : first + band.shape[1]])
                first += band.shape[1]
            torch.index_select(product.view(-1), 0, self._source, out=sinogram.view(-1))
        return out

    def adjoint(self, y: Tensor) -> Tensor:
        """Back-project the stored rays onto eight copies of every image, and add these up."""
        out = y.new_empty(len(y), *self.domain_shape)
        for sinogram, image in zip(y, out, strict=True):
            # A ray that several symmetries reach is read from one of them; the other places stay 0.
            columns = y.new_zeros(len(self._rays) * 8).index_copy_(0, self._source, sinogram.flatten())
            image.copy_(sum_of_copies(self._transpose @ columns.view(-1, 8), self.domain_shape[0]))
        return out

    @cached_property
    def _bands(self) -> list[Tensor]:
        """The matrix cut into bands of image rows, so that the part of the image that is read stays in cache."""
        by_column = stored_rows(*self._system, self._rays).tocsc()
        rows, columns = self.domain_shape
        height = max(1, BAND_BYTES // (columns * 8 * self._dtype.itemsize))
        return [
            to_torch(by_column[:, row * columns : (row + height) * columns].tocsr(), self._device, self._dtype)
            for row in range(0, rows, height)
        ]

    @cached_property
    def _transpose(self) -> Tensor:
        return to_torch(stored_rows(*self._system, self._rays).T.tocsr(), self._device, self._dtype)


def stored_rows(taps: TapFunction, geometry: Geometry, grid: ImageGrid, rays: IntArray) -> scipy.sparse.csr_matrix:
    """Return the rows of the system matrix that belong to the given rays (sorted), view by view."""
    cpu = torch.device("cpu")
    # −1 marks what is not wanted: pixels of the border, and rays that no orbit stores.
    inner = torch.arange(grid.rows * grid.columns, dtype=torch.int32, device=cpu).view(grid.shape)
    pixel_of = pad(inner, (1, 1, 1, 1), value=-1).flatten()
    blocks = []
    for view in np.unique(rays // geometry.bins):
        bins = rays[rays // geometry.bins == view] % geometry.bins
        row_of = torch.full((geometry.bins + 2,), -1, dtype=torch.int32, device=cpu)
        row_of[torch.from_numpy(bins + 1)] = torch.arange(len(bins), dtype=torch.int32, device=cpu)
        ray, pixel, weight = taps(geometry, grid, np.array([view]), cpu, torch.float64)
        ray, pixel = row_of[ray - int(view) * (geometry.bins + 2)], pixel_of[pixel]
        used = ((weight != 0) & (ray >= 0) & (pixel >= 0)).flatten().nonzero().flatten()
        row, column, value = (part.expand(weight.shape).flatten()[used].numpy() for part in (ray, pixel, weight))
        shape = len(bins), grid.rows * grid.columns
        # Entries of the same place are added up, as the sum on the fly does.
        blocks.append(scipy.sparse.coo_matrix((value, (row, column)), shape=shape).tocsr())
    return scipy.sparse.vstack(blocks, format="csr")


def to_torch(matrix: scipy.sparse.csr_matrix, device: torch.device, dtype: torch.dtype) -> Tensor:
    """Return a CSR tensor with 32-bit indices, which halve what a product has to read."""

    def tensor(values: NDArray[Any], kind: torch.dtype) -> Tensor:
        return torch.from_numpy(values).to(device, kind)

    with warnings.catch_warnings():
        # torch 2.11 warns of checks that are left out even where they are declined.
        warnings.filterwarnings("ignore", message="Sparse (CSR tensor support is in beta|invariant checks are)")
        return torch.sparse_csr_tensor(
            tensor(matrix.indptr, torch.int32),
            tensor(matrix.indices, torch.int32),
            tensor(matrix.data, dtype),
            size=matrix.shape,
            device=device,
            check_invariants=False,
        )


def _item_by_item(matrix: Tensor, batch: Tensor, shape: Shape) -> Tensor:
    out = batch.new_empty(len(batch), *shape)
    # A product with many columns may sum in another order than one with a single column; so it is always one.
    for item, result in zip(batch, out, strict=True):
        result.view(-1).copy_(matrix @ item.view(-1))
    return out
