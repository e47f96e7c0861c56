"""The Radon inversion out of kernels: rebin, filter, back-project."""

from __future__ import annotations

import numpy as np
import torch

from marbench.ct.filtering import filter_matrix, resampling_matrix
from marbench.ct.linear import Composed, LinearMap
from marbench.ct.rebinning import parallel_beam_of
from marbench.ct.triton.backprojection import BackProjection
from marbench.ct.triton.product import MatrixProduct, aligned
from marbench.ct.triton.rebinning import Rebinning
from marbench.geometry import FanBeam, Geometry, ImageGrid

__all__ = ["inversion"]


def inversion(geometry: Geometry, grid: ImageGrid, device: torch.device, dtype: torch.dtype) -> LinearMap:
    """Return the Radon inversion of a fan or parallel sinogram.

    Between the maps, rows are padded: the matrix has zero rows for what the rebinning adds, and zero columns that
    frame the bins as the back-projection wants them, so that padding costs no pass over the data.
    """
    fan = geometry if isinstance(geometry, FanBeam) else None
    parallel = geometry if not isinstance(geometry, FanBeam) else parallel_beam_of(geometry)
    # In float64, from left to right as a row vector meets them: resampling to equal t, then the ramp.
    matrix = filter_matrix(parallel)
    if fan is not None:
        matrix = resampling_matrix(fan, parallel) @ matrix
    height = geometry.bins if fan is None else aligned(geometry.bins)
    width = aligned(parallel.bins + 2)
    # Bin i goes to column i + 1; see `BackProjection`.
    framed = np.zeros((height, width))
    framed[: geometry.bins, 1 : parallel.bins + 1] = matrix
    product = MatrixProduct(framed, parallel.views, device, dtype)
    back_projection = BackProjection(parallel, grid, width, device, dtype)
    if fan is None:
        return Composed(product, back_projection)
    return Composed(Rebinning(fan, parallel, height, device, dtype), product, back_projection)
