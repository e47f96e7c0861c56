"""What a full circle says of itself: every line is measured from both of its ends."""

import numpy as np
import pytest
import torch

from marbench.cases.agreement import ends_apart, measured_otherwise
from marbench.cases.scanner import operators_of
from marbench.cases.suite import Suite
from marbench.spec import Spec


def changed(spec: Spec, **tables: dict[str, object]) -> Spec:
    values = spec.model_dump(by_alias=True)
    return Spec.model_validate({**values, **{name: {**values[name], **keys} for name, keys in tables.items()}})


FLAT = {"detector": "flat", "pitch_deg": None, "pitch_cm": 2.5, "detector_distance_cm": 210.0}


@pytest.mark.parametrize(
    "geometry",
    [
        {},
        {"clockwise": True, "start_deg": 30.0},
        {"offset_bins": 0.25},
        {"angles_deg": tuple(range(0, 90, 3)) + tuple(range(90, 360, 6))},
        FLAT,
    ],
)
def test_lines_agree_from_both_ends_and_the_way_in_which_they_do_is_named(tiny: Spec, geometry) -> None:
    spec = changed(tiny, geometry={**geometry, "views": len(geometry.get("angles_deg", range(64)))})
    rays, fan = Suite(spec)[0].scan.sinogram[0].numpy(), spec.geometry
    assert ends_apart(rays, fan) < 0.05
    assert measured_otherwise(rays, fan) == ""
    assert "bins reversed" in measured_otherwise(rays[:, ::-1], fan)
    if not fan.angles:
        assert "the other way (geometry.clockwise)" in measured_otherwise(rays[::-1], fan)
    for cells in (-2, -1, 1, 2):
        moved = measured_otherwise(np.roll(rays, cells, axis=1), fan)
        assert moved.endswith(f"geometry.offset_bins = {fan.offset - cells:g}")


@pytest.mark.parametrize("photons", [100, 1e4])
@pytest.mark.parametrize("material", ["titanium", "gold"])
def test_noise_and_heavy_metal_are_not_taken_for_another_order(tiny: Spec, photons: float, material: str) -> None:
    suite = Suite(changed(tiny, physics={"photons": photons}, metals={"material": material}))
    sinograms = [case.scan.sinogram[0].numpy() for case in suite[:3]]
    assert not any(measured_otherwise(rays, tiny.geometry) for rays in sinograms)
    assert max(ends_apart(rays, tiny.geometry) for rays in sinograms) < (0.4 if photons == 100 else 0.1)


def test_air_beside_a_half_fan_is_no_better_order(tiny: Spec) -> None:
    fan = changed(tiny, geometry={"offset_bins": tiny.geometry.bins / 4}).geometry
    theta, t = fan.lines()
    paths = np.sqrt(np.clip(9 - (t - np.cos(theta)) ** 2, 0, None))
    noisy = (paths * np.random.default_rng(0).normal(1, 0.1, fan.shape)).astype(np.float32)
    assert ends_apart(noisy, fan) > 0.05
    assert measured_otherwise(noisy, fan) == ""


@pytest.mark.parametrize("views", [3, 4, 5, 12])
def test_few_views_of_pins_are_in_no_other_order(tiny: Spec, views: int) -> None:
    fan = changed(tiny, geometry={"views": views}).geometry
    theta, t = fan.lines()
    rng = np.random.default_rng(0)
    for _ in range(150):
        places = zip(rng.uniform(3, 12, 3), rng.uniform(0, 2 * np.pi, 3), strict=True)
        pins = sum(np.exp(-(((t - r * np.cos(theta - angle)) / 0.2) ** 2)) for r, angle in places)
        assert measured_otherwise(pins.astype(np.float32), fan) == ""


def test_what_is_round_or_no_circle_is_in_any_order_right(tiny: Spec) -> None:
    noise = np.random.default_rng(0).normal(size=tiny.geometry.shape).astype(np.float32)
    short = changed(tiny, geometry={"arc_deg": "short"}).geometry
    assert measured_otherwise(noise, tiny.geometry) == measured_otherwise(noise, short) == ""
    disc = np.full(tiny.grid.shape, -1000.0, np.float32)
    disc[np.hypot(*np.meshgrid(tiny.grid.x, tiny.grid.y)) < 10] = 0
    rays = operators_of(tiny).project(torch.from_numpy(disc)).numpy()
    assert measured_otherwise(rays[::-1], tiny.geometry) == ""
