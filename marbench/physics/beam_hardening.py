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

__all__ = [
    "LONGEST_CM",
    "ORDER",
    "apply_polynomial",
    "column_coefficients",
    "turning_point",
    "water_coefficients",
]

# The longest ray through a large patient at 70 keV, a line integral of 9.6 at any energy: at 30 keV, where water
# attenuates twice as much, half the path. Beyond it the cubic is an extrapolation, for rays through metal. That of
# 120 kVp at 70 keV rises up to a line integral of 28, and one photon of 2·10⁷ is left at 16.8; a benchmark whose
# polynomial turns below what it measures is refused.
LONGEST_CM, ORDER = 50.0, 3
_STEPS_PER_CM = 20
# Polychromatic line integrals end at 80, where nothing is left of any energy. Up to here that is not felt.
_MOST_FITTED = 60.0


@lru_cache(maxsize=8)
def water_coefficients(
    spectrum: str | Spectrum, reference_kev: float = 70.0, order: int = ORDER, longest_cm: float = LONGEST_CM
) -> tuple[float, ...]:
    """Return c1, c2 … of ``p_mono ≈ c1 p + c2 p² + … `` up to the order.

    Least squares over 0 cm to the longest path through water, without a constant term, so that air stays 0.
    """
    mono = _water(longest_cm)
    poly = polychromatic(mono[None], ["water"], spectrum, reference_kev).numpy()
    coefficients: list[float] = _fit(poly, mono.numpy(), order, _MOST_FITTED).tolist()
    return tuple(coefficients)


@lru_cache(maxsize=8)
def column_coefficients(bowtie: Bowtie, order: int = ORDER, longest_cm: float = LONGEST_CM) -> torch.Tensor:
    """Return the coefficients of every column behind a bowtie, ``(order, bins)`` float64; do not write into them."""
    mono, bins = _water(longest_cm), len(bowtie.thickness)
    paths = mono[:, None].expand(-1, bins).reshape(1, -1)
    columns = torch.arange(bins, device=mono.device).repeat(len(mono))
    poly = bowtie.line_integrals(paths, ["water"], columns).view(-1, bins).numpy()
    # Behind the bowtie the end is nearer by what it takes away.
    most = _MOST_FITTED + torch.log(bowtie.transmission()).numpy()
    fitted = [_fit(poly[:, column], mono.numpy(), order, most[column]) for column in range(bins)]
    return torch.from_numpy(np.stack(fitted, axis=1))


def apply_polynomial(line_integrals: torch.Tensor, coefficients: Sequence[float] | torch.Tensor) -> torch.Tensor:
    """Return ``c1 p + c2 p² + …`` of line integrals ``(..., bins)``; every c is one number, or one per column."""
    # Horner's scheme, in the dtype of the line integrals.
    *lower, out = coefficients
    for coefficient in reversed(lower):
        out = coefficient + line_integrals * out
    return line_integrals * out


def turning_point(
    coefficients: Sequence[float] | NDArray[np.float64], highest: float | NDArray[np.float64]
) -> float | None:
    """Return the least line integral at which a polynomial stops to rise; None where it rises up to the highest.

    Parameters
    ----------
    coefficients : sequence of float, or array ``(order, columns)``
        c1, c2 … as `apply_polynomial` takes them.
    highest : float, or array ``(columns,)``
    """
    # In steps of a thousandth: what falls for less is flat.
    p = np.linspace(0, highest, 1001)
    slope = np.zeros_like(p)
    for power in range(len(coefficients), 0, -1):  # Horner's scheme for c1 + 2 c2 p + 3 c3 p² + …
        slope = power * coefficients[power - 1] + p * slope
    falls = slope <= 0
    return float(p[falls].min()) if falls.any() else None


def _water(longest_cm: float) -> torch.Tensor:
    """Return the line integrals of water of equally many lengths a centimetre, at 0.192 1/cm."""
    steps = round(longest_cm * _STEPS_PER_CM)
    return torch.linspace(0, longest_cm * WATER_ATTENUATION, steps + 1, dtype=torch.float64, device="cpu")


def _fit(poly: NDArray[np.float64], mono: NDArray[np.float64], order: int, most: float) -> NDArray[np.float64]:
    # min over c of Σ (c1 p + c2 p² + … − p_mono)², each centimetre of water counting alike.
    powers, seen = np.stack([poly**power for power in range(1, order + 1)], axis=1), poly <= most
    return np.asarray(np.linalg.lstsq(powers[seen], mono[seen], rcond=None)[0], dtype=np.float64)
