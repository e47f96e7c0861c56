"""Scatter of the patient as a convolution: a model to simulate it with, and another to correct it with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from marbench.physics.columns import convolved

__all__ = ["Scatter"]

# Where nothing is left, and behind noise below zero, −ln(I/I0) is that of the least that is told from nothing.
_LEAST = 1e-10


@dataclass(frozen=True)
class Scatter:
    """``S = a · K ∗ (p^b · I)``, with p = −ln(I/I0) and K of sum 1 along the columns of one row.

    More is scattered where more is absorbed, from rays that are left to be scattered. A kernel of an area detector
    comes to this for a detector of one row: K is its middle line along the columns, made to sum to 1, and what that
    line sums to in the kernel of the area goes into the amount a.

    Attributes
    ----------
    amount : float
        a: scatter in parts of the signal at p = 1.
    power : float
        b: 1, or less where scatter that is scattered again is allowed for.
    kernel : tuple of pairs
        Cells from the middle, and weight: straight between, the same on both sides, 0 beyond the last.

    References
    ----------
    B. Ohnesorge, T. Flohr, K. Klingenbeck-Regn, "Efficient object scatter correction algorithm for third and fourth
    generation CT scanners", Eur. Radiol. 9(3), 1999; and the convolution model of CatSim,
    https://github.com/xcist/main.
    """

    amount: float
    power: float
    kernel: tuple[tuple[float, float], ...]

    def weights(self) -> list[float]:
        """Return the kernel cell by cell from its middle outwards; the middle and twice the others sum to 1."""
        cells, weights = np.array(self.kernel, dtype=np.float64).T
        # Whole cells: what the table says between them is not asked for.
        half = np.interp(np.arange(int(cells[-1]) + 1), cells, weights)
        normalised: list[float] = (half / (half[0] + 2 * half[1:].sum())).tolist()
        return normalised

    def of(self, signal: torch.Tensor, air: float | torch.Tensor) -> torch.Tensor:
        """Return the scatter of a signal ``(..., bins)`` whose air scan is known, in the unit of the signal."""
        p = -torch.log((signal / air).clamp(_LEAST, 1.0))
        return self.amount * convolved(p**self.power * signal, self.weights())
