"""X-ray tube spectra, committed as tables with the recipe that made them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from marbench.errors import DataError, nearest

__all__ = ["Spectrum", "load_spectrum", "spectra", "spectrum_digest"]

_FOLDER = Path(__file__).parent


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Photons per energy bin, normalised to a sum of 1.

    Attributes
    ----------
    energies : tuple of float
        Bin centres in keV.
    photons : float64 array, same length
        Share of the photons in each bin.
    """

    energies: tuple[float, ...]
    photons: NDArray[np.float64]


def spectra() -> tuple[str, ...]:
    """Return the names of the spectra that ship with marbench."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.csv")))


@lru_cache(maxsize=8)
def load_spectrum(name: str) -> Spectrum:
    """Return a spectrum by name, e.g. ``w120_al2.8`` (tungsten, 120 kVp, 2.8 mm Al).

    Raises
    ------
    DataError
        There is no spectrum of that name.
    """
    # The table is rounded to seven digits; a ray through nothing must have a line integral of 0.
    table = _table(name)
    photons = table[:, 1] / table[:, 1].sum()
    photons.flags.writeable = False
    return Spectrum(tuple(table[:, 0].tolist()), photons)


@lru_cache(maxsize=8)
def spectrum_digest(name: str) -> str:
    """Return the SHA-256 of a spectrum's table as numbers: comments, blanks and digits that say nothing do not count.

    Raises
    ------
    DataError
        There is no spectrum of that name.
    """
    # Before it is normalised: sums differ in their last bit from machine to machine.
    return hashlib.sha256(_table(name).astype("<f8").tobytes()).hexdigest()


def _table(name: str) -> NDArray[np.float64]:
    """Return the energies in keV and the photons of a spectrum, ``(energies, 2)``."""
    if name not in spectra():
        raise DataError(f"Unknown spectrum {name!r}; {nearest(name, spectra())}")
    return np.genfromtxt(_FOLDER / f"{name}.csv", delimiter=",", comments="#", skip_header=5)
