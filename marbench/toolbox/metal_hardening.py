"""Beam hardening of metal, estimated from the sinogram itself."""

from __future__ import annotations

from typing import Literal

import torch

from marbench.tensors import as_mask, check_alike, check_batch, check_finite, check_real
from marbench.toolbox.interpolation import linear_interpolation

__all__ = ["metal_beam_hardening"]


def metal_beam_hardening(
    sinogram: torch.Tensor,
    trace: torch.Tensor,
    metal_path: torch.Tensor,
    *,
    order: int = 3,
    line: Literal["initial", "mean"] = "initial",
) -> torch.Tensor:
    """Make the metal's part of the line integrals proportional to its path length.

    What metal adds to the interpolated sinogram, p − p_LI, is fitted on the trace by c₁m + c₂m² + … + cₙmⁿ; the fit is
    replaced by a line through zero. One fit per scan, by least squares.

    Parameters
    ----------
    sinogram : Tensor ``(batch, views, bins)``
    trace : bool Tensor, same shape
    metal_path : Tensor, same shape
        m, the length in metal of every ray; in any unit.
    order : int
        n; 3 in the paper.
    line : {"initial", "mean"}
        c₁m, as in the paper: what the metal would be to a beam that it does not harden, if the fit is good at m = 0. Or
        the line that fits p − p_LI best, which needs no extrapolation.

    Raises
    ------
    DataError
        An argument is not as described, or sinogram or path is not finite: one value would spoil the fit, and the
        image.

    References
    ----------
    Y. Zhang, H. Yu, "Convolutional Neural Network based Metal Artifact Reduction in X-ray Computed Tomography", IEEE
    Trans. Med. Imaging 37 (2018) 1370–1381.
    """
    check_batch(check_real(sinogram, "sinogram"), "sinogram", "batch, views, bins")
    check_alike(check_real(metal_path, "metal_path"), sinogram, "metal_path and sinogram")
    check_finite(sinogram, "sinogram")
    check_finite(metal_path, "metal_path")
    trace = as_mask(trace, "trace")
    excess = (sinogram - linear_interpolation(sinogram, trace)).double().flatten(1)
    m = metal_path.double().flatten(1)
    m = torch.where(trace.flatten(1), m / m.amax(dim=1, keepdim=True).clamp(min=1e-12), 0)
    powers = torch.stack([m**power for power in range(1, order + 1)], dim=-1)
    normal = powers.mT @ powers
    # A trace too small for three coefficients has a singular matrix; the ridge is far below the noise.
    ridge = 1e-9 * normal.diagonal(dim1=-2, dim2=-1).sum(-1).clamp(min=1e-12)
    normal = normal + ridge[:, None, None] * torch.eye(order, dtype=m.dtype, device=m.device)
    coefficients: torch.Tensor = torch.linalg.solve(normal, powers.mT @ excess[..., None]).clone()
    if line == "mean":
        coefficients[:, 0] -= (m * excess).sum(1, True) / m.square().sum(1, True).clamp(min=1e-12)
    else:
        coefficients[:, 0] = 0
    curved = (powers @ coefficients).reshape(sinogram.shape)
    return sinogram - curved.to(sinogram.dtype)
