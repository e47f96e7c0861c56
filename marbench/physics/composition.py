"""What a material is: a density and the mass fractions of its elements."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from marbench.errors import DataError

__all__ = ["ELEMENTS", "Fractions", "Material", "attenuation_of", "element_fractions", "formula_fractions"]

Fractions = tuple[tuple[str, float], ...]

TABLE, TABLE_KEV = Path(__file__).parent / "attenuation.npy", range(10, 151)
"""xraydb's values at whole energies (scripts/attenuation.py): importing it takes longer than simulating a case."""

_SYMBOLS = (
    "H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr Rb Sr Y Zr Nb "
    "Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu Hf Ta W Re Os Ir Pt Au "
    "Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U"
)
ELEMENTS = tuple(_SYMBOLS.split())
"""Symbols by atomic number. Further than uranium the tables of attenuation do not reach."""


@dataclass(frozen=True)
class Material:
    """A material: density in g/cm³ and mass fractions of its elements (normalised on use)."""

    name: str
    density: float
    fractions: Fractions
    source: str


def attenuation_of(material: Material, energies_kev: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the total mass attenuation µ/ρ in cm²/g at the given energies (keV).

    Mixture rule over the elements; values of xraydb's Elam tables, which agree with NIST XCOM within 0.1 % between
    20 and 120 keV.
    """
    # µ/ρ = Σ w_i (µ/ρ)_i, with mass fractions w_i that add up to 1.
    total = sum(fraction for _, fraction in material.fractions)
    kev = np.asarray(energies_kev, dtype=np.float64)
    values = [fraction / total * _of_element(element, kev) for element, fraction in material.fractions]
    return np.asarray(np.sum(values, axis=0), dtype=np.float64)


def _of_element(symbol: str, kev: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return µ/ρ of an element: from the table where that has all energies, which saves every process a second."""
    if np.isin(kev, np.array(TABLE_KEV)).all():
        columns = kev.astype(np.intp) - TABLE_KEV[0]
        values: NDArray[np.float64] = _table()[ELEMENTS.index(symbol), columns]
        return values
    import xraydb

    return np.asarray(xraydb.mu_elam(symbol, kev * 1000), dtype=np.float64)


@cache
def _table() -> NDArray[np.float64]:
    table: NDArray[np.float64] = np.load(TABLE)
    return table


def element_fractions(shares: Mapping[str, float]) -> Fractions:
    """Return mass fractions by element, in any unit: ``{"Ti": 90, "Al": 6, "V": 4}``.

    Raises
    ------
    DataError
        There is none, one is not above 0, or an element is unknown.
    """
    if not shares:
        raise DataError("a material consists of at least one element")
    for element, share in shares.items():
        if not (math.isfinite(share) and share > 0):
            raise DataError(f"the mass fraction of {element} is a number above 0. Got {share!r}")
        if element not in ELEMENTS:
            raise DataError(f"{element!r} is no chemical element from H to U: symbols are spelled Ti, Co, O")
    # Not divided by their sum, which whoever uses them does; in one order, for the same alloy is the same benchmark.
    return tuple((element, float(share)) for element, share in sorted(shares.items()))


def formula_fractions(formula: str) -> Fractions:
    """Return the mass fractions of a chemical formula, whose numbers count atoms: ``ZrO2``, ``Ca5(PO4)3OH``.

    Raises
    ------
    DataError
        It is no formula.
    """
    import xraydb

    if re.search(r"[.·*]\d*H2O$", formula):
        raise DataError(
            f"{formula!r} is a hydrate, whose point would be read as a decimal one: write the atoms of its water with "
            "the others, CaSO6H4 for CaSO4·2H2O"
        )
    try:
        atoms = xraydb.chemparse(formula)
    except ValueError:
        atoms = {}
    if not atoms or not all(element in ELEMENTS for element in atoms):
        raise DataError(
            f"{formula!r} is no chemical formula, such as ZrO2. Of an alloy give the mass fractions: "
            "fractions = { Ti = 90, Al = 6, V = 4 }"
        )
    return element_fractions({element: count * xraydb.atomic_mass(element) for element, count in atoms.items()})
