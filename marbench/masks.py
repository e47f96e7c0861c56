"""What counts as a mask: one rule for files and arrays, so that 255 is never taken for 255 times the metal."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from marbench.errors import DataError

__all__ = ["area_fractions"]

_ROUNDING = 1e-5


def area_fractions(mask: NDArray[Any], what: str) -> NDArray[np.float32]:
    """Return the share of each pixel's area that a mask covers.

    Parameters
    ----------
    mask : array
        Boolean; 0 and 1, or 0 and 255, of any type; fractions in [0, 1]; or grey levels of 8 bits up to 255, which are
        taken as 255ths.
    what : str
        What the mask is, for the message.

    Returns
    -------
    float32 array of the same shape, in [0, 1]

    Raises
    ------
    DataError
        It is none of these.
    """
    array = np.asarray(mask)
    if array.dtype.kind not in "biuf":
        raise DataError(f"{what}: a mask consists of numbers or booleans. Got {array.dtype}.")
    if array.dtype.kind == "b" or array.size == 0:
        return array.astype(np.float32)
    low, high = float(array.min()), float(array.max())  # NaN comes through
    grey = array.dtype == np.uint8 and high == 255
    if low >= 0 and high <= 1 + _ROUNDING:
        return np.asarray(array if high <= 1 else np.minimum(array, 1), dtype=np.float32)
    if grey or (low == 0 and high == 255 and np.isin(array, (0, 255)).all()):
        return np.asarray(array / 255, dtype=np.float32)
    raise DataError(
        f"{what}: a mask is boolean, 0 and 1, 0 and 255, or fractions in [0, 1]. Got {array.dtype} from {low:g} to "
        f"{high:g}. Of a map of labels give one mask per material."
    )
