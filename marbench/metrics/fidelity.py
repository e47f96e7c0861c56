"""Fidelity to a known truth: RMSE in HU, PSNR and SSIM within a HU range. Arrays in, numbers out.

Nothing is guessed: a mask that is not boolean, a range that is empty, shapes that differ and values that are no
numbers are refused. A mask of 0 and 1 would be taken as row indices by NumPy, and give a perfect score.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from marbench.errors import MetricError
from marbench.metrics.consistency import Measured
from marbench.metrics.conventions import PSNR_CEILING

__all__ = [
    "Comparing",
    "Image",
    "Mask",
    "Pair",
    "Range",
    "Reference",
    "ScoredImage",
    "body_mask",
    "hu_image",
    "pixel_mask",
    "psnr",
    "rmse",
    "ssim",
]

Image = NDArray[np.floating]
Mask = NDArray[np.bool_]
Range = tuple[float, float]
Pair = tuple[NDArray[np.float64], NDArray[np.float64]]
Comparing = Callable[["ScoredImage"], Pair]
_Derived = TypeVar("_Derived")

# Wang et al. (2004): an 11 × 11 Gaussian window of σ = 1.5 px, normalised; K1 and K2 for a data range of 1.
_WINDOW = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
_WINDOW /= _WINDOW.sum()
_C1, _C2 = 0.01**2, 0.03**2


def rmse(image: ArrayLike, truth: ArrayLike, valid: ArrayLike) -> float:
    """Return the root-mean-square error in HU over the valid pixels. Needs no convention: nothing is clipped.

    Parameters
    ----------
    image, truth : real array ``(rows, columns)``
        HU; finite, the image at least where it is valid.
    valid : bool array ``(rows, columns)``
        Which pixels count.

    Raises
    ------
    MetricError
        An array is not as described, or no pixel is valid.
    """
    return _scored(image, truth, valid).rmse


def psnr(image: ArrayLike, truth: ArrayLike, valid: ArrayLike, hu_range: Range) -> float:
    """Return the peak signal-to-noise ratio in dB, at most `PSNR_CEILING`.

    ``10 log10(w² / MSE)`` with both images clipped to ``hu_range`` of width ``w``, over the valid pixels. Images that
    are equal within a narrow window would otherwise make every mean that they enter infinite.

    Parameters
    ----------
    image, truth, valid
        As for `rmse`.
    hu_range : (low, high)
        HU, finite, ``low < high``.

    Raises
    ------
    MetricError
        As `rmse`, or the range is none.
    """
    return _scored(image, truth, valid).psnr(hu_range)


def ssim(image: ArrayLike, truth: ArrayLike, valid: ArrayLike, hu_range: Range) -> float:
    """Return the mean structural similarity over the valid pixels (Wang et al., IEEE TIP 13 (2004) 600, eq. 13).

    Gaussian weights with σ = 1.5 px in an 11 × 11 window, both images clipped to ``hu_range``, whose width is the
    data range; borders are mirrored. Invalid pixels take the truth's value in both images.

    Parameters
    ----------
    image, truth, valid, hu_range
        As for `psnr`.

    Raises
    ------
    MetricError
        As `psnr`.
    """
    return _scored(image, truth, valid).ssim(hu_range)


class Reference:
    """What the images of one case are scored against, prepared once for all of them.

    What SSIM needs of the truth alone is computed once per HU range, two fifths of its work.

    Parameters
    ----------
    truth : real array ``(rows, columns)`` or None
        HU, finite; None where no truth is known.
    metal : bool array ``(rows, columns)``
        Pixels that hold any metal; they are not scored.
    window : (low, high), optional
        Display window of the slice in HU.
    raw : real array ``(rows, columns)``, optional
        The uncorrected image in HU, which some conventions leave pixels out by.
    pixel_mm : float, optional
        Side of a pixel, for measures whose regions have a size in millimetres.
    measured : Measured, optional
        The scan, for measures that ask whether an image agrees with it.

    Raises
    ------
    MetricError
        An array is not as described, or every pixel is metal.
    """

    def __init__(
        self,
        truth: ArrayLike | None,
        metal: ArrayLike,
        window: Range | None = None,
        raw: ArrayLike | None = None,
        pixel_mm: float | None = None,
        measured: Measured | None = None,
    ) -> None:
        mask = pixel_mask(metal)
        if mask.all():
            raise MetricError(f"There is nothing to score: none of the {mask.size} pixels is valid.")
        self.valid: Mask = ~mask
        self.window = window
        self.pixel_mm = pixel_mm
        self.measured = measured
        self.raw = None if raw is None else hu_image(raw, "uncorrected image", mask.shape)
        self.truth = None if truth is None else hu_image(truth, "truth", mask.shape)
        if self.truth is not None:
            # SSIM's windows reach beyond the valid pixels, so all of the truth has to be there.
            _refuse_non_finite(self.truth, "truth")
        self._moments: dict[Range, _Moments] = {}
        self._derived: dict[Callable[..., Any], Any] = {}

    def derived(self, make: Callable[[Reference], _Derived]) -> _Derived:
        """Return what a measure needs of this alone, made once for all images."""
        if make not in self._derived:
            self._derived[make] = make(self)
        found: _Derived = self._derived[make]
        return found

    def known_truth(self) -> Image:
        """Return the truth, or raise `MetricError` where none is known."""
        if self.truth is None:
            raise MetricError("This case has no known truth to compare an image with.")
        return self.truth

    @cached_property
    def body(self) -> Reference:
        """This with what lies outside of the body, see `body_mask`, left out like metal."""
        return Reference(self.truth, ~(body_mask(self.known_truth()) & self.valid), self.window)

    def moments(self, hu_range: Range) -> _Moments:
        """Return what SSIM needs of the truth within a HU range."""
        if hu_range not in self._moments:
            self._moments[hu_range] = _Moments(self.known_truth(), hu_range)
        return self._moments[hu_range]


class ScoredImage:
    """An image beside what it is scored against: the argument of every measure.

    Conventions that give one slice the same HU range share the numbers.

    Parameters
    ----------
    image : real array ``(rows, columns)``
        HU, finite where it is scored.
    reference : Reference

    Raises
    ------
    MetricError
        The image has another shape, is no real numbers, or is not finite.
    """

    def __init__(self, image: ArrayLike, reference: Reference) -> None:
        self.image = hu_image(image, "image", reference.valid.shape)
        self.reference = reference
        _refuse_non_finite(self.image[reference.valid], "image")
        self._psnr: dict[Range, float] = {}
        self._ssim: dict[Range, float] = {}
        self._compared: dict[Comparing, Pair] = {}

    def compared(self, way: Comparing) -> Pair:
        """Return the image and the truth as a convention compares them; PSNR and SSIM share them."""
        if way not in self._compared:
            self._compared[way] = way(self)
        return self._compared[way]

    @cached_property
    def of_the_body(self) -> ScoredImage:
        """This image, scored within the body alone."""
        return ScoredImage(self.image, self.reference.body)

    @cached_property
    def rmse(self) -> float:
        """See `rmse`."""
        return _rmse(self.image, self.reference.known_truth(), self.reference.valid)

    def psnr(self, hu_range: Range) -> float:
        """See `psnr`."""
        checked = _checked(hu_range)
        low, high = checked
        if checked not in self._psnr:
            image, truth = np.clip(self.image, low, high), np.clip(self.reference.known_truth(), low, high)
            error = _rmse(image, truth, self.reference.valid) / (high - low)
            # 10 log10(w² / MSE) = −20 log10(RMSE / w)
            self._psnr[checked] = -20 * math.log10(max(error, 10 ** (-PSNR_CEILING / 20)))
        return self._psnr[checked]

    def ssim(self, hu_range: Range) -> float:
        """See `ssim`."""
        if (checked := _checked(hu_range)) not in self._ssim:
            self._ssim[checked] = self.reference.moments(checked).ssim(self.image, self.reference.valid)
        return self._ssim[checked]


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
        # Weighted, without Bessel's correction: σ² = E[x²] − E[x]², and the covariance likewise.
        variance = _smooth(candidate**2) - mean**2
        covariance = _smooth(candidate * self.truth) - mean * self.mean
        # (2 µx µy + C1)(2 σxy + C2) / ((µx² + µy² + C1)(σx² + σy² + C2))
        similarity = (2 * mean * self.mean + _C1) * (2 * covariance + _C2)
        similarity /= (mean**2 + self.mean**2 + _C1) * (variance + self.variance + _C2)
        return float(np.mean(similarity[valid]))

    def _scaled(self, image: Image) -> NDArray[np.float64]:
        low, high = self.range
        return (np.clip(image, low, high).astype(np.float64) - low) / (high - low)


def pixel_mask(mask: ArrayLike) -> Mask:
    """Return a mask of pixels as an array.

    Raises
    ------
    MetricError
        It is not boolean, or not ``(rows, columns)``.
    """
    array = np.asarray(mask)
    if array.dtype != np.bool_:
        raise MetricError(
            f"A mask of pixels is boolean. Got {array.dtype}, whose values would be taken as indices or as numbers; "
            "convert it with mask.astype(bool)."
        )
    if array.ndim != 2:
        raise MetricError(f"A mask of pixels has the shape (rows, columns). Got {array.shape}.")
    return array


def body_mask(truth: Image) -> Mask:
    """Return the body: the largest part of the truth above −500 HU, closed by one pixel and filled.

    Raises
    ------
    MetricError
        There is none.
    """
    parts, count = scipy.ndimage.label(truth > -500)
    if not count:
        raise MetricError("There is no body to score: all of the truth is below −500 HU.")
    largest = parts == 1 + np.argmax(np.bincount(parts.ravel())[1:])
    # A body may go on beyond the border of the picture.
    closed = scipy.ndimage.binary_closing(np.pad(largest, 2, mode="edge"))[2:-2, 2:-2]
    return np.asarray(scipy.ndimage.binary_fill_holes(closed))


def _scored(image: ArrayLike, truth: ArrayLike, valid: ArrayLike) -> ScoredImage:
    mask = np.asarray(valid)
    # Only a boolean mask can be turned round; of any other `Reference` says what is wrong.
    return ScoredImage(image, Reference(truth, ~mask if mask.dtype == np.bool_ else mask))


def _rmse(image: Image, truth: Image, valid: Mask) -> float:
    difference = image[valid].astype(np.float64) - truth[valid]
    with np.errstate(over="ignore"):  # beyond 1e154 HU the error is infinite
        return math.sqrt(float(np.mean(difference * difference)))


def _smooth(image: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(scipy.ndimage.correlate1d(scipy.ndimage.correlate1d(image, _WINDOW, axis=0), _WINDOW, axis=1))


def hu_image(values: ArrayLike, what: str, shape: tuple[int, ...]) -> Image:
    """Return an image in HU as an array; MetricError where it is no real numbers or not of the shape of its mask."""
    array = np.asarray(values)
    if array.dtype.kind not in "fiu":
        raise MetricError(f"The {what} holds HU, real numbers. Got {array.dtype}.")
    if array.shape != shape:
        raise MetricError(
            f"The {what} has the shape {array.shape}, the mask of its pixels {shape}: they must be the same."
        )
    return array


def _refuse_non_finite(values: Image, what: str) -> None:
    finite = np.isfinite(values)
    if not finite.all():
        bad = int(finite.size - finite.sum())
        raise MetricError(f"{bad} of {finite.size} scored pixels of the {what} are NaN or infinite.")


def _checked(hu_range: Range) -> Range:
    try:
        low, high = map(float, hu_range)
    except (TypeError, ValueError):
        raise MetricError(f"A HU range is a pair of numbers, (low, high). Got {hu_range!r}.") from None
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise MetricError(f"A HU range goes from a lower to a higher finite value. Got {low:g} to {high:g}.")
    return low, high
