"""Hounsfield units, attenuation, and the split of tissue into water and bone."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

__all__ = ["WATER_ATTENUATION", "hu_to_mu", "mu_to_hu", "split_tissue"]

WATER_ATTENUATION = 0.192
"""µ of water in 1/cm at the reference energy, as the DuDoNet family of simulators defines the HU scale."""

# T1 and T2 of the split. Between them a pixel is a mixture, so marrow and contrast medium harden like a little bone.
BONE_ONSET_HU = 100.0
BONE_FULL_HU = 1500.0

Image = TypeVar("Image", "torch.Tensor", NDArray[np.float32], NDArray[np.float64])


def hu_to_mu(image: Image, water: float = WATER_ATTENUATION) -> Image:
    """Convert HU to attenuation in 1/cm: ``µ = µ_w (1 + HU/1000)``."""
    return image * (water / 1000) + water


def mu_to_hu(image: Image, water: float = WATER_ATTENUATION) -> Image:
    """Convert attenuation in 1/cm to HU, the inverse of `hu_to_mu`."""
    return image * (1000 / water) - 1000


def split_tissue(mu: torch.Tensor, water: float = WATER_ATTENUATION) -> tuple[torch.Tensor, torch.Tensor]:
    """Split attenuation into a water and a bone part by the soft threshold of the DuDoNet simulator.

    Below 100 HU all is water, above 1500 HU all is bone; between, the bone part grows as
    ``(µ − T1)/(T2 − T1) · µ``.

    Parameters
    ----------
    mu : Tensor
        Attenuation in 1/cm; negative values are taken as 0.

    Returns
    -------
    water, bone : Tensor
        Parts of the same shape that add up to ``max(µ, 0)``.
    """
    # Slices of real scanners have noise below air; a negative path would amplify the beam.
    mu = mu.clamp(min=0)
    # The thresholds are HU; the ramp between them acts on attenuation, as in the paper's simulator.
    onset, full = hu_to_mu(np.array([BONE_ONSET_HU, BONE_FULL_HU]), water).tolist()
    bone = mu * ((mu - onset) / (full - onset)).clamp(0, 1)
    return mu - bone, bone
