"""What a material is: a density and the mass fractions of its elements."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from marbench.errors import DataError

__all__ = ["Material", "attenuation_of", "element_fractions", "formula_fractions"]

Fractions = tuple[tuple[str, float], ...]


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
    # Imported here because it takes over a second and most commands need no physics.
    import xraydb

    # µ/ρ = Σ w_i (µ/ρ)_i, with mass fractions w_i that add up to 1.
    total = sum(fraction for _, fraction in material.fractions)
    ev = np.asarray(energies_kev, dtype=np.float64) * 1000
    values = [fraction / total * xraydb.mu_elam(element, ev) for element, fraction in material.fractions]
    return np.asarray(np.sum(values, axis=0), dtype=np.float64)


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
        if not _is_element(element):
            raise DataError(f"{element!r} is no chemical element from H to U: symbols are spelled Ti, Co, O")
    # As they are: whoever uses them divides by their sum.
    return tuple((element, float(share)) for element, share in shares.items())


def formula_fractions(formula: str) -> Fractions:
    """Return the mass fractions of a chemical formula, whose numbers count atoms: ``ZrO2``, ``Ca5(PO4)3OH``.

    Raises
    ------
    DataError
        It is no formula.
    """
    import xraydb

    try:
        atoms = xraydb.chemparse(formula)
    except ValueError:
        atoms = {}
    if not atoms or not all(_is_element(element) for element in atoms):
        raise DataError(
            f"{formula!r} is no chemical formula, such as ZrO2. Of an alloy give the mass fractions: "
            "fractions = { Ti = 90, Al = 6, V = 4 }"
        )
    return element_fractions({element: count * xraydb.atomic_mass(element) for element, count in atoms.items()})


def _is_element(symbol: str) -> bool:
    import xraydb

    try:
        # Further than uranium the tables of attenuation do not reach.
        return bool(xraydb.atomic_symbol(symbol) == symbol and xraydb.atomic_number(symbol) <= 92)
    except ValueError:
        return False
