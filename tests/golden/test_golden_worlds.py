"""The shipped benchmarks are the worlds that their names stand for: nobody changes a case or a score unawares.

What differs is printed by ``python scripts/golden.py``, which also writes the file anew after a change that is meant.
"""

from __future__ import annotations

from typing import Any

import golden
import pytest

from marbench.phantoms.metals import MATERIALS, library
from marbench.spec import PROTOCOL, Spec


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
    assert {material for case in cases for material in case.materials} == set(MATERIALS)


def test_a_difference_is_more_than_rounding() -> None:
    expected = {"case": {"digest": "0000000a" * 6, "li": {"psnr[dudonet2019]": 30.0, "rmse_hu": 40.0}}}
    rounded = {"case": {"digest": "0000000b" * 6, "li": {"psnr[dudonet2019]": 30.001, "rmse_hu": 40.001}}}
    changed = {"case": {"digest": "0000001a" * 6, "li": {"psnr[dudonet2019]": 30.01, "rmse_hu": 40.01}}}
    assert golden.differences("mini", expected, rounded) == []
    assert len(golden.differences("mini", expected, changed)) == 3
    assert golden.differences("mini", expected, {}) == ["mini: case is gone"]
    assert golden.differences("mini", {}, expected) == ["mini: case is new"]


def test_what_a_benchmark_leaves_out_means_what_it_meant() -> None:
    """A default takes no part in a benchmark's identity, so it may never change."""
    spec = Spec.model_validate(
        {
            "name": "least",
            "title": "What has to be said",
            "geometry": {"views": 256, "bins": 192, "pitch_deg": 0.17, "source_distance_cm": 105.85},
            "grid": {"size": 128, "pixel_cm": 0.32},
            "metals": {"reference_pixel_cm": 0.1},
            "split": {"test": {"patients": 1, "slices": 1}},
        }
    )
    found = spec.model_dump(mode="json", by_alias=True)
    physics = {"spectrum": "w120_al2.8", "reference_kev": 70.0, "water_attenuation": 0.192, "photons": 2e7}
    defaults = {
        "geometry": {"detector": "arc", "start_deg": 0.0},
        "physics": physics | {"detector": "counting", "scatter": 20.0, "noise": True},
        "metals": {"material": "own", "tissue_under_metal": "removed", "trace_threshold": 0.0, "size_groups": 5},
        "anatomy": {"source": "procedural", "fit": "physical"},
        "truth": {"image": "reconstruction", "noise": True},
        "metrics": {"conventions": ["dudonet2019"]},
    }
    assert found["seed"] == 0
    for section, values in defaults.items():
        assert {name: found[section][name] for name in values} == values
