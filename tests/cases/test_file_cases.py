"""Cases that others have recorded: read as they lie, in the conventions of this house, or refused with a remedy."""

import json
import re
import shutil
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import scipy.io
import scipy.sparse
import torch
from click.testing import CliRunner
from PIL import Image
from running import run
from syndeeplesion_files import theirs, write_syndeeplesion

import marbench
from marbench.cases.array_files import lying_as_ours, read_array
from marbench.cases.case import Case, Scan, Truth
from marbench.cases.export import export_cases
from marbench.cases.file_cases import FileCases
from marbench.cases.image_files import read_image
from marbench.cases.info import CaseInfo, CaseKey
from marbench.cases.opening import open_cases
from marbench.cases.recorded_files import Entry, assumptions, content_digest, described, listed
from marbench.cases.scanner import operators_of
from marbench.cases.simulator import Simulator
from marbench.cases.suite import Suite
from marbench.cli import main
from marbench.errors import DataError, SpecError
from marbench.spec import Spec, load_spec
from marbench.spec_recorded import ImageFile
from marbench.spec_sections import SegmentationSection
from marbench.toolbox.interpolation import linear_interpolation

# The published geometry with a tenth of the views and cells.
WORLD = """
extends = "dudonet2019"
name = "tiny-world"
title = "A tiny world"
[geometry]
detector = "flat"
views = 64
bins = 61
start_deg = 2.8125
pitch_deg = "unset"
pitch_cm = 0.712
detector_distance_cm = 79.38
[grid]
size = 32
pixel_cm = 0.48
[metals]
size_groups = 2
[metrics]
conventions = ["syndeeplesion", "body"]
[split]
test = { patients = 2, slices = 2 }
"""
RECORDED = """
[recorded]
format = "syndeeplesion"
path = "data"
"""
SIDES = (4, 2, 3, 1)  # of square implants; not in the order of their size


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, list[Case]]]:
    """A folder in the data set's format, the spec of it, and the cases that it was made of, by patient and slice."""
    folder = tmp_path_factory.mktemp("recorded")
    (folder / "world.toml").write_text(WORLD)
    (folder / "spec.toml").write_text(WORLD + RECORDED)
    spec = load_spec(folder / "world.toml")
    suite, simulator = Suite(spec), Simulator(spec)
    rng = np.random.default_rng(0)
    made = {}
    for number, (patient, names) in enumerate(suite.source.patients("test").items()):
        free = simulator.without_metal(suite.source.load(patient, names[0], spec.grid))
        truth = simulator.truth(free, rng)
        made[f"P{number}/{number + 7}"] = [_case(simulator, free, truth, k, rng) for k in range(len(SIDES))]
    write_syndeeplesion(folder / "data", made)
    return folder, made


def _case(simulator: Simulator, free: Any, truth: Any, number: int, rng: np.random.Generator) -> Case:
    side, mask = SIDES[number], np.zeros(simulator.spec.grid.shape, bool)
    mask[10 : 10 + side, 19 : 19 + side] = True
    image, sinogram = truth
    measured, trace = simulator.with_metal(free, {"titanium": mask}, rng)
    metal = torch.from_numpy(mask)[None]
    scan = Scan(measured[None], metal, trace[None], simulator.operators.reconstruct(measured)[None])
    key = CaseKey(str(number), "", "", str(number), 1)
    info = CaseInfo(key, side**2, 0.0, ("titanium",), "", (-175.0, 275.0))
    return Case(scan, Truth(image[None], sinogram[None], metal), info)


@pytest.fixture
def folder(made: tuple[Path, object], tmp_path: Path) -> Path:
    """A copy, to be spoilt."""
    return Path(shutil.copytree(made[0], tmp_path / "copy"))


def test_syndeeplesion_is_read_in_our_conventions_and_scores_as_a_direct_run(made) -> None:
    root, cases = made
    recorded = open_cases(root / "spec.toml")
    assert isinstance(recorded, FileCases)
    assert [key.case_id for key in recorded.case_keys] == [f"P{p}_{p + 7}_{k}" for p in (0, 1) for k in (0, 2, 1, 3)]
    # Pairs by size, as the published tables have them.
    assert [key.size_group for key in recorded.case_keys] == [1, 1, 2, 2] * 2
    methods = {label: marbench.load_method(label, recorded.spec).method for label in ("none", "li", "nmar")}
    rows = marbench.evaluate("none,li,nmar", root / "spec.toml").set_index(["method", "case_id"])
    for key, case in zip(recorded.case_keys, recorded, strict=True):
        patient, number = int(key.patient_id[1]), int(key.metal_id)
        own = cases[f"P{patient}/{patient + 7}"][number]
        assert torch.equal(case.scan.sinogram, own.scan.sinogram)
        assert torch.equal(case.scan.metal_trace, own.scan.metal_trace)
        assert torch.equal(case.scan.metal_mask, own.scan.metal_mask)
        assert torch.allclose(case.scan.image, own.scan.image)
        assert torch.allclose(case.known_truth.image, own.known_truth.image)
        assert case.info.metal_area_px == SIDES[number] ** 2
        with h5py.File(root / f"data/test_640geo/P{patient}/{patient + 7}/{number}.h5") as file:
            interpolated = torch.from_numpy(np.roll(file["LI_sinogram"][()][:, ::-1], 16, axis=0))
        ours = linear_interpolation(case.scan.sinogram, case.scan.metal_trace)[0]
        assert float((ours - interpolated).abs().max()) < 1e-6
        for label in methods:
            direct = marbench.score(methods[label].reduce(own.scan), own, recorded.spec.metrics.conventions)
            assert rows.loc[(label, case.id), list(direct)].to_dict() == pytest.approx(direct, rel=1e-5)


def test_their_sinogram_is_that_of_the_transposed_image_with_its_views_reversed(made) -> None:
    root, cases = made
    operators, case = operators_of(load_spec(root / "world.toml")), cases["P0/7"][0]
    image = case.scan.image
    published = operators.project(image.transpose(1, 2))[0].flip(0).numpy()
    assert np.abs(theirs(operators.project(image)) - published).max() < 1e-4 * published.max()


QUICK = ("--no-timing", "--no-report", "--workers", "1", "--images", "none", "--isolation", "inline")


def test_commands_take_recorded_cases_and_name_neither_folder_nor_files(made, tmp_path: Path) -> None:
    spec, out = str(made[0] / "spec.toml"), str(tmp_path / "run")
    for words in (["run", "--spec", spec, "--methods", "none,li", "--out", out, *QUICK], ["report", out]):
        result = CliRunner().invoke(main, words)
        assert result.exit_code == 0, result.output
    shown = CliRunner(env={"COLUMNS": "300"}).invoke(main, ["show", spec]).output
    spec_file = (tmp_path / "run/spec.toml").read_text()
    assert 'format = "syndeeplesion"' in spec_file and str(made[0]) not in spec_file
    assert load_spec(tmp_path / "run/spec.toml").hash == marbench.load_spec(open_cases(spec).spec).hash
    assert load_spec(tmp_path / "run/spec.toml").hash in shown
    page = (tmp_path / "run/report/provenance.html").read_text()
    assert "Recorded cases" in page and str(made[0]) not in page
    assert "A part of the benchmark" not in (tmp_path / "run/report/index.html").read_text()
    with pytest.raises(SpecError, match="where its recorded cases lie is not named here"):
        open_cases(tmp_path / "run/spec.toml")


def test_a_case_that_cannot_be_read_is_no_success_and_mended_another_benchmark(folder: Path, tmp_path: Path) -> None:
    spec, out, file = folder / "spec.toml", tmp_path / "run", folder / "data/test_640geo/P0/7/3.h5"
    whole = file.read_bytes()
    file.write_text("<html>Not found</html>")
    words = ["run", "--spec", str(spec), "--methods", "none", "--out", str(out), *QUICK]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 1 and "on which no method ran: 1. P0_7_3: 3.h5 cannot be read" in result.output
    assert "<html>" not in result.output
    with pytest.warns(UserWarning, match=r"1 of 1 cases have no image.* P0_7_3: error: 3\.h5"):
        marbench.run("none", spec, out, timing=False, report=False, images="none", workers=1)
    file.write_bytes(whole)
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 2
    assert re.search("recorded files are others .* methods have to run anew", " ".join(result.output.split()))


def test_theirs_and_ours_are_both_at_hand_as_the_uncorrected_image(made) -> None:
    root, cases = made
    spec = load_spec(root / "spec.toml")
    shifted = {"recorded": spec.recorded.model_copy(update={"image": "theirs", "water_attenuation": 0.19})}
    ours, theirs = FileCases(spec)[0], FileCases(spec.model_copy(update=shifted))[0]
    assert torch.equal(ours.scan.sinogram, theirs.scan.sinogram)
    # The same pictures in 1/cm, with another water.
    assert torch.allclose((theirs.scan.image + 1000) * 0.19, (ours.scan.image + 1000) * 0.192, atol=1e-2)
    assert torch.allclose((theirs.known_truth.image + 1000) * 0.19, (ours.known_truth.image + 1000) * 0.192, atol=1e-2)
    anatomy = spec.model_copy(update={"truth": spec.truth.model_copy(update={"image": "anatomy"})})
    assert torch.allclose(FileCases(anatomy)[0].known_truth.image, cases["P0/7"][0].known_truth.image, atol=1e-2)


def test_a_benchmark_is_what_its_files_hold_wherever_they_lie(made, folder: Path) -> None:
    first, moved = FileCases(load_spec(made[0] / "spec.toml")), FileCases(load_spec(folder / "spec.toml"))
    assert first.spec.data == moved.spec.data and first.spec.hash == moved.spec.hash
    with h5py.File(folder / "data/test_640geo/P1/8/3.h5", "r+") as file:
        file["ma_sinogram"][0, 0] += 0.001
    changed = FileCases(load_spec(folder / "spec.toml"))
    assert changed.spec.hash != first.spec.hash
    with pytest.raises(DataError, match=r"recorded\.data = .* Give the right folder"):
        FileCases(moved.spec)
    fewer = load_spec(folder / "spec.toml").model_dump(by_alias=True)
    fewer["split"]["test"] = {"patients": 1, "slices": "all"}
    fewer = Spec.model_validate(fewer)
    some = FileCases(fewer)
    assert {key.patient_id for key in some.case_keys} == {"P0"}
    assert first.notices == () and some.notices[0].startswith("4 of 8 cases in the folder are taken")


@pytest.mark.parametrize(
    ("fact", "value"),
    [
        ("window", [-450.0, 1050.0]),
        ("size_group", 3),
        ("case_index", 7),
        ("region", "head"),
        ("materials", ["gold"]),
        ("metal_area_mm2", 1.0),
        ("patient_id", "another"),
        ("slice_id", "another"),
        ("metal_id", "another"),
    ],
)
def test_what_is_told_beside_the_arrays_makes_another_benchmark(
    fact: str, value: object, tiny: Spec, tmp_path: Path
) -> None:
    export_cases(Suite(tiny), tmp_path / "scans", 1, form="raw")
    text = 'extends = "scans/spec.toml"\nname = "back"\n[recorded]\nformat = "export"\npath = "scans"\n'
    (tmp_path / "back.toml").write_text(text)
    before = open_cases(tmp_path / "back.toml").spec.hash
    (told,) = (tmp_path / "scans/test").glob("*.json")
    told.write_text(json.dumps({**json.loads(told.read_text()), fact: value}))
    assert open_cases(tmp_path / "back.toml").spec.hash != before


def test_the_same_names_read_as_other_patients_are_another_benchmark(tmp_path: Path) -> None:
    (tmp_path / "a_b.raw").write_bytes(b"rays")
    read = {"case": "a_b"}, {"patient": "a", "slice": "b"}, {"patient": "a", "metal": "b"}
    assert len({content_digest(tmp_path, [Entry(fields, {"sinogram": "a_b.raw"})]) for fields in read}) == 3


def h5(name: str, change: Callable[[h5py.File], object], file: str = "test_640geo/P0/7/0.h5") -> Callable[[Path], None]:
    def spoil(data: Path) -> None:
        with h5py.File(data / file, "r+") as opened:
            new = change(opened[name][()])
            del opened[name]
            if new is not None:
                opened[name] = new

    return spoil


def masks(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Path], None]:
    return lambda data: np.save(data / "testmask.npy", change(np.load(data / "testmask.npy")))


def of_another(*names: str, file: str, other: str) -> Callable[[Path], None]:
    """Put arrays of another file in place of a file's own."""

    def spoil(data: Path) -> None:
        with h5py.File(data / other) as source, h5py.File(data / file, "r+") as opened:
            for name in names:
                opened[name][...] = source[name][()]

    return spoil


GT, GT1 = "test_640geo/P0/7/gt.h5", "test_640geo/P1/8/gt.h5"


def cut(data: Path) -> None:
    path = data / "test_640geo/P0/7/0.h5"
    path.write_bytes(path.read_bytes()[:3000])


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (h5("ma_sinogram", lambda a: None), r"0\.h5: it lacks 'ma_sinogram'; .*ma_CT"),
        (h5("ma_sinogram", lambda a: a.T), r"0\.h5: expected 64 × 61.*Got the shape \(61, 64\).*transposed"),
        (h5("ma_sinogram", lambda a: a[:-1]), r"0\.h5: expected 64 × 61.*Got the shape \(63, 61\)\. Mend"),
        (h5("ma_sinogram", lambda a: a * np.nan), r"0\.h5 \(sinogram\): 3904 of 3904 values are NaN.* copy"),
        (h5("ma_sinogram", lambda a: 1000 * a), r"sinogram.*expected line integrals.*Got values up to.*logarithm"),
        (h5("ma_sinogram", lambda a: a[:, ::-1]), r"does not show what .*0\.h5.*reverse = \[.*bins\] of the sinogram"),
        (h5("ma_CT", lambda a: 5200 * a - 1000), r"0\.h5 \(uncorrected\): unit is .1/cm., but values .* unit = .HU."),
        (h5("ma_CT", lambda a: a.astype("S5")), r"0\.h5: expected numbers"),
        (h5("image", lambda a: a.T, "test_640geo/P0/7/gt.h5"), r"gt\.h5 \(anatomy\) does not show .* transposed"),
        (h5("poly_CT", np.zeros_like, "test_640geo/P0/7/gt.h5"), r"gt\.h5 \(truth\) does not show .* another"),
        (h5("metal_trace", lambda a: a + 5), r"0\.h5 \(trace\): a mask is 0 and 1"),
        (masks(lambda a: a[:, ::-1]), r"testmask\.npy \(mask\) does not lie on .* It would with reverse = \[columns\]"),
        (masks(lambda a: a[..., :2]), r"testmask\.npy: expected a stack with a picture [23]"),
        (masks(lambda a: 0 * a), r"testmask\.npy \(mask\) holds no metal"),
        (h5("ma_sinogram", lambda a: a / 10), r"0\.h5 \(sinogram\): .* nothing but air\. .* another unit.* scale"),
        (h5("ma_CT", lambda a: a + 0.19661), r"0\.h5 \(uncorrected\) and .*sinogram\) are not .* lies 1024 HU higher"),
        (h5("poly_CT", lambda a: a + 0.19661, GT), r"gt\.h5 \(truth\) and .*truth_sinogram\) .* lies 1024 HU higher"),
        (h5("image", lambda a: a + 0.19661, GT), r"gt\.h5 \(anatomy\) and .* are not of one scan"),
        (of_another("poly_CT", "poly_sinogram", file=GT, other=GT1), r"\(truth_sinogram\) and .* rays that miss"),
        (h5("metal_trace", np.ones_like), r"0\.h5 \(trace\) is not that of testmask\.npy \(mask\): .* rays meet none"),
        (h5("metal_trace", np.zeros_like), r"trace\) is not that of .*: 100 % of the metal project beside it"),
        (h5("metal_trace", lambda a: 1 - a), r"trace\) is not that of .* inverted"),
        (h5("metal_trace", lambda a: np.roll(a, 9, axis=1)), r"trace\) is not that of .* of another metal"),
        (masks(lambda a: 1 - a), r"testmask\.npy \(mask\): 100 % of the picture are metal\. Is it inverted"),
        (masks(lambda a: np.roll(a, -5, axis=0)), r"mask\) does not lie .* 5 rows further down and 0 columns"),
        (cut, r"0\.h5 cannot be read .* cut off\. Copy it again"),
        (lambda data: (data / "test_640geo/P0/7/gt.h5").unlink(), r"P0/7/gt\.h5 is missing"),
        (lambda data: shutil.rmtree(data / "test_640geo"), "no file is called test_640geo/"),
        (shutil.rmtree, "is no folder"),
        (lambda data: (data / "test_640geo/P0").rename(data / "test_640geo/J. Doe"), "'J. Doe' cannot be an id"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_by_file_and_remedy(folder: Path, spoil, message: str) -> None:
    spoil(folder / "data")
    with pytest.raises(DataError, match=message):
        FileCases(load_spec(folder / "spec.toml"))[:]


@pytest.mark.parametrize("form", ["npz", "h5", "mat", "raw"])
def test_an_export_comes_back_as_it_was(form: str, tiny: Spec, tmp_path: Path) -> None:
    suite = Suite(tiny)
    export_cases(suite, tmp_path / "scans", 3, form=form)
    text = 'extends = "scans/spec.toml"\nname = "back"\n[recorded]\nformat = "export"\npath = "scans"\n'
    (tmp_path / "back.toml").write_text(text)
    recorded = open_cases(tmp_path / "back.toml")
    assert recorded.case_keys == suite.case_keys[:3]
    for one, other in zip(recorded, suite, strict=False):
        assert one.info == other.info
        for part, own in ((one.scan, other.scan), (one.known_truth, other.known_truth)):
            assert all(
                torch.equal(back, made) for back, made in zip(vars(part).values(), vars(own).values(), strict=True)
            )


def imported(scans: Path, extends: object, **tables: str) -> Spec:
    """Write and return a benchmark of an export, with keys of other tables changed."""
    text = f'extends = "{extends}"\nname = "back"\n[recorded]\nformat = "export"\npath = "{scans}"\n'
    path = scans.parent / "back.toml"
    path.write_text(text + "".join(f"[{name}]\n{line}\n" for name, line in tables.items()))
    return load_spec(path)


def test_an_export_of_another_geometry_or_unit_is_refused(tiny: Spec, tmp_path: Path) -> None:
    scans = tmp_path / "scans"
    export_cases(Suite(tiny), scans, 1)
    other = {"geometry": "offset_bins = 0.25", "physics": 'reference_kev = 100\nwater_attenuation = "unset"'}
    with pytest.raises(
        DataError, match=r"export of 'tiny', whose geometry\.offset_bins, physics\.water_attenuation are not as in"
    ):
        FileCases(imported(scans, scans / "spec.toml", **other))
    FileCases(imported(scans, scans / "spec.toml", metrics='conventions = ["body"]'))
    (scans / "spec.toml").rename(tmp_path / "spec.toml")
    with pytest.raises(DataError, match=r"lacks spec\.toml.* Restore it"):
        FileCases(imported(scans, tmp_path / "spec.toml"))


def test_a_mask_of_a_segmentation_need_not_lie_on_the_metal(tiny: Spec, tiny_file: Path, tmp_path: Path) -> None:
    segmented = tiny.model_copy(update={"segmentation": SegmentationSection(shift_px=6)})
    suite = Suite(segmented)
    export_cases(suite, tmp_path / "scans", 1)
    (back,) = FileCases(imported(tmp_path / "scans", tiny_file))
    assert torch.equal(back.scan.metal_mask, suite[0].scan.metal_mask)


@pytest.mark.parametrize(("form", "part"), [("aapm2024", "body"), ("aapm2024-head", "head")])
def test_scans_of_the_aapm_challenge_are_read_by_their_names(form: str, part: str, made, tmp_path: Path) -> None:
    for number, case in enumerate(made[1]["P0/7"][:2], start=11001):
        names = {
            "Baseline/training_body_metalart_sino{}_900x1000.raw": case.scan.sinogram,
            "Baseline/training_body_metalart_img{}_512x512x1.raw": case.scan.image,
            "Mask/training_body_metalonlymask_img{}_512x512x1.raw": case.scan.metal_mask,
            "Target/training_body_nometal_img{}_512x512x1.raw": case.known_truth.image,
            "Target/training_body_nometal_sino{}_900x1000.raw": case.known_truth.sinogram,
        }
        for name, tensor in names.items():
            path = tmp_path / "challenge" / name.format(number).replace("body", part)
            path.parent.mkdir(parents=True, exist_ok=True)
            tensor.numpy().astype("<f4").tofile(path)
    (tmp_path / "spec.toml").write_text(WORLD + RECORDED.replace("syndeeplesion", form).replace("data", "challenge"))
    recorded = open_cases(tmp_path / "spec.toml")
    assert [key.case_id for key in recorded.case_keys] == ["11001", "11002"]
    for one, own in zip(recorded, made[1]["P0/7"], strict=False):
        assert torch.equal(one.scan.sinogram, own.scan.sinogram) and torch.equal(
            one.scan.metal_mask, own.scan.metal_mask
        )
        assert torch.allclose(one.known_truth.image, own.known_truth.image)


DESCRIBED = """
[recorded]
path = "scans"
[recorded.sinogram]
file = "{case}/sinogram.raw"
transposed = true
reverse = ["views"]
scale = 0.1
[recorded.mask]
file = "{case}/metal.npy"
transposed = true
[recorded.uncorrected]
file = "{case}/images.npz"
key = "scan"
reverse = ["rows"]
unit = "1/cm"
"""


def write_described(place: Path, case: Case) -> None:
    place.mkdir(parents=True)
    (10 * case.scan.sinogram[0].numpy()[::-1].T).astype("<f4").tofile(place / "sinogram.raw")
    np.save(place / "metal.npy", case.scan.metal_mask[0].numpy().T.astype(np.uint8) * 255)
    mu = (case.scan.image[0].numpy() * 0.000192 + 0.192)[::-1]
    np.savez(place / "images.npz", scan=mu, other=mu, meta=np.array({"kVp": 120}))


def test_files_of_any_layout_are_described_in_toml(made, tmp_path: Path) -> None:
    case = made[1]["P0/7"][0]
    place = tmp_path / "scans" / "one"
    write_described(place, case)
    (tmp_path / "mine.toml").write_text(WORLD + DESCRIBED)
    recorded = open_cases(tmp_path / "mine.toml")
    one = recorded[0]
    assert one.id == "one" and one.truth is None
    assert torch.allclose(one.scan.sinogram, case.scan.sinogram, rtol=1e-6)
    assert torch.equal(one.scan.metal_mask, case.scan.metal_mask)
    assert torch.equal(one.scan.metal_trace, case.scan.metal_trace)
    rows = marbench.evaluate("li", tmp_path / "mine.toml")
    assert rows["status"].tolist() == ["ok"] and rows["rmse_hu"].isna().all()
    with pytest.raises(DataError, match=r"hold no truth.* marbench\.evaluate"):
        run(recorded.spec, tmp_path / "run")
    with pytest.raises(DataError, match=r"images\.npz: it lacks 'clean'; .*meta"):
        read_array(place / "images.npz", "images.npz", ImageFile(key="clean"), recorded.spec.grid.shape)
    with pytest.raises(DataError, match="cases to test with alone"):
        FileCases(load_spec(tmp_path / "mine.toml"), "val")
    with pytest.raises(SpecError, match="recorded in files, so none can be simulated"):
        Suite(tmp_path / "mine.toml")


CIRCLE = """
[recorded]
path = "scans"
[recorded.sinogram]
file = "{case}.npz"
key = "rays"
[recorded.mask]
file = "{case}.npz"
key = "mask"
"""


def test_a_circle_that_was_measured_the_other_way_is_refused_with_what_mends_it(made, tmp_path: Path) -> None:
    case = made[1]["P0/7"][0]
    rays, mask = case.scan.sinogram[0].numpy(), case.scan.metal_mask[0].numpy()
    (tmp_path / "scans").mkdir()

    def opened(rays: np.ndarray, reverse: str = "", pictured: str = "") -> Case:
        np.savez(tmp_path / "scans/one.npz", rays=rays, mask=mask, image=case.scan.image[0].numpy())
        described = CIRCLE.replace('"rays"', f'"rays"\nreverse = [{reverse}]')
        (tmp_path / "mine.toml").write_text(WORLD + described + pictured)
        return open_cases(tmp_path / "mine.toml")[0]

    clockwise = np.roll(rays[::-1], 1, axis=0)
    pictured = '[recorded.uncorrected]\nfile = "{case}.npz"\nkey = "image"\n'
    with pytest.raises(DataError, match=r"measured from both ends differ by .* \(geometry\.clockwise\) or its bins"):
        opened(clockwise)
    with pytest.raises(DataError, match=r"differ by .* with geometry\.offset_bins = -1\."):
        opened(np.roll(rays, 1, axis=1))
    with pytest.raises(DataError, match=r"agree with the source turning the other way \(geometry\.clockwise\), on top"):
        opened(clockwise, pictured=pictured)
    assert torch.equal(opened(rays[::-1], '"views"', pictured).scan.sinogram, case.scan.sinogram)


def test_a_mask_that_cannot_be_used_costs_its_own_case_alone(made, tmp_path: Path) -> None:
    names = ("damaged", "empty", "odd", "large", "small")
    for name, case in zip(names, [made[1]["P0/7"][k] for k in (0, 0, 0, 0, 1)], strict=True):
        write_described(tmp_path / "scans" / name, case)
    (tmp_path / "scans/damaged/metal.npy").write_text("<html>Not found</html>")
    for name, change in (("empty", lambda mask: 0 * mask), ("odd", lambda mask: mask + np.eye(32, dtype=np.uint8))):
        path = tmp_path / "scans" / name / "metal.npy"
        np.save(path, change(np.load(path)))
    (tmp_path / "mine.toml").write_text(WORLD + DESCRIBED.replace("{case}", "{metal}"))
    recorded = FileCases(load_spec(tmp_path / "mine.toml"))
    assert [(key.case_id, key.size_group) for key in recorded.case_keys] == [
        *(("large", 1), ("small", 2), ("damaged", 2), ("empty", 2), ("odd", 2))
    ]
    assert [case.info.metal_area_px for case in recorded[:2]] == [16, 4]
    for index, message in ((2, r"cannot be read .* Copy it again"), (3, "holds no metal"), (4, "a mask is 0 and 1")):
        with pytest.raises(DataError, match=rf"{names[index - 2]}/metal\.npy.* {message}"):
            recorded[index]


@pytest.mark.parametrize(
    ("named", "told"),
    [
        ("{case}", r"no patient: each case counts as a patient of its own\. .* name {patient} in the layout"),
        ("{slice}_{metal}", r"no patient: each slice counts"),
        ("{patient}_{slice}", None),
    ],
)
def test_what_is_assumed_of_the_cases_and_which_are_left_is_told(named: str, told: str | None, tmp_path: Path) -> None:
    for number in range(3):
        place = tmp_path / "scans" / f"{number}_7"
        place.mkdir(parents=True)
        for file in ("sinogram.raw", "metal.npy", "images.npz"):
            (place / file).touch()
    (tmp_path / "mine.toml").write_text(WORLD + DESCRIBED.replace("{case}", named))
    section = load_spec(tmp_path / "mine.toml").recorded
    assert section is not None
    arrays = described(section)
    every, some = (listed(section, arrays, "test", limits) for limits in ((None, None), (2, 2)))
    assert (len(every), len(some)) == (3, 2)
    lines = assumptions(section, arrays, "test", every)
    assert len(lines) == (told is not None)
    assert told is None or re.search(told, lines[0])
    *before, left = assumptions(section, arrays, "test", some)
    assert tuple(before) == lines
    assert left.startswith("2 of 3 cases in the folder are taken, as many patients and slices as [split] test asks for")


def scans(folder: Path, sinogram: str, *names: str) -> Any:
    """Write empty files, and return the table of a benchmark whose sinograms are called so."""
    for name in names:
        (folder / "scans" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "scans" / name).touch()
    text = f'[recorded]\npath = "scans"\n[recorded.sinogram]\nfile = "{sinogram}"\n[recorded.mask]\nfile = "mask.npy"\n'
    (folder / "mine.toml").write_text(WORLD + text)
    return load_spec(folder / "mine.toml").recorded


@pytest.mark.parametrize(
    ("sinogram", "names", "shared"),
    [
        ("{patient}/{slice}.npy", ("p1/2_3.npy", "p1_2/3.npy"), "p1_2_3"),
        ("{slice}/{metal}.npy", ("a/b_c.npy", "a_b/c.npy"), "a_b_c"),
        ("{patient}/{slice}/{metal}.npy", ("p/1_2/x.npy", "p_1/2/y.npy"), "p_1_2"),
    ],
)
def test_two_files_whose_names_make_one_id_are_refused(sinogram: str, names, shared: str, tmp_path: Path) -> None:
    section = scans(tmp_path, sinogram, *names, "mask.npy")
    message = rf"{names[0]} and {names[1]} would both be called '{shared}'\. Rename"
    with pytest.raises(DataError, match=message):
        listed(section, section.arrays(), "test", (None, None))


def test_hidden_files_are_no_cases_and_folders_that_cannot_be_read_are_named(tmp_path: Path, refused) -> None:
    section = scans(tmp_path, "{patient}/{slice}.npy", "p1/2.npy", "p1/._2.npy", "p2/3.npy", "._p2/3.npy", "mask.npy")
    found = listed(section, section.arrays(), "test", (None, None))
    assert [entry.case_id for entry in found] == ["p1_2", "p2_3"]
    refused("is_file", "mask.npy")
    with pytest.raises(DataError, match=r"mask\.npy cannot be read: Permission denied"):
        listed(section, section.arrays(), "test", (None, None))
    refused("iterdir", "p2")
    with pytest.raises(DataError, match=r"p2 cannot be read: Permission denied"):
        listed(section, section.arrays(), "test", (None, None))


def test_the_descriptions_of_the_manual_are_benchmarks(tmp_path: Path) -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "recorded.md").read_text(encoding="utf-8")
    examples = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    assert len(examples) >= 3
    for text in examples:
        (tmp_path / "mine.toml").write_text(text, encoding="utf-8")
        assert load_spec(tmp_path / "mine.toml").recorded.path == str(
            tmp_path / tomllib.loads(text)["recorded"]["path"]
        )
        assert load_spec(tmp_path / "mine.toml").split.test.limits() == (None, None)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('path = "scans"', "", "path is needed"),
        ("{case}/metal", "{person}/metal", "unknown {person}"),
        ("{case}/metal", "../metal", "relative to path"),
        ("{case}/metal", "{patient}/metal", "asks for patient"),
        ("[recorded.mask]", "[recorded.trace]", r"needs the table \[recorded.mask\]"),
        (
            'sinogram.raw"\ntransposed = true\nreverse = ["views"]\nscale = 0.1\n[recorded.mask]\n',
            '{metal}.raw"\n[recorded.mask]\nindex = "{metal:d}"\n',
            r"mask\] index = .* needs {metal:d} in the name of the sinogram's file",
        ),
        ('path = "scans"', 'path = "scans"\nformat = "syndeeplesion"', "leave out sinogram"),
        ('reverse = ["rows"]', 'reverse = ["views"]', "reverse"),
        ('path = "scans"', 'path = "scans"\nwindow_hu = [5, 1]', "window"),
    ],
)
def test_a_description_that_makes_no_sense_is_refused(old: str, new: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(WORLD + DESCRIBED.replace(old, new))
    with pytest.raises(SpecError, match=message):
        load_spec(tmp_path / "mine.toml")


def test_arrays_in_groups_of_hdf5_are_named_by_their_path(tmp_path: Path) -> None:
    array = np.arange(6.0).reshape(2, 3)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["exchange/data"] = array
        file["exchange/again"] = file["exchange"]  # a circle
        file["linked"] = h5py.ExternalLink("b.h5", "/data")
    for key in (None, "exchange/data", "/exchange/data"):
        assert np.array_equal(read_array(tmp_path / "a.h5", "a.h5", ImageFile(key=key), (2, 3)), array)
    assert np.array_equal(read_image(tmp_path / "a.h5", (2, 3)), array)
    with pytest.raises(DataError, match=r"it lacks 'data'; .*Known: exchange/"):
        read_array(tmp_path / "a.h5", "a.h5", ImageFile(key="data"), (2, 3))
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        file["image"] = array + 1
    assert np.array_equal(read_array(tmp_path / "a.h5", "a.h5", ImageFile(), (2, 3)), array + 1)
    assert np.array_equal(read_image(tmp_path / "a.h5", (2, 3)), array + 1)


def test_of_many_arrays_in_one_hdf5_file_each_is_found(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for number in range(1200):
            file[f"slice{number}"] = np.float32(number)
    assert read_array(tmp_path / "a.h5", "a.h5", ImageFile(key="slice999"), (2, 3)) == 999


def test_a_sparse_matrix_is_read_in_full_unless_it_claims_too_much(tmp_path: Path) -> None:
    array = np.diag([1.0, 0.0, 3.0])
    huge = scipy.sparse.csc_matrix((20_000, 20_000))
    scipy.io.savemat(tmp_path / "a.mat", {"image": scipy.sparse.csc_matrix(array), "huge": huge})
    assert np.array_equal(read_array(tmp_path / "a.mat", "a.mat", ImageFile(key="image"), (3, 3)), array)
    assert np.array_equal(read_image(tmp_path / "a.mat", (3, 3)), array)
    with pytest.raises(DataError, match=r"a\.mat: 'huge' is sparse, and in full larger than"):
        read_array(tmp_path / "a.mat", "a.mat", ImageFile(key="huge"), (3, 3))


def test_a_mask_of_another_size_is_scaled_as_the_data_set_scales_it() -> None:
    mask = np.zeros((512, 512), np.uint8)
    mask[200:260, 300:311] = 1
    scaled = lying_as_ours(mask, "mask", ImageFile(resized=True), None, (416, 416))
    assert np.array_equal(scaled, np.asarray(Image.fromarray(mask).resize((416, 416), Image.Resampling.BILINEAR)))
    assert scaled.sum() == pytest.approx(60 * 11 * (416 / 512) ** 2, rel=0.05)
