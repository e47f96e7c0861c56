"""X-ray crosstalk: photons that a cell of the detector hands on to its neighbours before they are counted."""

from __future__ import annotations

import torch

from marbench.physics.columns import neighbours

__all__ = ["crosstalk"]


def crosstalk(signal: torch.Tensor, share: float) -> torch.Tensor:
    """Return ``N'_j = (1 − 2c) N_j + c N_{j−1} + c N_{j+1}`` along the columns, ``(..., bins)``.

    The cells at the ends keep what they would hand over to cells that are not there: none is lost, and a constant scan
    stays what it is. (The simulator CatSim, https://github.com/xcist/main, lets these be lost, and divides by an air
    scan that loses as much.)
    """
    if not share:
        return signal
    # Without weights for what lies outside: the first and the last cell are their own neighbours.
    left, right = neighbours(signal)
    return (1 - 2 * share) * signal + share * (left + right)
