"""The Radon inversion out of kernels: rebin, filter, back-project."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch

from marbench.ct.filtering import filtering
from marbench.ct.linear import Composed, LinearMap
from marbench.ct.rebinning import rebinning_matrix
from marbench.ct.sparse import Sparse
from marbench.ct.triton.backprojection import BackProjection
from marbench.ct.triton.product import MatrixProduct, aligned
from marbench.ct.triton.rebinning import Rebinning
from marbench.geometry import FanBeam, Geometry, ImageGrid
from marbench.reconstruction import Window

__all__ = ["inversion"]


def inversion(
    geometry: Geometry,
    grid: ImageGrid,
    device: torch.device,
    dtype: torch.dtype,
    window: Window = "ram-lak",
    extrapolate: bool = False,
) -> LinearMap:
    """Return the Radon inversion of a fan or parallel sinogram.

    Between the maps, rows are padded: the matrix has zero rows for what the rebinning adds, and zero columns that
    frame the bins as the back-projection wants them, so that padding costs no pass over the data.
    """
    fan = geometry if isinstance(geometry, FanBeam) else None
    parallel, matrix = filtering(geometry, grid, window, extrapolate)
    height = geometry.bins if fan is None else aligned(len(matrix))
    width = aligned(parallel.bins + 2)
    # Bin i goes to column i + 1; see `BackProjection`.
    framed = np.zeros((height, width))
    framed[: len(matrix), 1 : parallel.bins + 1] = matrix
    product = MatrixProduct(framed, parallel.views, device, dtype)
    back_projection = BackProjection(parallel, grid, width, device, dtype)
    if fan is None:
        return Composed(product, back_projection)
    # The kernel knows an evenly divided circle and a symmetric detector; other scans have their weights stored.
    if fan.is_circle and not (fan.angles or fan.clockwise or fan.offset):
        rebinning: LinearMap = Rebinning(fan, parallel, height, device, dtype)
    else:
        rows = partial(rebinning_matrix, fan, parallel.views, height)
        rebinning = Sparse(rows, fan.shape, (parallel.views, height), device, dtype)
    return Composed(rebinning, product, back_projection)
