"""The plain backend: taps computed on the fly, for any geometry and device."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from marbench.ct.linear import LinearMap
from marbench.ct.taps import TapFunction, Taps
from marbench.geometry import Geometry, ImageGrid

__all__ = ["OnTheFly"]

# Few enough that the taps of a 416² image stay in a few tens of megabytes.
VIEWS_AT_A_TIME = 4


class OnTheFly(LinearMap):
    """Image → sinogram by taps that are computed anew at every call and never stored."""

    def __init__(
        self, taps: TapFunction, geometry: Geometry, grid: ImageGrid, device: torch.device, dtype: torch.dtype
    ) -> None:
        self._taps, self._geometry, self._grid = taps, geometry, grid
        self._device, self._dtype = device, dtype
        self.domain_shape, self.range_shape = grid.shape, geometry.shape

    def forward(self, x: Tensor) -> Tensor:
        """Sum over the pixels of every ray."""
        # Taps beside the image fall on a border of zeros, those beside the detector on cells that are cut off below.
        images = pad(x, (1, 1, 1, 1))
        sinograms = x.new_zeros(len(x), self._geometry.views, self._geometry.bins + 2)
        for ray, pixel, weight in self._all_taps():
            for image, sinogram in zip(images, sinograms, strict=True):
                _add(weight * _take(image, pixel), sinogram, ray)
        return sinograms[..., 1:-1].contiguous()

    def adjoint(self, y: Tensor) -> Tensor:
        """Sum over the rays of every pixel."""
        sinograms = pad(y, (1, 1))
        images = y.new_zeros(len(y), self._grid.rows + 2, self._grid.columns + 2)
        for ray, pixel, weight in self._all_taps():
            for image, sinogram in zip(images, sinograms, strict=True):
                _add(weight * _take(sinogram, ray), image, pixel)
        return images[..., 1:-1, 1:-1].contiguous()

    def _all_taps(self) -> Iterator[Taps]:
        for start in range(0, self._geometry.views, VIEWS_AT_A_TIME):
            views = np.arange(start, min(start + VIEWS_AT_A_TIME, self._geometry.views))
            yield self._taps(self._geometry, self._grid, views, self._device, self._dtype)


def _take(source: Tensor, index: Tensor) -> Tensor:
    return source.view(-1).index_select(0, index.flatten()).view(index.shape)


def _add(values: Tensor, target: Tensor, index: Tensor) -> None:
    # Entries that share an index along a whole axis are summed first, which is faster than scattering them.
    target.view(-1).index_add_(0, index.flatten(), values.sum_to_size(index.shape).flatten())
