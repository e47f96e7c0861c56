"""What clinicians ask of a corrected image: the eight measures of the AAPM CT-MAR challenge, without their defects.

``clinical`` differs from the scorer as it was executed (`marbench.metrics.aapm`) where that one rewards what it should
not: noise below and edges above the truth's count as errors; metal that a method does not show is put back from the
uncorrected image; beams are not turned away from what they meet. Lengths are in mm.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import scipy
from numpy.typing import NDArray

from marbench.metrics.fidelity import Mask, Pair, Reference, ScoredImage
from marbench.metrics.places import AbsentRegion
from marbench.metrics.proton import water_equivalent_mm
from marbench.metrics.regions import regions_of

__all__ = [
    "CLINICAL",
    "Clinical",
    "Need",
    "bone_dice",
    "bone_volume",
    "dice",
    "edge_ratios",
    "metal_threshold",
    "streak_amplitude",
    "volume_error",
    "with_truth",
]

Need = Literal["truth", "metal", "region", "scan"]

BONE_HU = (150.0, 2500.0)
METAL_ABOVE_TISSUE_HU = 250.0
SSIM_HU = (-1000.0, 1000.0)
BEAMS = (0.0, 90.0, 180.0, 270.0)
"""Degrees from the beam that comes through metal."""


@dataclass(frozen=True)
class Clinical:
    """A measure of a clinical convention: what `marbench.metrics.measure.Measure` says of it; NaN without its region.

    Attributes
    ----------
    name : str
        The id without the convention.
    title, unit, digits, higher_is_better, compute, bounds, needs
        As there.
    """

    name: str
    title: str
    unit: str
    digits: int
    higher_is_better: bool
    compute: Callable[[ScoredImage], float]
    bounds: tuple[float, float] = (0, math.inf)
    needs: frozenset[Need] = frozenset({"truth", "metal", "region"})


def with_truth(image: ScoredImage) -> Pair:
    """Return the image and the truth in HU; where the image is no number, in metal alone, it takes the truth's."""
    truth = image.reference.known_truth().astype(np.float64)
    return np.where(np.isfinite(image.image), image.image, truth).astype(np.float64), truth


def ct_number(image: ScoredImage) -> float:
    """Return the root-mean-square error in HU over the clear body, see `find_regions`."""
    one, truth = _inside(image, "clear")
    return math.sqrt(float(np.mean((one - truth) ** 2)))


def noise(image: ScoredImage) -> float:
    """Return by how many HU the standard deviation in the noise region differs from the truth's, either way."""
    one, truth = _inside(image, "noise")
    return abs(float(one.std() - truth.std()))


def sharpness(image: ScoredImage) -> float:
    """Return how near the steepness of edges is to the truth's: ratios r, or 1/r where r > 1, averaged."""
    return float(np.mean([min(ratio, 1 / ratio) if ratio else 0.0 for ratio in edge_ratios(image)]))


def edge_ratios(image: ScoredImage) -> list[float]:
    """Return q(image) / q(truth) of the edge regions that there are, q the 90th percentile of Sobel's magnitude."""
    regions = regions_of(image.reference)
    found = [regions[name] for name in ("bone_edge", "soft_edge") if name in regions.masks]
    if not found:
        raise AbsentRegion("There is no region of edges.")
    steep = [
        np.hypot(scipy.ndimage.sobel(hu, axis=0), scipy.ndimage.sobel(hu, axis=1)) for hu in image.compared(with_truth)
    ]
    one, truth = (np.array([np.quantile(each[region], 0.9) for region in found]) for each in steep)
    return [float(ratio) for ratio in one / truth]


def streak_amplitude(image: ScoredImage) -> float:
    """Return the mean of the highest minus the mean of the lowest twentieth of the errors in the streak region, HU."""
    one, truth = _inside(image, "streak")
    errors = np.sort(one - truth)
    count = max(1, int(0.05 * errors.size))
    return abs(float(errors[-count:].mean() - errors[:count].mean()))


def ssim(image: ScoredImage) -> float:
    """Return the structural similarity in −1000 … 1000 HU over the clear body, see `find_regions`."""
    return ScoredImage(image.compared(with_truth)[0], image.reference.derived(_clear)).ssim(SSIM_HU)


def bone_volume(image: ScoredImage) -> float:
    """Return |1 − A/A of the truth| of bone, 150 … 2500 HU in the body."""
    return volume_error(*_bones(image))


def bone_dice(image: ScoredImage) -> float:
    """Return the overlap of bone, 150 … 2500 HU in the body, with the truth's (Dice)."""
    return dice(*_bones(image))


def metal_volume(image: ScoredImage) -> float:
    """Return |1 − A/A of the metal| of what is brighter near metal than tissue, metal as in the uncorrected image."""
    return volume_error(*_metals(image))


def metal_dice(image: ScoredImage) -> float:
    """Return the overlap of what is brighter near metal than tissue, metal as in the uncorrected image (Dice)."""
    return dice(*_metals(image))


def proton_range(image: ScoredImage) -> float:
    """Return the largest error of water-equivalent thickness over that of the truth, over the rays of four beams."""
    error, longest = image.compared(_beam_errors)
    return float((error / longest).max())


def wet_error(image: ScoredImage) -> float:
    """Return the largest error of water-equivalent thickness in mm, over the rays of four beams."""
    return float(image.compared(_beam_errors)[0].max())


def metal_threshold(reference: Reference) -> float:
    """Return the HU above which a pixel near metal counts as metal: the 99.9th percentile of tissue there + 250."""
    return reference.derived(_metal_threshold)


def volume_error(one: Mask, truth: Mask) -> float:
    """Return |1 − A/A of the truth|."""
    return abs(1 - float(one.sum()) / _area(truth))


def dice(one: Mask, truth: Mask) -> float:
    """Return the overlap 2 |A ∩ B| / (|A| + |B|) (Dice, 1945)."""
    return 2 * float((one & truth).sum()) / (float(one.sum()) + _area(truth))


def _inside(image: ScoredImage, region: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    mask = regions_of(image.reference)[region]
    one, truth = image.compared(with_truth)
    return one[mask], truth[mask]


def _bones(image: ScoredImage) -> tuple[Mask, Mask]:
    body = regions_of(image.reference)["body"]
    one, truth = (body & (hu >= BONE_HU[0]) & (hu < BONE_HU[1]) for hu in image.compared(with_truth))
    return one, truth


def _metals(image: ScoredImage) -> tuple[Mask, Mask]:
    """Return metal in the image, which takes the uncorrected one's values in metal, and the metal."""
    reference, region = image.reference, regions_of(image.reference)["metal_region"]
    assert reference.raw is not None  # or there were no regions
    shown = np.where(reference.valid, image.image, reference.raw)
    return region & (np.nan_to_num(shown) > metal_threshold(reference)), ~reference.valid


def _metal_threshold(reference: Reference) -> float:
    near = reference.known_truth()[regions_of(reference)["metal_region"]]
    return float(np.quantile(near, 0.999)) + METAL_ABOVE_TISSUE_HU


def _percent(fraction: Callable[[ScoredImage], float]) -> Callable[[ScoredImage], float]:
    return lambda image: 100 * fraction(image)


def _area(mask: Mask) -> float:
    if not mask.any():
        raise AbsentRegion("The truth holds none of it.")
    return float(mask.sum())


def _clear(reference: Reference) -> Reference:
    return Reference(reference.truth, ~regions_of(reference)["clear"])


def _beams_mm(reference: Reference) -> list[NDArray[np.float64]]:
    return _thickness(reference, reference.known_truth().astype(np.float64))


def _thickness(reference: Reference, hu: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    regions = regions_of(reference)
    if regions.target is None:
        regions["target"]  # says why there is none
        raise AbsentRegion("There is no proton target.")
    body = regions["body"] | ~reference.valid
    return [water_equivalent_mm(hu, body, regions.target, regions.beam + turn, regions.pixel_mm) for turn in BEAMS]


def _beam_errors(image: ScoredImage) -> Pair:
    """Return the largest |ΔWET| of every beam, and its longest WET in the truth, mm.

    Plans give metal its known stopping power, so its pixels count alike in both.
    """
    reference = image.reference
    longest = reference.derived(_beams_mm)
    one, truth = image.compared(with_truth)
    reached = _thickness(reference, np.where(reference.valid, one, truth))
    largest = [float(np.abs(mine - own).max()) for mine, own in zip(reached, longest, strict=True)]
    return np.array(largest), np.array([float(own.max()) for own in longest])


CLINICAL = (
    Clinical("ct_number", "CT number error", "HU", 1, False, ct_number, (0, 1e6)),
    Clinical("noise", "Noise error", "HU", 1, False, noise, (0, 1e6)),
    Clinical("sharpness", "Sharpness", "", 3, True, sharpness, (0, 1)),
    Clinical("streak", "Streak amplitude", "HU", 1, False, streak_amplitude, (0, 1e6)),
    Clinical("ssim", "SSIM", "", 4, True, ssim, (-1, 1)),
    Clinical("bone_volume", "Bone volume error", "%", 1, False, _percent(bone_volume)),
    Clinical("bone_dice", "Dice of bone", "", 3, True, bone_dice, (0, 1)),
    Clinical("metal_volume", "Metal volume error", "%", 1, False, _percent(metal_volume)),
    Clinical("metal_dice", "Dice of metal", "", 3, True, metal_dice, (0, 1)),
    Clinical("proton_range", "Proton range error", "%", 2, False, _percent(proton_range)),
    Clinical("wet", "WET error", "mm", 2, False, wet_error, (0, 1e6)),
)
"""The measures of the convention ``clinical``; the first one ranks."""
