"""The materials that have a name, and the attenuation of these and of others."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from marbench.errors import DataError, nearest
from marbench.physics.composition import Material, attenuation_of

__all__ = [
    "ALIASES",
    "MATERIALS",
    "METALS",
    "Material",
    "find_material",
    "mass_attenuation",
    "materials_digest",
    "relative_attenuation",
]

MATERIALS: dict[str, Material] = {
    material.name: material
    for material in (
        Material("water", 1.0, (("H", 0.1119), ("O", 0.8881)), "H2O"),
        Material(
            "bone",
            1.92,
            (
                ("H", 3.4), ("C", 15.5), ("N", 4.2), ("O", 43.5), ("Na", 0.1),
                ("Mg", 0.2), ("P", 10.3), ("S", 0.3), ("Ca", 22.5),
            ),
            "ICRU Report 44, cortical bone",
        ),
        Material("titanium", 4.5, (("Ti", 1.0),), "pure Ti"),
        Material("ti6al4v", 4.43, (("Ti", 90.0), ("Al", 6.0), ("V", 4.0)), "ASTM F136"),
        Material("ti6al7nb", 4.52, (("Ti", 87.0), ("Al", 6.0), ("Nb", 7.0)), "ASTM F1295"),
        Material(
            "steel",
            8.0,
            (("Fe", 65.5), ("Cr", 17.0), ("Ni", 13.0), ("Mo", 2.5), ("Mn", 2.0)),
            "316L, ASTM F138 implant steel",
        ),
        Material("cocr", 8.3, (("Co", 65.0), ("Cr", 28.5), ("Mo", 6.0), ("Mn", 0.5)), "ASTM F75"),
        Material("nitinol", 6.45, (("Ni", 55.8), ("Ti", 44.2)), "ASTM F2063"),
        Material(
            "amalgam",
            11.6,
            (("Hg", 50.0), ("Ag", 34.5), ("Sn", 9.0), ("Cu", 6.0), ("Zn", 0.5)),
            "dental amalgam, ISO 24234 high-silver",
        ),
        Material("zirconia", 6.05, (("Zr", 70.2), ("O", 25.7), ("Y", 4.1)), "3Y-TZP, ISO 13356; 5.2 % Y2O3"),
        Material("alumina", 3.95, (("Al", 52.93), ("O", 47.07)), "Al2O3, ISO 6474"),
        Material("peek", 1.3, (("C", 79.16), ("H", 4.20), ("O", 16.64)), "C19H12O3, ASTM F2026"),
        Material("pmma", 1.18, (("C", 59.99), ("H", 8.05), ("O", 31.96)), "C5H8O2"),
        # Elements at room temperature, after the CRC Handbook of Chemistry and Physics.
        Material("aluminium", 2.70, (("Al", 1.0),), "pure Al"),
        Material("copper", 8.96, (("Cu", 1.0),), "pure Cu"),
        Material("gold", 19.3, (("Au", 1.0),), "pure Au"),
        Material("iron", 7.87, (("Fe", 1.0),), "pure Fe"),
        Material("lead", 11.3, (("Pb", 1.0),), "pure Pb"),
        Material("platinum", 21.5, (("Pt", 1.0),), "pure Pt"),
        Material("silver", 10.5, (("Ag", 1.0),), "pure Ag"),
        Material("tantalum", 16.65, (("Ta", 1.0),), "pure Ta"),
        Material("tungsten", 19.3, (("W", 1.0),), "pure W"),
    )
}  # fmt: skip

METALS: tuple[str, ...] = tuple(name for name in MATERIALS if name not in ("water", "bone"))
"""What implants may be made of, ceramics and polymers included."""

ALIASES: dict[str, str] = {
    alias: name
    for name, aliases in {
        "titanium": "ti cpti",
        "ti6al4v": "ti64 titaniumgrade5",
        "steel": "316l ss316l stainlesssteel",
        "cocr": "cocrmo cobaltchrome cobaltchromium",
        "nitinol": "niti",
        "amalgam": "dentalamalgam",
        "zirconia": "zro2 ytzp 3ytzp",
        "alumina": "al2o3",
        "aluminium": "al aluminum",
        "copper": "cu",
        "gold": "au",
        "iron": "fe",
        "lead": "pb",
        "platinum": "pt",
        "silver": "ag",
        "tantalum": "ta",
        "tungsten": "w wolfram",
    }.items()
    for alias in aliases.split()
}
"""Other usual names; case, blanks, hyphens and underscores make no difference: ``Ti-6Al-4V``, ``316L``."""


def find_material(name: str, own: Mapping[str, Material] | None = None) -> Material:
    """Return a material by its name or another usual one, ``own`` ones before those that have a name here.

    Raises
    ------
    DataError
        There is no such material; the message names the nearest.
    """
    if own and name in own:
        return own[name]
    plain = re.sub(r"[\s_-]", "", name).lower()
    plain = ALIASES.get(plain, plain)
    if plain not in MATERIALS:
        raise DataError(f"unknown material {name!r}; {nearest(plain, [*MATERIALS, *(own or ())])}")
    return MATERIALS[plain]


def materials_digest(materials: Iterable[str | Material]) -> str:
    """Return the SHA-256 of what materials are made of: density and composition, in the order of their names.

    Raises
    ------
    DataError
        A material is unknown.
    """
    # By what they are and not by how they are called on the way: an own material of the same name counts by its value.
    distinct = sorted({_material(one) for one in materials}, key=lambda material: material.name)
    made_of = [[material.name, material.density, material.fractions] for material in distinct]
    return hashlib.sha256(json.dumps(made_of).encode()).hexdigest()


def mass_attenuation(material: str | Material, energies_kev: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the total mass attenuation µ/ρ in cm²/g at the given energies (keV); see `attenuation_of`.

    Raises
    ------
    DataError
        The material is unknown.
    """
    return attenuation_of(_material(material), energies_kev)


def relative_attenuation(
    material: str | Material, energies_kev: tuple[float, ...], reference_kev: float
) -> tuple[NDArray[np.float64], float]:
    """Return ``µ(E)/µ(E_ref)`` and ``µ(E_ref)`` in 1/cm of a material at its own density."""
    return _relative_attenuation(_material(material), energies_kev, reference_kev)


@lru_cache(maxsize=64)
def _relative_attenuation(
    material: Material, energies_kev: tuple[float, ...], reference_kev: float
) -> tuple[NDArray[np.float64], float]:
    values = attenuation_of(material, np.array([*energies_kev, reference_kev]))
    # In the ratio the density cancels: a tissue may have any, which its image of µ(E_ref) says.
    ratio = values[:-1] / values[-1]
    ratio.flags.writeable = False
    return ratio, float(values[-1]) * material.density


def _material(named: str | Material) -> Material:
    return named if isinstance(named, Material) else find_material(named)
