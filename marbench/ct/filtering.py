"""Ramp filtering of a parallel sinogram as one constant matrix."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from marbench.ct.linear import LinearMap
from marbench.geometry import FanBeam, ParallelBeam

__all__ = ["BinMatrix", "filter_matrix", "ram_lak", "resampling_matrix"]

FloatArray = NDArray[np.float64]


def ram_lak(bins: int, spacing: float) -> FloatArray:
    """Return the Ram-Lak convolution matrix, shape ``(bins, bins)``, in 1/cm².

    The band-limited ramp is sampled in space, which keeps its mean right, and the convolution is linear
    (zero padded), never circular: h(0) = 1/(4 d²), h(n) = −1/(π n d)² for odd n, else 0.

    References
    ----------
    G. N. Ramachandran and A. V. Lakshminarayanan, PNAS 68(9), 1971; Kak & Slaney 1988, eq. 3-61.
    """
    # h(n) is the inverse Fourier transform of |f|, cut at the Nyquist frequency 1/(2d), at n·d: 0 for even n ≠ 0.
    n = np.subtract.outer(np.arange(bins), np.arange(bins))
    odd = n % 2 == 1
    kernel = np.zeros((bins, bins))
    kernel[odd] = -1 / (math.pi * n[odd] * spacing) ** 2
    np.fill_diagonal(kernel, 1 / (4 * spacing**2))
    return kernel


def resampling_matrix(fan: FanBeam, parallel: ParallelBeam) -> FloatArray:
    """Return the linear interpolation from fan angles to equally spaced t = D sin γ, ``(fan bins, parallel bins)``."""
    sine = parallel.t / fan.source_distance
    # No ray of the fan passes the isocentre further away than the source stands; such columns stay empty.
    inside = np.abs(sine) <= 1
    position = fan.bin_of_gamma(np.arcsin(np.where(inside, sine, 0)))
    lower = np.floor(position).astype(int)
    matrix = np.zeros((fan.bins, parallel.bins))
    # Between the two cells that are next to the position; what lies beyond the detector counts as 0.
    for index, weight in ((lower, lower + 1 - position), (lower + 1, position - lower)):
        (column,) = np.nonzero(inside & (index >= 0) & (index < fan.bins))
        matrix[index[column], column] += weight[column]
    return matrix


def filter_matrix(parallel: ParallelBeam) -> FloatArray:
    """Return Ram-Lak with the scales of the filtered back-projection sum, ``(bins, bins)``, in 1/cm.

    f(x, y) = ∫₀^π (h ∗ p)(t) dθ ≈ (π / views) Σ_θ spacing Σ_i h(t − t_i) p(t_i)   (Kak & Slaney 1988, §3.3).
    """
    return ram_lak(parallel.bins, parallel.spacing) * (parallel.spacing * math.pi / parallel.views)


class BinMatrix(LinearMap):
    """The same matrix applied to every view: ``(views, bins)`` → ``(views, matrix columns)``."""

    def __init__(self, matrix: FloatArray, views: int, device: torch.device, dtype: torch.dtype) -> None:
        # Products of matrices are taken in float64 before; this is their only rounding.
        self._matrix = torch.as_tensor(matrix, device=device).to(dtype)
        self.domain_shape, self.range_shape = (views, matrix.shape[0]), (views, matrix.shape[1])

    def forward(self, x: Tensor) -> Tensor:
        """Multiply every view by the matrix."""
        return self._multiply(x, self._matrix)

    def adjoint(self, y: Tensor) -> Tensor:
        """Multiply every view by the transposed matrix."""
        return self._multiply(y, self._matrix.T)

    @staticmethod
    def _multiply(batch: Tensor, matrix: Tensor) -> Tensor:
        out = batch.new_empty(*batch.shape[:-1], matrix.shape[1])
        for item, result in zip(batch, out, strict=True):  # one shape of product, whatever the batch: same bits
            torch.mm(item, matrix, out=result)
        return out
