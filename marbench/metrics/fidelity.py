"""Fidelity to a known truth: RMSE in HU, PSNR and SSIM under a declared convention."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from skimage.metrics import structural_similarity

from marbench.metrics.conventions import CONVENTIONS

__all__ = ["psnr", "rmse", "score_image", "ssim"]

Image = NDArray[np.floating]
Mask = NDArray[np.bool_]
Range = tuple[float, float]


def rmse(image: Image, truth: Image, valid: Mask) -> float:
    """Return the root-mean-square error in HU over the valid pixels. Needs no convention: nothing is clipped."""
    difference = image[valid].astype(np.float64) - truth[valid]
    return math.sqrt(float(np.mean(difference * difference)))


def psnr(image: Image, truth: Image, valid: Mask, hu_range: Range) -> float:
    """Return the peak signal-to-noise ratio in dB; infinite for equal images.

    ``10 log10(w² / MSE)`` with both images clipped to ``hu_range`` of width ``w``, over the valid pixels.
    """
    low, high = hu_range
    error = rmse(np.clip(image, low, high), np.clip(truth, low, high), valid)
    return math.inf if error == 0 else 20 * math.log10((high - low) / error)


def ssim(image: Image, truth: Image, valid: Mask, hu_range: Range) -> float:
    """Return the mean structural similarity over the valid pixels (Wang et al., IEEE TIP 13 (2004) 600, eq. 13).

    Gaussian weights with σ = 1.5 px in an 11 × 11 window, both images clipped to ``hu_range``, whose width is the
    data range; borders are mirrored. Invalid pixels take the truth's value in both images.
    """
    low, high = hu_range
    reference = np.clip(truth, low, high).astype(np.float64)
    candidate = np.where(valid, np.clip(image, low, high), reference)
    _, similarity = structural_similarity(
        candidate,
        reference,
        data_range=high - low,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        full=True,
    )
    return float(np.mean(similarity[valid]))


def score_image(
    image: Image, truth: Image, metal: Mask, window: Range, conventions: Sequence[str]
) -> dict[str, float]:
    """Return all scores of one image: ``rmse_hu``, and ``psnr[id]``, ``ssim[id]`` of every convention.

    Parameters
    ----------
    image, truth : float array ``(rows, columns)``
        HU.
    metal : bool array ``(rows, columns)``
        Pixels that hold any metal; they are not scored.
    window : (low, high)
        Display window of the slice in HU.
    conventions : sequence of str
        Ids out of `marbench.metrics.conventions.CONVENTIONS`.
    """
    valid = ~metal
    scores = {"rmse_hu": rmse(image, truth, valid)}
    for name in conventions:
        hu_range = CONVENTIONS[name].range_for(window)
        scores[f"psnr[{name}]"] = psnr(image, truth, valid, hu_range)
        scores[f"ssim[{name}]"] = ssim(image, truth, valid, hu_range)
    return scores

