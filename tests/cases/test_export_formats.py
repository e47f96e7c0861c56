"""Exported scans, read as the README says, by readers that know nothing of marbench."""

import io
import json
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.io
from click.testing import CliRunner

from marbench.cases.export import export_cases
from marbench.cases.export_formats import FORMATS, QUANTITIES, _ct_image
from marbench.cases.export_readme import readme
from marbench.cases.suite import Suite
from marbench.cli import main
from marbench.errors import DataError, StoreError
from marbench.spec import Spec

SEEN = {name for name, each in QUANTITIES.items() if not each.truth}
TRUTHS = set(QUANTITIES) - SEEN
# As its iskeyword lists them.
MATLAB_KEYWORDS = {
    *("break", "case", "catch", "classdef", "continue", "else", "elseif", "end", "for", "function", "global", "if"),
    *("otherwise", "parfor", "persistent", "return", "spmd", "switch", "try", "while"),
}


def read(folder: Path, case_id: str, form: str) -> dict[str, np.ndarray]:
    if form == "npz":
        with np.load(folder / f"{case_id}.npz") as file:
            return {name: file[name] for name in file.files if name != "info_json"}
    if form == "mat":
        return {name: array for name, array in scipy.io.loadmat(folder / f"{case_id}.mat").items() if name[0] != "_"}
    facts = json.loads((folder / f"{case_id}.json").read_text())
    arrays = {"window_hu": np.array(facts["window"])}
    for name, about in facts["arrays"].items():
        path = folder / about["file"]
        if path.suffix == ".raw":
            arrays[name] = np.fromfile(path, np.dtype(about["dtype"]).newbyteorder("<")).reshape(about["shape"])
        elif path.suffix == ".dcm":
            dataset = pytest.importorskip("pydicom").dcmread(path)
            arrays[name] = dataset.pixel_array * float(dataset.RescaleSlope) + float(dataset.RescaleIntercept)
            assert list(dataset.PixelSpacing) == [12.8, 12.8]
            assert dataset.file_meta.MediaStorageSOPInstanceUID == dataset.SOPInstanceUID
        else:
            with pytest.importorskip("h5py").File(path) as file:
                arrays[name] = file[name][:]
                assert file[name].attrs["unit"] == about["unit"]
    return arrays


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("truth", [False, True])
def test_what_is_written_is_the_case_and_the_truth_only_if_asked_for(tmp_path, tiny: Spec, form, truth):
    if form == "h5":
        pytest.importorskip("h5py")
    suite = Suite(tiny)
    assert export_cases(suite, tmp_path, 1, form=form, truth=truth) == 1
    case = suite[0]
    arrays = read(tmp_path / "test", case.id, form)
    assert set(arrays) == (set(QUANTITIES) if truth else SEEN)
    expected = {"image_hu": case.scan.image, "sinogram_line_integral": case.scan.sinogram}
    expected |= {"metal_mask": case.scan.metal_mask, "metal_trace": case.scan.metal_trace}
    expected |= {"truth_hu": case.truth.image, "metal_any": case.truth.metal} if truth else {}
    for name, tensor in expected.items():
        # DICOM has 16 bits; everything else is exact.
        step = float(np.ptp(tensor[0].numpy())) / 2**16 if form == "dicom" and name.endswith("_hu") else 0.0
        assert np.abs(arrays[name] - tensor[0].numpy().astype(np.float64)).max() <= step, name
    assert arrays["window_hu"].ravel().tolist() == list(case.info.window)


@pytest.mark.parametrize("form", ["npz", "mat", "raw"])
def test_without_truth_no_file_holds_any_of_it(tmp_path, tiny, form):
    export_cases(Suite(tiny), tmp_path, 1, form=form, truth=False)
    files = [path for path in tmp_path.rglob("*") if path.is_file() and path.name != "spec.toml"]
    assert not [path for path in files for name in TRUTHS if name.encode() in path.read_bytes()]


@pytest.mark.parametrize("form", FORMATS)
def test_the_readme_names_every_array_and_nothing_that_is_not_there(tiny, form):
    for truth in (True, False):
        text = readme(tiny, form, truth)
        assert {name for name in QUANTITIES if f"  {name} " in text} == (set(QUANTITIES) if truth else SEEN)
        assert "marbench score FOLDER" in text and FORMATS[form].reading.splitlines()[0] in text


@pytest.mark.parametrize("form", FORMATS)
def test_lines_for_matlab_assign_to_no_keyword(tiny, form):
    lines = [line for line in readme(tiny, form, truth=True).splitlines() if line.strip().startswith("MATLAB")]
    assert not {name for line in lines for name in re.findall(r"\b(\w+) *=", line)} & MATLAB_KEYWORDS
    assert lines or form == "npz"


@pytest.mark.parametrize("form", ["npz", "raw"])
def test_a_truth_that_is_not_asked_for_does_not_stay_and_the_rest_is_not_made_again(tmp_path, tiny, form):
    suite = Suite(tiny)
    export_cases(suite, tmp_path, 1, form=form, truth=True)
    export_cases(suite, tmp_path, 2, form=form, truth=False)
    stem = f"{suite.case_keys[0].case_id}"
    assert set(read(tmp_path / "test", stem, form)) == SEEN
    assert not list(tmp_path.rglob("*truth*"))
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "test").iterdir()}
    export_cases(suite, tmp_path, 2, form=form, truth=False)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "test").iterdir()} == times


@pytest.mark.parametrize(
    ("before", "now", "limit"),
    [
        ("npz", "raw", 1),
        ("raw", "npz", 1),
        ("h5", "npz", 1),
        ("mat", "npz", 1),
        ("dicom", "dicom", 1),
        ("raw", "raw", 1),
    ],
)
def test_a_truth_that_would_stay_is_refused(tmp_path, tiny, before, now, limit):
    suite = Suite(tiny)
    # Of another format, or of a case that is not written anew.
    export_cases(suite, tmp_path, limit + (before == now), form=before, truth=True)
    files = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(StoreError, match=rf"{suite.case_keys[before == now].case_id}\..* holds a truth.* Remove it"):
        export_cases(suite, tmp_path, limit, form=now, truth=False)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == files
    np.savez(tmp_path / "test" / "own.npz", truth_hu=np.zeros(3))  # of somebody else
    for path in (tmp_path / "test").glob(f"{suite.case_keys[before == now].case_id}.*"):
        path.unlink()
    export_cases(suite, tmp_path, limit, form=now, truth=False)


def test_a_truth_in_a_file_whose_description_was_replaced_is_found(tmp_path, tiny):
    suite = Suite(tiny)
    for form in ("mat", "raw"):
        export_cases(suite, tmp_path / form, 1, form=form, truth=True)
    shutil.copytree(tmp_path / "raw", tmp_path / "mat", dirs_exist_ok=True)
    with pytest.raises(StoreError, match=r"\.mat holds a truth"):
        export_cases(suite, tmp_path / "mat", 1, form="raw", truth=False)


@pytest.mark.parametrize(("before", "now"), [("npz", "raw"), ("raw", "npz"), ("raw", "mat")])
def test_a_folder_takes_one_format(tmp_path, tiny, before, now):
    export_cases(Suite(tiny), tmp_path, 1, form=before)
    files = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(StoreError, match=f"holds cases as {before}, .* choose another --out for {now}"):
        export_cases(Suite(tiny), tmp_path, 2, form=now)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == files


def test_equal_cases_give_equal_bytes_and_the_table_lists_them(tmp_path, tiny):
    suite = Suite(tiny)
    for form in ("mat", "dicom"):
        contents = []
        for place in ("a", "b"):
            folder = tmp_path / form / place
            export_cases(suite, folder, 1, form=form, truth=False)
            contents.append({path.name: path.read_bytes() for path in (folder / "test").iterdir()})
            table = pd.read_csv(folder / "cases.csv")
            assert table["case_id"].tolist() == [key.case_id for key in suite.case_keys[:1]]
            assert all((folder / name).is_file() for name in table["file"])
        assert contents[0] == contents[1], form


def test_image_and_truth_of_a_case_are_two_dicom_series_of_one_study(tmp_path, tiny):
    export_cases(Suite(tiny), tmp_path, 2, form="dicom")
    headers = [pytest.importorskip("pydicom").dcmread(path) for path in sorted((tmp_path / "test").glob("*.dcm"))]
    assert len(headers) == len({header.SeriesInstanceUID for header in headers}) == 4
    assert {header.SeriesNumber for header in headers} == {1, 2, 3, 4}
    assert len({header.FrameOfReferenceUID for header in headers}) == 2
    assert len({header.StudyInstanceUID for header in headers}) == 1


def test_a_format_without_its_package_names_the_extra(tmp_path, tiny, monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(DataError, match=r'pip install "marbench\[hdf5\]"'):
        export_cases(Suite(tiny), tmp_path, 1, form="h5")


def test_the_verbs_differ_in_the_truth_alone(tmp_path, tiny_file):
    for verb in ("export --truth", "simulate"):
        arguments = [*verb.split(), "--spec", str(tiny_file), "--limit", "1", "--out", str(tmp_path / verb)]
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code == 0 and "1 cases in" in result.output, result.output
    first, second = (
        {path.relative_to(tmp_path / verb): path.read_bytes() for path in (tmp_path / verb).rglob("*.*")}
        for verb in ("export --truth", "simulate")
    )
    assert first == second


def test_no_range_is_too_large_for_dicom() -> None:
    pydicom = pytest.importorskip("pydicom")
    facts = {"benchmark": "b", "patient_id": "p", "slice_id": "s", "case_id": "c", "case_index": 0}
    image = np.array([[-1000.0, 100_000.0]], np.float32)
    content = _ct_image("image_hu", image, {**facts, "pixel_cm": 0.1, "window": (-160, 240)})
    dataset = pydicom.dcmread(io.BytesIO(content))
    found = dataset.pixel_array * float(dataset.RescaleSlope) + float(dataset.RescaleIntercept)
    assert np.abs(found - image).max() <= float(dataset.RescaleSlope) / 2 == 1.0
