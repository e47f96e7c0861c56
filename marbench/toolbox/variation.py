"""Differences between neighbouring pixels, of which total variation is the sum."""

from __future__ import annotations

import torch
from torch.nn import functional

__all__ = ["divergence", "gradient"]


def gradient(image: torch.Tensor) -> torch.Tensor:
    """Return ∇x by forward differences, ``(..., rows, columns)`` → ``(..., 2, rows, columns)``.

    The differences to the next row and to the next column; zero in the last row or column, beyond which the image
    is taken to go on as it ends.
    """
    down = functional.pad(image.diff(dim=-2), (0, 0, 0, 1))
    right = functional.pad(image.diff(dim=-1), (0, 1))
    return torch.stack([down, right], dim=-3)


def divergence(field: torch.Tensor) -> torch.Tensor:
    """Return div v = −∇ᵀv, ``(..., 2, rows, columns)`` → ``(..., rows, columns)``: ⟨∇x, v⟩ = −⟨x, div v⟩."""
    down, right = field[..., 0, :-1, :], field[..., 1, :, :-1]
    rows = functional.pad(down, (0, 0, 0, 1)) - functional.pad(down, (0, 0, 1, 0))
    columns = functional.pad(right, (0, 1)) - functional.pad(right, (1, 0))
    return rows + columns
