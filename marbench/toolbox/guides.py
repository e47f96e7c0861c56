"""The sinogram that guides a completion: what the rays would measure if the tissue prior were the patient."""

from __future__ import annotations

import torch

from marbench.ct.operators import Operators
from marbench.toolbox.interpolation import linear_interpolation
from marbench.toolbox.priors import tissue_prior

__all__ = ["tissue_guide"]


def tissue_guide(
    operators: Operators, sinogram: torch.Tensor, trace: torch.Tensor, metal_mask: torch.Tensor
) -> torch.Tensor:
    """Return the projection of the NMAR prior, segmented from the image of the interpolated sinogram.

    Parameters
    ----------
    operators : Operators
    sinogram : Tensor ``(batch, views, bins)``
    trace : bool Tensor, same shape
    metal_mask : bool Tensor ``(batch, rows, columns)``

    Returns
    -------
    Tensor ``(batch, views, bins)``

    Raises
    ------
    DataError
        As `linear_interpolation` and `tissue_prior`.

    References
    ----------
    E. Meyer et al., "Normalized metal artifact reduction (NMAR) in computed tomography", Med. Phys. 37 (2010)
    5482–5493, with the prior of the LI image.
    """
    image = operators.reconstruct(linear_interpolation(sinogram, trace))
    return operators.project(tissue_prior(image, metal_mask))
