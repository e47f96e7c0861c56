"""X-ray spectra: tube spectra that ship as tables with the recipe that made them, tables of others, single energies.

A spectrum is named ("w120_al2.8"), a single energy ("70 keV"), or a table of pairs (keV, photons).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from marbench.errors import DataError, nearest

__all__ = [
    "Detector",
    "Spectrum",
    "SpectrumTable",
    "canonical_spectrum",
    "load_spectrum",
    "parse_spectrum",
    "spectra",
    "spectrum_digest",
    "weighted_spectrum",
]

Detector = Literal["counting", "integrating"]
"""What a detector adds up: photons, or the energy that they carry."""

SpectrumTable = tuple[tuple[float, float], ...]
"""Pairs of keV and photons, by increasing energy."""

LOWEST_KEV, HIGHEST_KEV = 10.0, 200.0
_MOST_ROWS = 2000
_FOLDER = Path(__file__).parent
_SINGLE = re.compile(r"\s*(\d{1,4}(?:\.\d{1,16})?)\s*keV\s*")
# What the largest count of a table is brought to. Any number would do: with that of `aapm2024` its hash is what it was.
_LARGEST = 0.24346


@dataclass(frozen=True, eq=False)
class Spectrum:
    """What a detector weights the energies of a beam with, normalised to a sum of 1.

    Attributes
    ----------
    energies : tuple of float
        Bin centres in keV.
    photons : float64 array, same length
        Share of each bin, above 0.
    """

    energies: tuple[float, ...]
    photons: NDArray[np.float64]


def spectra() -> tuple[str, ...]:
    """Return the names of the spectra that ship with marbench."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.csv")))


@lru_cache(maxsize=8)
def load_spectrum(name: str | SpectrumTable) -> Spectrum:
    """Return a spectrum of photons, e.g. ``w120_al2.8`` (tungsten, 120 kVp, 2.8 mm Al) or ``70 keV``.

    Raises
    ------
    DataError
        There is no spectrum of that name, or a table is none.
    """
    table = _table(name)
    # Bins without photons carry nothing, and have no logarithm.
    table = table[table[:, 1] > 0]
    # The table is rounded to seven digits; a ray through nothing must have a line integral of 0.
    photons = table[:, 1] / table[:, 1].sum()
    photons.flags.writeable = False
    return Spectrum(tuple(table[:, 0].tolist()), photons)


@lru_cache(maxsize=8)
def weighted_spectrum(name: str | SpectrumTable, detector: Detector = "counting") -> Spectrum:
    """Return a spectrum as a detector weights it.

    A counting detector gives every photon the same weight, η(E), as the DuDoNet family of simulators does; an
    integrating one, as scanners mostly have, weights it with its energy, η(E)·E/Σ η(E)·E. Either is taken to stop
    every photon.

    Raises
    ------
    DataError
        As `load_spectrum`.
    """
    source = load_spectrum(name)
    if detector == "counting":
        return source
    # Normalised after it is weighted: air then still has a line integral of 0.
    weighted = source.photons * source.energies
    weighted /= weighted.sum()
    weighted.flags.writeable = False
    return Spectrum(source.energies, weighted)


@lru_cache(maxsize=8)
def spectrum_digest(name: str | SpectrumTable) -> str:
    """Return the SHA-256 of a spectrum's table as numbers: comments, blanks and digits that say nothing do not count.

    Raises
    ------
    DataError
        As `load_spectrum`.
    """
    # Before it is normalised: sums differ in their last bit from machine to machine.
    return hashlib.sha256(_table(name).astype("<f8").tobytes()).hexdigest()


def canonical_spectrum(value: Any) -> str | SpectrumTable:
    """Return what names a spectrum in the one form in which equal spectra are equal.

    The scale of a table says nothing, nor do bins without photons: a table of one energy is named by it, and one that
    ships with marbench by its name.

    >>> canonical_spectrum("70.0keV"), canonical_spectrum([[60, 1], [70, 0]]), canonical_spectrum([[60, 4], [70, 2]])
    ('70 keV', '60 keV', ((60.0, 0.24346), (70.0, 0.12173)))

    Raises
    ------
    DataError
        There is no such spectrum, or the table is none.
    """
    if isinstance(value, str):
        _table(value)
        energy = _single_energy(value)
        return value if energy is None else _named(energy)
    numbers = isinstance(value, Sequence) and all(
        isinstance(pair, Sequence) and len(pair) == 2 and all(type(one) in (int, float) for one in pair)
        for pair in value
    )
    if not numbers:
        raise DataError('A spectrum is a name, a single energy like "70 keV", or a table of pairs of keV and photons')
    table = _scaled(_checked([(float(energy), float(photons)) for energy, photons in value]))
    return _named(table[0][0]) if len(table) == 1 else _shipped().get(table, table)


def parse_spectrum(text: str) -> SpectrumTable:
    """Return the table in a text: two columns, keV and photons, parted by commas, semicolons or blanks.

    What follows ``#`` is a comment; the first line may name the columns.

    Raises
    ------
    DataError
        A line is no pair of numbers, energies do not increase, those of photons leave 10 … 200 keV, photons are
        negative or not finite, or there are none; the message names the line.
    """
    lines = [(number, line.partition("#")[0].strip()) for number, line in enumerate(text.splitlines(), start=1)]
    lines = [(number, line) for number, line in lines if line]
    # A heading is a line without digits: "keV, photons".
    if lines and not re.search(r"\d", lines[0][1]):
        del lines[0]
    return _checked([_pair(number, line) for number, line in lines])


def _checked(table: Sequence[tuple[float, float]]) -> SpectrumTable:
    """Return a table of keV and photons, or raise DataError where no X-ray tube could have it."""
    if not 1 <= len(table) <= _MOST_ROWS:
        raise DataError(f"A spectrum is a table of 1 to {_MOST_ROWS} pairs of keV and photons. Got {len(table)}.")
    values = np.array(table, dtype=np.float64)
    energies, photons = values.T
    # Also finds NaN, which no comparison holds for. Tables often begin at 1 keV, where no photon leaves a tube.
    outside = ~((energies >= LOWEST_KEV) & (energies <= HIGHEST_KEV)) & ((photons != 0) | ~np.isfinite(energies))
    if outside.any():
        soft = bool((energies[outside] < LOWEST_KEV).all() and ((energies >= LOWEST_KEV) & (photons > 0)).any())
        remedy = f"Leave out the rows below {LOWEST_KEV:g} keV." if soft else "Are they in keV?"
        raise DataError(
            f"The energies of a spectrum lie between {LOWEST_KEV:g} and {HIGHEST_KEV:g} keV. Got photons from "
            f"{energies[outside].min():g} to {energies[outside].max():g}. {remedy}"
        )
    steps = np.diff(energies)
    if not (steps > 0).all():
        at = int(np.argmin(steps > 0))
        raise DataError(f"The energies of a spectrum increase. Got {energies[at + 1]:g} keV after {energies[at]:g}.")
    if not (np.isfinite(photons).all() and (photons >= 0).all() and 0 < photons.sum() < np.inf):
        raise DataError("The photons of a spectrum are finite numbers, none below 0 and at least one above it.")
    return tuple((float(energy), float(count)) for energy, count in values)


def _scaled(table: SpectrumTable) -> SpectrumTable:
    """Return a table on the one scale, without bins that hold nothing."""
    largest = max(photons for _, photons in table)
    # To ten digits: multiples of one table differ in their last bits.
    scaled = ((energy, float(f"{photons / largest * _LARGEST:.10g}")) for energy, photons in table)
    return tuple((energy, photons) for energy, photons in scaled if photons > 0)


@lru_cache(maxsize=1)
def _shipped() -> dict[SpectrumTable, str]:
    """Return the names of the tables that ship."""
    return {_scaled(_checked(_table(name).tolist())): name for name in spectra()}


def _named(energy: float) -> str:
    return f"{energy!r} keV".replace(".0 keV", " keV")


def _single_energy(name: str) -> float | None:
    found = _SINGLE.fullmatch(name)
    return float(found[1]) if found else None


def _pair(number: int, line: str) -> tuple[float, float]:
    try:
        energy, photons = map(float, re.split(r"\s*[,;]\s*|\s+", line))
    except ValueError:
        raise DataError(f"Line {number} of the spectrum is no pair of keV and photons: {line[:60]!r}.") from None
    return energy, photons


def _table(name: str | SpectrumTable) -> NDArray[np.float64]:
    """Return the energies in keV and the photons of a spectrum, ``(energies, 2)``."""
    if not isinstance(name, str):
        return np.array(_checked(name))
    energy = _single_energy(name)
    if energy is not None:
        return np.array(_checked([(energy, 1.0)]))
    if name not in spectra():
        raise DataError(
            f'unknown spectrum {name!r}; {nearest(name, spectra())}. Or give a single energy, like "70 keV", or a .csv '
            "file of keV and photons"
        )
    return np.array(parse_spectrum((_FOLDER / f"{name}.csv").read_text(encoding="utf-8")))
