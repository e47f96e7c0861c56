"""Ramp filtering of a parallel sinogram as one constant matrix."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from marbench.ct.linear import LinearMap
from marbench.ct.rebinning import parallel_beam_of, symmetric
from marbench.geometry import FanBeam, Geometry, ImageGrid, ParallelBeam
from marbench.reconstruction import NamedWindow, Window

__all__ = ["BinMatrix", "extension_matrix", "filtering", "ramp", "resampling_matrix"]

FloatArray = NDArray[np.float64]

# W(f) = Σ_k c_k cos(2π f s_k d), as {s_k: c_k}. Hamming's 0.54 is the usual rounding of 25/46.
_COSINES: dict[NamedWindow, dict[float, float]] = {
    "ram-lak": {0.0: 1.0},
    "cosine": {0.5: 1.0},
    "hamming": {0.0: 0.54, 1.0: 0.46},
    "hann": {0.0: 0.5, 1.0: 0.5},
}


def ramp(bins: int, spacing: float, window: Window = "ram-lak") -> FloatArray:
    """Return the convolution matrix of the band-limited ramp, shape ``(bins, bins)``, in 1/cm².

    The filter is sampled in space, which keeps its mean right, and the convolution is linear (zero padded), never
    circular. Ram-Lak: h(0) = 1/(4 d²), h(n) = −1/(π n d)² for odd n, else 0.

    Parameters
    ----------
    window : str or pairs
        ``ram-lak`` (none), ``shepp-logan``: sinc(f/2f_N), ``cosine``: cos(π f/2f_N), ``hamming``: 0.54 + 0.46 cos(π
        f/f_N), ``hann``: 0.5 + 0.5 cos(π f/f_N), or a table of f/f_N and factor, straight between. The later names pass
        less of the high frequencies.

    References
    ----------
    G. N. Ramachandran and A. V. Lakshminarayanan, PNAS 68(9), 1971; L. A. Shepp and B. F. Logan, IEEE Trans. Nucl.
    Sci. 21(3), 1974; Kak & Slaney 1988, eq. 3-61.
    """
    n = np.subtract.outer(np.arange(bins), np.arange(bins))
    if not isinstance(window, str):
        return _tabulated(n, spacing, window)
    if window == "shepp-logan":
        # The inverse transform of |f| sinc(f / 2 f_N) at n d, in closed form.
        return np.asarray(-2 / (math.pi**2 * spacing**2 * (4.0 * n**2 - 1)))
    # A cosine in frequency shifts the kernel in space by as much as it turns, half to either side.
    kernel = np.zeros((bins, bins))
    for shift, share in _COSINES[window].items():
        kernel += share / 2 * (_ram_lak(n + shift, spacing) + _ram_lak(n - shift, spacing))
    return kernel


def _ram_lak(n: NDArray[np.int64] | FloatArray, spacing: float) -> FloatArray:
    """Return the inverse Fourier transform of |f|, cut at f_N, at n·d, for whole and half n."""
    n = np.asarray(n, dtype=np.float64)
    whole = n == np.floor(n)
    odd = whole & (n % 2 == 1)
    kernel = np.zeros(n.shape)
    kernel[odd] = -1 / (math.pi * n[odd] * spacing) ** 2
    kernel[n == 0] = 1 / (4 * spacing**2)
    # ∫ |f| e^{2πi f n d} df = sin(πn)/(2πn d²) − (1 − cos πn)/(2π²n² d²), where sin(πn) = ±1 and cos(πn) = 0.
    turn = math.pi * n[~whole]
    kernel[~whole] = (np.sin(turn) / turn - 1 / turn**2) / (2 * spacing**2)
    return kernel


def _tabulated(n: NDArray[np.int64], spacing: float, window: tuple[tuple[float, float], ...]) -> FloatArray:
    """Return the inverse transform of |f| W(f) at n·d, W being straight between the pairs of f/f_N and factor.

    On a piece W = a + b u, u = f/f_N, and h(n) = 1/(2 d²) ∫₀¹ (a u + b u²) cos(πn u) du piece by piece, in closed form.
    """
    turn = math.pi * np.arange(n.max() + 1)  # the kernel is even
    with np.errstate(divide="ignore", invalid="ignore"):  # n = 0 has a limit of its own

        def integral(u: float, a: float, b: float) -> FloatArray:
            sine, cosine = np.sin(turn * u), np.cos(turn * u)
            linear = u * sine / turn + cosine / turn**2
            square = u**2 * sine / turn + 2 * u * cosine / turn**2 - 2 * sine / turn**3
            return np.where(turn == 0, a * u**2 / 2 + b * u**3 / 3, a * linear + b * square)

        kernel = np.zeros(len(turn))
        for (low, first), (high, second) in pairwise(window):
            b = (second - first) / (high - low)
            kernel += integral(high, first - b * low, b) - integral(low, first - b * low, b)
    return np.asarray(kernel[np.abs(n)] / (2 * spacing**2))


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


def extension_matrix(measured: int, bins: int) -> FloatArray:
    """Return the continuation of a truncated projection by as many bins on either side, ``(measured, bins)``.

    A step at the end of the detector would be filtered to a bright rim, and to a cup over the whole field. So the last
    value falls like cos² to the circle that fits into the image: a body that ends about there comes out nearly right, a
    smaller one too dark, most at the rim of the field. In an image of 41 cm, discs of water have these means in HU over
    the inner nine tenths of the field, and at nine tenths of its radius:

    ============  ================  ================
    field radius  disc of 14 cm     disc of 18 cm
    ============  ================  ================
    11.9 cm       −133, rim −283    −20, rim −51
    14.4 cm       −49, rim −198     −40, rim −95
    ============  ================  ================

    References
    ----------
    B. Ohnesorge et al., "Efficient correction for CT image artifacts caused by objects extending outside the scan field
    of view", Med. Phys. 27(1), 2000, whose idea of a smooth end this takes, in its simplest, linear form.
    """
    beyond = (bins - measured) // 2
    matrix = np.zeros((measured, bins))
    matrix[np.arange(measured), beyond + np.arange(measured)] = 1.0
    # 1 at the last cell, 0 one cell beyond the last of the continuation.
    falling = np.cos(math.pi / 2 * np.arange(1, beyond + 1) / (beyond + 1)) ** 2
    matrix[0, :beyond], matrix[-1, bins - beyond :] = falling[::-1], falling
    return matrix


def filtering(
    geometry: Geometry, grid: ImageGrid, window: Window = "ram-lak", extrapolate: bool = False
) -> tuple[ParallelBeam, FloatArray]:
    """Return the parallel scan that is back-projected, and the matrix to its bins in 1/cm.

    The matrix takes the bins of a parallel view, or of a fan's rebinned one (see `symmetric`). It holds the resampling
    to equal t, the continuation of what is truncated, and the `ramp` with the scales of the sum

    f(x, y) = ∫₀^π (h ∗ p)(t) dθ ≈ (π / views) Σ_θ spacing Σ_i h(t − t_i) p(t_i)   (Kak & Slaney 1988, §3.3).
    """
    parallel = parallel_beam_of(geometry) if isinstance(geometry, FanBeam) else geometry
    if extrapolate and isinstance(geometry, FanBeam):
        # A ray beside a cell that nobody measures, as one end of a shifted detector has, is no end to go on from.
        parallel = replace(parallel, bins=min(parallel.bins, 2 * _measured_rays(geometry) + 1))
    # Products are taken in float64, from left to right as a row vector meets the matrices.
    matrix = resampling_matrix(symmetric(geometry), parallel) if isinstance(geometry, FanBeam) else None
    if extrapolate:
        # A body that fills the image ends about where the circle does that fits into it. In the corners it is too dark.
        missing = min(grid.field_of_view) / 2 - parallel.t[-1]
        wider = replace(parallel, bins=parallel.bins + 2 * max(0, math.ceil(missing / parallel.spacing)))
        extension = extension_matrix(parallel.bins, wider.bins)
        matrix, parallel = extension if matrix is None else matrix @ extension, wider
    scaled = ramp(parallel.bins, parallel.spacing, window) * (parallel.spacing * math.pi / parallel.views)
    return parallel, scaled if matrix is None else matrix @ scaled


def _measured_rays(fan: FanBeam) -> int:
    """Return how many parallel rays on either side of the centre lie between cells of the `symmetric` detector."""
    gamma = symmetric(fan).gamma
    # −1, the last cell, where the detector is symmetric itself. Else cell len // 2 is the central ray's, and the fan's
    # own last cell lies (bins − 1)/2 + |offset| cells from it. Where that is no whole number the symmetric detector has
    # one cell more, which lies beyond what is measured: the one before it counts. 1e-9 is against rounding.
    cell = len(gamma) // 2 + math.floor((fan.bins - 1) / 2 + abs(fan.offset) + 1e-9) if fan.offset else -1
    return math.floor(fan.source_distance * math.sin(gamma[cell]) / fan.isocentre_pitch + 1e-9)


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
