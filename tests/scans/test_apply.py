"""Methods on scans without truth: derived DICOM series and NIfTI volumes, of small scans and a real one."""

import gzip
import json
import re
import shutil
import subprocess
import sys
import time
import traceback
import tracemalloc

import nibabel
import numpy as np
import pydicom
import pytest
from click.testing import CliRunner
from dicom_files import as_fd, phantom, write_dicom
from PIL import Image
from pydicom.uid import ImplicitVRLittleEndian

from marbench.cases.suite import Suite
from marbench.cli import main
from marbench.errors import DataError
from marbench.report.page import Output
from marbench.scans.dicom_series import DicomSeries
from marbench.scans.nifti_scan import NiftiScan, read_mask
from marbench.scans.series import Version

# Types 1 and 2 of the CT Image IOD (PS3.3, A.3.3): these must have a value, those may be empty but must be there.
WITH_VALUE = (
    "SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID", "Modality",
    "ImageType", "SamplesPerPixel", "PhotometricInterpretation", "Rows", "Columns", "BitsAllocated", "BitsStored",
    "HighBit", "PixelRepresentation", "PixelData", "RescaleIntercept", "RescaleSlope", "PixelSpacing",
    "ImageOrientationPatient", "ImagePositionPatient",
)  # fmt: skip
PRESENT = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "ReferringPhysicianName",
    "StudyID", "AccessionNumber", "SeriesNumber", "Manufacturer", "PositionReferenceIndicator", "SliceThickness",
    "InstanceNumber", "KVP", "AcquisitionNumber",
)  # fmt: skip
METAL = np.s_[30:33, 40:43]


def apply(*arguments, code=0):
    result = CliRunner(env={"COLUMNS": "200"}).invoke(main, ["apply", *map(str, arguments)])
    assert result.exit_code == code, (result.output, *traceback.format_exception(*(result.exc_info or ())))
    return " ".join(result.output.split())


def head(metal=3000):
    """A body with bone as dense as bone gets, metal, and something of metal far from it."""
    image = phantom() + np.random.default_rng(5).integers(-10, 10, (64, 64))
    image[38:40, 25:27] = 2200
    image[METAL] = metal
    image[1:3, 1:3] = 3000
    return image


def write_series(folder, names=("Doe^Jane", "MRN-77")):
    """Four slices, the middle two with metal: one turned upside down, one of another scale; in no order of names."""
    who = {"PatientName": names[0], "PatientID": names[1], "StudyDate": "20200102", "SeriesDescription": "Jaw"}
    places = {"b.dcm": 0, "z.dcm": 3, "a.dcm": 6, "q.dcm": 15}
    for name, place in places.items():
        metal = 3000 if name in "z.dcma.dcm" else 1900
        shared = {**who, "ImagePositionPatient": [-120, -120, place], "InstanceNumber": place, "hu": head(metal)}
        if name == "z.dcm":
            shared |= {"hu": head()[::-1], "ImageOrientationPatient": [1, 0, 0, 0, -1, 0]}
        if name == "a.dcm":
            shared |= {"hu": None, "pixels": (head() + 2000) // 2, "RescaleSlope": 2, "RescaleIntercept": -2000}
        write_dicom(folder / name, **shared)
    with pydicom.dcmread(folder / "q.dcm") as dataset:
        dataset.add_new(0x00090010, "LO", "A VENDOR")
        dataset.add_new(0x00091001, "LO", "Doe, privately")
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
        dataset.save_as(folder / "q.dcm", implicit_vr=True, little_endian=True)
    write_dicom(folder / "scout.dcm", ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"], SeriesInstanceUID="1.2.9")
    return [folder / name for name in places]


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def hounsfield(path):
    dataset = pydicom.dcmread(path)
    return dataset.pixel_array * float(dataset.RescaleSlope) + float(dataset.RescaleIntercept)


@pytest.fixture(scope="module")
def series(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scan of Jane Doe")
    files = write_series(folder)
    return folder, files, {path: path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def applied(series, tiny_file, tmp_path_factory):
    out = tmp_path_factory.mktemp("out")
    return out, apply(series[0], "--spec", tiny_file, "--methods", "li,none", "--out", out)


def test_a_derived_series_is_sound_dicom_and_says_what_it_is(series, applied):
    out, _ = applied
    files, seen = series[1], set()
    for method in ("li", "none"):
        derived = [pydicom.dcmread(path) for path in sorted((out / method).iterdir())]
        assert len(derived) == len(files)
        for path, one in zip(files, derived, strict=True):
            original = pydicom.dcmread(path)
            assert all(one.get(keyword) not in (None, "", []) for keyword in WITH_VALUE)
            assert all(keyword in one for keyword in PRESENT)
            assert one.file_meta.MediaStorageSOPInstanceUID == one.SOPInstanceUID
            assert one.file_meta.MediaStorageSOPClassUID == one.SOPClassUID
            assert len(one.PixelData) == 2 * one.Rows * one.Columns
            same = "StudyInstanceUID PatientID PatientName PixelSpacing ImagePositionPatient ImageOrientationPatient"
            assert all(one[keyword].value == original[keyword].value for keyword in same.split())
            assert list(one.ImageType) == ["DERIVED", "SECONDARY", "AXIAL"]
            assert "research only" in one.SeriesDescription and "marbench" in one.SeriesDescription
            assert len(one.SeriesDescription) <= 64
            assert all(word in one.DerivationDescription for word in ("research only", method, "marbench", "2000 HU"))
            assert one.SourceImageSequence[0].ReferencedSOPInstanceUID == original.SOPInstanceUID
            assert one.ContributingEquipmentSequence[-1].Manufacturer == "marbench"
            assert not any(element.tag.is_private for element in one.iterall())
        assert len({one.SeriesInstanceUID for one in derived}) == 1
        seen |= {one.SeriesInstanceUID for one in derived} | {one.SOPInstanceUID for one in derived}
    uids = {pydicom.dcmread(path).SOPInstanceUID for path in files}
    assert len(seen) == 2 * (1 + len(files)) and not seen & uids
    assert all(len(uid) <= 64 and set(uid) <= set("0123456789.") for uid in seen)


def test_originals_are_not_touched_and_what_is_not_corrected_keeps_its_values(series, applied):
    out, said = applied
    assert {path: path.read_bytes() for path in series[1]} == series[2]
    for path, none, li in zip(*(series[1], *(sorted((out / name).iterdir()) for name in ("none", "li"))), strict=True):
        before, after = hounsfield(path), hounsfield(li)
        # A method that changes nothing gives back what came.
        assert np.array_equal(hounsfield(none), before)
        has_metal = path.name in ("z.dcm", "a.dcm")
        assert (np.abs(after - before).max() > 20) == has_metal
        metal = head() >= 3000
        metal[1:3, 1:3] = False
        metal = metal[::-1] if path.name == "z.dcm" else metal
        assert np.array_equal(after[metal], before[metal])
    assert "Metal in 2 of 4 slices: 2–3." in said
    assert "dense bone or noise" in said and "slices 1–4" in said  # 2,200 HU are no metal
    assert "far from the body" in said
    assert "they lie 3 mm apart at the closest, but there are none between 6 and 15 mm" in said
    assert "1 CT localizers" in said


def test_page_and_figures_name_no_patient_and_no_place(series, applied):
    out, _ = applied
    page, figures = ((out / name).read_text() for name in ("index.html", "measures.json"))
    for secret in ("Doe", "MRN-77", "Jane", "scan of", str(series[0].parent), "1.2.3"):
        assert secret not in page + figures
    content = json.loads(figures)
    assert "research only" in page and "research only" in content["notice"]
    assert [row["slice"] for row in content["methods"]["li"]["slices"]] == [2, 3]
    assert all(row["residual"] == row["clean_change"] == 0 for row in content["methods"]["none"]["slices"])
    assert all(row["residual"] > 1e-4 for row in content["methods"]["li"]["slices"])
    files = list((out / "pictures").rglob("*.png"))
    assert all("research only" in Image.open(path).text["Disclaimer"] for path in files)
    pictures = {path.relative_to(out).as_posix() for path in files}
    assert all(f'"{picture}"' in page for picture in pictures) and len(pictures) == 2 * (1 + 2 * 3)


def test_a_command_writes_the_same_bytes_again_and_another_threshold_other_objects(
    series, applied, tiny_file, tmp_path
):
    apply(series[0], "--spec", tiny_file, "--methods", "li,none", "--out", tmp_path / "again")
    assert contents(tmp_path / "again") == contents(applied[0])
    apply(series[0], "--spec", tiny_file, "--methods", "li", "--out", tmp_path / "again", "--metal-threshold", "1700")
    first, other = (pydicom.dcmread(place / "li" / "IM00001.dcm") for place in (applied[0], tmp_path / "again"))
    assert first.SeriesInstanceUID != other.SeriesInstanceUID and first.SOPInstanceUID != other.SOPInstanceUID
    assert not (tmp_path / "again" / "none").exists()  # of the run before


def test_a_change_lands_where_the_method_made_it_whatever_the_orientation(series, tiny_file, plugin, tmp_path):
    place = plugin("corner", "image = scan.image.clone(); image[:, 8:12, 8:12] += 500; return image")
    apply(series[0], "--spec", tiny_file, "--methods", "corner", "--plugins", place, "--out", tmp_path / "out")
    changes = [
        hounsfield(tmp_path / "out" / "corner" / f"IM{number:05d}.dcm") - hounsfield(series[1][number - 1])
        for number in (2, 3)
    ]
    upside_down, upright = (np.argwhere(change > 250).mean(axis=0) for change in changes)
    # Rows 8 … 11 of 32 at 12.8 mm lie 83 mm before and right of the isocentre, which is the middle of the body.
    middle, away = 31.5, 6 * 12.8 / 3.75
    assert upright == pytest.approx([middle - away, middle - away], abs=1.5)
    assert upside_down == pytest.approx([middle + away, middle - away], abs=1.5)


def test_a_method_that_fails_leaves_no_series_and_exit_code_1(series, tiny_file, plugin, tmp_path):
    body = "if not hasattr(self, 'seen'): self.seen = 1; return scan.image\nraise ValueError('cold')"
    place = plugin("cold", body)
    options = ("--spec", tiny_file, "--plugins", place, "--out", tmp_path / "out")
    said = apply(series[0], *options, "--methods", "cold,li,dudonet", code=1)
    assert "Not run: cold: ValueError: cold" in said
    assert "Not run: dudonet: dudonet has no weights" in said
    assert {path.name for path in (tmp_path / "out").iterdir()} >= {"li", "index.html"}
    assert not (tmp_path / "out" / "cold").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"Modality": "MR"}, "no CT slice in"),
        ({"hu": phantom()}, "no metal in any of 1 slices"),
        ({"hu": head() + 1024}, "expected HU, with air near -1000"),
        ({"PixelSpacing": None}, "expected PixelSpacing"),
        ({"RescaleSlope": None}, "expected a finite RescaleSlope"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_what_cannot_be_corrected_is_told(tmp_path, tiny_file, change, message):
    write_dicom(tmp_path / "scan" / "a.dcm", **({"hu": head()} | change))
    said = apply(tmp_path / "scan", "--spec", tiny_file, "--methods", "li", "--out", tmp_path / "out", code=2)
    assert message in said and "Traceback" not in said
    assert not (tmp_path / "out").exists()


def volume_of(path, *slices, spacing=3.75):
    """Write slices as a NIfTI volume whose columns run to the patient's left and rows to posterior."""
    stored = np.stack(slices, axis=2).transpose(1, 0, 2).astype(np.int16)
    nibabel.save(nibabel.Nifti1Image(stored, np.diag([-spacing, -spacing, 3.0, 1.0])), path)
    return path


def masked(path, mask, *options, code=0):
    """Apply to a volume with a mask of the metal in it."""
    affine = nibabel.load(path).affine
    nibabel.save(nibabel.Nifti1Image(mask.transpose(1, 0, 2).astype(np.float32), affine), path.parent / "mask.nii")
    return apply(path, *options, "--metal-mask", path.parent / "mask.nii", code=code)


@pytest.mark.parametrize("top", [3000, 2976, 2500, 2047])
def test_metal_at_the_end_of_a_scale_is_metal_or_what_was_not_looked_at_is_told(tmp_path, tiny_file, top):
    plain, implant = np.minimum([head(40), head(40)], 1500)
    implant[26:38, 34:46] = 9000
    options = ("--spec", tiny_file, "--methods", "none", "--out", tmp_path / "out")
    some = volume_of(tmp_path / "ct.nii", *np.minimum([plain, implant, plain], top))
    every = volume_of(tmp_path / "every.nii", *np.minimum([implant, implant, plain], top))
    if top < 2500:
        for scan, left in ((some, "Not looked at: 1 of 3; slice 2"), (every, "2 of 3 slices are not; slice 1")):
            said = apply(scan, *options, code=2)
            assert f"{left} of 3 is not in HU: the highest value, {top}, fills" in said
            assert "Where that is metal, lower --metal-threshold to four fifths of that value" in said
    above = ("--metal-threshold", 0.8 * top) if top < 2500 else ()
    assert "Metal in 1 of 3 slices: 2." in apply(some, *options, *above)
    assert "Metal in 2 of 3 slices: 1–2." in apply(every, *options, *above)
    drawn = np.stack([plain < -9000, implant == 9000, plain < -9000], axis=2)
    said = masked(some, drawn, *options)
    assert "Metal in 1 of 3 slices: 2." in said
    assert "fills many pixels, as metal at the end of a scale does, in slices 2." in said


def test_empty_slices_are_slices_without_metal_and_wrong_pixels_have_their_own_remedy(tmp_path, tiny_file):
    options = ("--spec", tiny_file, "--methods", "none", "--out", tmp_path / "out")
    blank = np.full((64, 64), -1024)
    said = apply(volume_of(tmp_path / "ct.nii", *[blank] * 4, head(), head(1900)), *options)
    assert "Metal in 1 of 6 slices: 5." in said and "Empty, and left as they are: slices 1–4." in said
    said = apply(volume_of(tmp_path / "ct.nii", blank, head(1900), blank), *options, code=2)
    assert "no metal in any of 3 slices" in said
    said = apply(volume_of(tmp_path / "ct.nii", head(), spacing=3000), *options, code=2)
    assert "1 of 1 slices are not; slice 1 of 1 is pixel size" in said and "Mend PixelSpacing of DICOM, pixdim" in said
    assert "rescale" not in said


def test_an_empty_slice_of_another_size_is_left_as_it_is_with_a_mask_too(tmp_path, tiny_file):
    mask = np.zeros((64, 64, 2), np.uint8)
    mask[METAL] = 1
    for place, hu in enumerate((head(), np.full((32, 32), -1024))):
        write_dicom(tmp_path / "scan" / f"{place}.dcm", hu=hu, ImagePositionPatient=[0, 0, 3 * place])
    nibabel.save(nibabel.Nifti1Image(mask.transpose(1, 0, 2)[::-1, ::-1], np.eye(4)), tmp_path / "mask.nii")
    options = ("--spec", tiny_file, "--methods", "none", "--out", tmp_path / "out")
    said = apply(tmp_path / "scan", *options, "--metal-mask", tmp_path / "mask.nii")
    assert "Metal in 1 of 2 slices: 1." in said and "Empty, and left as they are: slices 2." in said


def test_a_mask_of_something_else_than_metal_is_refused(tmp_path, tiny_file):
    image = head()
    image[22:26, 34:40] = -850  # some lung
    path = volume_of(tmp_path / "ct.nii", image, image)
    options = ("--spec", tiny_file, "--methods", "none", "--out", tmp_path / "out")
    rows, columns = np.mgrid[:64, :64]
    wrong = {
        "100 % of the picture are metal. Is it inverted?": image < 3000,
        "100 % of the picture are metal": image,
        "It covers 40 HU": (image < 100) & (image > 0),
        "covers -850 HU": image == -850,
        "covers -99": (rows < 6) & (columns > 40),
    }
    for message, mask in wrong.items():
        assert message in masked(path, np.stack([mask, mask], axis=2), *options, code=2)
    margin = (np.abs(rows - 31) < 5) & (np.abs(columns - 41) < 5)
    image[23, 36] = 3000
    image[25, 36] = -600  # a wire in lung, and one that let no photon through
    volume_of(path, image, image)
    for mask in (image == 3000, margin, (image == 3000) | (image == -850)):
        assert "Metal in 2 of 2 slices" in masked(path, np.stack([mask, mask], axis=2), *options)


def with_metal_at_the_side(*more):
    """A body twice as wide as high, with metal in its left flank and where else is said."""
    y, x = np.mgrid[:64, :64] - 31.5
    image = np.where(np.hypot(x / 2, y) < 14, 40, -1000)
    for place in (np.s_[31:33, 56:58], *more):
        image[place] = 3000
    return image


def test_metal_beyond_the_field_of_view_is_told(tmp_path, tiny_file):
    # `tiny` sees 41 cm; the body is 56 cm wide.
    write_dicom(tmp_path / "all" / "a.dcm", hu=with_metal_at_the_side(), PixelSpacing=[10, 10])
    said = apply(tmp_path / "all", "--spec", tiny_file, "--methods", "li", "--out", tmp_path / "none", code=2)
    assert "all metal lies outside" in said and "--spec" in said and "Traceback" not in said
    assert not list((tmp_path / "none").rglob("*.dcm"))
    write_dicom(tmp_path / "some" / "a.dcm", hu=with_metal_at_the_side(np.s_[31:33, 31:33]), PixelSpacing=[10, 10])
    said = apply(tmp_path / "some", "--spec", tiny_file, "--methods", "li", "--out", tmp_path / "out")
    assert "lies up to 50% of the metal, in 1 of 1 slices" in said
    assert "lies up to 50% of the metal" in (tmp_path / "out" / "index.html").read_text()


def test_results_that_are_applied_to_stay_as_they_are(series, tiny_file, tmp_path):
    out, options = tmp_path / "applied", ("--spec", tiny_file, "--methods", "li")
    apply(series[0], *options, "--out", out)
    before = {path: path.read_bytes() for path in (out / "li").iterdir()}
    for path in (out / "li", out):
        assert "lies within the folder of the results" in apply(path, *options, "--out", out, code=2)
    assert {path: path.read_bytes() for path in (out / "li").iterdir()} == before


def test_a_slice_that_breaks_on_the_way_leaves_no_part_of_a_series(series, tiny_file, tmp_path):
    scan = tmp_path / "scan"
    scan.mkdir()
    for path in series[1]:
        (scan / path.name).write_bytes(path.read_bytes())
    broken = pydicom.dcmread(scan / "q.dcm")
    broken.PixelData = broken.PixelData[:100]  # of the last slice, in which nobody looks for metal
    broken.save_as(scan / "q.dcm")
    out = tmp_path / "out"
    options = ("--spec", tiny_file, "--methods", "li", "--out", out)
    said = apply(scan, *options, "--slices", "2:3", code=2)
    assert "Traceback" not in said and not out.exists()
    apply(series[0], *options)
    before = contents(out)
    apply(scan, *options, "--slices", "2:3", code=2)
    write_dicom(tmp_path / "all" / "a.dcm", hu=with_metal_at_the_side(), PixelSpacing=[10, 10])
    assert "all metal lies outside" in apply(tmp_path / "all", *options, code=2)
    assert contents(out) == before


def test_a_call_that_is_killed_leaves_the_result_of_the_one_before(series, tiny_file, plugin, tmp_path):
    out, mark = tmp_path / "out", tmp_path / "mark"
    apply(series[0], "--spec", tiny_file, "--methods", "li", "--out", out)
    before = contents(out)
    body = (
        f"if hasattr(self, 'seen'): open({str(mark)!r}, 'w').close(); time.sleep(99)\nself.seen = 1; return scan.image"
    )
    command = ("apply", series[0], "--spec", tiny_file, "--methods", "li,slow", "--out", out)
    command = (*command, "--plugins", plugin("slow", body))
    with subprocess.Popen([sys.executable, "-m", "marbench", *map(str, command)], stdout=subprocess.DEVNULL) as process:
        while not mark.exists():
            assert process.poll() is None
            time.sleep(0.05)
        process.kill()
    left = contents(out)
    assert len([path for path in left if path.match(".marbench-unfinished/slow/*.dcm")]) == 2
    assert {path: content for path, content in left.items() if not path.parts[0].startswith(".marbench-")} == before
    apply(series[0], "--spec", tiny_file, "--methods", "none", "--out", out)
    kinds = {"none", "pictures", "assets", "index.html", "measures.json", "files.json"}
    assert {path.name for path in out.iterdir()} == kinds


def derived(folder, out):
    """Return the objects that are derived from a series, unchanged."""
    series = DicomSeries(folder, "physical", "")
    writer = series.writer(Version("li", "LI", "version 1"), Output(out))
    for index in range(len(series)):
        writer.add(index, None)
    return [pydicom.dcmread(path) for path in sorted((out / "li").iterdir())]


def test_an_odd_header_is_copied_as_far_as_it_matters_or_told(tmp_path):
    path = write_dicom(tmp_path / "scan" / "a.dcm", hu=head(), ImageType="ORIGINAL", KVP=120)
    with pydicom.dcmread(path) as dataset:
        del dataset.SOPClassUID
        dataset.add_new(0x00090010, "LO", "A VENDOR")
        dataset.add_new(0x00091001, "LO", "12")
        dataset.save_as(path)
    as_fd(path, 0x00091001)
    (one,) = derived(tmp_path / "scan", tmp_path / "out")
    assert list(one.ImageType) == ["DERIVED", "SECONDARY", "AXIAL"]
    assert one.SourceImageSequence[0].ReferencedSOPClassUID == one.SOPClassUID
    as_fd(path, 0x00180060)  # KVP
    with pytest.raises(DataError, match=r"a\.dcm: its header cannot be copied .*Mend it"):
        derived(tmp_path / "scan", tmp_path / "other")


@pytest.mark.parametrize("keyword", ["PatientName", "PatientID", "AccessionNumber"])
def test_who_the_patient_is_is_copied_as_it_is_or_not_at_all(tmp_path, keyword):
    path = write_dicom(tmp_path / "scan" / "a.dcm", SpecificCharacterSet="ISO_IR 100", **{keyword: "Müller"})
    (one,) = derived(tmp_path / "scan", tmp_path / "out")
    assert str(one[keyword].value) == "Müller"
    path.write_bytes(path.read_bytes().replace(b"ISO_IR 100", b"ISO_IR 192"))
    with pytest.raises(DataError, match=rf"header cannot be copied \({keyword} .* SpecificCharacterSet .*Mend it"):
        derived(tmp_path / "scan", tmp_path / "other")


@pytest.mark.parametrize("uids", [None, "1.2.3"])
def test_objects_of_two_originals_are_two_whatever_uids_these_have(tmp_path, uids):
    shared = {"SeriesInstanceUID": uids, "StudyInstanceUID": uids, "SOPInstanceUID": "1.2.3.4"}
    originals = {"a": {"hu": head()}, "b": {"hu": head(3001)}, "c": {"hu": head(), "PatientID": "P-2"}}
    made = {}
    for name, changes in originals.items():
        write_dicom(tmp_path / name / "1.dcm", **shared, **changes)
        write_dicom(tmp_path / name / "2.dcm", **shared, PatientID=changes.get("PatientID", "P-1"), InstanceNumber=2)
        made[name] = derived(tmp_path / name, tmp_path / "out" / name)
    for keyword in ("SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID", "StudyInstanceUID"):
        found = [{one[keyword].value for one in objects} for objects in made.values()]
        assert all(found) and all(uid for each in found for uid in each)
        expected = 1 if keyword == "StudyInstanceUID" and uids else 6 if keyword == "SOPInstanceUID" else 3
        assert len(set.union(*found)) == expected
    shutil.move(tmp_path / "a", tmp_path / "elsewhere")
    again = derived(tmp_path / "elsewhere", tmp_path / "out" / "again")
    assert [one.SOPInstanceUID for one in again] == [one.SOPInstanceUID for one in made["a"]]


def test_a_mask_that_lies_otherwise_than_the_metal_is_refused(tmp_path, tiny_file):
    drawn = np.zeros((64, 64, 3), dtype=np.uint8)
    drawn[18:21, 36:39, 0] = 1
    for place in range(3):
        image = np.where(drawn[:, :, place], 3000, phantom())
        write_dicom(tmp_path / "scan" / f"{place}.dcm", hu=image, ImagePositionPatient=[0, 0, 3 * place])
    options = ("--spec", tiny_file, "--methods", "none", "--out", tmp_path / "out")

    def masked(mask, code=2):
        # Of an affine that says nothing: voxels run to the right and anterior, rows and columns do not.
        nibabel.save(nibabel.Nifti1Image(mask.transpose(1, 0, 2)[::-1, ::-1], np.eye(4)), tmp_path / "mask.nii")
        return apply(tmp_path / "scan", *options, "--metal-mask", tmp_path / "mask.nii", code=code)

    assert "Metal in 1 of 3 slices: 1." in masked(drawn, code=0)
    wrong = {
        "rows reversed": drawn[::-1],
        "rows reversed, columns reversed": drawn[::-1, ::-1],
        "rows and columns swapped": drawn.transpose(1, 0, 2),
        "slices in reverse order": drawn[:, :, ::-1],
        "slices in reverse order, columns reversed": drawn[:, ::-1, ::-1],
    }
    for remedy, mask in wrong.items():
        there = 140 if mask[:32].any() else 40
        assert f"It covers {there} HU, and would 3000 HU with {remedy}. Mend its affine" in masked(mask)
    assert "Metal in 1 of 3 slices: 2." in masked(np.roll(drawn, 1, axis=2), code=0)  # of what is no brighter elsewhere


def test_a_mask_with_another_affine_than_the_volume_is_refused(tmp_path, tiny_file):
    affine = np.diag([-3.75, -3.75, 3.0, 1.0])
    stored = np.stack([phantom(), head(), phantom()], axis=2).transpose(1, 0, 2).astype(np.int16)
    nibabel.save(nibabel.Nifti1Image(stored, affine), tmp_path / "ct.nii")
    options = ("--spec", tiny_file, "--methods", "none", "--out", tmp_path / "out")

    def masked(affine, unit="mm", code=0):
        mask = nibabel.Nifti1Image((stored == 3000).astype(np.uint8), affine)
        mask.header.set_xyzt_units(unit)
        nibabel.save(mask, tmp_path / "mask.nii")
        return apply(tmp_path / "ct.nii", *options, "--metal-mask", tmp_path / "mask.nii", code=code)

    beside = affine.copy()
    beside[0, 3] = 7.5
    for wrong in (np.eye(4), beside):
        assert "mask.nii: expected the affine of the scan. By its own the metal mask lies" in masked(wrong, code=2)
    assert "up to 2 voxels beside the scan" in masked(beside, code=2)
    beside[0, 3] = 0.4  # as rounding does
    assert "Metal in 1 of 3" in masked(beside)
    assert "Metal in 1 of 3" in masked(np.diag([*affine.diagonal()[:3] / 1000, 1]), "meter")


def test_what_a_folder_holds_besides_is_told(tmp_path, tiny_file):
    write_dicom(tmp_path / "scan" / "a.dcm", hu=head())
    (tmp_path / "scan" / "b.dcm").symlink_to(tmp_path / "gone")
    (tmp_path / "scan" / "._a.dcm").write_bytes(b"")
    said = apply(tmp_path / "scan", "--spec", tiny_file, "--methods", "none", "--out", tmp_path / "out")
    assert "1 broken links" in said and "1 hidden files" in said


def test_wrong_use_is_told(series, tiny_file, tmp_path):
    options = ("--spec", tiny_file, "--methods", "li", "--out", tmp_path / "out")
    assert "either a scan" in apply(*options, code=2)
    assert "mix with the originals" in apply(series[0], *options[:-1], series[0] / "out", code=2)
    assert "counted from 1" in apply(series[0], *options, "--slices", "3:2", code=2)
    assert "chooses none of its 4 slices" in apply(series[0], *options, "--slices", "9:", code=2)
    assert "is no scan" in apply(series[1][0], *options, code=2)
    write_dicom(tmp_path / "two" / "a.dcm", SeriesNumber=4, SeriesInstanceUID="1.2.3")
    write_dicom(tmp_path / "two" / "b.dcm", SeriesNumber=5, SeriesInstanceUID="1.2.4", hu=head())
    said = apply(tmp_path / "two", *options, code=2)
    assert "Got 2 series. Choose one with --series" in said and "5 (1.2.4, 1 slices)" in said
    assert "no series '7'" in apply(tmp_path / "two", *options, "--series", "7", code=2)
    assert "Metal in 1 of 1 slices" in apply(tmp_path / "two", *options, "--series", "5")
    write_dicom(tmp_path / "two" / "c.dcm", SeriesNumber=6, SeriesInstanceUID="1.2.5", RescaleSlope=None)
    write_dicom(tmp_path / "two" / "d.dcm", SeriesNumber=6, SeriesInstanceUID="1.2.5")
    assert "Metal in 1 of 1 slices" in apply(tmp_path / "two", *options, "--series", "5")
    assert "6 (1.2.5, 1 slices)" in apply(tmp_path / "two", *options, code=2)
    assert "c.dcm: expected a finite RescaleSlope" in apply(tmp_path / "two", *options, "--series", "6", code=2)
    for name, whose in {"one": {"SeriesNumber": 5}, "same": {"PatientID": "P-2"}}.items():
        write_dicom(tmp_path / name / "a.dcm", hu=head(), SeriesInstanceUID=None)
        write_dicom(tmp_path / name / "b.dcm", hu=head(), SeriesInstanceUID=None, **whose)
    assert "Got 2 series. Choose one with --series, by number: 4 (-, 1 slices); 5" in apply(
        tmp_path / "one", *options, code=2
    )
    assert "Metal in 1 of 1 slices" in apply(tmp_path / "one", *options, "--series", "5")
    for name, shared, given, by in (
        ("uid", {"SeriesInstanceUID": "1.2.7"}, "1.2.7", "number"),
        ("number", {"SeriesNumber": 6}, "6", "UID"),
    ):
        for number in (4, 5):
            other = {"SeriesNumber": number, "SeriesInstanceUID": f"1.2.{number}"}
            write_dicom(tmp_path / name / f"{number}.dcm", hu=head(), **{**other, **shared})
        said = apply(tmp_path / name, *options, "--series", given, code=2)
        assert f"Got 2 series '{given}'. Choose one with --series, by {by}: " in said
    for which in ((), ("--series", "4")):
        said = apply(tmp_path / "same", *options, *which, code=2)
        assert "several patients or studies under one number and UID. Put each into a folder of its own" in said
    nibabel.save(nibabel.Nifti1Image(np.zeros((4, 4, 1), np.uint8), np.eye(4)), tmp_path / "a.nii")
    for scan in ((tmp_path / "a.nii",), ("--sinogram", tmp_path / "a.nii")):
        assert "--series chooses one of a folder of DICOM" in apply(*scan, *options, "--series", "5", code=2)
    nibabel.save(nibabel.Nifti1Image(np.ones((64, 64, 4), np.uint8), np.eye(4)), tmp_path / "mask.nii")
    for threshold in ("1700", "2000"):  # the second is what it would be without being said
        both = ("--metal-threshold", threshold, "--metal-mask", tmp_path / "mask.nii")
        assert "either --metal-threshold or --metal-mask" in apply(series[0], *options, *both, code=2)


@pytest.mark.parametrize("turn", [[[0, 1], [1, 1], [2, 1]], [[1, -1], [2, 1], [0, -1]]])
def test_a_volume_keeps_its_affine_and_what_is_not_corrected_its_voxels(tmp_path, tiny_file, turn):
    # Columns of a picture run to the left and rows to posterior, voxels here to the right and anterior.
    stored = np.stack([phantom(), head(), phantom()], axis=2).transpose(1, 0, 2)[::-1, ::-1].astype(np.int16)
    volume = nibabel.Nifti1Image(stored + 1000, np.diag([3.75, 3.75, 3.0, 1])).as_reoriented(np.array(turn))
    volume.header.set_slope_inter(1, -1000)
    for name in ("descrip", "data_type", "db_name", "aux_file", "intent_name"):
        volume.header[name] = b"Jane Doe"
    volume.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", b"Jane Doe, MRN-77"))
    nibabel.save(volume, tmp_path / "ct.nii.gz")
    mask = nibabel.Nifti1Image((stored == 3000).astype(np.uint8), np.diag([3.75, 3.75, 3.0, 1]))
    nibabel.save(mask, tmp_path / "mask.nii")
    options = ("--spec", tiny_file, "--methods", "li,none", "--metal-mask", tmp_path / "mask.nii")
    assert "by a mask" not in apply(tmp_path / "ct.nii.gz", *options, "--out", tmp_path / "out")
    files = (tmp_path / "ct.nii.gz", *(tmp_path / "out" / f"{name}.nii.gz" for name in ("li", "none")))
    before, li, none = (nibabel.load(path) for path in files)
    for after in (li, none):
        assert np.array_equal(after.affine, before.affine) and after.get_data_dtype() == before.get_data_dtype()
        assert b"research only" in bytes(after.header["descrip"]) and not after.header.extensions
        assert b"Doe" not in gzip.decompress((tmp_path / "out" / after.get_filename()).read_bytes())
    assert np.array_equal(none.get_fdata(), before.get_fdata())
    change = nibabel.as_closest_canonical(li).get_fdata() - nibabel.as_closest_canonical(before).get_fdata()
    assert np.abs(change[:, :, 1]).max() > 20 and not change[:, :, [0, 2]].any()
    assert not change[stored == 3000].any()
    nibabel.save(mask.slicer[:, :, :2], tmp_path / "mask.nii")
    assert "expected a metal mask of 3 slices" in apply(tmp_path / "ct.nii.gz", *options, code=2)


def test_the_volumes_of_many_methods_take_the_memory_of_what_they_change(tmp_path):
    stored = np.zeros((64, 64, 40), dtype=np.int16)
    nibabel.save(nibabel.Nifti1Image(stored, np.eye(4)), tmp_path / "ct.nii")
    scan, versions = NiftiScan(tmp_path / "ct.nii"), [Version(f"m{number}", "", "") for number in range(8)]
    scan.picture(0)  # the volume that all share is in memory
    tracemalloc.start()
    writers = [scan.writer(version, Output(tmp_path)) for version in versions]
    for number, writer in enumerate(writers):
        writer.add(number, np.full((64, 64), number, dtype=np.float32))
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < stored.nbytes
    for number, (writer, version) in enumerate(zip(writers, versions, strict=True)):
        writer.close()
        after = nibabel.load(tmp_path / f"{version.label}.nii.gz").get_fdata()
        assert (after[:, :, number] == number).all() and after.sum() == 64 * 64 * number


def test_what_is_no_number_is_no_metal(tmp_path):
    mask = np.zeros((4, 4, 2), dtype=np.float32)
    mask[1, 1, 1] = np.nan
    nibabel.save(nibabel.Nifti1Image(mask, np.eye(4)), tmp_path / "mask.nii")
    with pytest.raises(DataError, match=r"mask\.nii: the metal mask holds NaN.* write 0 where there is no metal"):
        read_mask(tmp_path / "mask.nii", (4, 4), 2)


def test_a_measured_sinogram_is_corrected_as_it_is(tiny, tiny_file, tmp_path):
    case = Suite(tiny)[0]
    np.save(tmp_path / "scan.npy", case.scan.sinogram[0].numpy())
    mask = case.scan.metal_mask[0].numpy()[::-1, ::-1].T[:, :, None]
    nibabel.save(nibabel.Nifti1Image(mask.astype(np.uint8), np.diag([12.8, 12.8, 12.8, 1])), tmp_path / "mask.nii")
    options = ("--spec", tiny_file, "--metal-mask", tmp_path / "mask.nii", "--out", tmp_path / "out")
    apply("--sinogram", tmp_path / "scan.npy", *options, "--methods", "none,li")
    none, li = (nibabel.load(tmp_path / "out" / f"{name}.nii.gz") for name in ("none", "li"))
    shown = nibabel.as_closest_canonical(none).get_fdata()[::-1, ::-1, 0].T
    assert np.array_equal(shown, case.scan.image[0].numpy())
    truth, metal = case.known_truth.image[0].numpy(), case.known_truth.metal[0].numpy()
    corrected = nibabel.as_closest_canonical(li).get_fdata()[::-1, ::-1, 0].T
    errors = [np.sqrt(np.mean((image - truth)[~metal] ** 2)) for image in (shown, corrected)]
    assert errors[1] < 0.7 * errors[0]
    (tmp_path / "link.npy").symlink_to(tmp_path / "scan.npy")
    apply("--sinogram", tmp_path / "link.npy", *options, "--methods", "none")
    np.save(tmp_path / "scan.npy", case.scan.sinogram[0, 1:].numpy())
    said = apply("--sinogram", tmp_path / "scan.npy", *options, code=2)
    assert "expected finite line integrals of shape (64, 48)" in said
    for scale, found in ((0.1, "nothing but air"), (-1.0, "nothing but air"), (4.0, "HU in the middle of its body")):
        np.save(tmp_path / "scan.npy", scale * case.scan.sinogram[0].numpy())
        said = apply("--sinogram", tmp_path / "scan.npy", *options, code=2)
        assert re.search(f"our reconstruction of it shows (\\d+ )?{found}", said) and "by 0.1 if lengths" in said
    np.save(tmp_path / "scan.npy", case.scan.sinogram[0].flip(0).numpy())
    said = apply("--sinogram", tmp_path / "scan.npy", *options, code=2)
    assert "measured from both ends differ" in said and "geometry.clockwise" in said
    np.savez(tmp_path / "scan.npz", sinogram_line_integral=case.scan.sinogram[0].numpy(), meta=np.array({"kVp": 120}))
    apply("--sinogram", tmp_path / "scan.npz", *options, "--methods", "none")
    np.save(tmp_path / "scan.npy", 2e5 * np.exp(-case.scan.sinogram[0].numpy()))
    assert "take the logarithm of counts" in apply("--sinogram", tmp_path / "scan.npy", *options, code=2)


def test_real_dental_metal_is_corrected_and_the_rest_of_the_series_stays(real_ct, tmp_path):
    for number in (22, 27, 61):  # no metal, a crown, metal of the headrest
        (tmp_path / "scan").mkdir(exist_ok=True)
        shutil.copy(real_ct / "head" / f"1-{number}.dcm", tmp_path / "scan" / f"{number}.dcm")
    said = apply(tmp_path / "scan", "--methods", "li,dudonet", "--out", tmp_path / "out")
    assert "Metal in 1 of 3 slices: 2." in said and "headrest, is left alone in slices 3" in said
    for number, name in ((22, "IM00001"), (61, "IM00003")):
        after = pydicom.dcmread(tmp_path / "out" / "dudonet" / f"{name}.dcm")
        assert np.array_equal(after.pixel_array, pydicom.dcmread(tmp_path / "scan" / f"{number}.dcm").pixel_array)
    before = hounsfield(tmp_path / "scan" / "27.dcm")
    rows = {row["slice"]: row for row in json.loads((tmp_path / "out" / "measures.json").read_text())["original"]}
    for method in ("li", "dudonet"):
        change = hounsfield(tmp_path / "out" / method / "IM00002.dcm") - before
        assert not change[before > 2000].any() and not change[before < -1100].any()
        assert 2 < np.abs(change[150:350, 150:350]).mean() < 60
        measured = json.loads((tmp_path / "out" / "measures.json").read_text())["methods"][method]["slices"][0]
        assert measured["residual"] < 0.01 and measured["clean_change"] < 30
    assert rows[2]["artifact_index"] > 20
