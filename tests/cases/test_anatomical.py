"""Implants where surgeons put them: in the patient, in their tissue, by the region of the slice, whoever asks."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import NamedTuple, get_args

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from marbench.anatomy.body import body_mask
from marbench.anatomy.regions import region_in_picture, region_of_slice
from marbench.anatomy.slices import Slice
from marbench.cases.anatomical import pose
from marbench.cases.sites import SITES
from marbench.cases.suite import Suite
from marbench.errors import DataError, GeometryError
from marbench.geometry import ImageGrid
from marbench.phantoms import IMPLANTS_VERSION
from marbench.phantoms.implants.catalogue import implants
from marbench.phantoms.implants.metal import Place
from marbench.phantoms.metals import Metal, coverage, library
from marbench.phantoms.patients import ProceduralPatients
from marbench.spec import Spec, load_spec

GRID, PIXEL = ImageGrid(128, 128, 0.32), 0.098462


class Laid(NamedTuple):
    """An implant in a slice: the share of every pixel that it covers, and the pixels that it or its outline touches."""

    one: Slice
    metal: Metal
    share: NDArray[np.float32]
    touched: NDArray[np.bool_]


@pytest.fixture(scope="module")
def mini() -> Suite:
    return Suite("mini")


@pytest.fixture(scope="module")
def laid(mini: Suite) -> list[Laid]:
    """The test implants in a slice of each region."""
    found = []
    for patient, slices in list(mini.source.patients("test").items())[:7]:
        one = mini.source.load(patient, slices[-1], GRID)
        for metal in mini.metals_of(patient, slices[-1]):
            share = put(metal, one.image, mini.pose_of(metal, one))
            touched = ndimage.binary_dilation(share > min(0.25, 0.5 * share.max()), np.ones((3, 3)))
            found.append(Laid(one, metal, share, touched))
    return found


def put(metal: Metal, image: NDArray[np.float32], lies: object = None, seed: int = 0) -> NDArray[np.float32]:
    lies = lies or pose(metal, image, GRID, PIXEL, np.random.default_rng(seed))
    areas = coverage(metal, GRID, PIXEL, lies.shift, lies.angle, mirror=lies.mirror)  # type: ignore[attr-defined]
    return np.asarray(np.sum(list(areas.values()), axis=0))


def test_every_place_of_an_implant_is_in_the_table_and_the_other_way_round() -> None:
    assert set(SITES) == set(get_args(Place))
    used = {place for implant in implants().values() for place in implant.facts.at.values()}
    assert used == set(SITES)


def test_no_implant_leaves_the_body(laid: list[Laid]) -> None:
    for one, metal, share, _ in laid:
        body = body_mask(one.image, (GRID.pixel, GRID.pixel))
        assert not share[~body].any(), (one.slice_id, metal.id)


def test_no_implant_lies_in_gas(laid: list[Laid]) -> None:
    for one, metal, share, _ in laid:
        assert (share * (one.image < -500)).sum() < 0.1 * share.sum(), (one.slice_id, metal.id)


def test_bone_implants_touch_bone(laid: list[Laid]) -> None:
    """With a quarter of their outline at least; less where a slice through the shaft must take a joint."""
    shares = {
        (one.slice_id, metal.id): np.mean(one.image[touched] > 150)
        for one, metal, _, touched in laid
        if metal.site == "bone"
    }
    assert min(shares.values()) > 0.1
    assert np.mean([share > 0.25 for share in shares.values()]) > 0.85
    assert np.median(list(shares.values())) > 0.45


def test_dental_implants_lie_in_the_row_of_teeth(laid: list[Laid]) -> None:
    for one, metal, _, touched in laid:
        if metal.site == "teeth":
            hard = ndimage.binary_dilation(one.image > 700, iterations=2)
            assert hard[touched].mean() > 0.6, (one.slice_id, metal.id)


def test_soft_implants_keep_off_bone(laid: list[Laid]) -> None:
    for one, metal, share, _ in laid:
        if metal.site == "soft":
            assert (share * (one.image > 300)).sum() < 0.25 * share.sum(), (one.slice_id, metal.id)


def test_what_lies_under_the_skin_lies_there(laid: list[Laid]) -> None:
    for one, metal, share, _ in laid:
        if metal.place in ("belly-pocket", "back-pocket", "chest-pocket", "belly-skin"):
            depth = ndimage.distance_transform_edt(body_mask(one.image, (GRID.pixel, GRID.pixel))) * GRID.pixel
            assert (depth * share).sum() / share.sum() < 3.5, (one.slice_id, metal.id)


def test_what_holds_a_skull_lies_on_its_outside(laid: list[Laid]) -> None:
    for one, metal, share, _ in laid:
        if metal.place == "skull":
            vault = ndimage.binary_fill_holes(one.image > 300)
            depth = ndimage.distance_transform_edt(vault) * GRID.pixel
            assert (depth * share).sum() / share.sum() < 2.0, (one.slice_id, metal.id)


@pytest.mark.parametrize("split", ["train", "val"])
def test_implants_to_train_and_validate_with_keep_to_body_and_bone_at_every_scale(split: str) -> None:
    patients = ProceduralPatients(3, {"train": (7, 7)})
    rng = np.random.default_rng(1)
    for patient, (name,) in patients.patients("train").items():
        image = patients.load(patient, name, GRID).image
        body = body_mask(image, (GRID.pixel, GRID.pixel))
        for metal in library(split, patients.region(patient, name))[:: 15 if split == "train" else 3]:  # type: ignore[arg-type]
            lies = pose(metal, image, GRID, PIXEL, rng, scale=0.9)
            areas = coverage(metal, GRID, PIXEL, lies.shift, lies.angle, 0.9, lies.mirror)
            assert not np.sum(list(areas.values()), axis=0)[~body].any(), (name, metal.id)


def test_joints_and_screws_stand_upright_and_a_mirror_image_on_the_other_side(mini: Suite) -> None:
    one = mini.source.load("test-p008", "test-p008-s1", GRID)
    hip = library("test", "hip")[4]
    poses = [pose(hip, one.image, GRID, PIXEL, np.random.default_rng(seed)) for seed in range(20)]
    assert {lies.mirror for lies in poses} == {True, False}
    assert all((lies.shift[0] < 0) == lies.mirror for lies in poses)
    assert max(abs(lies.angle) for lies in poses) < np.radians(7)


def test_the_pose_is_a_function_of_slice_and_generator(mini: Suite) -> None:
    one = mini.source.load("test-p000", "test-p000-s0", GRID)
    coil = library("test", "abdomen")[5]
    assert mini.pose_of(coil, one) == Suite("mini").pose_of(coil, one)
    poses = {pose(coil, one.image, GRID, PIXEL, np.random.default_rng(seed)) for seed in range(6)}
    assert len(poses) > 3


def test_the_pose_is_much_the_same_on_a_finer_grid(mini: Suite) -> None:
    fine = ImageGrid(256, 256, 0.16)
    for patient in ("test-p001", "test-p005"):
        name = f"{patient}-s0"
        for metal in library("test", mini.source.region(patient, name))[:4]:
            shifts = []
            for grid in (GRID, fine):
                image = mini.source.load(patient, name, grid).image
                shifts.append(pose(metal, image, grid, PIXEL, np.random.default_rng(0)).shift)
            # Its mirror image may do as well.
            apart = [np.hypot(abs(shifts[0][0]) - abs(shifts[1][0]), shifts[0][1] - shifts[1][1])]
            assert min(apart) < 2.0, metal.id


def test_a_picture_without_the_place_or_without_a_body_takes_the_implant_all_the_same() -> None:
    for hu in (-1000.0, 40.0):
        image = np.full(GRID.shape, hu, np.float32)
        for metal in library("test", "hip"):
            assert put(metal, image).any()


def test_without_the_face_that_it_goes_on_an_implant_lies_in_the_body() -> None:
    body = np.hypot(*(np.indices(GRID.shape) - 63.5)) < 50
    image = np.where(body, 40.0, -1000.0).astype(np.float32)
    for region in ("head", "thorax", "pelvis", "hip"):
        for metal in library("test", region):
            if SITES[metal.place].face:  # type: ignore[index]
                assert not put(metal, image)[~body].any(), metal.id


def test_a_wrong_image_is_refused_as_for_any_implant() -> None:
    nail, rng = library("test", "hip")[5], np.random.default_rng(0)
    with pytest.raises(GeometryError, match=r"shape \(128, 128\)"):
        pose(nail, np.zeros((3, 3)), GRID, PIXEL, rng)
    with pytest.raises(DataError, match="Got 16384 pixels that are not"):
        pose(nail, np.full(GRID.shape, np.nan), GRID, PIXEL, rng)
    with pytest.raises(GeometryError, match="covers nothing of a picture"):
        pose(nail, np.zeros(GRID.shape), GRID, 1e-4, rng)


def test_the_region_of_a_slice_chooses_its_metals_before_anything_is_simulated(mini: Suite) -> None:
    for (patient, name), keys in itertools.groupby(mini.case_keys, lambda key: (key.patient_id, key.slice_id)):
        region = mini.source.region(patient, name)
        assert [key.metal_id for key in keys] == [metal.id for metal in library("test", region)]
    assert mini[13].info.metal_id == mini.case_keys[13].metal_id == "test-hip-04-side-plate"


def test_placement_any_takes_the_same_metals_for_all_slices() -> None:
    spec = load_spec("mini")
    suite = Suite(spec.model_copy(update={"metals": spec.metals.model_copy(update={"placement": "any"})}))
    assert [key.metal_id for key in suite.case_keys] == [metal.id for metal in library("test")] * 20


def test_the_default_placement_leaves_the_identity_of_a_benchmark_alone() -> None:
    spec = load_spec("dudonet2019")
    assert "placement" not in spec.identity()["metals"] and "implants" not in spec.identity()["content"]
    values = spec.model_dump(by_alias=True)
    values["metals"]["placement"] = "anatomical"
    assert Spec.model_validate(values).identity()["content"]["implants"] == IMPLANTS_VERSION
    assert Spec.model_validate(values).hash != spec.hash


def test_the_picture_tells_the_region_of_most_procedural_patients() -> None:
    patients = ProceduralPatients(5, {"train": (42, 42)})
    right = [
        region_in_picture(patients.load(patient, name, GRID).image, (0.32, 0.32)) == patients.region(patient, name)
        for patient, (name,) in patients.patients("train").items()
    ]
    assert np.mean(right) > 0.75


def test_a_header_names_an_examination_and_the_picture_the_slice() -> None:
    patients = ProceduralPatients(5, {"train": (7, 7)})
    image = patients.load("train-p003", "train-p003-s0", GRID).image
    told = {header: region_of_slice(header, image, (0.32, 0.32)) for header in ("abdomen", "unknown", "spine", "head")}
    assert told == {"abdomen": "thorax", "unknown": "thorax", "spine": "spine", "head": "head"}
    assert region_in_picture(np.full((64, 64), -1000.0), (0.3, 0.3)) == "unknown"


def test_real_slices_of_unknown_region_take_the_implants_of_what_they_show(real_ct: Path, tmp_path: Path) -> None:
    path = tmp_path / "abdomen.toml"
    path.write_text(
        f'extends = "mini"\nname = "abdomen"\n[anatomy]\nsource = "dicom"\npath = "{real_ct / "abdomen"}"\n'
        '[split]\ntest = { patients = "all", slices = 4 }\nval = { patients = 0, slices = 0 }\n'
        "train = { patients = 0, slices = 0 }\n",
        encoding="utf-8",
    )
    suite, again = Suite(path), Suite(path)
    assert suite.case_keys == again.case_keys
    assert {key.metal_id.split("-")[1] for key in suite.case_keys} <= {"thorax", "abdomen", "pelvis", "hip"}
    shares = []
    for key, other in zip(suite.case_keys, again.case_keys, strict=True):
        one = suite.source.load(key.patient_id, key.slice_id, GRID)
        metal = next(m for m in suite.metals_of(key.patient_id, key.slice_id) if m.id == key.metal_id)
        lies = suite.pose_of(metal, one)
        if key.metal_id.endswith("screws"):
            assert again.pose_of(metal, again.source.load(other.patient_id, other.slice_id, GRID)) == lies
        share = put(metal, one.image, lies)
        assert not share[~body_mask(one.image, (GRID.pixel, GRID.pixel))].any(), key.case_id
        if metal.site == "bone":
            touched = ndimage.binary_dilation(share > 0.25, np.ones((3, 3)))
            shares.append(np.mean(one.image[touched] > 150))
    assert np.median(shares) > 0.4


def test_the_same_files_under_another_region_are_another_benchmark_only_where_regions_choose(
    real_ct: Path, tmp_path: Path
) -> None:
    digests = {}
    for placement in ("any", "anatomical"):
        path = tmp_path / f"{placement}.toml"
        path.write_text(
            f'extends = "mini"\nname = "head"\n[metals]\nplacement = "{placement}"\n[anatomy]\nsource = "dicom"\n'
            f'path = "{real_ct / "head"}"\n[split]\ntest = {{ patients = "all", slices = 2 }}\n'
            "val = { patients = 0, slices = 0 }\ntrain = { patients = 0, slices = 0 }\n",
            encoding="utf-8",
        )
        digests[placement] = Suite(path).spec.anatomy.data
    assert digests["any"] != digests["anatomical"]
