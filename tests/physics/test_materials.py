from pathlib import Path

import numpy as np
import pytest

from marbench.errors import DataError, SpecError
from marbench.physics.composition import (
    ELEMENTS,
    TABLE_KEV,
    Material,
    attenuation_of,
    element_fractions,
    formula_fractions,
)
from marbench.physics.materials import (
    ALIASES,
    MATERIALS,
    METALS,
    find_material,
    mass_attenuation,
    materials_digest,
    relative_attenuation,
)
from marbench.spec import Spec, load_spec
from marbench.spec_file import read_spec, spec_toml
from marbench.spec_implants import MaterialSection

# NIST XCOM total attenuation with coherent scattering at 70 keV, cm²/g.
XCOM_70_KEV = {"water": 0.1929, "bone": 0.2570, "titanium": 0.5361, "gold": 3.054}


@pytest.mark.parametrize(("name", "expected"), XCOM_70_KEV.items())
def test_mass_attenuation_agrees_with_xcom(name: str, expected: float) -> None:
    assert mass_attenuation(name, np.array([70.0]))[0] == pytest.approx(expected, rel=1e-3)


def test_the_table_of_the_elements_holds_xraydbs_values_and_between_its_energies_xraydb_is_asked() -> None:
    import xraydb

    assert tuple(xraydb.atomic_symbol(number) for number in range(1, 93)) == ELEMENTS
    kev = np.array(TABLE_KEV, dtype=float)
    for element in ELEMENTS:
        pure = Material(element, 1.0, ((element, 1.0),), "")
        # Processors differ in the last bit of the logarithms and exponentials of xraydb.
        np.testing.assert_allclose(attenuation_of(pure, kev), xraydb.mu_elam(element, 1000 * kev), rtol=1e-15)
    between = np.array([10.0, 69.5, 150.5])
    titanium = Material("Ti", 4.5, (("Ti", 1.0),), "")
    np.testing.assert_array_equal(attenuation_of(titanium, between), xraydb.mu_elam("Ti", 1000 * between))


def test_gold_has_its_k_edge_at_80_7_kev() -> None:
    below, above = mass_attenuation("gold", np.array([80.5, 81.0]))
    assert above > 3 * below


@pytest.mark.parametrize("name", MATERIALS)
def test_relative_attenuation_is_one_at_the_reference_energy(name: str) -> None:
    ratio, mu = relative_attenuation(name, (30.0, 70.0, 100.0), 70.0)
    assert ratio[1] == 1.0
    assert ratio[0] > 1
    assert mu > 0.1


def test_elements_are_as_dense_as_other_tables_say() -> None:
    import xraydb

    elements = [material for material in MATERIALS.values() if len(material.fractions) == 1]
    assert len(elements) == 10
    for material in elements:
        assert material.density == pytest.approx(xraydb.atomic_density(material.fractions[0][0]), rel=5e-3)


@pytest.mark.parametrize(
    ("name", "formula"), [("alumina", "Al2O3"), ("peek", "C19H12O3"), ("pmma", "C5H8O2"), ("zirconia", "Zr94Y6O197")]
)
def test_compounds_consist_of_what_their_formula_says(name: str, formula: str) -> None:
    total = sum(share for _, share in formula_fractions(formula))
    expected = {element: 100 * share / total for element, share in formula_fractions(formula)}
    assert dict(MATERIALS[name].fractions) == pytest.approx(expected, abs=0.6)


@pytest.mark.parametrize(
    ("usual", "name"),
    [("Ti-6Al-4V", "ti6al4v"), ("316L", "steel"), ("CoCrMo", "cocr"), ("W", "tungsten"), ("ZrO2", "zirconia")],
)
def test_other_usual_names_mean_the_same(usual: str, name: str) -> None:
    assert find_material(usual) is MATERIALS[name]


def test_every_alias_is_of_a_material_and_none_is_one() -> None:
    assert set(ALIASES.values()) <= set(METALS)
    assert not set(ALIASES) & set(MATERIALS)


def test_unknown_material_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(DataError, match="did you mean 'titanium'"):
        mass_attenuation("titanum", np.array([70.0]))


@pytest.mark.parametrize("hydrate", ["CaSO4.2H2O", "CaSO4·2H2O", "Na2CO3*10H2O", "CuSO4.H2O"])
def test_a_hydrate_is_refused_not_read_as_a_decimal(hydrate: str) -> None:
    with pytest.raises(DataError, match="write the atoms of its water with the others"):
        formula_fractions(hydrate)


def test_a_formula_counts_atoms() -> None:
    hydrogen, oxygen = (share for _, share in formula_fractions("H2O"))
    assert hydrogen / (hydrogen + oxygen) == pytest.approx(0.1119, abs=1e-4)
    for text in ("Ti-13Nb-13Zr", "water", "", "Xx2", "(" * 50):
        with pytest.raises(DataError, match="no chemical formula"):
            formula_fractions(text)


@pytest.mark.parametrize(
    ("formula", "metal", "share"),
    [
        ("ZrO2", "Zr", 0.7403),
        ("Zr O2", "Zr", 0.7403),
        ("NiTi", "Ni", 0.5508),
        ("Al2O3", "Al", 0.5293),
        ("MgO", "Mg", 0.6030),
    ],
)
def test_a_formula_counts_atoms_whatever_material_has_it_for_a_name(formula: str, metal: str, share: float) -> None:
    """The shares of the mass after the atomic weights of IUPAC: implants of zirconia hold yttria."""
    fractions = dict(MaterialSection(density=6, formula=formula).material("mine").fractions)
    assert len(fractions) == 2
    assert fractions[metal] / sum(fractions.values()) == pytest.approx(share, abs=2e-4)


@pytest.mark.parametrize(
    "name", ["Ti6Al4V", "Ti6Al7Nb", "CoCr", "CoCrMo", "Ti64", "316L", "zirconia", "nitinol", "peek", "W"]
)
def test_a_name_in_place_of_a_formula_is_that_material(name: str) -> None:
    assert MaterialSection(density=6, formula=name).material("mine").fractions == find_material(name).fractions


@pytest.mark.parametrize("shares", [{}, {"Ti": 0.0}, {"Ti": -1.0}, {"Ti": float("nan")}, {"Tl6": 1.0}, {"ti": 1.0}])
def test_what_no_material_can_consist_of_is_refused(shares: dict[str, float]) -> None:
    with pytest.raises(DataError):
        element_fractions(shares)


def spec(folder: Path, text: str) -> Spec:
    path = folder / "own.toml"
    path.write_text(f'extends = "mini"\n{text}\n', encoding="utf-8")
    return load_spec(path)


ALLOY = "density = 4.43\nfractions = { Ti = 90, Al = 6, V = 4 }"


def test_metals_are_made_of_a_material_of_ones_own(tmp_path: Path) -> None:
    own = spec(tmp_path, f'metals.material = "alloy"\n[materials.alloy]\n{ALLOY}')
    named = spec(tmp_path, 'metals.material = "alloy"\n[materials.alloy]\ndensity = 4.43\nformula = "Ti6Al4V"')
    shipped = find_material("Ti6Al4V")
    for one in (own.material("alloy"), named.material("alloy")):
        assert (one.density, dict(one.fractions)) == (shipped.density, dict(shipped.fractions))
    (tmp_path / "spec.toml").write_text(spec_toml(own), encoding="utf-8")
    assert read_spec(tmp_path) == own
    turned = spec(
        tmp_path, 'metals.material = "alloy"\n[materials.alloy]\ndensity = 4.43\nfractions = { V = 4, Ti = 90, Al = 6 }'
    )
    assert turned.hash == own.hash
    denser = spec(tmp_path, f'metals.material = "alloy"\n[materials.alloy]\n{ALLOY.replace("4.43", "4.5")}')
    assert len({own.hash, denser.hash, load_spec("mini").hash}) == 3


def test_one_material_has_one_name_in_a_benchmark(tmp_path: Path) -> None:
    assert spec(tmp_path, 'metals.material = "316L"').hash == spec(tmp_path, 'metals.material = "steel"').hash
    assert materials_digest(["steel", "316L"]) == materials_digest([MATERIALS["steel"]])
    bowtie = 'physics.bowtie = {{ material = "{}", thickness = [[0, 0.3], [25, 3.5]] }}'
    assert len({spec(tmp_path, bowtie.format(name)).hash for name in ("Al", "aluminum", "aluminium")}) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('metals.material = "Titan"', "metals.material: unknown material 'Titan'; did you mean 'titanium'"),
        ('metals.material = "bone"', "implants are not made of bone"),
        (f'metals.material = "aloy"\n[materials.alloy]\n{ALLOY}', "did you mean 'alloy'"),
        (f"[materials.gold]\n{ALLOY}", "materials.gold: 'gold' has that name already"),
        (f"[materials.316l]\n{ALLOY}", "'steel' has that name already"),
        ("[materials.alloy]\ndensity = 4", r"materials\.alloy: .*formula or the mass fractions"),
        (f'[materials.alloy]\n{ALLOY}\nformula = "TiO2"', "formula or the mass fractions"),
        ('[materials.alloy]\ndensity = 4\nformula = "Ti-6Nb"', "no chemical formula.*mass fractions"),
        ('[materials.alloy]\ndensity = 4430\nformula = "Ti"', r"materials\.alloy\.density: .*30"),
        ("[materials.alloy]\ndensity = 4\nfractions = { Ti = 90, Alu = 6 }", "'Alu' is no chemical element"),
        ("[materials.alloy]\ndensity = 4\nfractons = { Ti = 90 }", "did you mean 'fractions'"),
    ],
)
def test_a_material_that_cannot_be_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        spec(tmp_path, text)
