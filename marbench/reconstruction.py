"""The choices that filtered back-projection leaves; see `marbench.ct.RadonInversion`."""

from __future__ import annotations

import math
from typing import Literal, get_args

from marbench.errors import nearest

__all__ = ["NamedWindow", "Truncation", "Window", "window_fault"]

NamedWindow = Literal["ram-lak", "shepp-logan", "cosine", "hamming", "hann"]

Window = NamedWindow | tuple[tuple[float, float], ...]
"""What the ramp |f| is multiplied with, up to the Nyquist frequency f_N = 1/(2d): a name, or pairs of f/f_N and factor,
between which it runs straight."""

Truncation = Literal["refuse", "extrapolate", "ignore"]
"""What becomes of a scan that does not see the circle that fits into the image."""


def window_fault(window: str | tuple[tuple[float, float], ...]) -> str | None:
    """Return what keeps a window from being one: an unknown name, or a table that does not run from (0, 1) to f_N."""
    if isinstance(window, str):
        names = get_args(NamedWindow)
        return None if window in names else f"Unknown window {window!r}: {nearest(window, names)}."
    shares = [share for share, _ in window]
    if len(window) < 2 or shares[0] != 0 or shares[-1] != 1 or sorted(set(shares)) != shares:
        return f"A window is a table of f/f_N, which increases from 0 to 1, and factors. Got f/f_N = {shares}."
    if not all(math.isfinite(factor) and factor >= 0 for _, factor in window):
        return "The factors of a window are finite numbers, none below 0."
    # What is constant has frequency 0: another factor there would scale all HU, those of the truth too.
    if abs(window[0][1] - 1) > 1e-3:
        return f"The factor of a window at f = 0 is 1, or water would not have 0 HU. Got {window[0][1]:g}."
    return None
