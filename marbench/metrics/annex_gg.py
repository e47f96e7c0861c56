"""Detectability as Annex GG asks for it, proposed for IEC 60601-2-44 Ed. 4: a titanium rod, and a lesion beside it.

The annex is not published. What is known of it is what its author's own program, mar-eval (2025), sets: the sizes,
grid and observer of `AnnexGG`. That program says neither which images its observer learns from and which it decides on
(its test takes the same ones), nor what the doses are of: here it learns from one half of the realisations and decides
on the other, both ways, and noise falls as √(level + 1), as there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from marbench.errors import MetricError
from marbench.metrics.detectability import areas_drawn, auc, drawings

__all__ = ["ANNEX_GG", "AnnexGG", "Grid", "grid", "improvement", "principal_channels"]

_Floats = NDArray[np.float64]


@dataclass(frozen=True)
class AnnexGG:
    """What is scanned, and who looks at it.

    Attributes
    ----------
    material, rod_mm
        Of the rod, and its diameter.
    lesion_mm, reach_mm : float
        Diameter of the lesion; largest distance of its middle from that of the rod.
    contrasts : tuple of float
        Attenuation of the lesion over that of the tissue in its place; 1 is none, where every observer guesses.
    doses : tuple of float
        Photons over the benchmark's.
    realisations : int
        Scans of each dose with a lesion of each contrast, and of each dose without one.
    channels : int
        Principal components that the observer sees.
    ridge : float
        Added to the variances of the channels.
    resamples : int
        Of the bootstrap.
    """

    material: str = "titanium"
    rod_mm: float = 6.0
    lesion_mm: float = 5.0
    reach_mm: float = 12.0
    contrasts: tuple[float, ...] = (1.0, 1.01, 1.02, 1.03, 1.04, 1.05, 1.06)
    doses: tuple[float, ...] = tuple((level + 1) / 11 for level in range(11))
    realisations: int = 10
    channels: int = 8
    ridge: float = 1e-3
    resamples: int = 2000


ANNEX_GG = AnnexGG()


@dataclass(frozen=True, eq=False)
class Grid:
    """What the observer makes of a method.

    Attributes
    ----------
    areas : float array ``(doses, contrasts)``
        AUC of every cell.
    auc : float
        Their mean.
    interval : (low, high)
        95 %, percentile bootstrap of the realisations.
    """

    areas: _Floats
    auc: float
    interval: tuple[float, float]


def principal_channels(pictures: _Floats, count: int) -> _Floats:
    """Return the first principal components of pictures ``(images, pixels)`` as columns, ``(pixels, count)``."""
    _, _, components = np.linalg.svd(pictures - pictures.mean(axis=0), full_matrices=False)
    return np.asarray(components[:count].T)


def grid(present: ArrayLike, absent: ArrayLike, preset: AnnexGG = ANNEX_GG, seed: int = 0) -> Grid:
    """Return how well the observer finds lesions at every dose and contrast.

    w = (K + λ I)⁻¹ Δv, with v the channels' outputs, Δv the difference of the means of all images with and without a
    lesion, and K the covariance within the cells. Learned from every other realisation, for the rest of them, and the
    other way round; AUC is the mean of both.

    Parameters
    ----------
    present : real array ``(doses, contrasts, realisations, size, size)``
        Squares about the lesion, HU.
    absent : real array ``(doses, realisations, size, size)``
        The same place without it.
    preset : AnnexGG
        Whose channels, ridge and resamples count.
    seed : int
        Of the bootstrap.

    Raises
    ------
    MetricError
        The shapes do not fit, or there are fewer than four realisations.
    """
    there, none = np.asarray(present, np.float64), np.asarray(absent, np.float64)
    if there.ndim != 5 or none.shape != (there.shape[0], *there.shape[2:]) or there.shape[2] < 4:
        raise MetricError(
            "Expected (doses, contrasts, realisations, size, size) with and (doses, realisations, size, size) without "
            f"a lesion, four realisations or more. Got {there.shape} and {none.shape}."
        )
    there, none = (each.reshape(*each.shape[:-2], -1) for each in (there, none))
    rng, areas, drawn = np.random.default_rng(seed), [], []
    for first in (0, 1):
        template = _template(there[:, :, first::2], none[:, first::2], preset)
        one, other = there[:, :, 1 - first :: 2] @ template, none[:, 1 - first :: 2] @ template
        cells = list(np.ndindex(one.shape[:2]))
        areas.append(np.array([auc(one[cell], other[cell[0]]) for cell in cells]).reshape(one.shape[:2]))
        # All contrasts of a dose are compared with the same images without a lesion: those are drawn once.
        without = [drawings(other.shape[1], preset.resamples, rng) for _ in other]
        resampled = [
            areas_drawn(one[cell], other[cell[0]], drawings(one.shape[2], preset.resamples, rng), without[cell[0]])
            for cell in cells
        ]
        drawn.append(np.mean(resampled, axis=0))
    both = np.mean(areas, axis=0)
    low, high = np.quantile(np.mean(drawn, axis=0), (0.025, 0.975))
    return Grid(both, float(both.mean()), (float(low), float(high)))


def improvement(corrected: Grid, uncorrected: Grid) -> tuple[float, float]:
    """Return ΔAUC, and p of the paired, one-tailed t test over the cells: that lesions are easier to see."""
    difference = corrected.areas - uncorrected.areas
    if not difference.any():
        return 0.0, 1.0
    test = stats.ttest_rel(corrected.areas.ravel(), uncorrected.areas.ravel(), alternative="greater")
    return float(difference.mean()), float(test.pvalue)


def _template(there: _Floats, none: _Floats, preset: AnnexGG) -> _Floats:
    """Return the weight of every pixel."""
    pixels = there.shape[-1]
    both = [there.reshape(-1, pixels), none.reshape(-1, pixels)]
    seen = principal_channels(np.concatenate(both), preset.channels)
    with_lesion, without = there @ seen, none @ seen
    # What differs between cells, dose and contrast, is no noise.
    within = [(each - each.mean(axis=-2, keepdims=True)).reshape(-1, seen.shape[1]) for each in (with_lesion, without)]
    covariance = np.cov(np.concatenate(within), rowvar=False) + preset.ridge * np.eye(seen.shape[1])
    shift = with_lesion.mean(axis=(0, 1, 2)) - without.mean(axis=(0, 1))
    return np.asarray(seen @ np.linalg.solve(covariance, shift))
