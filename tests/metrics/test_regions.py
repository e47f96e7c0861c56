"""Regions lie where a slice of known places has them, at any pixel size, and what is not there is told."""

import numpy as np
import pytest
import scipy.ndimage
import torch
from clinical_phantom import BODY, BONE, COLUMNS, FAT, METAL, QUIET, RAW, ROWS, STREAKS, TRUTH

from marbench.errors import MetricError
from marbench.metrics.fidelity import Reference
from marbench.metrics.places import AbsentRegion, SlicePlaces
from marbench.metrics.regions import REGIONS, find_regions, regions_of

FOUND = find_regions(TRUTH, RAW, METAL, 1.0)


def middle(mask):
    rows, columns = np.nonzero(mask)
    return rows.mean(), columns.mean()


def test_every_region_is_where_the_slice_has_its_place() -> None:
    assert set(FOUND.masks) == set(REGIONS) and not FOUND.absent
    assert (FOUND["body"] == (BODY & ~METAL)).all()
    # Around 8 × 8 pixels: four sides of 8 × 10, and at the corners the points (i, j) ≥ 1 with i² + j² ≤ 10².
    assert FOUND["metal_region"].sum() == 64 + 4 * 8 * 10 + 4 * 69
    assert FOUND["clear"].sum() == BODY.sum() - (64 + 4 * 8 * 2 + 4)
    assert (QUIET | ~FOUND["noise"]).all() and FOUND["noise"].sum() == pytest.approx(np.pi * 64, rel=0.05)
    assert middle(FOUND["bone_edge"]) == pytest.approx(middle(BONE), abs=3)
    assert middle(FOUND["soft_edge"]) == pytest.approx(middle(FAT), abs=4)
    # The window has its middle within 40 mm of metal, and holds the streaks as a whole.
    assert FOUND["streak"].sum() == 20 * 20 and (FOUND["streak"] & STREAKS).sum() == 20 * 8


def test_the_target_touches_metal_and_the_beam_comes_through_it() -> None:
    target = FOUND.target
    assert target is not None and target.radius == 10
    gap = np.hypot(ROWS - target.row, COLUMNS - target.column)[METAL].min()
    assert 12 < gap < 14 and (TRUTH[FOUND["target"]] > 0).all()
    back = target.row - gap * np.sin(np.radians(FOUND.beam)), target.column - gap * np.cos(np.radians(FOUND.beam))
    assert METAL[round(back[0]), round(back[1])]


def test_rounding_does_not_choose_places_where_tissue_is_exactly_water() -> None:
    water = np.where(BODY, 0.0, -1000.0)
    radius, middles = SlicePlaces(water, water, METAL, 1.0).discs(5.0)
    clear = scipy.ndimage.distance_transform_edt(SlicePlaces(water, water, METAL, 1.0).clear) > radius
    assert middles.any() and (middles == clear).all()


def test_sizes_are_in_millimetres() -> None:
    truth, raw, metal = (np.kron(each, np.ones((2, 2))) for each in (TRUTH, RAW, METAL))
    fine = find_regions(truth, raw, metal > 0, 0.5)
    assert set(fine.masks) == set(REGIONS)
    for name in ("metal_region", "noise", "streak", "target"):
        assert fine[name].sum() / 4 == pytest.approx(FOUND[name].sum(), rel=0.06), name
    for name in ("noise", "bone_edge", "streak"):
        assert np.divide(middle(fine[name]), 2) == pytest.approx(middle(FOUND[name]), abs=4), name


def test_what_a_slice_has_no_place_for_is_absent_with_the_reason() -> None:
    water = np.where(BODY, 200.0, -1000)
    found = find_regions(water, water, np.zeros_like(METAL), 1.0)
    assert set(found.masks) == {"body", "clear"}
    with pytest.raises(AbsentRegion, match=r"'noise'.* no disc of 8 mm lies in soft tissue"):
        found["noise"]
    with pytest.raises(AbsentRegion, match="holds no metal"):
        found["target"]
    assert set(find_regions(water - 2000, water, METAL, 1.0).absent) == set(REGIONS)
    tiny = find_regions(TRUTH[:6, :6], RAW[:6, :6], METAL[60:66, 98:104], 1.0)
    assert set(tiny.masks) | set(tiny.absent) <= set(REGIONS)
    assert set(regions_of(Reference(TRUTH, METAL, raw=RAW)).absent) == set(REGIONS)


@pytest.mark.parametrize("mask", [METAL.astype(np.uint8), METAL.astype(float), METAL[None]])
def test_a_mask_that_is_none_is_refused(mask) -> None:
    with pytest.raises(MetricError, match="A mask of pixels"):
        find_regions(TRUTH, RAW, mask, 1.0)


def test_tensors_of_a_case_are_taken_and_those_of_a_batch_refused_with_their_shape() -> None:
    truth, raw, metal = map(torch.from_numpy, (TRUTH, RAW, METAL))
    found = find_regions(truth, raw, metal, 1.0)
    assert all((found[name] == FOUND[name]).all() for name in REGIONS)
    with pytest.raises(MetricError, match=rf"The truth has the shape \(1, {TRUTH.shape[0]}, "):
        find_regions(truth[None], raw, metal, 1.0)
    with pytest.raises(MetricError, match=rf"The uncorrected image has the shape \(1, {TRUTH.shape[0]}, "):
        find_regions(truth, raw[None], metal, 1.0)


def test_the_same_slice_has_the_same_regions_and_they_are_found_once() -> None:
    reference = Reference(TRUTH, METAL, raw=RAW, pixel_mm=1.0)
    assert regions_of(reference) is regions_of(reference)
    assert all((regions_of(reference)[name] == FOUND[name]).all() for name in REGIONS)
