"""The metal library: declared sizes, and drawings that mean the same on every grid."""

import math
from dataclasses import replace
from functools import cache
from typing import get_args

import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial import cKDTree

from marbench.errors import DataError, GeometryError
from marbench.geometry import ImageGrid
from marbench.phantoms import shapes
from marbench.phantoms.implants.catalogue import Region, implants
from marbench.phantoms.implants.metal import CENTRE
from marbench.phantoms.metals import MATERIALS, Metal, Part, coverage, library, mask

REFERENCE_CM = 0.098462
REFERENCE = ImageGrid(416, 416, REFERENCE_CM)
COARSE = ImageGrid(128, 128, 0.32)
GENERAL = (*library("test"), *library("val"), *library("train"))
ALL = tuple(implant.metal(name) for name, implant in implants().items())
REGIONS = get_args(Region)
SOME = (*library("test"), *library("val"), *library("train")[::9])


def drawn(*parts, unit=1.0):
    return Metal("m", "m", "m", "any", 1, tuple(Part(material, shape) for material, shape in parts), unit)


def total(covered):
    return np.add.reduce(list(covered.values()))


def area(covered, grid):
    return float(total(covered).sum(dtype=np.float64)) * grid.pixel**2


def centroid(image, grid):
    weight = image / image.sum()
    return float((weight.sum(axis=0) * grid.x).sum()), float((weight.sum(axis=1) * grid.y).sum())


def ids(metals):
    return [metal.id for metal in metals]


def test_test_metals_have_the_sizes_of_the_paper():
    """Lin et al., CVPR 2019, section 5.1."""
    assert [metal.area_px for metal in library("test")] == [2054, 879, 878, 448, 242, 115, 115, 111, 53, 32]


@pytest.mark.parametrize("region", REGIONS)
def test_test_metals_of_every_region_have_the_sizes_of_the_paper_to_the_pixel(region):
    sizes = [2054, 879, 878, 448, 242, 115, 115, 111, 53, 32]
    metals = library("test", region)
    assert [metal.area_px for metal in metals] == sizes
    assert [mask(coverage(metal, REFERENCE, REFERENCE_CM)).sum() for metal in metals] == sizes
    assert len({metal.title for metal in metals}) == 10


@pytest.mark.parametrize("region", REGIONS)
def test_metals_of_a_region_to_train_and_to_validate_with_have_about_the_sizes_of_those_for_any_slice(region):
    for split, least in (("train", 0.6), ("val", 0.8)):
        metals, general = library(split, region), library(split)
        assert len(metals) == len(general)
        alike = [abs(math.log(one.area_px / other.area_px)) < 0.01 for one, other in zip(metals, general, strict=True)]
        assert np.mean(alike) >= least
        for metal in metals[::2]:
            found = mask(coverage(metal, REFERENCE, REFERENCE_CM)).sum()
            assert found == pytest.approx(metal.area_px, rel=0.15, abs=6), metal.id
            # No larger than such implants get: drawings are in mm, and augmented by a quarter more.
            assert 0.6 < metal.unit < 1.6, metal.id


def test_metals_of_regions_are_named_by_them_and_no_drawing_serves_two_splits():
    metals = [metal for split in ("train", "val", "test") for region in REGIONS for metal in library(split, region)]
    assert len({metal.id for metal in metals}) == len(metals) == 9 * 110
    parts = [{metal.parts for r in REGIONS for metal in library(split, r)} for split in ("train", "val", "test")]
    assert not parts[0] & parts[1] and not parts[0] & parts[2] and not parts[1] & parts[2]
    assert all(metal.place and metal.id.split("-")[1] in REGIONS for metal in metals)


def test_the_neck_takes_the_metals_of_the_spine_and_a_scene_those_for_any_slice():
    assert library("test", "neck") == library("test", "spine")
    assert library("train", "scene") == library("train", "unknown") == library("train")


def test_training_sizes_spread_evenly_on_a_logarithmic_scale_between_the_papers_limits():
    sizes = np.array([metal.area_px for metal in library("train")])
    assert (len(sizes), sizes[0], sizes[-1]) == (90, 16, 4967)
    np.testing.assert_allclose(np.log(sizes), np.linspace(math.log(16), math.log(4967), 90), atol=0.03)


def test_validation_sizes_spread_over_those_of_the_test_and_are_no_training_sizes():
    sizes = np.array([metal.area_px for metal in library("val")])
    assert (len(sizes), sizes[0], sizes[-1]) == (10, 2000, 31)
    np.testing.assert_allclose(np.log(sizes), np.linspace(math.log(2000), math.log(31), 10), atol=0.01)
    assert not set(sizes.tolist()) & {metal.area_px for metal in (*library("train"), *library("test"))}


def test_validation_implants_are_of_the_families_materials_and_sites_of_the_others():
    val, others = library("val"), (*library("train"), *library("test"))
    assert {metal.kind for metal in val} <= {metal.kind for metal in others}
    assert {material for metal in val for material in metal.materials} == set(MATERIALS)
    assert {metal.site for metal in val} == {"bone", "teeth", "soft"} == {metal.site for metal in library("test")}


@cache
def polar(metal, **pose):
    """The share of the area in rings and sectors about the centroid; in units of the radius of gyration."""
    grid = ImageGrid(320, 320, 1.0)
    box = shapes.Union(tuple(part.shape for part in metal.parts)).bounds
    pixel = 250.0 / max(box.right - box.left, box.top - box.bottom) / metal.unit
    covered = total(coverage(metal, grid, pixel, **pose)).astype(np.float64)
    rows, columns = np.nonzero(covered)
    weight, (x, y) = covered[rows, columns], centroid(covered, grid)
    dx, dy = grid.x[columns] - x, grid.y[rows] - y
    radius = np.hypot(dx, dy)
    rings = (8 * radius / math.sqrt((weight * radius**2).sum() / weight.sum())).astype(int)
    sectors = (36 * (np.arctan2(dy, dx) / np.pi + 1)).astype(int) % 72
    near = rings < 24
    share = np.bincount((72 * rings + sectors)[near], weight[near], minlength=24 * 72).reshape(24, 72)
    return np.fft.rfft(share / np.linalg.norm(share), axis=1)


def alike(one, others):
    """The correlation of an implant with others, whatever their sizes, once it is turned and mirrored to fit best."""
    # A turn is a shift of the sectors, and all shifts are judged at once by the correlation theorem.
    turned = np.concatenate([others, others.conj()])
    return np.fft.irfft((one * turned).sum(axis=1), 72).max(axis=1).reshape(2, -1).max(axis=0)


def test_one_drawing_is_known_whatever_its_pose():
    for metal in SOME:
        posed = polar(metal, angle=2.1, scale=0.9, mirror=True)
        assert alike(polar(metal), posed[None]) > 0.99, metal.id


def test_no_drawing_stands_in_two_splits():
    """Up to size, turn and mirror image: the same drawing would correlate by more than 0.99 (the test above)."""
    train, val, test = ([metal for metal in ALL if metal.id.startswith(split)] for split in ("train", "val", "test"))
    # Nobody would call those for validation copies of others; of the test's, some are near a training implant.
    for some, others, least in ((val, train, 0.92), (val, test, 0.92), (train, test, 0.99)):
        drawings = np.stack([polar(metal) for metal in others])
        for metal in some:
            near = alike(polar(metal), drawings)
            assert near.max() < least, (metal.id, others[near.argmax()].id)


@pytest.mark.parametrize("metal", ALL, ids=ids(ALL))
def test_every_mask_has_exactly_its_declared_size_about_its_centre_and_keeps_every_part_on_the_coarse_grid(metal):
    """Each piece of the drawing keeps a pixel within 1.5 coarse pixels of it."""
    covered = coverage(metal, REFERENCE, REFERENCE_CM)
    rows, columns = np.nonzero(mask(covered))
    assert len(rows) == metal.area_px
    middle = (rows.min() + rows.max()) / 2 - 207.5, (columns.min() + columns.max()) / 2 - 207.5
    assert np.abs(middle).max() < 10
    found, count = ndimage.label(total(covered) > 0, np.ones((3, 3)))
    rows, columns = np.nonzero(found)
    pieces = found[rows, columns]
    for shift in ((0.0, 0.0), (0.16, 0.08), (0.05, 0.21)):
        r, c = np.nonzero(mask(coverage(metal, COARSE, REFERENCE_CM, shift)))
        kept = cKDTree(np.stack([COARSE.x[c] - shift[0], COARSE.y[r] - shift[1]], axis=1))
        apart, _ = kept.query(np.stack([REFERENCE.x[columns], REFERENCE.y[rows]], axis=1))
        for piece in range(1, count + 1):
            assert apart[pieces == piece].min() < 0.75 * COARSE.pixel, piece


@pytest.mark.parametrize("metal", SOME, ids=ids(SOME))
def test_the_declared_size_holds_where_the_unit_is_a_little_off(metal):
    """As other rounding might have it."""
    for unit in (metal.unit * (1 - 5e-6), metal.unit * (1 + 5e-6)):
        assert mask(coverage(replace(metal, unit=unit), REFERENCE, REFERENCE_CM)).sum() == metal.area_px


def test_the_size_holds_at_any_pixel_size_and_place_on_the_reference_grid():
    grid = ImageGrid(416, 416, 15.36 / 416)
    for metal in library("test"):
        covered = coverage(metal, grid, grid.pixel, (31 * grid.pixel, -47 * grid.pixel))
        assert mask(covered).sum() == metal.area_px


def test_metals_are_unique_and_of_known_materials_and_sites():
    assert len({metal.id for metal in GENERAL}) == len({metal.title for metal in library("train")}) + 20 == 110
    assert {material for metal in ALL for material in metal.materials} == set(MATERIALS)
    assert {metal.site for metal in ALL} == {"bone", "teeth", "soft", "any"}
    for split in ("train", "val", "test"):
        for number, metal in enumerate(library(split), start=1):
            assert metal.id.startswith(f"{split}-{number:02d}-")


def test_metals_are_about_as_large_as_real_implants():
    """Drawings are in mm; at a field of view of 41 cm a reference pixel is close to a millimetre."""
    assert all(0.8 < metal.unit < 1.25 for metal in ALL)


@pytest.mark.parametrize("metal", SOME, ids=ids(SOME))
def test_coverage_is_a_fraction_and_materials_share_each_pixel(metal):
    for grid in (REFERENCE, COARSE):
        covered = coverage(metal, grid, REFERENCE_CM, (0.11, -0.2), 0.3)
        assert tuple(covered) == metal.materials
        for fraction in covered.values():
            assert (fraction.dtype, fraction.shape) == (np.float32, grid.shape)
            assert fraction.min() >= 0
        assert total(covered).max() <= 1


@pytest.mark.parametrize("metal", SOME, ids=ids(SOME))
def test_total_area_does_not_depend_on_shift_angle_mirror_or_grid(metal):
    whole = area(coverage(metal, REFERENCE, REFERENCE_CM), REFERENCE)
    poses = [
        (REFERENCE, {"shift": (0.041, -0.027)}),
        (REFERENCE, {"angle": 0.7}),
        (REFERENCE, {"mirror": True, "angle": -1.9}),
        (COARSE, {"shift": (0.1, 0.07)}),
        (ImageGrid(300, 280, 0.15), {"angle": 0.2}),
    ]
    for grid, pose in poses:
        # Thin wires leave few samples to a pixel of the coarse grid.
        assert area(coverage(metal, grid, REFERENCE_CM, **pose), grid) == pytest.approx(whole, rel=0.02), (grid, pose)
    assert area(coverage(metal, REFERENCE, REFERENCE_CM, scale=0.8), REFERENCE) == pytest.approx(0.64 * whole, rel=0.02)


def test_the_sampled_area_is_that_of_the_shape():
    """A ring of radius 20 ± 3 and a disc, in closed form."""
    metal = drawn(("steel", shapes.Arc(0, 0, 20, 3)), ("gold", shapes.disc(0, 0, 5)))
    covered = coverage(metal, ImageGrid(100, 100, 1.0), 1.0)
    assert covered["steel"].sum() == pytest.approx(2 * math.pi * 20 * 6, rel=2e-3)
    assert covered["gold"].sum() == pytest.approx(25 * math.pi, rel=2e-3)


def test_where_parts_overlap_the_later_one_is_seen():
    covered = coverage(
        drawn(("titanium", shapes.disc(0, 0, 10)), ("cocr", shapes.disc(0, 0, 5))), ImageGrid(40, 40, 1.0), 1.0
    )
    assert covered["cocr"].sum() == pytest.approx(25 * math.pi, rel=5e-3)
    assert covered["titanium"].sum() == pytest.approx(75 * math.pi, rel=5e-3)


def test_shifts_go_right_and_up_and_angles_counter_clockwise():
    grid = ImageGrid(200, 220, 0.1)
    metal = drawn(("gold", shapes.disc(40, 0, 6)))  # 40 reference pixels to the right of the drawing's origin
    arm = 40 + CENTRE[0], CENTRE[1]

    def found(**pose):
        return centroid(coverage(metal, grid, 0.1, **pose)["gold"], grid)

    assert found() == pytest.approx((arm[0] * 0.1, arm[1] * 0.1), abs=2e-3)
    assert found(shift=(2.0, 3.0)) == pytest.approx((arm[0] * 0.1 + 2, arm[1] * 0.1 + 3), abs=2e-3)
    assert found(angle=math.pi / 2) == pytest.approx((-arm[1] * 0.1, arm[0] * 0.1), abs=2e-3)
    assert found(mirror=True) == pytest.approx((-arm[0] * 0.1, arm[1] * 0.1), abs=2e-3)
    assert found(mirror=True, angle=math.pi / 2) == pytest.approx((-arm[1] * 0.1, -arm[0] * 0.1), abs=2e-3)
    assert found(scale=0.5) == pytest.approx((arm[0] * 0.05, arm[1] * 0.05), abs=2e-3)


def test_a_quarter_turn_and_a_mirror_of_the_metal_are_those_of_the_picture():
    for metal in library("test"):
        upright = total(coverage(metal, COARSE, REFERENCE_CM))
        # Samples that lie on an outline may fall to either side of it.
        turned = total(coverage(metal, COARSE, REFERENCE_CM, angle=math.pi / 2))
        np.testing.assert_allclose(turned, np.rot90(upright), atol=2.5 / 64)
        mirrored = total(coverage(metal, COARSE, REFERENCE_CM, mirror=True))
        np.testing.assert_array_equal(mirrored, upright[:, ::-1])


def test_whole_pixel_shifts_move_the_coverage_bit_for_bit():
    for metal in SOME:
        here = total(coverage(metal, REFERENCE, REFERENCE_CM))
        there = total(coverage(metal, REFERENCE, REFERENCE_CM, (17 * REFERENCE_CM, 9 * REFERENCE_CM)))
        np.testing.assert_array_equal(there[:-9, 17:], here[9:, :-17])


def test_a_metal_may_leave_the_grid():
    small = ImageGrid(60, 50, REFERENCE_CM)
    for metal in library("test"):
        inner = total(coverage(metal, REFERENCE, REFERENCE_CM))[178:238, 183:233]
        np.testing.assert_array_equal(total(coverage(metal, small, REFERENCE_CM)), inner)
        assert not mask(coverage(metal, small, REFERENCE_CM, (100.0, 0.0))).any()


def test_a_wire_thinner_than_a_pixel_keeps_points_along_it():
    grid = ImageGrid(64, 64, 1.0)
    covered = coverage(drawn(("steel", shapes.Stroke(((-20, -9), (21, 11)), 0.15))), grid, 1.0)
    kept = mask(covered)
    assert not (total(covered) >= 0.5).any()
    assert kept.sum() >= 3
    assert (total(covered)[kept] > 0.25).all()


def test_a_part_too_small_for_the_grid_keeps_its_fullest_pixel():
    grid = ImageGrid(64, 64, 1.0)
    metal = drawn(("steel", shapes.disc(20, 0, 0.3)), ("gold", shapes.disc(-20, 0, 5)))
    covered = coverage(metal, grid, 1.0)
    assert covered["steel"].max() < 0.5
    kept = mask(covered)
    assert kept[covered["steel"] == covered["steel"].max()].sum() == 1
    assert kept.sum() == (total(covered) >= 0.5).sum() + 1


def test_two_materials_that_share_a_pixel_are_metal_there():
    half = np.full((1, 1), 0.25, np.float32)
    assert mask({"steel": half, "gold": half}).all()
    assert not mask({"steel": np.zeros((3, 3), np.float32)}).any()


@pytest.mark.parametrize("metal", ALL, ids=ids(ALL))
def test_distances_never_reach_beyond_the_outline(metal):
    """What the raster relies on: within |distance| of a point nothing changes from inside to outside."""
    rng = np.random.default_rng(5)
    for part in metal.parts:
        for shape in shapes.members(part.shape):
            left, right, bottom, top = shape.bounds
            x, y = rng.uniform(left - 3, right + 3, 200), rng.uniform(bottom - 3, top + 3, 200)
            depth = shape.distance(x, y)
            inside = (x >= left) & (x <= right) & (y >= bottom) & (y <= top)
            assert (depth[~inside] < 0).all()
            near_x, near_y = x[:, None] - x, y[:, None] - y
            across = (depth[:, None] > 0) != (depth > 0)
            assert (np.abs(depth)[:, None] <= np.hypot(near_x, near_y) + 1e-9)[across].all()


def test_misuse_is_told():
    metal = library("test")[0]
    with pytest.raises(GeometryError, match="scale must be a positive number"):
        coverage(metal, COARSE, REFERENCE_CM, scale=0.0)
    with pytest.raises(GeometryError, match="reference_pixel"):
        coverage(metal, COARSE, -1.0)
    with pytest.raises(DataError, match="at least one material"):
        mask({})
    with pytest.raises(DataError, match=r"splits train, val, test\. Got 'validation'"):
        library("validation")
