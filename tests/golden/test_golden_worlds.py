"""The shipped benchmarks are the worlds that their names stand for: nobody changes a case or a score unawares.

What differs is printed by ``python scripts/golden.py``, which also writes the file anew after a change that is meant.
"""

from __future__ import annotations

from typing import Any

import golden
import pytest

from marbench.phantoms.metals import library
from marbench.physics.materials import METALS
from marbench.spec import PROTOCOL


@pytest.fixture(scope="module")
def stored() -> dict[str, Any]:
    return golden.stored()


@pytest.mark.parametrize("section", golden.SECTIONS)
def test_world_is_the_one_that_was_pinned(section: str, stored: dict[str, Any]) -> None:
    assert golden.differences(section, stored[section], golden.SECTIONS[section]()) == []


def test_pins_are_of_this_protocol(stored: dict[str, Any]) -> None:
    assert stored["protocol"] == PROTOCOL


def test_pinned_cases_of_mini_show_every_region_and_every_test_metal() -> None:
    suite = golden.suite_of("mini")
    cases = [golden.case_of(suite, *numbers).info for numbers in golden.CASES["mini"]]
    assert {case.region for case in cases} == {"abdomen", "hip", "dental", "thorax", "shoulder", "head", "pelvis"}
    assert {case.metal_id for case in cases} == {metal.id for metal in library("test")}
    assert {material for case in cases for material in case.materials} == set(METALS)


def test_a_difference_is_more_than_rounding() -> None:
    expected = {"case": {"digest": "0000000a" * 6, "li": {"psnr[dudonet2019]": 30.0, "rmse_hu": 40.0}}}
    rounded = {"case": {"digest": "0000000b" * 6, "li": {"psnr[dudonet2019]": 30.001, "rmse_hu": 40.001}}}
    changed = {"case": {"digest": "0000001a" * 6, "li": {"psnr[dudonet2019]": 30.01, "rmse_hu": 40.01}}}
    assert golden.differences("mini", expected, rounded) == []
    assert len(golden.differences("mini", expected, changed)) == 3
    assert golden.differences("mini", expected, {}) == ["mini: case is gone"]
    assert golden.differences("mini", {}, expected) == ["mini: case is new"]
