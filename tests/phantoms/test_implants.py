"""Implants as data: what the file may say, what it is told when it is wrong, and that its sizes are those of fit.py."""

from __future__ import annotations

import re

import pytest

from marbench.errors import DataError
from marbench.phantoms.implants.catalogue import implants, read
from marbench.phantoms.implants.fit import fitted, holds
from marbench.phantoms.metals import Metal

NAIL = """
[val-01-nail]
is = { title = "A nail", kind = "nail", site = "bone", area = 100, unit = 1.0 }
parts = [{ draw = "trauma.nail", with = { diameter = 10 } }]
"""


def drawn(text: str) -> Metal:
    ((name, implant),) = read(text).items()
    return implant.metal(name)


def test_a_part_is_turned_then_shifted_and_a_pair_has_a_mirror_image() -> None:
    plain = drawn(NAIL).parts[0].shape.bounds
    assert plain == pytest.approx((-5, 5, -5, 5))
    pair = drawn(NAIL.replace("} }]", "}, pair = { x = 20, turn = 3 } }]")).parts[0].shape.bounds
    assert pair == pytest.approx((-25, 25, -5, 5), abs=0.3)
    plate = NAIL.replace("trauma.nail", "trauma.bone_screw").replace("diameter = 10", "length = 30, diameter = 4")
    upright, turned = (drawn(text).parts[0].shape.bounds for text in (plate, plate.replace("} }]", "}, turn = 90 }]")))
    assert upright.top - upright.bottom > 30 > 10 > upright.right - upright.left
    assert turned.right - turned.left == pytest.approx(upright.top - upright.bottom)


@pytest.mark.parametrize(
    ("right", "wrong", "told"),
    [
        ("[val", "[[val", "implants.toml: Expected ']]'"),
        ('"bone"', '"bonne"', "[val-01-nail] Implant: is.site: Input should be 'bone', 'teeth', 'soft' or 'any'"),
        ("unit = 1.0", "unit = 0.0", "is.unit: Input should be greater than 0"),
        ("unit = 1.0", "unit = nan", "is.unit: Input should be a finite number"),
        ("area = 100", "area = 99.5", "is.area: Input should be a valid integer"),
        ("unit", "units", "is.unit: Field required; is.units: Extra inputs are not permitted"),
        ("parts", "part", "parts: Field required"),
        ('{ draw = "trauma.nail", with = { diameter = 10 } }', "", "parts: Tuple should have at least 1 item"),
        ("trauma.nail", "trauma.nial", "[val-01-nail] there is no drawing 'trauma.nial'; did you mean 'trauma.nail'?"),
        ("trauma.nail", "outlines.arranged", "there is no drawing 'outlines.arranged'"),
        ("diameter", "diametre", "nail: diameter: Missing required argument; diametre: Unexpected keyword argument"),
        ("diameter = 10", 'diameter = "thick"', "nail: diameter: Input should be a valid number"),
        ("= 10 }", '= 10, material = "lead" }', "nail: material: Input should be 'titanium', 'steel', 'cocr'"),
        ("} }]", "}, pair = { y = 3 } }]", "parts.0.pair.x: Field required"),
    ],
)
def test_what_is_wrong_in_the_file_is_told_with_the_name_of_the_implant(right: str, wrong: str, told: str) -> None:
    assert right in NAIL
    with pytest.raises(DataError, match=re.escape(told)):
        drawn(NAIL.replace(right, wrong, 1))


@pytest.mark.parametrize("name", ["val-08-fillings", "val-10-clips", "test-09-sternal-wire"])
def test_units_and_tilts_are_those_that_fit_finds(name: str) -> None:
    implant = implants()[name]
    assert fitted(implant) == implant


def test_a_unit_at_the_edge_of_its_step_does_not_hold() -> None:
    implant = implants()["val-10-clips"]
    assert holds(implant)
    facts = implant.facts.model_copy(update={"unit": implant.facts.unit * 1.03})
    assert not holds(implant.model_copy(update={"facts": facts}))


def test_a_drawing_that_jumps_over_its_size_is_refused() -> None:
    """Four pellets never make three pixels: each keeps one, however small it is."""
    dots = NAIL.replace("trauma.nail", "soft.pellets").replace(
        "diameter = 10", "centres = [[0, 0], [12, 0], [0, 12], [12, 12]], diameter = 0.5"
    )
    with pytest.raises(DataError, match="No unit gives 'A nail' exactly 3 px"):
        fitted(read(dots.replace("area = 100", "area = 3"))["val-01-nail"])
