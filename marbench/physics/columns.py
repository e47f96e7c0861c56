"""Along the columns of the detector: the neighbours of every cell, and symmetric kernels."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn.functional import pad

__all__ = ["convolved", "neighbours"]


def neighbours(rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return what lies left and right of every cell of ``(..., bins)``; the cells at the ends are their own."""
    left = torch.cat([rows[..., :1], rows[..., :-1]], dim=-1)
    right = torch.cat([rows[..., 1:], rows[..., -1:]], dim=-1)
    return left, right


def convolved(rows: torch.Tensor, weights: Sequence[float]) -> torch.Tensor:
    """Convolve ``(..., bins)`` with a kernel given from its middle outwards; beyond the detector there is nothing."""
    reach, bins = len(weights) - 1, rows.shape[-1]
    wide = pad(rows, (reach, reach))
    # Cell by cell, not by a product or a transform: the same order of sums whatever the batch and the threads.
    out = weights[0] * rows
    for cell, weight in enumerate(weights[1:], start=1):
        out += weight * (wide[..., reach - cell :][..., :bins] + wide[..., reach + cell :][..., :bins])
    return out
