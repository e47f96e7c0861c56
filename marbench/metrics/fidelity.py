"""Fidelity to a known truth: RMSE in HU, PSNR and SSIM under a declared convention."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import correlate1d

from marbench.metrics.conventions import CONVENTIONS, PSNR_CEILING

__all__ = ["Reference", "psnr", "rmse", "ssim"]

Image = NDArray[np.floating]
Mask = NDArray[np.bool_]
Range = tuple[float, float]

# Wang et al. (2004): an 11 × 11 Gaussian window of σ = 1.5 px, normalised; K1 and K2 for a data range of 1.
_WINDOW = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
_WINDOW /= _WINDOW.sum()
_C1, _C2 = 0.01**2, 0.03**2


class Reference:
    """The truth of one case, prepared once for all images that are compared with it.

    What SSIM needs of the truth alone is computed once per HU range, two fifths of its work.

    Parameters
    ----------
    truth : float array ``(rows, columns)``
        HU.
    metal : bool array ``(rows, columns)``
        Pixels that hold any metal; they are not scored.
    window : (low, high)
        Display window of the slice in HU.
    conventions : sequence of str
        Ids out of `marbench.metrics.conventions.CONVENTIONS`.
    """

    def __init__(self, truth: Image, metal: Mask, window: Range, conventions: Sequence[str]) -> None:
        self._truth, self._valid = truth, ~metal
        self._ranges = {name: CONVENTIONS[name].range_for(window) for name in conventions}
        self._moments = {hu_range: _Moments(truth, hu_range) for hu_range in self._ranges.values()}

    def score(self, image: Image) -> dict[str, float]:
        """Return ``rmse_hu``, and ``psnr[id]`` and ``ssim[id]`` of every convention."""
        by_range = {
            hu_range: (psnr(image, self._truth, self._valid, hu_range), moments.ssim(image, self._valid))
            for hu_range, moments in self._moments.items()
        }
        scores = {"rmse_hu": rmse(image, self._truth, self._valid)}
        for name, hu_range in self._ranges.items():
            scores[f"psnr[{name}]"], scores[f"ssim[{name}]"] = by_range[hu_range]
        return scores


def rmse(image: Image, truth: Image, valid: Mask) -> float:
    """Return the root-mean-square error in HU over the valid pixels. Needs no convention: nothing is clipped."""
    difference = image[valid].astype(np.float64) - truth[valid]
    return math.sqrt(float(np.mean(difference * difference)))


def psnr(image: Image, truth: Image, valid: Mask, hu_range: Range) -> float:
    """Return the peak signal-to-noise ratio in dB, at most `PSNR_CEILING`.

    ``10 log10(w² / MSE)`` with both images clipped to ``hu_range`` of width ``w``, over the valid pixels. Images that
    are equal within a narrow window would otherwise make every mean that they enter infinite.
    """
    low, high = hu_range
    error = rmse(np.clip(image, low, high), np.clip(truth, low, high), valid) / (high - low)
    return -20 * math.log10(max(error, 10 ** (-PSNR_CEILING / 20)))


def ssim(image: Image, truth: Image, valid: Mask, hu_range: Range) -> float:
    """Return the mean structural similarity over the valid pixels (Wang et al., IEEE TIP 13 (2004) 600, eq. 13).

    Gaussian weights with σ = 1.5 px in an 11 × 11 window, both images clipped to ``hu_range``, whose width is the
    data range; borders are mirrored. Invalid pixels take the truth's value in both images.
    """
    return _Moments(truth, hu_range).ssim(image, valid)


class _Moments:
    """The truth within a HU range, scaled to [0, 1], with its local mean and variance."""

    def __init__(self, truth: Image, hu_range: Range) -> None:
        self.range = hu_range
        self.truth = self._scaled(truth)
        self.mean = _smooth(self.truth)
        self.variance = _smooth(self.truth**2) - self.mean**2

    def ssim(self, image: Image, valid: Mask) -> float:
        candidate = np.where(valid, self._scaled(image), self.truth)
        mean = _smooth(candidate)
        variance = _smooth(candidate**2) - mean**2
        covariance = _smooth(candidate * self.truth) - mean * self.mean
        similarity = (2 * mean * self.mean + _C1) * (2 * covariance + _C2)
        similarity /= (mean**2 + self.mean**2 + _C1) * (variance + self.variance + _C2)
        return float(np.mean(similarity[valid]))

    def _scaled(self, image: Image) -> NDArray[np.float64]:
        low, high = self.range
        return (np.clip(image, low, high).astype(np.float64) - low) / (high - low)


def _smooth(image: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(correlate1d(correlate1d(image, _WINDOW, axis=0), _WINDOW, axis=1))
