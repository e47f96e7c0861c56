"""A benchmark of CT data is what its test slices show, and tells nobody whose they are or where they lie."""

import json
import re
import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch
from dicom_files import phantom, write_dicom
from running import run

import marbench
from marbench.anatomy.collection import SliceCollection
from marbench.anatomy.slices import Slice
from marbench.cases.digest import case_digest
from marbench.cases.export import export_cases
from marbench.cases.sources import bind
from marbench.cases.suite import Suite
from marbench.errors import DataError, SpecError, StoreError
from marbench.geometry import ImageGrid
from marbench.results.store import read_run
from marbench.spec import Spec, load_spec
from marbench.spec_file import spec_toml

SPEC = """
extends = "{base}"
name = "my-ct"
title = "Slices of our scanner"
[anatomy]
source = "{source}"
path = "{path}"
{more}
[split]
test = {{ patients = {patients}, slices = {slices} }}
val = {{ patients = 0, slices = 0 }}
train = {{ patients = 0, slices = 0 }}
"""

# What the header of a hospital's file says of people and places; none of it may leave.
SECRETS = {
    "PatientID": "4711815",
    "PatientName": "DOE^JANE",
    "PatientBirthDate": "19750302",
    "OtherPatientIDs": "SSN-078051120",
    "InstitutionName": "Mercy Clinic",
    "ReferringPhysicianName": "WHO^DOCTOR",
    "StudyDescription": "follow-up of Jane",
    "SeriesDescription": "thin slices for Doe",
    "AccessionNumber": "ACC00815",
    "StationName": "CT-EAST-3",
    "StudyDate": "20190613",
    "BodyPartExamined": "HIP OF DOE",
    "PatientComments": "lives in Elm Street",
}
WORDS = (
    "4711815", "doe", "jane", "19750302", "1975-03-02", "078051120", "mercy", "physician", "acc00815", "ct-east",
    "20190613", "elm street", "im003", "hospital", "1.2.826.999",
)  # fmt: skip


def hospital(folder: Path, patients: int = 2, slices: int = 3, hu: int = 0, **changes: object) -> Path:
    """Write the slices of some patients as a hospital exports them: names in headers, folders and files."""
    for patient in range(patients):
        place = folder / f"DOE_JANE_1975-03-02_{patient}"
        for number in range(slices):
            image = phantom(hu=40 + hu + 7 * patient + number)
            attributes = {
                **SECRETS,
                "PatientID": f"471181{5 + patient}",
                "SOPInstanceUID": f"1.2.826.999.{patient}.{number + 1}",
                "SeriesInstanceUID": f"1.2.826.999.{patient}",
                "StudyInstanceUID": f"1.2.826.999.1.{patient}",
                "InstanceNumber": number + 1,
                "ImagePositionPatient": [0, 0, -5 * number],
                "PatientIdentityRemoved": "YES" if number else None,
            }
            write_dicom(place / f"IM{number + 1:03d}.dcm", hu=image, **{**attributes, **changes})
    return folder


def spec_file(
    folder: Path,
    data: Path,
    tiny_file: Path,
    source: str = "dicom",
    patients: object = '"all"',
    slices: object = '"all"',
    more: str = "",
) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "my-ct.toml"
    text = SPEC.format(base=tiny_file, source=source, path=data, patients=patients, slices=slices, more=more)
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def make(tmp_path: Path, tiny_file: Path):
    """Return the suite of a folder of DICOM files."""

    def suite(data: Path, **options: object) -> Suite:
        return Suite(spec_file(tmp_path / "specs" / data.name, data, tiny_file, **options))  # type: ignore[arg-type]

    return suite


def test_two_hospitals_that_follow_the_readme_have_two_benchmarks(make, tmp_path: Path) -> None:
    east, west = make(hospital(tmp_path / "east")), make(hospital(tmp_path / "west", hu=1))
    assert east.spec.name == west.spec.name
    assert re.fullmatch("[0-9a-f]{64}", east.spec.anatomy.data)
    assert east.spec.hash != west.spec.hash


def test_other_names_folders_order_and_texts_are_the_same_data_and_the_same_cases(make, tmp_path: Path) -> None:
    first = make(hospital(tmp_path / "here"))
    other = tmp_path / "there"
    for number, path in enumerate(sorted((tmp_path / "here").rglob("*.dcm"), reverse=True)):
        (other / f"{number % 4}").mkdir(parents=True, exist_ok=True)
        shutil.copy(path, other / f"{number % 4}" / f"{number:02d}")
    texts = tmp_path / "texts"
    hospital(texts, InstitutionName="Another", PatientName="A^B", StudyDate="20200101", BodyPartExamined="LEFT HIP")
    for copy in (make(other), make(texts)):
        assert copy.spec.hash == first.spec.hash
        assert [key.case_id for key in copy.case_keys] == [key.case_id for key in first.case_keys]
    assert case_digest(make(other)[5]) == case_digest(first[5])


def test_the_region_that_a_header_names_counts_where_it_chooses_the_implants(make, tmp_path: Path) -> None:
    hips, shoulders = hospital(tmp_path / "hips"), hospital(tmp_path / "shoulders", BodyPartExamined="SHOULDER")
    by_region = '[metals]\nplacement = "anatomical"'
    assert make(hips, more=by_region).spec.hash != make(shoulders, more=by_region).spec.hash
    assert make(hips).spec.hash == make(shoulders).spec.hash


def test_the_salt_names_patients_and_changes_nothing_else(make, tmp_path: Path, monkeypatch) -> None:
    folder = hospital(tmp_path / "here", patients=3, slices=2)
    one = make(folder, patients=2, slices=4)
    cases = [torch.sum(one[index].scan.sinogram) for index in (0, 25)]
    monkeypatch.setenv("MARBENCH_SALT", "of another machine")
    other = make(folder, patients=2, slices=4)
    assert other.spec.hash == one.spec.hash
    assert [key.case_id for key in other.case_keys] == [key.case_id for key in one.case_keys]
    assert not {key.patient_id for key in other.case_keys} & {key.patient_id for key in one.case_keys}
    assert [torch.sum(other[index].scan.sinogram) for index in (0, 25)] == cases


def test_pixels_their_size_the_window_and_who_is_who_are_the_data(make, tmp_path: Path) -> None:
    hashes = [
        make(hospital(tmp_path / name, **changes)).spec.hash
        for name, changes in {
            "same": {},
            "hu": {"RescaleIntercept": -1023},
            "size": {"PixelSpacing": [3.8, 3.8]},
            "window": {"WindowWidth": 1500, "WindowCenter": 50},
            "person": {"PatientID": "one for all"},
        }.items()
    ]
    assert len(set(hashes)) == len(hashes)


def test_only_the_chosen_slices_count(make, tmp_path: Path) -> None:
    folder = hospital(tmp_path / "here", patients=1, slices=5)
    before = make(folder, slices=1).spec.hash
    path = folder / "DOE_JANE_1975-03-02_0" / "IM001.dcm"
    write_dicom(path, hu=phantom(hu=99), PatientID="4711815", SeriesInstanceUID="1.2.826.999.0", InstanceNumber=1)
    assert make(folder, slices=1).spec.hash == before
    assert make(folder, slices=5).spec.hash != before


def test_nifti_volumes_are_known_by_their_voxels(make, tmp_path: Path) -> None:
    volume = np.repeat((phantom() + np.arange(3)[:, None, None]).transpose(2, 1, 0), 1, axis=2).astype(np.int16)

    def folder(name: str, file: str, shift: int = 0) -> Path:
        path = tmp_path / name / file
        path.parent.mkdir(parents=True)
        nibabel.save(nibabel.Nifti1Image(volume + np.int16(shift), np.diag([-3.75, -3.75, 5, 1])), path)
        return tmp_path / name

    one = make(folder("one", "DOE_JANE/ct.nii"), source="nifti")
    packed = make(folder("two", "somebody.nii.gz"), source="nifti")
    other = make(folder("three", "DOE_JANE/ct.nii", shift=1), source="nifti")
    assert one.spec.hash == packed.spec.hash != other.spec.hash
    assert [key.case_id for key in one.case_keys] == [key.case_id for key in packed.case_keys]
    said = " ".join(f"{key.case_id} {key.patient_id}" for key in one.case_keys)
    assert "doe" not in said.lower() and "ct" not in said


def test_two_patients_with_one_picture_keep_ids_of_their_own(make, tmp_path: Path) -> None:
    folder = tmp_path / "copies"
    for patient in "ab":
        write_dicom(folder / f"{patient}.dcm", PatientID=patient)
    suite = make(folder)
    assert len({key.case_id for key in suite.case_keys}) == len(suite) == 20
    assert len({key.patient_id for key in suite.case_keys}) == 2
    fresh = make(folder).source
    for key in suite.case_keys[::10]:  # a worker that was given ids only
        assert fresh.load(key.patient_id, key.slice_id, suite.spec.grid).slice_id == key.slice_id


def test_the_spec_of_a_run_tells_the_benchmark_without_the_data(make, tmp_path: Path) -> None:
    suite = make(hospital(tmp_path / "hospital"))
    written = tmp_path / "run" / "spec.toml"
    written.parent.mkdir()
    written.write_text(spec_toml(suite.spec), encoding="utf-8")
    shutil.rmtree(tmp_path / "hospital")
    stored = load_spec(written)
    assert stored.hash == suite.spec.hash
    assert stored.anatomy.path is None
    assert "path" not in written.read_text(encoding="utf-8")
    with pytest.raises(SpecError, match=r"not named here.*give the spec file with anatomy.path"):
        Suite(stored)


def test_a_benchmark_that_names_its_data_is_held_to_them(make, tmp_path: Path, tiny_file: Path) -> None:
    here, there = hospital(tmp_path / "here"), hospital(tmp_path / "there", hu=3)
    digests = [make(folder).spec.anatomy.data for folder in (here, there)]
    pinned = spec_file(tmp_path / "pinned", here, tiny_file, more=f'data = "{digests[0]}"')
    assert Suite(pinned).spec.hash == make(here).spec.hash
    wrong = spec_file(tmp_path / "wrong", there, tiny_file, more=f'data = "{digests[0]}"')
    with pytest.raises(DataError, match=f"(?s){digests[0]}.*{digests[1]}"):
        Suite(wrong)
    # The same through the folder of a run: its spec, and where the data lie here.
    written = tmp_path / "run" / "spec.toml"
    written.parent.mkdir()
    written.write_text(spec_toml(make(here).spec), encoding="utf-8")
    again = tmp_path / "run" / "again.toml"
    again.write_text(f'extends = "spec.toml"\n[anatomy]\npath = "{here}"\n', encoding="utf-8")
    assert Suite(again).spec.hash == make(here).spec.hash


def test_binding_needs_no_data_where_there_are_none(tiny: Spec) -> None:
    assert bind(tiny) is tiny


def test_a_slice_that_cannot_be_read_is_named_and_its_file_is_not(make, tmp_path: Path, capfd) -> None:
    folder = hospital(tmp_path / "hospital")
    suite = make(folder)
    files = sorted(folder.rglob("*.dcm"))
    keys = suite.case_keys
    files[0].write_bytes(files[0].read_bytes()[:-3000])
    files[1].unlink()
    write_dicom(files[2], hu=phantom(hu=77), **{**SECRETS, "InstanceNumber": 3})
    messages = {}
    for index in range(0, len(suite), 10):
        try:
            suite[index]
        except DataError as error:
            messages[keys[index].slice_id] = (str(error), error.__cause__, error.__suppress_context__)
    assert len(messages) == 3
    for name, (message, cause, suppressed) in messages.items():
        assert f"slice {name}" in message
        assert cause is None and suppressed
        assert not [word for word in (*WORDS, str(tmp_path), ".dcm") if word in message.lower()], message
    said = " ".join(message for message, *_ in messages.values())
    assert "cannot be read" in said and "has changed" in said and "No such file" in said


def test_nothing_in_a_folder_of_results_or_cases_tells_whose_the_data_are(make, tmp_path: Path) -> None:
    folder = hospital(tmp_path / "hospital" / "DOE_JANE")
    suite = make(folder, slices=2)
    out, cases = tmp_path / "out", tmp_path / "cases"
    run(suite.spec, out, "none,li", images="gallery", timing=True)
    export_cases(suite, cases, 12)
    written = [path for root in (out, cases) for path in root.rglob("*") if path.is_file()]
    assert len(written) > 10
    for path in written:
        content = path.read_bytes()
        if path.suffix == ".npz":
            with np.load(path) as file:
                # Packed numbers may spell anything.
                texts = [str(file[name]) for name in file.files if file[name].dtype.kind == "U"]
                content = " ".join([*file.files, *texts]).encode()
        text = content.decode("latin-1").lower() + str(path.relative_to(tmp_path)).lower()
        # Three letters stand by chance in a file of packed numbers every now and then.
        words = [
            word for word in (*WORDS, str(tmp_path).lower()) if len(word) > 3 or path.suffix not in (".npz", ".png")
        ]
        assert not [word for word in words if word in text], path
    rows = read_run(out)
    assert set(rows["region"]) == {"hip"}
    assert set(rows["spec_hash"]) == {suite.spec.hash} == {load_spec(out / "spec.toml").hash}
    assert rows["patient_id"].str.fullmatch("patient-[0-9a-f]{12}").all()


def test_a_slice_that_is_lost_during_a_run_is_told_without_its_file(make, tmp_path: Path, monkeypatch) -> None:
    folder = hospital(tmp_path / "hospital" / "DOE_JANE")
    suite, load = make(folder), SliceCollection.load
    lost = suite.case_keys[10].slice_id

    def share_goes_away(self: SliceCollection, patient_id: str, slice_id: str, grid: ImageGrid) -> Slice:
        if slice_id == lost:
            for path in folder.rglob("*.dcm"):
                path.unlink()
        return load(self, patient_id, slice_id, grid)

    monkeypatch.setattr(SliceCollection, "load", share_goes_away)
    out = tmp_path / "out"
    faults = run(suite.spec, out, limit=20).faults
    assert set(faults["status"]) == {"error"} and set(faults["slice_id"]) == {lost}
    assert faults["message"].str.contains(f"slice {lost}: the file cannot be read").all()
    for path in out.rglob("*"):
        text = path.read_bytes().decode("latin-1").lower() if path.is_file() else ""
        assert not [word for word in (*WORDS, str(tmp_path).lower()) if word in text], path
    told = " ".join(faults["message"] + faults["trace"]).lower()
    assert not [word for word in (*WORDS, ".dcm", str(tmp_path).lower()) if word in told]


def test_a_folder_of_results_takes_no_rows_of_other_data(make, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for name, hu in (("east", 0), ("west", 5)):
        spec = load_spec(make(hospital(tmp_path / name, patients=1, slices=1, hu=hu)).spec)
        if name == "east":
            run(spec, out)
            continue
        with pytest.raises(StoreError, match="its CT slices are others"):
            run(spec, out)


def test_rows_of_a_notebook_carry_the_bound_benchmark(make, tmp_path: Path) -> None:
    spec = make(hospital(tmp_path / "here", patients=1, slices=1)).spec
    unbound = spec.model_copy(update={"anatomy": spec.anatomy.model_copy(update={"data": None})})
    assert set(marbench.evaluate("none", unbound, limit=1)["spec_hash"]) == {spec.hash}


def test_what_is_known_of_slices_survives_json(make, tmp_path: Path) -> None:
    suite = make(hospital(tmp_path / "here", patients=1, slices=1))
    assert isinstance(suite.source, SliceCollection)
    assert json.loads(json.dumps(suite.spec.identity())) == suite.spec.identity()
