"""The choices that filtered back-projection leaves; see `marbench.ct.RadonInversion`."""

from __future__ import annotations

from typing import Literal

__all__ = ["Truncation", "Window"]

Window = Literal["ram-lak", "shepp-logan", "cosine", "hamming", "hann"]
"""What the ramp |f| is multiplied with, up to the Nyquist frequency f_N = 1/(2d)."""

Truncation = Literal["refuse", "extrapolate", "ignore"]
"""What becomes of a scan that does not see the circle that fits into the image."""
