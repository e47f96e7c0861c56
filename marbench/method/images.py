"""What counts as an image of a method: one rule for runs, scores and trainings."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from marbench.errors import DataError, MarbenchError
from marbench.tensors import refuse_attenuation

__all__ = ["Image", "InvalidImage", "check_image", "check_unit"]

Image = NDArray[np.float32]


class InvalidImage(MarbenchError):
    """A method returned something that is no image of the case."""


def check_image(result: Any, shape: tuple[int, ...]) -> Image:
    """Return a method's result as a float32 array, or raise `InvalidImage`: what was expected, and what came."""
    expected = f"expected a floating tensor or array of shape {shape}, all finite, in HU"
    # Each of these would otherwise become an image that its author did not mean: masks dropped, integers cut, padding
    # invented. Batches are not squeezed either: a missing axis is a misunderstanding to be told.
    if isinstance(result, np.ma.MaskedArray):
        raise InvalidImage(f"{expected}; got a masked array: fill it, e.g. with .filled(value)")
    if isinstance(result, np.ndarray) and result.dtype.kind == "f" and result.dtype.itemsize <= 8:
        result = torch.from_numpy(np.ascontiguousarray(result, dtype=result.dtype.newbyteorder("=")))
    if not isinstance(result, torch.Tensor):
        kind = f"an array of {result.dtype}" if isinstance(result, np.ndarray) else f"{type(result).__name__}"
        raise InvalidImage(f"{expected}; got {kind}")
    if not result.is_floating_point():
        raise InvalidImage(f"{expected}; got {result.dtype}")
    if result.layout != torch.strided or result.device.type == "meta" or result.is_nested:
        kind = "nested tensor" if result.is_nested else f"tensor of layout {result.layout}"
        raise InvalidImage(f"{expected}; got a {kind} on the device {result.device}")
    if tuple(result.shape) != shape:
        raise InvalidImage(f"{expected}; got shape {tuple(result.shape)}")
    # float64 beyond float32 becomes infinite here, and is found below.
    image: Image = result.detach().to("cpu", torch.float32).resolve_neg().numpy()
    broken = image.size - int(np.count_nonzero(np.isfinite(image)))
    if broken:
        raise InvalidImage(f"{expected}; {broken} of {image.size} values are NaN, infinite or beyond float32")
    return image


def check_unit(image: Image) -> Image:
    """Return an image that may be in HU, or raise `InvalidImage`: attenuation would be scored without a word."""
    try:
        refuse_attenuation(torch.from_numpy(image), "the image")
    except DataError as error:
        raise InvalidImage(str(error)) from None
    return image
