"""Water beam-hardening correction: from polychromatic to monochromatic line integrals."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch

from marbench.physics.hounsfield import WATER_ATTENUATION
from marbench.physics.spectrum import Spectrum
from marbench.physics.transmission import polychromatic

__all__ = ["correct_water", "water_coefficients"]

# The longest ray through a large patient. Beyond it the cubic is an extrapolation, for rays through metal; it rises up
# to a line integral of 28, and one photon of 2·10⁷ is left at 16.8.
_MAX_WATER_CM = 50.0


@lru_cache(maxsize=8)
def water_coefficients(spectrum: str | Spectrum, reference_kev: float = 70.0) -> tuple[float, float, float]:
    """Return c1, c2, c3 of ``p_mono ≈ c1 p + c2 p² + c3 p³``.

    Least squares over 0 … 50 cm of water, without a constant term, so that air stays 0.
    """
    mono = torch.linspace(0, _MAX_WATER_CM * WATER_ATTENUATION, 1001, dtype=torch.float64)
    poly = polychromatic(mono[None], ["water"], spectrum, reference_kev).numpy()
    # min over c of Σ (c1 p + c2 p² + c3 p³ − p_mono)², each centimetre of water counting alike.
    powers = np.stack([poly, poly**2, poly**3], axis=1)
    c1, c2, c3 = np.linalg.lstsq(powers, mono.numpy(), rcond=None)[0].tolist()
    return c1, c2, c3


def correct_water(line_integrals: torch.Tensor, spectrum: str | Spectrum, reference_kev: float = 70.0) -> torch.Tensor:
    """Apply the water correction to the polychromatic line integrals of a spectrum."""
    c1, c2, c3 = water_coefficients(spectrum, reference_kev)
    # Horner's scheme, in the dtype of the line integrals.
    return line_integrals * (c1 + line_integrals * (c2 + line_integrals * c3))
