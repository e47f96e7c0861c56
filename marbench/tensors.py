"""What tensors that users hand in must be: each check one clear error, and microseconds.

Values are looked at where that is free: on the CPU. On a GPU the host would have to wait for them.
"""

from __future__ import annotations

import torch

from marbench.errors import DataError

__all__ = ["as_mask", "check_alike", "check_batch", "check_finite", "check_real", "refuse_attenuation", "refuse_counts"]

_MOST_LINE_INTEGRAL = 60.0
"""No detector tells e⁻⁶⁰ from nothing: what is larger is a count, or an integral in another unit."""
_NO_HU = (-5.0, 100.0)
"""Images of patients hold air, at −1000 HU. Where all lies between these, streaks and gold too, it is attenuation."""


def check_real(tensor: object, what: str) -> torch.Tensor:
    """Return a tensor of float32 or float64, or raise DataError."""
    if not isinstance(tensor, torch.Tensor):
        kind = f"{type(tensor).__module__.partition('.')[0]}.{type(tensor).__name__}"
        raise DataError(f"{what}: expected a torch.Tensor. Got {kind}: torch.from_numpy makes one of an array.")
    if tensor.dtype not in (torch.float32, torch.float64):
        raise DataError(f"{what}: expected float32. Got {tensor.dtype}: convert it with .float().")
    return tensor


def as_mask(tensor: object, what: str) -> torch.Tensor:
    """Return a mask as a boolean tensor; 0 and 1, and 0 and 255, of any type mean the same.

    Raises
    ------
    DataError
        It is no tensor, or holds other values.
    """
    if not isinstance(tensor, torch.Tensor):
        raise DataError(f"{what}: expected a torch.Tensor of booleans. Got {type(tensor).__name__}.")
    if tensor.dtype == torch.bool:
        return tensor
    mask = tensor != 0
    if tensor.is_complex() or (not ((tensor == 1) | ~mask).all() and not ((tensor == 255) | ~mask).all()):
        raise DataError(
            f"{what}: a mask is boolean, 0 and 1, or 0 and 255. Got {tensor.dtype} with other values: say which are "
            "meant, e.g. with mask > 0.5."
        )
    return mask


def check_batch(tensor: torch.Tensor, what: str, axes: str) -> None:
    """Refuse a tensor without the three ``axes``, of which the first is the batch."""
    if tensor.ndim != 3:
        advice = ": add the batch axis with [None]." if tensor.ndim == 2 else "."
        raise DataError(f"{what}: expected the shape ({axes}). Got {tuple(tensor.shape)}{advice}")


def check_alike(one: torch.Tensor, other: torch.Tensor, what: str) -> None:
    """Refuse tensors of different shapes, or on different devices; ``what`` names both."""
    if one.shape != other.shape or one.device != other.device:
        raise DataError(
            f"{what}: expected the same shape and device. Got {tuple(one.shape)} on {one.device} and "
            f"{tuple(other.shape)} on {other.device}."
        )


def check_finite(tensor: torch.Tensor, what: str, advice: str = "") -> None:
    """Refuse NaN and infinity in a tensor on the CPU."""
    if tensor.device.type != "cpu" or not tensor.numel():
        return
    # The sum is one pass; only where it is not finite is it worth to look at every value.
    if not torch.isfinite(tensor.detach().sum()) and (bad := int((~torch.isfinite(tensor)).sum())):
        raise DataError(f"{what}: {bad} of {tensor.numel()} values are NaN or infinite. {advice}".rstrip())


def refuse_counts(rays: torch.Tensor, what: str) -> None:
    """Refuse values on the CPU that no line integral has."""
    if rays.numel() and (largest := float(rays.max())) > _MOST_LINE_INTEGRAL:
        raise DataError(
            f"{what}: expected line integrals, −ln(I/I₀). Got values up to {largest:.4g}: take the logarithm of "
            "counts, or multiply lengths in mm by 0.1 (of recorded cases with scale)."
        )


def refuse_attenuation(image: torch.Tensor, what: str) -> None:
    """Refuse an image on the CPU that holds attenuation in 1/cm, or multiples of that of water, instead of HU."""
    if image.device.type != "cpu" or not image.numel():
        return
    low, high = (float(value) for value in image.detach().aminmax())
    if _NO_HU[0] < low < high < _NO_HU[1]:  # an image of one value has no unit
        raise DataError(
            f"{what}: expected HU, with air near -1000. Got values from {low:.3g} to {high:.3g}, like attenuation in "
            "1/cm: marbench.physics.hounsfield.mu_to_hu(image, water) converts it."
        )
