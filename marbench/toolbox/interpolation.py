"""Interpolation across the metal trace: the classical repair of a sinogram, plain and with a prior."""

from __future__ import annotations

import torch

from marbench.tensors import as_mask, check_alike, check_finite, check_real

__all__ = ["additive_interpolation", "linear_interpolation", "normalized_interpolation"]

# Chosen on the validation split of `mini`, where 0.2 … 2 are alike within 1 HU.
_NORMALIZATION_OFFSET = 0.5


def linear_interpolation(sinogram: torch.Tensor, trace: torch.Tensor) -> torch.Tensor:
    """Replace the metal trace by linear interpolation along the detector (Kalender et al., Radiology 164 (1987) 576).

    Parameters
    ----------
    sinogram : Tensor ``(..., views, bins)``
        Line integrals.
    trace : bool Tensor, same shape
        Rays to replace; 0 and 1, or 0 and 255, will do.

    Returns
    -------
    Tensor, same shape
        Equal to ``sinogram`` outside the trace. Where the trace touches the edge of the detector the nearest
        measured bin is repeated; a view without any measured bin stays as it is.

    Raises
    ------
    DataError
        An argument is no tensor, or of another type or shape.
    """
    trace = _checked(sinogram, trace)
    bins = sinogram.shape[-1]
    index = torch.arange(bins, device=sinogram.device).expand(sinogram.shape)
    left = torch.where(trace, -1, index).cummax(dim=-1).values
    right = torch.where(trace, bins, index).flip(-1).cummin(dim=-1).values.flip(-1)
    blind = (left < 0) & (right >= bins)
    left, right = torch.where(left < 0, right, left), torch.where(right >= bins, left, right)
    left, right = left.clamp(0, bins - 1), right.clamp(0, bins - 1)
    weight = (index - left).to(sinogram.dtype) / (right - left).clamp(min=1)
    filled = torch.lerp(sinogram.gather(-1, left), sinogram.gather(-1, right), weight)
    return torch.where(trace & ~blind, filled, sinogram)


def normalized_interpolation(sinogram: torch.Tensor, trace: torch.Tensor, prior_sinogram: torch.Tensor) -> torch.Tensor:
    """Interpolate after division by the projection of a prior (Meyer et al., Med. Phys. 37 (2010) 5482, eq. 4–6).

    Both sinograms are raised by 0.5, the line integral of 2.6 cm of water, before the division. Without it a ray
    that the prior takes for air but that the couch or noise attenuates has a quotient of up to 10⁶, which
    interpolation carries into the body. (The CNN-MAR code adds 10⁻⁶, which guards against 0/0 alone.)

    Raises
    ------
    DataError
        As `linear_interpolation`, or the prior is not finite.
    """
    trace = _checked(sinogram, trace, prior_sinogram)
    prior = prior_sinogram.clamp(min=0) + _NORMALIZATION_OFFSET
    quotient = linear_interpolation((sinogram + _NORMALIZATION_OFFSET) / prior, trace)
    return torch.where(trace, quotient * prior - _NORMALIZATION_OFFSET, sinogram)


def additive_interpolation(sinogram: torch.Tensor, trace: torch.Tensor, prior_sinogram: torch.Tensor) -> torch.Tensor:
    """Interpolate the difference to the projection of a prior (Zhang & Yu, IEEE Trans. Med. Imaging 37 (2018) 1370).

    Equal to `linear_interpolation` for a prior of 0, and exact for a perfect one.

    Raises
    ------
    DataError
        As `linear_interpolation`, or the prior is not finite.
    """
    trace = _checked(sinogram, trace, prior_sinogram)
    filled = linear_interpolation(sinogram - prior_sinogram, trace) + prior_sinogram
    return torch.where(trace, filled, sinogram)


def _checked(sinogram: torch.Tensor, trace: torch.Tensor, prior_sinogram: torch.Tensor | None = None) -> torch.Tensor:
    """Return the trace as booleans; DataError where what is given does not fit together."""
    check_real(sinogram, "sinogram")
    if prior_sinogram is not None:
        check_alike(check_real(prior_sinogram, "prior_sinogram"), sinogram, "prior_sinogram and sinogram")
        check_finite(prior_sinogram, "prior_sinogram")
    trace = as_mask(trace, "trace")
    check_alike(trace, sinogram, "trace and sinogram")
    return trace
