"""Low-signal correction: what a scanner's preparation makes of rays behind which next to nothing was counted."""

from __future__ import annotations

import math

import torch

from marbench.physics.columns import convolved, neighbours

__all__ = ["SIGNAL_FLOOR", "smoothed"]

SIGNAL_FLOOR = math.exp(-13.0)
"""What `smoothed` returns at least, in parts of air."""

# Views with anything below these, in parts of air, are smoothed over seven, and over five columns.
_DEEP, _DIM = math.exp(-10.3), math.exp(-8.0)
_SCALE = 1e-3


def smoothed(ratio: torch.Tensor) -> torch.Tensor:
    """Return signals in parts of air, ``(..., bins)`` of seven or more, as numbers of at least e⁻¹³ to take the log of.

    1. What is not above 0 becomes the mean of its two neighbours in the row; beyond the ends the end counts again.
    2. In the three columns at either end the least is e⁻¹³.
    3. In a view with less than e⁻¹⁰·³, what is at most e⁻¹³ becomes e⁻¹³ (1 + 50 x); then x ← x − g (x − x̄₇), with x̄₇
       the mean of seven columns and g = exp(−x/0.001), wherever x ≤ 0.005 and seven columns are there.
    4. In a view that has less than e⁻⁸ now, the same with the mean of five, (3 x₀ + 2 x₁ + 2 x₋₁)/8 + (x₂ + x₋₂)/16.
    5. The least is e⁻¹³.

    References
    ----------
    The low-signal correction of CatSim, https://github.com/xcist/main, which its preparation applies unless told not
    to. There g is a polynomial of fifth order that follows this exponential within 0.001 up to
    x = 0.0047, and within 0.006 beyond.
    """
    # Of the signals as they were measured: two zeros side by side stay near zero, and are lifted below.
    left, right = neighbours(ratio)
    x = torch.where(ratio > 0, ratio, (left + right) / 2)
    x[..., :3], x[..., -3:] = x[..., :3].clamp(min=SIGNAL_FLOOR), x[..., -3:].clamp(min=SIGNAL_FLOOR)
    # Whole views are smoothed or not, as the scanner does, so that a bright one keeps its resolution.
    lifted = torch.where(x <= SIGNAL_FLOOR, SIGNAL_FLOOR * (1 + 50 * x), x)
    x = torch.where(_least(x) < _DEEP, _less_noisy(lifted, (1 / 7, 1 / 7, 1 / 7, 1 / 7)), x)
    x = torch.where(_least(x) < _DIM, _less_noisy(x, (3 / 8, 1 / 4, 1 / 16)), x)
    return x.clamp(min=SIGNAL_FLOOR)


def _least(x: torch.Tensor) -> torch.Tensor:
    return x.amin(dim=-1, keepdim=True)


def _less_noisy(x: torch.Tensor, weights: tuple[float, ...]) -> torch.Tensor:
    """Return ``x − g(x) (x − x̄)`` where x is small, x̄ by the weights from the middle outwards."""
    reach, bins = len(weights) - 1, x.shape[-1]
    mean = convolved(x, weights)
    gain = torch.exp(-x / _SCALE).clamp(max=1.0)
    # The columns at the ends have no mean: they stay.
    column = torch.arange(bins, device=x.device)
    small = (x <= 5 * _SCALE) & (column >= reach) & (column < bins - reach)
    return torch.where(small, x - gain * (x - mean), x)
