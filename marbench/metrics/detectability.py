"""Whether a lesion can be seen: the channelised Hotelling observer, a model of a reader who knows where to look.

An ensemble is one anatomy scanned many times, with a lesion and without it, each time with other noise. The observer
learns from one half of the images and decides on the other: AUC 1 is never wrong, 0.5 guesses. (Barrett et al., PNAS 90
(1993) 9758; Gallas & Barrett, J. Opt. Soc. Am. A 20 (2003) 1725.)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from marbench.errors import MetricError

__all__ = ["Detectability", "areas_drawn", "auc", "detectability", "drawings", "hotelling_template", "laguerre_gauss"]

_Floats = NDArray[np.float64]
_LEAST = 8
"""Images of each kind: half of them must be more than there are channels for a covariance to be known."""


@dataclass(frozen=True)
class Detectability:
    """What an observer makes of an ensemble.

    Attributes
    ----------
    auc : float
        Area under the ROC curve, the mean over the splits into images to learn from and to decide on.
    auc_interval : (low, high)
        95 %, percentile bootstrap of the images to decide on, over all splits.
    d : float
        d' = Δt / √(½ (σ₊² + σ₋²)) of the decision variable t; the mean over the splits.
    contrast : float
        Mean of the images with a lesion minus mean of those without, within the lesion, HU.
    """

    auc: float
    auc_interval: tuple[float, float]
    d: float
    contrast: float


def laguerre_gauss(size: int, width: float, count: int = 5) -> _Floats:
    """Return Laguerre–Gauss channels u_p(r) = √2/h · exp(−π r²/h²) · L_p(2π r²/h²), ``(count, size, size)``.

    Parameters
    ----------
    size : int
        Pixels along a side; r is the distance from the middle in pixels.
    width : float
        h, pixels.
    count : int
        p = 0 … count − 1.
    """
    place = np.arange(size) - (size - 1) / 2
    squared = (place[:, None] ** 2 + place**2) / width**2
    orders = np.arange(count)[:, None, None]
    return np.asarray(
        np.sqrt(2) / width * np.exp(-np.pi * squared) * special.eval_laguerre(orders, 2 * np.pi * squared)
    )


def hotelling_template(present: _Floats, absent: _Floats) -> _Floats:
    """Return w = [½ (K₊ + K₋)]⁺ Δv, the weights of channels; ``(channels,)``.

    Parameters
    ----------
    present, absent : float array ``(images, channels)``
        Outputs of the channels with and without a lesion.
    """
    covariance = (np.cov(present, rowvar=False) + np.cov(absent, rowvar=False)) / 2
    return np.asarray(np.linalg.pinv(np.atleast_2d(covariance)) @ (present.mean(axis=0) - absent.mean(axis=0)))


def auc(present: ArrayLike, absent: ArrayLike) -> float:
    """Return how often a lesion has the larger decision variable, ties by half (Mann & Whitney, 1947).

    >>> auc([1.0, 3.0], [0.0, 1.0])
    0.875
    """
    return float(_wins(np.asarray(present, np.float64), np.asarray(absent, np.float64)).mean())


def detectability(
    present: ArrayLike,
    absent: ArrayLike,
    radius: float,
    *,
    channels: int = 5,
    splits: int = 10,
    resamples: int = 2000,
    seed: int = 0,
) -> Detectability:
    """Return how well a channelised Hotelling observer finds a lesion in the middle of pictures.

    The mean of every picture is taken off; the channels are as wide as the lesion's radius, in pixels.

    Parameters
    ----------
    present, absent : real array ``(images, size, size)``
        Regions of interest with and without the lesion, HU; about three radii to each side of its middle.
    radius : float
        Of the lesion, pixels.
    channels, splits, resamples, seed : int
        Of channels, random halvings, bootstrap samples in all, and the random numbers.

    Raises
    ------
    MetricError
        The pictures are no squares of one size, are not finite, or too few.
    """
    one, other = (_checked(pictures, channels) for pictures in (present, absent))
    if one.shape[1:] != other.shape[1:]:
        raise MetricError(
            f"Pictures with and without a lesion have one size. Got {one.shape[1:]} and {other.shape[1:]}."
        )
    size = one.shape[1]
    seen = laguerre_gauss(size, radius, channels).reshape(channels, -1)
    seen -= seen.mean(axis=1, keepdims=True)  # as good as taking the mean off every picture
    outputs = [pictures.reshape(len(pictures), -1) @ seen.T for pictures in (one, other)]
    rng = np.random.default_rng(seed)
    decided = [_decide(outputs, rng) for _ in range(splits)]
    each = max(1, resamples // splits)
    areas = [areas_drawn(*pair, *(drawings(len(kind), each, rng) for kind in pair)) for pair in decided]
    low, high = np.quantile(np.concatenate(areas), (0.025, 0.975))
    place = np.arange(size) - (size - 1) / 2
    lesion = np.hypot(place[:, None], place) <= max(radius, 0.71)
    return Detectability(
        auc=float(np.mean([auc(*each) for each in decided])),
        auc_interval=(float(low), float(high)),
        d=float(np.mean([_separation(*each) for each in decided])),
        contrast=float(one[:, lesion].mean() - other[:, lesion].mean()),
    )


def _decide(outputs: list[_Floats], rng: np.random.Generator) -> tuple[_Floats, _Floats]:
    """Return the decision variables of a random half of both kinds, learned from the other halves."""
    orders = [rng.permutation(len(each)) for each in outputs]
    learned = [each[order[: len(each) // 2]] for each, order in zip(outputs, orders, strict=True)]
    template = hotelling_template(*learned)
    one, other = (each[order[len(each) // 2 :]] @ template for each, order in zip(outputs, orders, strict=True))
    return one, other


def drawings(count: int, resamples: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return how often each of ``count`` images comes in each bootstrap sample, ``(resamples, count)``."""
    return rng.multinomial(count, np.full(count, 1 / count), resamples)


def areas_drawn(one: _Floats, other: _Floats, of_one: NDArray[np.int64], of_other: NDArray[np.int64]) -> _Floats:
    """Return the AUC of bootstrap samples of decision variables with and without a lesion, drawn by `drawings`."""
    wins = _wins(one, other)
    return np.asarray(((of_one @ wins) * of_other).sum(axis=1) / wins.size)


def _wins(one: _Floats, other: _Floats) -> _Floats:
    return np.asarray((one[:, None] > other) + 0.5 * (one[:, None] == other))


def _separation(one: _Floats, other: _Floats) -> float:
    spread = float(np.sqrt((one.var(ddof=1) + other.var(ddof=1)) / 2))
    return float(one.mean() - other.mean()) / spread if spread > 0 else 0.0


def _checked(pictures: ArrayLike, channels: int) -> _Floats:
    array = np.asarray(pictures, np.float64)
    least = max(_LEAST, 2 * (channels + 1))
    if array.ndim != 3 or array.shape[1] != array.shape[2] or len(array) < least or not np.isfinite(array).all():
        raise MetricError(
            f"An ensemble is at least {least} square pictures of finite HU, (images, size, size). Got {array.shape}."
        )
    return array
