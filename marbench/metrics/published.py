"""PSNR and SSIM as published code takes them: each first turns HU into the grey values that it compares.

Grey values are scaled so that the peak is 1. What differs: the range, whether values are rounded to 8 bits, what
becomes of metal and whether it counts, and how SSIM averages. Written from the code of the papers; see `conventions`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray

from marbench.errors import MetricError
from marbench.metrics.conventions import PSNR_CEILING
from marbench.metrics.fidelity import Comparing, Pair, ScoredImage

__all__ = ["PUBLISHED", "Published", "gaussian_ssim"]

Grey = NDArray[np.float64]

WATER = 0.192
"""µ of water in 1/cm of those who compare attenuation; a range of 0 … 0.5/cm is −1000 … 1604.17 HU."""

_HALF_PER_CM = (0.5 / WATER - 1) * 1000


@dataclass(frozen=True)
class Published:
    """How published code compares an image with the truth.

    Attributes
    ----------
    grey : callable
        `ScoredImage` → grey values of the image and of the truth.
    similarity : callable
        Grey values → mean structural similarity.
    has_psnr : bool
        Whether it reports a PSNR: 10 log10(1 / MSE) over all pixels.
    """

    grey: Comparing
    similarity: Callable[[Grey, Grey], float]
    has_psnr: bool = True

    def psnr(self, image: ScoredImage) -> float:
        """Return the peak signal-to-noise ratio in dB, at most `PSNR_CEILING`."""
        one, other = image.compared(self.grey)
        return -10 * math.log10(max(float(np.mean((one - other) ** 2)), 10 ** (-PSNR_CEILING / 10)))

    def ssim(self, image: ScoredImage) -> float:
        """Return the mean structural similarity."""
        return self.similarity(*image.compared(self.grey))


def _clipped(hu: NDArray[np.floating], low: float, high: float) -> Grey:
    # Metal may hold anything, NaN too, until it is zeroed.
    return (np.clip(np.nan_to_num(hu.astype(np.float64)), low, high) - low) / (high - low)


def _zeroed(values: Pair, where: NDArray[np.bool_]) -> Pair:
    return np.where(where, 0.0, values[0]), np.where(where, 0.0, values[1])


def _pair(image: ScoredImage, low: float, high: float) -> Pair:
    return _clipped(image.image, low, high), _clipped(image.reference.known_truth(), low, high)


def _adn(image: ScoredImage) -> Pair:
    raw = image.reference.raw
    if raw is None:
        raise MetricError(
            "adn2019 leaves out what is bright in the uncorrected image, which is not known of this case."
        )
    return _zeroed(_pair(image, -1000, _HALF_PER_CM), (raw > _HALF_PER_CM) | ~image.reference.valid)


def _syndeeplesion(image: ScoredImage) -> Pair:
    one, other = _pair(image, -1000, _HALF_PER_CM)
    return _zeroed((_whole_levels(one), _whole_levels(other)), ~image.reference.valid)


def _syndeeplesion_stretched(image: ScoredImage) -> Pair:
    # matplotlib saved each picture from its own darkest to its own brightest pixel, in 256 equal steps. Its table of
    # greys, cut to whole numbers, is one too dark at 24 of them.
    table = np.floor(np.linspace(0, 1, 256) * 255) / 255
    one, other = (_stretched(grey) for grey in _pair(image, -1000, _HALF_PER_CM))
    one, other = (table[np.minimum(grey * 256, 255).astype(np.intp)] for grey in (one, other))
    return _zeroed((one, other), ~image.reference.valid)


def _whole_levels(grey: Grey) -> Grey:
    return np.floor(grey * 255 + 0.5) / 255


def _stretched(grey: Grey) -> Grey:
    span = np.ptp(grey)
    return (grey - grey.min()) / span if span else np.zeros_like(grey)


def _cnnmar(image: ScoredImage) -> Pair:
    in_hu = (image.image, image.reference.known_truth())
    # Relative to water, whose attenuation then drops out.
    one, other = (1 + np.nan_to_num(hu.astype(np.float64)) / 1000 for hu in in_hu)
    one, other = _zeroed((one, other), ~image.reference.valid)
    peak = other.max()
    if not peak > 0:
        raise MetricError("cnnmar2018 divides by the truth's largest attenuation: this truth holds nothing but air.")
    return one / peak, other / peak


def _aapm(image: ScoredImage) -> Pair:
    return _zeroed(_pair(image, -2000, 6000), ~image.reference.valid)


def _uniform_ssim(one: Grey, other: Grey) -> float:
    return _scikit_image_ssim(one, other, 1.0, 7)[0]


def _gaussian_ssim(one: Grey, other: Grey) -> float:
    return gaussian_ssim(one, other, 1.0)[0]


def gaussian_ssim(one: Grey, other: Grey, data_range: float) -> tuple[float, Grey]:
    """Return the structural similarity, its mean where windows lie within the picture and that of every pixel.

    Windows are Gaussian, σ = 1.5 px, of 11 × 11 pixels; a smaller picture raises `MetricError`.
    """
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    return _scikit_image_ssim(one, other, data_range, 11, **options)


def _scikit_image_ssim(one: Grey, other: Grey, data_range: float, window: int, **options: float) -> tuple[float, Grey]:
    from skimage import metrics  # which commands that score otherwise do not wait for

    if min(one.shape) < window:
        raise MetricError(f"SSIM in windows of {window} × {window} needs a picture as large. Got {one.shape}.")
    mean, similarity = metrics.structural_similarity(one, other, data_range=data_range, full=True, **options)  # type: ignore[no-untyped-call]
    return float(mean), similarity


def _wang_ssim(one: Grey, other: Grey) -> float:
    """Wang's own program: pictures of 384 pixels or more are averaged over blocks and thinned out, no borders."""
    # round half up, as MATLAB does
    factor = max(1, math.floor(min(one.shape) / 256 + 0.5))
    if factor > 1:
        # MATLAB's imfilter centres an even block half a pixel early, and mirrors the border with its last pixel.
        origin = -((factor + 1) % 2)
        one, other = (
            scipy.ndimage.uniform_filter(grey, factor, mode="reflect", origin=origin)[::factor, ::factor]
            for grey in (one, other)
        )
    return _gaussian_ssim(one, other)


PUBLISHED = {
    "adn2019": Published(_adn, _uniform_ssim),
    "syndeeplesion": Published(_syndeeplesion, _wang_ssim),
    "syndeeplesion-published": Published(_syndeeplesion_stretched, _wang_ssim),
    "cnnmar2018": Published(_cnnmar, _wang_ssim, has_psnr=False),
    "aapm2024-side": Published(_aapm, _gaussian_ssim),
}
"""By the id of the convention."""
