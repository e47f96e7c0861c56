"""Cases read from files: the same as simulated ones, also without a truth, and never a traceback."""

import io
import json
import re
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import marbench
from marbench.cases.case import Case, CaseSource
from marbench.cases.digest import case_digest, digests_agree
from marbench.cases.export import export_cases
from marbench.cases.opening import open_cases
from marbench.cases.recorded import RecordedCases
from marbench.cases.suite import Suite
from marbench.errors import DataError, SpecError, StoreError
from marbench.spec import Spec


@pytest.fixture(scope="module")
def exported(tiny: Spec, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cases")
    export_cases(Suite(tiny), folder, 12)
    return folder


@pytest.fixture
def folder(exported: Path, tmp_path: Path) -> Path:
    """A copy of the cases, to be spoilt."""
    return Path(shutil.copytree(exported, tmp_path / "copy"))


def rewrite(path: Path, change: Callable[[dict[str, np.ndarray]], object]) -> None:
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    change(arrays)
    np.savez_compressed(path, **arrays)


def tensors(case: Case) -> list[torch.Tensor]:
    return [*vars(case.scan).values(), *vars(case.known_truth).values()]


def test_recorded_cases_are_the_simulated_ones(exported: Path, tiny: Spec) -> None:
    recorded, suite = RecordedCases(exported), Suite(tiny)
    assert recorded.case_keys == suite.case_keys[:12]
    assert recorded.spec.hash == suite.spec.hash
    for index in (0, 7, -1):
        one, other = recorded[index], suite[index if index >= 0 else 11]
        assert one.info == other.info
        assert all(torch.equal(a, b) for a, b in zip(tensors(one), tensors(other), strict=True))
        assert case_digest(one) == case_digest(other)
    assert [case.id for case in recorded[1:3]] == [key.case_id for key in suite.case_keys[1:3]]
    with pytest.raises(IndexError, match=r"has 12 cases\. Got index 12"):
        recorded[12]


def test_whoever_changes_a_recorded_case_spoils_no_other(exported: Path) -> None:
    recorded = RecordedCases(exported)
    for part in tensors(recorded[0]):
        part.zero_()
    assert recorded[0].scan.sinogram.any()


def test_a_folder_or_a_benchmark_is_opened_by_what_it_is(exported: Path, tiny: Spec, monkeypatch, tmp_path) -> None:
    sources: list[CaseSource] = [open_cases(exported), open_cases(str(exported)), open_cases(tiny), open_cases("mini")]
    assert [type(source).__name__ for source in sources] == ["RecordedCases", "RecordedCases", "Suite", "Suite"]
    (tmp_path / "mini").mkdir()
    monkeypatch.chdir(tmp_path)
    assert len(open_cases("mini")) == 200
    for wrong in ("no-such-thing", "a\0b", "x" * 5000):
        with pytest.raises(SpecError):
            open_cases(wrong)


def test_a_case_without_a_truth_can_be_reduced_and_not_scored(folder: Path) -> None:
    path = next((folder / "test").glob("*.npz"))
    known = {case.id: case for case in RecordedCases(folder)}[path.stem]

    def forget(arrays: dict[str, np.ndarray]) -> None:
        for name in ("truth_hu", "truth_sinogram_line_integral", "metal_any"):
            del arrays[name]

    rewrite(path, forget)
    case = {case.id: case for case in RecordedCases(folder)}[path.stem]
    assert case.truth is None
    assert torch.equal(case.scan.sinogram, known.scan.sinogram)
    digest = case_digest(case)
    assert digest == case_digest(known)[:32] + "-" * 16
    assert digests_agree(digest, digest) and not digests_agree(digest, case_digest(known))
    with pytest.raises(DataError, match="has no known truth"):
        _ = case.known_truth
    image = marbench.load_method("li", RecordedCases(folder).spec).method.reduce(case.scan)
    assert image.shape == case.scan.image.shape


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: a.pop("metal_trace"), "lacks metal_trace"),
        (lambda a: a.pop("metal_any"), "lacks metal_any"),
        (lambda a: a.update(image_hu=a["image_hu"][:-1]), r"image_hu of shape \(32, 32\).* Got \(31, 32\)"),
        (lambda a: a.update(metal_mask=a["metal_mask"].astype(np.uint8)), "metal_mask .* bool .* Got .* uint8"),
        (lambda a: a.update(sinogram_line_integral=a["sinogram_line_integral"] * np.nan), "finite"),
        (lambda a: a.update(truth_hu=a["truth_hu"].astype(object)), "damaged"),
        (lambda a: a.update(truth_hu=np.zeros((4000, 4000))), "would unpack to"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_by_the_name_of_its_case(folder: Path, change, message: str) -> None:
    path = sorted((folder / "test").glob("*.npz"))[0]
    rewrite(path, change)
    cases = RecordedCases(folder)
    index = [key.case_id for key in cases.case_keys].index(path.stem)
    with pytest.raises(DataError, match=f"case {path.stem}: .*{message}"):
        cases[index]


def facts(**changes: object) -> Callable[[dict[str, np.ndarray]], None]:
    def change(arrays: dict[str, np.ndarray]) -> None:
        arrays["info_json"] = np.array(json.dumps({**json.loads(str(arrays["info_json"])), **changes}))

    return change


@pytest.mark.parametrize(
    "change",
    [
        facts(case_id="../../etc/passwd"),
        facts(case_id="another"),
        facts(patient_id=7),
        facts(window=[1, 0]),
        facts(window="wide"),
        facts(metal_area_mm2=float("nan")),
        facts(case_index=None),
        facts(size_group="x"),
        lambda a: a.update(info_json=np.array("[" * 5000)),
        lambda a: a.update(info_json=np.array("{}")),
        lambda a: a.update(info_json=np.array("x" * 100_000)),
        lambda a: a.pop("info_json"),
    ],
)
def test_a_file_that_is_no_case_is_refused(folder: Path, change) -> None:
    path = sorted((folder / "test").glob("*.npz"))[0]
    rewrite(path, change)
    with pytest.raises(DataError, match=r"is no case of marbench|holds the case another"):
        RecordedCases(folder)


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04" + bytes(100)])
def test_a_damaged_file_is_refused(folder: Path, content: bytes) -> None:
    sorted((folder / "test").glob("*.npz"))[0].write_bytes(content)
    with pytest.raises(DataError, match="is no case of marbench"):
        RecordedCases(folder)


def test_damaged_bytes_within_a_file_are_found(folder: Path) -> None:
    path = sorted((folder / "test").glob("*.npz"))[0]
    with zipfile.ZipFile(io.BytesIO(path.read_bytes())) as archive:
        entry = archive.getinfo("sinogram_line_integral.npy")
    content = bytearray(path.read_bytes())
    at = entry.header_offset + 300
    content[at : at + 40] = bytes(40)
    path.write_bytes(content)
    cases = RecordedCases(folder)
    with pytest.raises(DataError, match=f"case {path.stem}: its file is damaged"):
        cases[[key.case_id for key in cases.case_keys].index(path.stem)]


def test_without_cases_the_error_says_what_writes_them(tmp_path: Path, exported: Path) -> None:
    with pytest.raises(DataError, match=r"holds no cases .*marbench export --out"):
        RecordedCases(tmp_path)
    with pytest.raises(DataError, match="no cases of the split 'val'"):
        RecordedCases(exported, "val")
    with pytest.raises(SpecError, match="no split 'TEST'"):
        RecordedCases(exported, "TEST")  # type: ignore[arg-type]


def test_cases_that_were_made_under_other_rules_are_refused(folder: Path) -> None:
    path = folder / "spec.toml"
    path.write_text(re.sub("protocol [0-9]+, hash ..", "protocol 0, hash 00", path.read_text(), count=1))
    with pytest.raises(StoreError, match=r"filled under protocol 0, .* Export the cases again"):
        open_cases(folder)


def test_what_macos_leaves_beside_each_file_is_no_case(folder: Path, exported: Path, tiny: Spec) -> None:
    for path in [*(folder / "test").glob("*.npz"), folder / "spec.toml"]:
        path.with_name(f"._{path.name}").write_bytes(b"\0\5\x16\7")
    assert RecordedCases(folder).case_keys == RecordedCases(exported).case_keys
    notes: list[str] = []
    export_cases(Suite(tiny), folder, 12, note=notes.append)
    assert notes == [] and (folder / "cases.csv").read_text() == (exported / "cases.csv").read_text()


def test_exporting_beside_files_of_others_leaves_them_out_of_the_table(tmp_path: Path, tiny: Spec) -> None:
    (tmp_path / "test").mkdir()
    np.savez(tmp_path / "test" / "mine.npz", a=np.zeros(3))
    (tmp_path / "test" / "broken.npz").write_bytes(b"no archive")
    export_cases(Suite(tiny), tmp_path, 1)
    assert pd.read_csv(tmp_path / "cases.csv")["case_id"].tolist() == [Suite(tiny).case_keys[0].case_id]
