import hashlib
import itertools
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import ndimage

from marbench.anatomy.slices import Split
from marbench.cases.case import Case
from marbench.cases.simulator import Simulator
from marbench.cases.sources import open_source
from marbench.cases.suite import Suite
from marbench.ct import ops
from marbench.errors import SpecError
from marbench.geometry import ImageGrid
from marbench.phantoms.metals import library
from marbench.physics.beam_hardening import column_coefficients, water_coefficients
from marbench.spec import Spec, builtin_specs, load_spec
from marbench.spec_sections import Counts


@pytest.fixture(scope="module")
def mini() -> Suite:
    return Suite("mini")


def tensors(case: Case) -> list[torch.Tensor]:
    return [*vars(case.scan).values(), *vars(case.truth).values()]


def test_mini_has_200_cases_in_five_groups_of_two_metals(mini: Suite) -> None:
    keys = mini.case_keys
    assert len(keys) == len({key.case_id for key in keys}) == len(mini) == 200
    assert len({key.patient_id for key in keys}) == 12
    assert [key.size_group for key in keys] == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5] * 20


def test_a_case_is_the_same_alone_in_a_batch_and_in_another_order(mini: Suite) -> None:
    forward = mini[3:6]
    backward = [Suite("mini")[index] for index in (5, 4, 3)]
    for one, other in zip(forward, reversed(backward), strict=True):
        assert one.info == other.info
        assert all(torch.equal(a, b) for a, b in zip(tensors(one), tensors(other), strict=True))


def test_a_case_is_the_same_in_another_process_with_another_number_of_threads(mini: Suite) -> None:
    code = (
        "import hashlib, sys, torch, marbench; torch.set_num_threads(int(sys.argv[1])); "
        "case = marbench.Suite('mini')[17]; "
        "parts = [*vars(case.scan).values(), *vars(case.truth).values()]; "
        "print(hashlib.sha256(b''.join(p.numpy().tobytes() for p in parts)).hexdigest())"
    )
    other = str(torch.get_num_threads() % 2 + 1)
    there = subprocess.run([sys.executable, "-c", code, other], capture_output=True, text=True, check=True).stdout
    here = hashlib.sha256(b"".join(part.numpy().tobytes() for part in tensors(mini[17]))).hexdigest()
    assert there == here + "\n"


@pytest.mark.parametrize(
    "own", ['physics.bowtie = {material = "aluminum", thickness = [[0, 0.3], [28, 3]]}', "segmentation.grow_px = 1"]
)
def test_what_torch_makes_by_default_changes_no_case(
    own: str, tmp_path: Path, other_defaults: Callable[[], AbstractContextManager[None]]
) -> None:
    path = tmp_path / "own.toml"
    path.write_text(f'extends = "mini"\nmetals.placement = "any"\n{own}\n', encoding="utf-8")

    def first() -> list[torch.Tensor]:
        for cached in (water_coefficients, column_coefficients, ops.operator):
            cached.cache_clear()
        return tensors(Suite(path)[0])

    expected = first()
    with other_defaults():
        found = first()
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))


@pytest.mark.parametrize(
    "physics",
    [
        "",
        'spectrum = "w80_al2.8"\nreference_kev = 60',
        'spectrum = "w140_al2.8"\nreference_kev = 100\ndetector = "integrating"',
        'spectrum = "70 keV"',
    ],
)
def test_water_comes_back_as_water(physics: str, tmp_path: Path) -> None:
    """Metal-free simulation with noise and beam-hardening correction: a 30 cm water cylinder at 0 ± 5 HU."""
    from marbench.anatomy.slices import Slice

    path = tmp_path / "own.toml"
    path.write_text(f'extends = "mini"\n[physics]\n{physics}\n', encoding="utf-8")
    spec = load_spec(path)
    grid = spec.grid
    distance = np.hypot(grid.x[None, :], grid.y[:, None])
    cylinder = np.where(distance < 15, 0, -1000).astype(np.float32)
    simulator = Simulator(spec)
    free = simulator.without_metal(Slice(cylinder, (-160, 240), "water", "water"))
    measured = simulator.measurement.measured(free.polychromatic, np.random.default_rng(0))
    image = simulator.operators.reconstruct(measured).numpy()
    for inner, outer in ((0, 4), (4, 9), (9, 13.5)):
        ring = image[(distance >= inner) & (distance < outer)]
        assert abs(ring.mean()) < 5
    assert abs(image[distance > 16.5].mean() + 1000) < 5


def test_truth_is_the_slice_up_to_what_a_scanner_changes(mini: Suite) -> None:
    case = mini[0]
    anatomy = mini.source.load(case.info.patient_id, case.info.slice_id, mini.spec.grid).image
    # Away from edges, where the detector's resolution shows.
    soft = ndimage.binary_erosion((anatomy > -50) & (anatomy < 80), iterations=2)
    difference = case.truth.image[0].numpy()[soft] - anatomy[soft]
    assert abs(difference.mean()) < 10
    assert difference.std() < 15


def test_metal_spoils_the_image_but_not_the_rays_that_miss_it(mini: Suite) -> None:
    case = Suite(without_noise(mini.spec))[2]
    scan, truth = case.scan, case.truth
    missing = mini.simulator.operators.project_mu(truth.metal.float()) == 0
    assert torch.equal(scan.sinogram[missing], truth.sinogram[missing])
    assert (scan.sinogram - truth.sinogram)[scan.metal_trace].mean() > 0.1
    error = (scan.image - truth.image)[~truth.metal]
    assert error.pow(2).mean().sqrt() > 30


@pytest.mark.parametrize("threshold", [0.0, 0.1])
def test_masks_fit_together(threshold: float, mini: Suite) -> None:
    metals = mini.spec.metals.model_copy(update={"trace_threshold": threshold, "material": "titanium"})
    suite = Suite(without_noise(mini.spec.model_copy(update={"metals": metals})))
    for case in (suite[0], suite[9], suite[115]):
        scan, truth = case.scan, case.truth
        assert not (scan.metal_mask & ~truth.metal).any()
        assert case.info.metal_area_px == int(scan.metal_mask.sum()) > 0
        # A pixel of the mask is at least half titanium, 2.4/cm.
        least = mini.simulator.operators.project_mu(scan.metal_mask.float()) * 2.4 / 2
        assert not ((least > threshold) & ~scan.metal_trace).any()
        outside = (scan.sinogram - truth.sinogram)[~scan.metal_trace].abs().max()
        assert (outside == 0) if threshold == 0 else (0 < outside < 2 * threshold)


def without_noise(spec: Spec) -> Spec:
    return spec.model_copy(update={"physics": spec.physics.model_copy(update={"noise": False})})


def test_one_material_for_all_metals_where_the_spec_says_so() -> None:
    case = Suite(
        load_spec("dudonet2019").model_copy(
            update={
                "geometry_section": load_spec("mini").geometry_section,
                "grid_section": load_spec("mini").grid_section,
            }
        )
    )[0]
    assert case.info.materials == ("titanium",)


def test_procedural_patients_that_would_lose_their_true_size_are_refused_where_they_are_drawn() -> None:
    content = load_spec("mini").model_dump(mode="json", by_alias=True, exclude_none=True)
    narrow = Spec.model_validate(content | {"grid": {**content["grid"], "pixel_cm": 0.25}})  # to apply, it serves
    with pytest.raises(SpecError, match=r"0\.78 times as large in this one of 32 cm\..*fit = .image"):
        Suite(narrow)
    assert len(Suite(Spec.model_validate(narrow.model_dump(by_alias=True) | {"anatomy": {"fit": "image"}})))


def test_no_patient_and_no_metal_is_in_two_splits() -> None:
    for spec in builtin_specs():
        suites = [Suite(spec, split=split) for split in ("train", "val", "test")]
        for one, other in itertools.combinations(suites, 2):
            assert not set(one.source.patients(one.split)) & set(other.source.patients(other.split))
            assert not {metal.id for metal in one.metals} & {metal.id for metal in other.metals}


@pytest.mark.parametrize("name", ["mini", "dudonet2019"])
def test_patients_of_different_splits_look_different(name: str) -> None:
    """The first seven of each, who show the seven regions of the body."""
    source, grid = open_source(load_spec(name)), ImageGrid(64, 64, load_spec(name).grid.field_of_view[0] / 64)
    splits: tuple[Split, ...] = ("train", "val", "test")
    for patients in zip(*(list(source.patients(split).items())[:7] for split in splits), strict=True):
        images = [source.load(patient, slices[0], grid).image for patient, slices in patients]
        for one, other in itertools.combinations(images, 2):
            assert np.mean(np.abs(one - other) > 20) > 0.05


def test_validation_takes_its_own_ten_metals_in_five_groups_by_decreasing_size() -> None:
    validation = Suite("mini", split="val")
    assert validation.metals == library("val", "abdomen")
    assert [key.size_group for key in validation.case_keys[:10]] == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    assert validation[9].info.metal_id == "val-abdomen-10-clips"


def test_size_group_1_holds_the_largest_metals_to_train_with() -> None:
    spec = load_spec("mini")
    one_slice = spec.split.model_copy(update={"train": Counts(patients=1, slices=1)})
    training = Suite(spec.model_copy(update={"split": one_slice}), split="train")
    assert [key.size_group for key in training.case_keys] == [5] * 18 + [4] * 18 + [3] * 18 + [2] * 18 + [1] * 18


def test_whoever_changes_a_case_spoils_no_other(tiny: Spec) -> None:
    anatomy = tiny.model_copy(update={"truth": tiny.truth.model_copy(update={"image": "anatomy"})})
    for spec in (tiny, anatomy):
        suite = Suite(spec)
        expected = [part.clone() for part in tensors(Suite(spec)[1])]
        for part in tensors(suite[0]):
            part.zero_()
        for part in tensors(suite[1]):
            part.fill_(1)
        assert all(torch.equal(part, want) for part, want in zip(tensors(suite[1]), expected, strict=True))


def test_an_unknown_split_is_refused_with_the_known_ones() -> None:
    for split in ("TEST", "validation", "", None):
        with pytest.raises(SpecError, match=r"no split .*Known: test, train, val"):
            Suite("mini", split=split)  # type: ignore[arg-type]


def test_a_suite_says_what_it_is(mini: Suite, tiny: Spec) -> None:
    assert repr(mini) == "<Suite 'mini', test: 200 cases = 20 slices of 12 patients × 10 metals>"
    assert repr(Suite(tiny, "val")) == "<Suite 'tiny', val: 160 cases = 16 slices of 8 patients × 10 metals>"


def test_a_case_is_its_key_and_what_came_of_it(mini: Suite) -> None:
    info, key = mini[17].info, mini.case_keys[17]
    assert info.key == key
    assert (info.case_id, info.patient_id, info.slice_id, info.metal_id, info.size_group) == (
        key.case_id,
        key.patient_id,
        key.slice_id,
        key.metal_id,
        key.size_group,
    )


def test_index_out_of_range_is_explained(mini: Suite) -> None:
    with pytest.raises(IndexError, match="has 200 cases"):
        mini[200]


def test_real_slices_are_simulated_and_nmar_beats_li_beats_none(real_ct: Path, tmp_path: Path) -> None:
    import marbench

    path = tmp_path / "abdomen.toml"
    path.write_text(
        f'extends = "mini"\nname = "abdomen"\n[anatomy]\nsource = "dicom"\npath = "{real_ct / "abdomen"}"\n'
        '[split]\ntest = { patients = "all", slices = 1 }\nval = { patients = 0, slices = 0 }\n'
        "train = { patients = 0, slices = 0 }\n",
        encoding="utf-8",
    )
    mean = {name: marbench.evaluate(name, path)["rmse_hu"].mean() for name in ("none", "li", "nmar")}
    assert mean["nmar"] < mean["li"] < mean["none"]
