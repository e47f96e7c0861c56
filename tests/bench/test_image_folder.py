"""Images made elsewhere: from exported scans to rows, in every format; and wrong folders, refused with the reason."""

from __future__ import annotations

import gzip
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.io
from click.testing import CliRunner
from filled import fill, row
from PIL import Image
from running import Notes

import marbench
from marbench.bench.image_folder import match_cases, score_folder
from marbench.cases.export import export_cases
from marbench.cases.export_formats import FORMATS
from marbench.cases.image_files import SUFFIXES, read_image
from marbench.cases.opening import open_cases
from marbench.cases.suite import Suite
from marbench.cli import main
from marbench.errors import DataError, StoreError
from marbench.method.card import MethodCard
from marbench.report.pages import render
from marbench.results.store import Store, open_run
from marbench.spec import Spec

CARD = MethodCard(name="mine", title="Mine", summary="", domain="image")
Images = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def suite(tiny: Spec) -> Suite:
    return Suite(tiny)


@pytest.fixture(scope="module")
def images(suite: Suite) -> Images:
    """The images of linear interpolation, of the first cases."""
    method = marbench.load_method("li", suite.spec)
    return {suite[index].id: method(suite[index].scan)[0].numpy() for index in range(3)}


def write(path: Path, image: np.ndarray) -> None:
    suffix = "".join(path.suffixes[-2:]) if path.name.endswith(".nii.gz") else path.suffix
    if suffix == ".npy":
        np.save(path, image)
    elif suffix == ".npz":
        np.savez_compressed(path, image_hu=image, other=image, meta=np.array({"kVp": 120}))
    elif suffix == ".mat":
        scipy.io.savemat(path, {"image": image[None], "note": "ours"})
    elif suffix in (".h5", ".hdf5"):
        with pytest.importorskip("h5py").File(path, "w") as file:
            file["recon"] = image
    elif suffix.startswith(".nii"):
        nibabel = pytest.importorskip("nibabel")
        # Columns run to the patient's left, rows to posterior.
        nibabel.save(nibabel.Nifti1Image(image.T[:, :, None], np.diag([-1.0, -1.0, 1.0, 1.0])), path)
    elif suffix == ".raw":
        image.astype("<f4").tofile(path)
    elif suffix == ".png":
        Image.fromarray((np.rint(image) + 2000).clip(0, 65535).astype(np.uint16)).save(path)
    elif suffix == ".dcm":
        case_id = path.name.removesuffix(".dcm")
        facts = {"case_id": case_id, "benchmark": "b", "patient_id": "p", "slice_id": "s", "case_index": 1}
        facts |= {"pixel_cm": 1.28, "window": [-160, 240]}
        pytest.importorskip("pydicom")
        path.write_bytes(FORMATS["dicom"].encode({"image_hu": image}, facts)[".image_hu.dcm"])


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_image_of_every_format_is_read_as_it_was(tmp_path, images, suffix):
    (name, image), *_ = images.items()
    path = tmp_path / f"{name}{suffix}"
    write(path, image)
    step = 1.0 if suffix in (".png", ".dcm") else 0.0  # 16 bits
    assert np.abs(read_image(path, image.shape, -2000.0) - image).max() <= step


def test_mat_files_of_version_7_3_have_their_axes_in_reverse_order(tmp_path, images):
    (name, image), *_ = images.items()
    with pytest.importorskip("h5py").File(tmp_path / f"{name}.mat", "w", userblock_size=512) as file:
        file["image"] = image.T
    with (tmp_path / f"{name}.mat").open("r+b") as raw:
        raw.write(b"MATLAB 7.3 MAT-file")
    assert np.array_equal(read_image(tmp_path / f"{name}.mat", image.shape), image)


@pytest.mark.parametrize("suffix", [".npz", ".mat"])
@pytest.mark.parametrize("name", ["image", "image_hu"])
def test_the_array_that_fits_is_meant_where_one_of_a_known_name_does_not(tmp_path, images, suffix, name):
    (image, *_) = images.values()
    arrays = {name: np.zeros((8, 8, 3), np.uint8), "recon": image, "other": np.zeros(4)}
    path = tmp_path / f"a{suffix}"
    (np.savez if suffix == ".npz" else lambda path, **arrays: scipy.io.savemat(path, arrays))(path, **arrays)
    assert np.array_equal(read_image(path, image.shape), image)


def test_a_link_within_a_file_leads_to_no_other_file(tmp_path, images):
    h5py = pytest.importorskip("h5py")
    (name, image), *_ = images.items()
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["image"] = image
    layout = h5py.VirtualLayout(image.shape, "f4")
    layout[:] = h5py.VirtualSource(tmp_path / "other.h5", "image", image.shape)
    with h5py.File(tmp_path / f"{name}.h5", "w") as file:
        file["image"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "image")
        file.create_virtual_dataset("image_hu", layout)
    with pytest.raises(DataError, match=r"expected one array .* Got none"):
        read_image(tmp_path / f"{name}.h5", image.shape)


def test_images_are_not_scored_into_a_run_that_names_patients_otherwise(tmp_path, tiny, suite, images):
    (name, image), *_ = images.items()
    np.save(tmp_path / f"{name}.npy", image)
    fill(tmp_path / "run", tiny, row(tiny, case=name, patient_id="patient-0123456789ab"))
    with pytest.raises(StoreError, match="made with another salt"):
        score_folder(tmp_path, suite, CARD, Store(tmp_path / "run", tiny), Notes())


def test_exported_cases_stand_for_the_benchmark_if_they_have_their_truth(tmp_path, tiny, suite, images):
    (name, image), *_ = images.items()
    np.save(tmp_path / f"{name}.npy", image)
    for truth in (False, True):
        export_cases(suite, tmp_path / f"cases{truth}", 1, truth=truth)
    store = Store(tmp_path / "run", tiny)
    with pytest.raises(DataError, match="has no known truth"):
        score_folder(tmp_path, open_cases(tmp_path / "casesFalse"), CARD, store, Notes())
    (row,) = score_folder(tmp_path, open_cases(tmp_path / "casesTrue"), CARD, store, Notes())
    (other,) = score_folder(tmp_path, suite, CARD, Store(tmp_path / "other", tiny), Notes())
    assert row == other


def test_scores_are_those_of_the_plugin_and_say_that_images_were_scored(tmp_path, tiny, suite, images):
    for number, (case_id, image) in enumerate(images.items()):
        np.save(tmp_path / (f"run3_{case_id}.npy" if number else "0000.npy"), image)
    (tmp_path / "notes.txt").write_text("ours")
    out = tmp_path / "run"
    score_folder(tmp_path, suite, CARD, Store(out, tiny), Notes(), images="all", command="marbench score")
    run = open_run(out)
    assert run.problems == []
    rows = run.rows.set_index("case_id")
    good = rows[rows["status"] == "ok"]
    assert sorted(good.index) == sorted(images) and set(rows["evidence"]) == {"recomputed from images"}
    assert len(rows) == len(suite) and set(rows["message"]) == {"", "no image was handed in"}
    expected = marbench.evaluate("li", tiny, limit=3).set_index("case_id").loc[good.index]
    names = [name for name in expected if "[" in name or name.startswith("rmse")]
    pd.testing.assert_frame_equal(good[names], expected[names])
    assert good["case_digest"].equals(expected["case_digest"].astype(good["case_digest"].dtype))
    page = re.sub(r"<[^>]+>|\s", "", render(out).read_text(encoding="utf-8"))
    assert "3/20" in page and "mine" in page and "recomputedfromimages" in page


def test_other_images_are_another_version_of_the_method(tmp_path, tiny, suite, images):
    (case_id, image), *_ = images.items()
    hashes = []
    for change in (0.0, 0.0, 1.0):
        np.save(tmp_path / f"{case_id}.npy", image + np.float32(change))
        score_folder(tmp_path, suite, CARD, Store(tmp_path / "run", tiny), Notes())
        rows = open_run(tmp_path / "run").rows
        hashes.append(rows["method_hash"].unique().item())
        assert len(rows) == len(suite)
    assert hashes[0] == hashes[1] != hashes[2]


def test_cases_of_an_export_from_which_others_were_taken_keep_their_places(tmp_path, tiny, suite, images):
    export_cases(suite, tmp_path / "cases", 3, truth=True)
    first, second, third = images
    (tmp_path / "cases" / "test" / f"{first}.npz").unlink()
    (tmp_path / "images").mkdir()
    np.save(tmp_path / "images" / "2.npy", images[third])
    left = open_cases(tmp_path / "cases")
    score_folder(tmp_path / "images", left, CARD, Store(tmp_path / "run", tiny), Notes())
    rows = open_run(tmp_path / "run").rows.sort_values("case_index")
    assert rows[["case_id", "case_index", "status"]].values.tolist() == [[second, 1, "unavailable"], [third, 2, "ok"]]
    np.save(tmp_path / "images" / "1.npy", images[second])  # the first one there is: not counted from 1
    assert list(match_cases(tmp_path / "images", left)) == [0, 1]
    np.save(tmp_path / "images" / "0.npy", images[third])
    with pytest.raises(DataError, match=r"0\.npy: unknown case; numbers are those of cases\.csv, 1 to 2"):
        match_cases(tmp_path / "images", left)


def test_the_longest_id_in_a_name_is_meant(tmp_path, suite):
    first, second = suite.case_keys[:2]
    for name in (f"a_{first.case_id}_v2.npy", f"{second.case_id}.nii.gz"):
        (tmp_path / name).write_bytes(b"")
    assert list(match_cases(tmp_path, suite)) == [0, 1]


def fault(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Path, np.ndarray], None]:
    return lambda path, image: np.save(path, change(image))


def nifti_without_orientation(path: Path, image: np.ndarray) -> None:
    nibabel = pytest.importorskip("nibabel")
    path.unlink(missing_ok=True)
    nibabel.save(nibabel.Nifti1Image(image.T[:, :, None], None), path.with_suffix(".nii"))


def other(suffix: str, content: Callable[[np.ndarray], bytes]) -> Callable[[Path, np.ndarray], None]:
    return lambda path, image: path.with_suffix(suffix).write_bytes(content(image)) and None


def npy_of_objects(path: Path, image: np.ndarray) -> None:
    np.save(path, np.array([{}, print], dtype=object), allow_pickle=True)


def png_of_8_bits(path: Path, image: np.ndarray) -> None:
    Image.fromarray(np.zeros(image.shape, np.uint8)).save(path.with_suffix(".png"))


def npy_bomb(path: Path, image: np.ndarray) -> None:
    with path.open("wb") as file:
        claims = {"shape": (10**6, 10**6), "fortran_order": False, "descr": "<f4"}
        np.lib.format.write_array_header_1_0(file, claims)


WRONG = {
    "attenuation": (fault(lambda a: (0.19 * (1 + a / 1000)).astype(np.float32)), "attenuation: .*mu_water"),
    "window": (fault(lambda a: np.clip(a, -160, 240)), "window: .*without a display window"),
    "cut off below": (fault(lambda a: np.maximum(a, -700)), "window: .*cut off below"),
    "scaled": (fault(lambda a: a * 4), "scaled values: .*water is 0"),
    "8 bit values": (fault(lambda a: np.rint((np.clip(a, -160, 240) + 160) * 0.6375)), "8 bit: "),
    "uint8": (fault(lambda a: a.astype(np.uint8)), "got uint8: a windowed picture has no HU"),
    "offset": (fault(lambda a: a + 1024), "offset: .*Subtract"),
    "transposed": (fault(lambda a: a.T), "transposed: .*rows first"),
    "upside down": (fault(lambda a: a[::-1]), "flipped: taken as upside down.*Flip it"),
    "mirrored": (fault(lambda a: a[:, ::-1]), "flipped: taken as mirrored"),
    "rotated": (fault(lambda a: np.rot90(a)), "rotated: "),
    "shifted": (fault(lambda a: np.roll(a, 3, 1)), "shifted: moved by"),
    "field of view": (fault(lambda a: np.kron(a[4:28, 4:28], np.ones((4, 4)))[1::3, 1::3]), "field of view: made"),
    "too large": (fault(lambda a: np.kron(a, np.ones((2, 2)))), r"expected \(rows, columns\) = \(32, 32\), got \(64"),
    "a volume": (fault(lambda a: np.stack([a, a])), r"got \(2, 32, 32\). One image a file"),
    "NaN": (fault(lambda a: np.where(a > 0, np.nan, a)), "not finite: .*Fill"),
    "infinite": (fault(lambda a: a.astype(np.float64) * 1e38), "not finite"),
    "constant": (fault(lambda a: np.zeros_like(a)), "constant: every pixel is 0"),
    "complex": (fault(lambda a: a + 1j), "expected numbers or text .*, got complex"),
    "text": (fault(lambda a: a.astype(str)), "expected real numbers, got <U"),
    "objects": (npy_of_objects, "cannot be read .*expected numbers"),
    "a bomb": (npy_bomb, "no float32 array of shape"),
    "damaged": (lambda path, _: path.write_bytes(b"\x93NUMPY\x01\x00"), "cannot be read"),
    "empty": (lambda path, _: path.write_bytes(b""), "cannot be read"),
    "float64 raw": (other(".raw", lambda a: a.astype("<f8").tobytes()), "may be float64. Convert it"),
    "big-endian raw": (other(".raw", lambda a: a.astype(">f4").tobytes()), "big-endian"),
    "raw with a header": (other(".raw", lambda a: b"HEAD" + a.tobytes()), "expected 4096 bytes"),
    "8-bit PNG": (png_of_8_bits, "expected a PNG of 16 bits, got one of mode L"),
    "PNG without offset": (lambda path, image: write(path.with_suffix(".png"), image), "--offset"),
    "unknown format": (other(".tif", lambda a: b"II*"), r"unknown format. Known: \.npy"),
    "no orientation": (nifti_without_orientation, "sform"),
    "no MAT": (other(".mat", lambda a: b"MATLAB 5.0 MAT-file"), "cannot be read"),
    "gzip of nothing": (other(".nii.gz", lambda a: gzip.compress(b"")), "cannot be read"),
    "a link": (lambda path, _: path.symlink_to("/etc/hostname"), "links are not followed"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_folder_is_refused_with_the_reason_and_nothing_is_stored(tmp_path, tiny, suite, images, name):
    spoil, message = WRONG[name]
    folder = tmp_path / "images"
    folder.mkdir()
    for case_id, image in images.items():
        spoil(folder / f"{case_id}.npy", image)
    with pytest.raises(DataError, match=rf"(?s)are refused, and nothing was stored:.*{message}"):
        score_folder(folder, suite, CARD, Store(tmp_path / "run", tiny), Notes())
    assert not (tmp_path / "run").exists()


def test_one_wrong_image_among_right_ones_is_named(tmp_path, tiny, suite, images):
    (tmp_path / "images").mkdir()
    for number, (case_id, image) in enumerate(images.items()):
        np.save(tmp_path / "images" / f"{case_id}.npy", image[:, ::-1] if number == 2 else image)
    with pytest.raises(DataError, match=rf"1 of 3 images, {case_id}.npy: flipped: taken as mirrored"):
        score_folder(tmp_path / "images", suite, CARD, Store(tmp_path / "run", tiny), Notes())


def test_names_that_mean_no_case_or_one_case_twice_are_refused(tmp_path, suite, images):
    (first, image), *_ = images.items()
    np.save(tmp_path / "case-of-ours.npy", image)
    np.save(tmp_path / "99999.npy", image)
    with pytest.raises(DataError, match=r"(?s)99999.npy: unknown case.*case-of-ours.npy: unknown case"):
        match_cases(tmp_path, suite)
    shutil.rmtree(tmp_path)
    with pytest.raises(DataError, match="is no folder"):
        match_cases(tmp_path, suite)
    tmp_path.mkdir()
    with pytest.raises(DataError, match="holds no images"):
        match_cases(tmp_path, suite)
    for name in (f"{first}.npy", f"b_{first}.npy"):
        np.save(tmp_path / name, image)
    with pytest.raises(DataError, match=f"duplicate: b_{first}.npy and {first}.npy are all of {first}. Keep one"):
        match_cases(tmp_path, suite)


def test_images_that_are_counted_from_1_are_refused(tmp_path, suite, images):
    """Each would be scored as its neighbour, which shows the same slice with another implant."""
    (image, *_) = images.values()
    for number in (1, 2, 3):
        np.save(tmp_path / f"{number:03d}.npy", image)
    with pytest.raises(DataError, match=r"counted from 1: cases\.csv counts from 0"):
        match_cases(tmp_path, suite)
    np.save(tmp_path / f"{len(suite)}.npy", image)
    with pytest.raises(DataError, match=rf"unknown case; numbers are those of cases\.csv, 0 to {len(suite) - 1}"):
        match_cases(tmp_path, suite)
    (tmp_path / f"{len(suite)}.npy").unlink()
    np.save(tmp_path / "0.npy", image)
    assert list(match_cases(tmp_path, suite)) == [0, 1, 2, 3]
    for number in ("0", "001", "002"):
        (tmp_path / f"{number}.npy").unlink()
    assert list(match_cases(tmp_path, suite)) == [3]  # a part of them


def score(*arguments: object) -> tuple[int, str]:
    result = CliRunner(env={"COLUMNS": "200"}).invoke(main, ["score", *map(str, arguments)])
    return result.exit_code, result.output


def test_the_command_takes_a_card_and_no_name_of_a_method_that_runs_here(tmp_path, tiny_file, images):
    folder = tmp_path / "images"
    folder.mkdir()
    for case_id, image in images.items():
        np.save(folder / f"{case_id}.npy", image)
    card = tmp_path / "card.toml"
    card.write_text('title = "Ours"\nsummary = "x"\ndomain = "dual"\nyear = 2026\n')
    asked = (folder, "--spec", tiny_file, "--out", tmp_path / "run", "--method")
    code, said = score(*asked, "mine", "--card", card)
    assert code == 0 and "3 of 20 cases scored" in said
    run = open_run(tmp_path / "run")
    assert run.cards["mine"]["title"] == "Ours" and run.commands[0].startswith("marbench score DIR --method mine")
    assert score(*asked, "li")[0] == 2 and "marbench runs itself" in score(*asked, "li")[1]
    assert score(*asked, "No Name")[0] == 2
    card.write_text("yaer = 2026\n")
    code, said = score(*asked, "mine", "--card", card)
    assert code == 2 and "card.toml: yaer: " in said
