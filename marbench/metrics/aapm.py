"""The eight measures of the AAPM CT-MAR challenge (2024) as its scorer executes them, what is wrong with it included.

The regions are those of `marbench.metrics.regions`, as the challenge drew its own by hand. By hand and in round numbers
it also set the highest value of tissue near metal, 250 HU above which an image shows metal; here that is the 99.9th
percentile of the truth there. The values are those that the axes of `marbench.metrics.axes` turn into scores; fractions
stay fractions. Known defects, kept here and mended in `marbench.metrics.clinical`:

- Noise below and edges above the truth's are rewarded: smoothing and sharpening are free.
- Metal counts as the image shows it: a method that leaves it out has lost all of it.
- Metal is cut out of the body in place, so that a proton beam skips it; the body is not turned with the beam; what
  turns into the picture is 0 HU, water; the target is turned as a mask of whole numbers by cubic splines, and its last
  row is not looked at.
"""

from __future__ import annotations

import math

import numpy as np
import scipy
from numpy.typing import NDArray

from marbench.metrics.clinical import (
    Clinical,
    bone_dice,
    bone_volume,
    dice,
    edge_ratios,
    metal_threshold,
    streak_amplitude,
    volume_error,
    with_truth,
)
from marbench.metrics.fidelity import Mask, Reference, ScoredImage
from marbench.metrics.places import AbsentRegion
from marbench.metrics.proton import stopping_power
from marbench.metrics.published import gaussian_ssim
from marbench.metrics.regions import regions_of

__all__ = ["AAPM"]

SSIM_RANGE_HU = 5000.0
METAL_FILL_HU = 100.0

_Floats = NDArray[np.float64]


def ct_number(image: ScoredImage) -> float:
    """Return the root-mean-square error in HU over the body, metal widened by two pixels left out."""
    body, _ = image.reference.derived(_body_and_metal)
    one, truth = image.compared(with_truth)
    return math.sqrt(float(np.mean((one - truth)[body] ** 2)))


def noise(image: ScoredImage) -> float:
    """Return the standard deviation in the noise region, HU."""
    return float(image.compared(with_truth)[0][regions_of(image.reference)["noise"]].std())


def sharpness(image: ScoredImage) -> float:
    """Return the steepness of edges over the truth's, the mean over the edge regions."""
    return float(np.mean(edge_ratios(image)))


def ssim(image: ScoredImage) -> float:
    """Return the structural similarity over a data range of 5000 HU, where `ct_number` looks; metal is 100 HU."""
    body, metal = image.reference.derived(_body_and_metal)
    one, truth = (np.where(metal, METAL_FILL_HU, hu) for hu in image.compared(with_truth))
    return float(gaussian_ssim(one, truth, SSIM_RANGE_HU)[1][body].mean())


def metal_volume(image: ScoredImage) -> float:
    """Return |1 − A/A of the metal| of what is brighter near metal than tissue."""
    return volume_error(_metal_shown(image), ~image.reference.valid)


def metal_dice(image: ScoredImage) -> float:
    """Return the overlap of what is brighter near metal than tissue with the metal (Dice)."""
    return dice(_metal_shown(image), ~image.reference.valid)


def proton_range(image: ScoredImage) -> float:
    """Return the largest error of water-equivalent thickness over the longest of the truth, for the beam by metal."""
    longest = image.reference.derived(_truth_thickness)
    error = np.abs(_thickness(image.reference, image.compared(with_truth)[0]) - longest)
    return float(error.max() / longest.max())


def _body_and_metal(reference: Reference) -> tuple[Mask, Mask]:
    metal = scipy.ndimage.binary_dilation(~reference.valid, iterations=2)
    body = regions_of(reference)["body"] & ~metal
    if not body.any():
        raise AbsentRegion("Metal fills the body.")
    return body, metal


def _metal_shown(image: ScoredImage) -> Mask:
    region = regions_of(image.reference)["metal_region"]
    return region & (image.compared(with_truth)[0] > metal_threshold(image.reference))


def _truth_thickness(reference: Reference) -> _Floats:
    thickness = _thickness(reference, reference.known_truth().astype(np.float64))
    # Of the truth alone: an image that shows nothing there has an error, that of the whole range.
    if not thickness.any():
        raise AbsentRegion("The body, which is not turned with the beam, leaves nothing before the target.")
    return thickness


def _thickness(reference: Reference, hu: _Floats) -> _Floats:
    """Return the thickness in mm of water of every row of the target but its last, in a picture turned to the beam."""
    regions = regions_of(reference)
    turn = {"angle": regions.beam, "reshape": False, "order": 3}
    target = scipy.ndimage.rotate(regions["target"], **turn)
    power = stopping_power(scipy.ndimage.rotate(hu, **turn)) * regions["body"]
    rows = np.flatnonzero(target.any(axis=1))
    ends = [(row, int(np.flatnonzero(target[row]).max())) for row in rows[:-1]]
    if not ends:
        raise AbsentRegion("Turned to the beam, nothing is left of the target.")
    return np.array([power[row, : end + 1].sum() * regions.pixel_mm for row, end in ends])


AAPM = (
    Clinical("ct_number", "CT number error", "HU", 1, False, ct_number, (0, 1e6)),
    Clinical("noise", "Noise", "HU", 1, False, noise, (0, 1e6)),
    Clinical("sharpness", "Sharpness", "", 3, True, sharpness),
    Clinical("streak", "Streak amplitude", "HU", 1, False, streak_amplitude, (0, 1e6)),
    Clinical("ssim", "SSIM", "", 4, True, ssim, (-1, 1)),
    Clinical("bone_volume", "Bone volume error", "", 3, False, bone_volume),
    Clinical("bone_dice", "Dice of bone", "", 3, True, bone_dice, (0, 1)),
    Clinical("metal_volume", "Metal volume error", "", 3, False, metal_volume),
    Clinical("metal_dice", "Dice of metal", "", 3, True, metal_dice, (0, 1)),
    Clinical("proton_range", "Proton range error", "", 4, False, proton_range),
)
"""The measures of the convention ``aapm2024``; the first one ranks."""
