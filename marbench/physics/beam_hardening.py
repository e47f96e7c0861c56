"""Water beam-hardening correction: from polychromatic to monochromatic line integrals."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray

from marbench.physics.bowtie import Bowtie
from marbench.physics.hounsfield import WATER_ATTENUATION
from marbench.physics.spectrum import Spectrum
from marbench.physics.transmission import polychromatic

__all__ = ["LONGEST_CM", "ORDER", "apply_polynomial", "column_coefficients", "water_coefficients"]

# The longest ray through a large patient. Beyond it the cubic is an extrapolation, for rays through metal; it rises up
# to a line integral of 28, and one photon of 2·10⁷ is left at 16.8.
LONGEST_CM, ORDER = 50.0, 3
_STEPS_PER_CM = 20


@lru_cache(maxsize=8)
def water_coefficients(
    spectrum: str | Spectrum, reference_kev: float = 70.0, order: int = ORDER, longest_cm: float = LONGEST_CM
) -> tuple[float, ...]:
    """Return c1, c2 … of ``p_mono ≈ c1 p + c2 p² + … `` up to the order.

    Least squares over 0 cm to the longest path through water, without a constant term, so that air stays 0.
    """
    mono = _water(longest_cm)
    poly = polychromatic(mono[None], ["water"], spectrum, reference_kev).numpy()
    coefficients: list[float] = _fit(poly, mono.numpy(), order).tolist()
    return tuple(coefficients)


@lru_cache(maxsize=4)
def column_coefficients(bowtie: Bowtie, order: int = ORDER, longest_cm: float = LONGEST_CM) -> torch.Tensor:
    """Return the coefficients of every column behind a bowtie, ``(order, bins)`` float64; do not write into them."""
    mono, bins = _water(longest_cm), len(bowtie.thickness)
    paths = mono[:, None].expand(-1, bins).reshape(1, -1)
    poly = bowtie.line_integrals(paths, ["water"], torch.arange(bins).repeat(len(mono))).view(-1, bins).numpy()
    columns = [_fit(poly[:, column], mono.numpy(), order) for column in range(bins)]
    return torch.from_numpy(np.stack(columns, axis=1))


def apply_polynomial(line_integrals: torch.Tensor, coefficients: Sequence[float] | torch.Tensor) -> torch.Tensor:
    """Return ``c1 p + c2 p² + …`` of line integrals ``(..., bins)``; every c is one number, or one per column."""
    # Horner's scheme, in the dtype of the line integrals.
    *lower, out = coefficients
    for coefficient in reversed(lower):
        out = coefficient + line_integrals * out
    return line_integrals * out


def _water(longest_cm: float) -> torch.Tensor:
    """Return the line integrals of water of equally many lengths a centimetre, at 0.192 1/cm."""
    steps = round(longest_cm * _STEPS_PER_CM)
    return torch.linspace(0, longest_cm * WATER_ATTENUATION, steps + 1, dtype=torch.float64)


def _fit(poly: NDArray[np.float64], mono: NDArray[np.float64], order: int) -> NDArray[np.float64]:
    # min over c of Σ (c1 p + c2 p² + … − p_mono)², each centimetre of water counting alike.
    powers = np.stack([poly**power for power in range(1, order + 1)], axis=1)
    return np.asarray(np.linalg.lstsq(powers, mono, rcond=None)[0], dtype=np.float64)
