"""Placement: inside the patient, at the site that the implant asks for, the same at every resolution."""

from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from marbench.anatomy.resample import resample
from marbench.cases.placement import merit_map, place
from marbench.errors import DataError, GeometryError
from marbench.geometry import ImageGrid
from marbench.phantoms.metals import coverage, library, mask

REFERENCE_CM = 40.96 / 416
FINE, COARSE = ImageGrid(416, 416, REFERENCE_CM), ImageGrid(128, 128, 0.32)
TEST = {metal.id: metal for metal in library("test")}
BONE = [metal for metal in library("test") if metal.site == "bone"]
CT = Path(__file__).resolve().parents[3] / "shared/data/ct"


def phantom(grid):
    """A trunk with lungs, a vertebra and dense teeth-like bone in front, on a table."""
    x, y = np.meshgrid(grid.x, grid.y)
    image = np.full(grid.shape, -1000.0, np.float32)
    image[(x / 16) ** 2 + (y / 11) ** 2 < 1] = 40
    for side in (-8, 8):
        image[((x - side) / 4.5) ** 2 + ((y - 1) / 6) ** 2 < 1] = -850
    image[np.hypot(x, y + 6) < 2.6] = 350
    image[np.hypot(x, y - 8) < 1.3] = 1600
    image[(np.abs(y + 15) < 0.4) & (np.abs(x) < 20)] = 200
    return image


def inside(grid):
    x, y = np.meshgrid(grid.x, grid.y)
    return (x / 16) ** 2 + (y / 11) ** 2 < 1


def put(metal, image, grid, seed, reference=REFERENCE_CM):
    shift = place(metal, image, grid, reference, np.random.default_rng(seed))
    return shift, mask(coverage(metal, grid, reference, shift))


@pytest.mark.parametrize("grid", [FINE, COARSE], ids=["416", "128"])
@pytest.mark.parametrize("metal", TEST.values(), ids=TEST)
def test_the_mask_lies_within_the_body_and_off_gas(metal, grid):
    image = phantom(grid)
    for seed in range(3):
        _, metal_mask = put(metal, image, grid, seed)
        assert inside(grid)[metal_mask].all()
        assert (image[metal_mask] < -300).mean() < 0.05


def test_shifts_are_whole_pixels_and_keep_the_declared_size():
    for metal in TEST.values():
        (x, y), metal_mask = put(metal, phantom(FINE), FINE, 4)
        steps = np.divide((x, y), FINE.pixel)
        np.testing.assert_allclose(steps, np.round(steps), atol=1e-9)
        assert metal_mask.sum() == metal.area_px


def test_the_same_seed_gives_the_same_place_and_others_give_others():
    metal, image = TEST["test-10-clips"], phantom(COARSE)
    assert put(metal, image, COARSE, 1)[0] == put(metal, image, COARSE, 1)[0]
    assert len({put(metal, image, COARSE, seed)[0] for seed in range(12)}) > 8


@pytest.mark.parametrize("metal", BONE, ids=[metal.id for metal in BONE])
def test_bone_implants_seek_bone(metal):
    image = phantom(COARSE)
    for seed in range(5):
        _, metal_mask = put(metal, image, COARSE, seed)
        largest = min(metal_mask.sum(), 0.4 * (image > 200).sum())
        assert (image[metal_mask] > 200).sum() > 0.4 * largest


def test_dental_implants_seek_the_densest_bone_in_front():
    image = phantom(COARSE)
    x, y = np.meshgrid(COARSE.x, COARSE.y)
    image[np.hypot(x, y + 6) < 1.3] = 1600  # as dense, behind
    for seed in range(5):
        _, metal_mask = put(library("train")[3], image, COARSE, seed)
        assert (image[metal_mask] > 1200).any()
        assert (np.hypot(x, y - 8)[metal_mask] < 2).all()


def test_soft_implants_avoid_bone():
    image = phantom(COARSE)
    for seed in range(10):
        _, metal_mask = put(TEST["test-10-clips"], image, COARSE, seed)
        assert (image[metal_mask] < 200).all()


def test_the_marrow_of_a_long_bone_is_bone():
    x, y = np.meshgrid(COARSE.x, COARSE.y)
    image = np.where(np.hypot(x, y) < 9, 30.0, -1000.0)
    ring = np.hypot(x - 3, y)
    image[ring < 1.5] = 1100
    image[ring < 1.0] = -60
    for seed in range(5):
        (px, py), _ = put(TEST["test-07-nail"], image, COARSE, seed)
        assert np.hypot(px - 3, py) < 1.3


def test_the_place_is_the_same_at_every_resolution_and_field_of_view():
    image = phantom(FINE)
    coarse = resample(image, (FINE.pixel, FINE.pixel), COARSE, "image")
    small = ImageGrid(416, 416, 15.36 / 416)
    for metal in TEST.values():
        for seed in range(2):
            fine = put(metal, image, FINE, seed)[0]
            assert np.hypot(*np.subtract(fine, put(metal, coarse, COARSE, seed)[0])) < 0.33
            shrunk = put(metal, image, small, seed, small.pixel)[0]
            np.testing.assert_allclose(np.divide(shrunk, small.pixel), np.divide(fine, FINE.pixel), atol=1e-6)


def test_a_metal_too_large_for_the_body_covers_as_much_of_it_as_it_can():
    x, y = np.meshgrid(COARSE.x, COARSE.y)
    image = np.where(np.hypot(x - 8, y - 5) < 2.5, 40.0, -1000.0)
    _, metal_mask = put(library("train")[-1], image, COARSE, 0)
    assert (image[metal_mask] > 0).sum() > 0.4 * (image > 0).sum()


@pytest.mark.parametrize("hu", [-1000.0, 40.0])
def test_a_picture_without_a_body_outline_is_no_obstacle(hu):
    image = np.full(COARSE.shape, hu, np.float32)
    for metal in TEST.values():
        _, metal_mask = put(metal, image, COARSE, 0)
        assert metal_mask.any()


def test_grids_need_not_be_square():
    grid = ImageGrid(90, 130, 0.3)
    for metal in TEST.values():
        _, metal_mask = put(metal, phantom(grid), grid, 0)
        assert inside(grid)[metal_mask].all()


def test_an_image_of_another_shape_is_refused():
    with pytest.raises(GeometryError, match=r"shape \(128, 128\)"):
        place(TEST["test-07-nail"], np.zeros((3, 3)), COARSE, REFERENCE_CM, np.random.default_rng(0))


def test_a_metal_too_small_to_be_seen_and_an_image_without_values_are_told():
    metal, rng = TEST["test-07-nail"], np.random.default_rng(0)
    with pytest.raises(GeometryError, match="covers nothing of a picture"):
        place(metal, phantom(COARSE), COARSE, 1e-4, rng)
    image = phantom(COARSE)
    image[5, 6] = np.nan
    with pytest.raises(DataError, match="Got 1 pixels that are not"):
        place(metal, image, COARSE, REFERENCE_CM, rng)


@pytest.mark.skipif(not CT.is_dir(), reason="the CT slices of ../shared/data are not here")
@pytest.mark.parametrize("name", ["abdomen/1-057.dcm", "abdomen/1-129.dcm", "head/1-40.dcm"])
def test_real_slices_hold_the_metal_in_the_patient_and_bone_implants_in_bone(name):
    pydicom = pytest.importorskip("pydicom")
    dataset = pydicom.dcmread(CT / name)
    hu = np.maximum(dataset.pixel_array * float(dataset.RescaleSlope) + float(dataset.RescaleIntercept), -1000.0)
    spacing = tuple(float(size) / 10 for size in dataset.PixelSpacing)
    image = resample(hu, (spacing[0], spacing[1]), FINE, "physical")
    found, _ = ndimage.label(image > -300)
    largest = np.bincount(found.ravel())[1:].argmax() + 1
    patient = ndimage.binary_fill_holes(found == largest)
    for metal in list(TEST.values())[1:]:
        _, metal_mask = put(metal, image, FINE, 2)
        assert patient[metal_mask].all(), metal.id
        if metal.id in ("test-03-hip-head", "test-07-nail"):
            assert (image[metal_mask] > 150).mean() > 0.3, metal.id


def test_teeth_count_by_their_density_and_by_how_far_in_front_they_stand() -> None:
    hu = np.full((60, 60), -1000.0)
    hu[10:50, 10:50] = 40.0
    hu[11, 30] = hu[30, 30] = 900.0  # half way from 300 to 1500 HU, at the front and in the middle
    merit = merit_map(hu, "teeth")
    assert merit[11, 30] == pytest.approx(0.5, abs=0.03)
    assert merit[30, 30] == pytest.approx(0.5 * (20 / 39) ** 2, abs=0.03)
    assert merit[20, 20] == 0.0


def test_bone_counts_in_full_from_250_hu_and_not_below_150():
    image = phantom(COARSE).astype(np.float64)
    spine = image == 350
    for hu, expected in ((150.0, 0.0), (200.0, 0.5), (250.0, 1.0)):
        image[spine] = hu
        np.testing.assert_allclose(merit_map(image, "soft")[spine], 1.0 - expected)


def test_places_are_drawn_as_widely_as_when_they_were_pinned():
    pinned = {"test-01-hip": (59, -386), "test-03-hip-head": (19, -375), "test-05-crowns": (-159, 506)}
    for name, expected in pinned.items():
        shifts = [put(TEST[name], phantom(COARSE), COARSE, seed)[0] for seed in range(20)]
        assert tuple(np.rint(np.sum(shifts, axis=0) / COARSE.pixel)) == expected, name


def test_a_twentieth_of_an_implant_in_gas_is_worse_than_all_of_it_in_the_wrong_tissue():
    image = phantom(COARSE).astype(np.float64)
    lung = ndimage.binary_erosion(image == -850, iterations=2)
    assert (merit_map(image, "any")[lung] == 1 - 20).all()
