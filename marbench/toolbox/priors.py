"""Prior images: what a scan would look like without metal, as far as a segmentation of tissue can tell."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, gaussian_filter

from marbench.errors import DataError
from marbench.physics.hounsfield import hu_to_mu, mu_to_hu
from marbench.tensors import as_mask, check_alike, check_batch, check_finite, check_real

__all__ = ["flat_water_prior", "tissue_prior"]


def tissue_prior(image: torch.Tensor, metal_mask: torch.Tensor) -> torch.Tensor:
    """Return the NMAR prior: air and water flattened, bone kept, metal taken as water.

    As in ``nmar.m`` of Zhang & Yu (CNN-MAR, 2018): k-means with three clusters started at [0, µw, 2µw]; the smoothed
    image is set to 0 below the water cluster, to µw below ``max(min of the bone cluster, 1.2 µw)``, and kept above.

    Parameters
    ----------
    image : Tensor ``(batch, rows, columns)``
        HU.
    metal_mask : bool Tensor, same shape

    Returns
    -------
    Tensor ``(batch, rows, columns)``
        The prior in HU; for autograd a constant.

    Raises
    ------
    DataError
        An argument is not as described.
    """
    metal_mask = _checked(image, metal_mask)
    # In units of µw, where water is 1: the thresholds need no HU scale. And in float32: in float64 flat tissue comes
    # out of the smoothing a rounding below its own smallest value, which would make air of it.
    relative = torch.where(metal_mask, 1.0, hu_to_mu(image.detach().float(), 1.0)).cpu().numpy()
    return mu_to_hu(_stacked([_flatten_tissue(single) for single in relative], image), 1.0)


def flat_water_prior(image: torch.Tensor, metal_mask: torch.Tensor, transition: float) -> torch.Tensor:
    """Return the CNNMAR prior: soft tissue flattened, with a soft edge; air and bone kept; metal filled in.

    k-means with three clusters started at −900, 0 and 1000 HU gives the thresholds, that of bone being at least
    350 HU. With w = min(d, N)/N, d the distance to what is not water and N the transition, the prior is
    w·x̄ + (1 − w)·x, x̄ being the mean of the image weighted by w. Metal pixels repeat the nearest other pixel.

    Parameters
    ----------
    image : Tensor ``(batch, rows, columns)``
        HU.
    metal_mask : bool Tensor, same shape
    transition : float
        N in pixels.

    Returns
    -------
    Tensor ``(batch, rows, columns)``
        The prior in HU; for autograd a constant.

    Raises
    ------
    DataError
        An argument is not as described.

    References
    ----------
    Y. Zhang, H. Yu, IEEE Trans. Med. Imaging 37 (2018) 1370–1381, §II.C.
    """
    metal_mask = _checked(image, metal_mask)
    if not transition > 0:
        raise DataError(f"transition: expected a length above 0, in pixels. Got {transition!r}.")
    pairs = zip(image.detach().float().cpu().numpy(), metal_mask.cpu().numpy(), strict=True)
    return _stacked([_flatten_water(hu, metal, transition) for hu, metal in pairs], image)


def _checked(image: torch.Tensor, metal_mask: torch.Tensor) -> torch.Tensor:
    """Return the mask as booleans; DataError where what is given does not fit together."""
    check_batch(check_real(image, "image"), "image", "batch, rows, columns")
    check_finite(image, "image")
    metal_mask = as_mask(metal_mask, "metal_mask")
    check_alike(metal_mask, image, "metal_mask and image")
    return metal_mask


def _stacked(priors: list[NDArray[np.float32]], image: torch.Tensor) -> torch.Tensor:
    """Return the priors of a batch, which may be empty."""
    return torch.from_numpy(np.stack(priors)).to(image) if priors else torch.empty_like(image)


def _flatten_water(hu: NDArray[np.float32], metal: NDArray[np.bool_], transition: float) -> NDArray[np.float32]:
    if metal.any() and not metal.all():
        rows, columns = distance_transform_edt(metal, return_distances=False, return_indices=True)
        hu = hu[rows, columns]
    air, bone = _midpoints(hu, np.array([-900.0, 0.0, 1000.0]))
    weight = distance_transform_edt((hu >= air) & (hu < max(bone, 350.0))).clip(max=transition) / transition
    mean = (weight * hu).sum() / max(weight.sum(), 1e-12)
    prior: NDArray[np.float32] = (weight * mean + (1 - weight) * hu).astype(np.float32)
    return prior


def _midpoints(values: NDArray[np.float32], centres: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the borders of the clusters of 1-D k-means (Lloyd); an empty cluster keeps its centre."""
    for _ in range(20):
        label = np.digitize(values.ravel(), (centres[1:] + centres[:-1]) / 2)
        count = np.bincount(label, minlength=len(centres))
        total = np.bincount(label, weights=values.ravel(), minlength=len(centres))
        centres = np.where(count > 0, total / count.clip(min=1), centres)
    middle: NDArray[np.float64] = (centres[1:] + centres[:-1]) / 2
    return middle


def _flatten_tissue(relative: NDArray[np.float32]) -> NDArray[np.float32]:
    """Segment one image in units of µw, ``(rows, columns)``."""
    water, bone = _cluster_onsets(relative)
    bone = max(bone, 1.2)
    # A 5 × 5 window of σ = 1 px.
    smooth = gaussian_filter(relative, sigma=1.0, truncate=2.0, mode="nearest")
    return np.where(smooth < water, 0, np.where(smooth < bone, 1, smooth)).astype(relative.dtype)


def _cluster_onsets(values: NDArray[np.float32]) -> tuple[float, float]:
    """Return the smallest value of the water and of the bone cluster by k-means started at [0, 1, 2].

    In one dimension Lloyd's iteration is a cut at the middle between centres; sorted values and their running sum make
    a step of it free. An empty cluster keeps its centre, and its onset is the cut.
    """
    ordered = np.sort(values, axis=None).astype(np.float64)
    running = np.concatenate([[0.0], np.cumsum(ordered)])
    centres = np.array([0.0, 1.0, 2.0])
    for _ in range(100):
        cuts = (centres[:-1] + centres[1:]) / 2
        edges = np.concatenate([[0], np.searchsorted(ordered, cuts), [ordered.size]])
        counts = np.diff(edges)
        moved = np.where(counts > 0, np.diff(running[edges]) / np.maximum(counts, 1), centres)
        if np.array_equal(moved, centres):
            break
        centres = moved
    water, bone = (
        float(ordered[edge]) if count else float(cut)
        for edge, count, cut in zip(edges[1:], counts[1:], cuts, strict=False)
    )
    return water, bone
