"""CT slices from NIfTI volumes: small files written here, broken ones too, and a real scan written as a volume."""

import gzip
import itertools
import os
import subprocess
import sys

import nibabel
import numpy as np
import pytest

from marbench.anatomy.dicom import DicomFolder
from marbench.anatomy.nifti import NiftiFolder
from marbench.anatomy.nifti_volume import check_stream
from marbench.anatomy.pseudonyms import patient_label
from marbench.errors import DataError
from marbench.geometry import ImageGrid

ALL_TEST = {"test": (None, None), "val": (0, 0), "train": (0, 0)}
GRID = ImageGrid(40, 40, 0.6)


def ras_volume(hu=40):
    """Axes to the right, anterior, superior; 0.4, 0.5 and 0.5 cm: an elliptic body, marked right and anterior."""
    x = (np.arange(60) - 29.5)[:, None] * 0.4
    y = (np.arange(50) - 24.5) * 0.5
    body = np.where((x / 10) ** 2 + (y / 8) ** 2 < 1, hu, -1024)
    body[np.hypot(x - 7, y) < 1.5] = 500  # a rod in the patient's right
    body[np.hypot(x, y - 5) < 1.5] = 900  # one in front
    return np.repeat(body[:, :, None], 3, axis=2).astype(np.int16) + np.array([0, 1, 2], np.int16)


RAS = np.diag([4.0, 5.0, 5.0, 1.0])


def write(path, volume=None, affine=RAS, **header):
    image = nibabel.Nifti1Image(ras_volume() if volume is None else volume, affine)
    for key, value in header.items():
        getattr(image.header, f"set_{key}")(*value)
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(image, path)
    return path


def load_all(folder, grid=GRID):
    source = NiftiFolder(folder, ALL_TEST, seed=0)
    return [source.load(patient, name, grid) for patient, ids in source.patients("test").items() for name in ids]


def test_slices_are_shown_as_radiologists_see_them(tmp_path):
    write(tmp_path / "case.nii.gz")
    one = load_all(tmp_path)[1]
    x, y = np.meshgrid(GRID.x, GRID.y)
    right, front = (one.image > 400) & (abs(y) < 2), one.image > 800
    assert x[right].mean() == pytest.approx(-7, abs=0.3)  # the patient's right is on the left
    assert y[front].mean() == pytest.approx(5, abs=0.3)  # anterior is up
    assert one.image[20, 20] == pytest.approx(41)
    assert one.image[0, 0] == one.image.min() == -1000
    assert (one.patient_id, one.window, one.region) == (patient_label("case.nii"), (-160, 240), "unknown")


@pytest.mark.parametrize("axes", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("flips", [(1, 1, 1), (-1, 1, 1), (-1, -1, 1), (1, -1, -1), (-1, -1, -1)])
def test_the_order_in_which_voxels_are_stored_does_not_matter(tmp_path, axes, flips):
    write(tmp_path / "plain" / "case.nii")
    turn = np.array([[axis, flip] for axis, flip in zip(axes, flips, strict=True)])
    turned = nibabel.Nifti1Image(ras_volume(), RAS).as_reoriented(turn)
    (tmp_path / "turned").mkdir()
    nibabel.save(turned, tmp_path / "turned" / "case.nii")
    for plain, other in zip(load_all(tmp_path / "plain"), load_all(tmp_path / "turned"), strict=True):
        assert np.array_equal(plain.image, other.image)


def test_stored_values_are_scaled_to_hu(tmp_path):
    write(tmp_path / "case.nii", volume=(ras_volume() + 1024) // 2, slope_inter=(2, -1024))
    assert load_all(tmp_path)[0].image[20, 20] == pytest.approx(40)


def test_lengths_in_metres_are_understood(tmp_path):
    write(tmp_path / "a" / "case.nii")
    write(tmp_path / "b" / "case.nii", affine=np.diag([0.004, 0.005, 0.005, 1]), xyzt_units=("meter",))
    assert load_all(tmp_path / "b")[0].image == pytest.approx(load_all(tmp_path / "a")[0].image, abs=1e-2)


def counted(source: NiftiFolder) -> dict[str, int]:
    return {patient: len(ids) for patient, ids in source.patients("test").items()}


def test_a_volume_is_a_patient_but_bids_names_tell_more(tmp_path):
    for name in ("p1/ct.nii.gz", "p2/ct.nii.gz", "sub-07_ses-1_ct.nii", "sub-07_ses-2_ct.nii"):
        write(tmp_path / name)
    source = NiftiFolder(tmp_path, ALL_TEST, seed=0)
    assert counted(source) == {
        patient_label("p1/ct.nii"): 3,
        patient_label("p2/ct.nii"): 3,
        patient_label("sub-07"): 6,
    }
    names = [name for ids in source.patients("test").values() for name in ids]
    assert len(set(names)) == 12
    assert not any(word in name for word in ("p1", "sub", "ses") for name in [*source.patients("test"), *names])


def test_sessions_in_folders_of_a_subject_are_one_patient(tmp_path):
    for name in ("sub-07/ses-1/ct.nii.gz", "sub-07/ses-2/ct.nii.gz", "sub-08/ct.nii", "sub-set_1/ct.nii"):
        write(tmp_path / name)
    source = NiftiFolder(tmp_path, ALL_TEST, seed=0)
    assert counted(source) == {
        patient_label("sub-07"): 6,
        patient_label("sub-08"): 3,
        patient_label("sub-set_1/ct.nii"): 3,
    }
    assert "slices with the pixels of another patient's are slices of their own" in source.notices(GRID)[0]


def test_of_a_volume_that_lies_there_unpacked_too_one_is_read(tmp_path):
    for name in ("a/scan.nii", "a/scan.nii.gz", "b/scan.nii.gz"):
        write(tmp_path / name, volume=ras_volume(hu=40 if name[0] == "a" else 60))
    source = NiftiFolder(tmp_path, ALL_TEST, seed=0)
    assert sum(map(len, source.patients("test").values())) == 6
    assert source.skipped == {"volumes that lie there unpacked, too": 1}


def test_renamed_volumes_of_a_subject_keep_the_ids_of_their_slices(tmp_path):
    for folder, sessions in (("one", "12"), ("two", "21")):
        for session, hu in zip(sessions, (40, 60), strict=True):
            write(tmp_path / folder / f"sub-07_ses-{session}_ct.nii", volume=ras_volume(hu=hu))
    one, two = (NiftiFolder(tmp_path / folder, ALL_TEST, seed=0) for folder in ("one", "two"))
    assert one.data() == two.data()
    (names,), (others,) = (source.patients("test").values() for source in (one, two))
    assert len(set(names)) == 6 and set(names) == set(others)


def test_slices_are_taken_evenly_through_the_volume(tmp_path):
    write(tmp_path / "case.nii", volume=np.repeat(ras_volume()[:, :, :1], 40, axis=2))
    (names,) = NiftiFolder(tmp_path, {"test": (1, 4)}, seed=0).patients("test").values()
    assert [name.rsplit("-", 1)[0] for name in names] == [f"z00{index}" for index in ("04", "14", "24", "34")]


def test_changed_voxels_change_the_identity(tmp_path):
    write(tmp_path / "case.nii")
    before = load_all(tmp_path)[0].slice_id
    write(tmp_path / "case.nii", volume=ras_volume(hu=44))
    assert load_all(tmp_path)[0].slice_id != before


@pytest.mark.parametrize("shape", [(60, 50), (60, 50, 3, 2)])
def test_only_three_dimensions_make_a_volume(tmp_path, shape):
    write(tmp_path / "bad.nii", volume=np.full(shape, -1000, np.int16))
    with pytest.raises(DataError, match=r"bad\.nii: expected a three-dimensional volume.* Got shape"):
        load_all(tmp_path)


def test_a_fourth_dimension_of_one_is_harmless(tmp_path):
    write(tmp_path / "case.nii", volume=ras_volume()[..., None])
    assert len(load_all(tmp_path)) == 3


def test_nan_voxels_are_refused(tmp_path):
    volume = ras_volume().astype(np.float32)
    volume[3, 4, 1] = np.nan
    write(tmp_path / "bad.nii.gz", volume=volume)
    with pytest.raises(DataError, match=r"bad\.nii\.gz: .* slice 1 holds NaN"):
        load_all(tmp_path)


def test_a_label_map_is_not_taken_for_a_patient(tmp_path):
    write(tmp_path / "segmentation-0.nii", volume=(ras_volume() > 0).astype(np.uint8))
    with pytest.raises(DataError, match=r"segmentation-0\.nii: expected HU.* runs from 0 to 1"):
        load_all(tmp_path)


@pytest.mark.parametrize("name", ["bad.nii", "bad.nii.gz"])
@pytest.mark.parametrize("kept", [0, 0.3, 0.9])
def test_a_truncated_volume_is_an_error_that_names_it(tmp_path, name, kept):
    path = write(tmp_path / name)
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(DataError, match=r"bad\.nii"):
        load_all(tmp_path)


def test_a_compressed_volume_is_checked_once_and_anew_where_it_has_changed(tmp_path, monkeypatch):
    path, checked, opened = write(tmp_path / "ct.nii.gz"), [], gzip.open
    monkeypatch.setattr(gzip, "open", lambda file: checked.append(file) or opened(file))
    for _ in range(3):
        check_stream(path)
    os.utime(path, (1, 1))
    check_stream(path)
    assert checked == [path, path]


@pytest.mark.parametrize("place", [0.5, -6], ids=["in the middle", "in the checksum"])
def test_a_volume_of_which_a_bit_was_flipped_is_an_error(tmp_path, place):
    path = write(tmp_path / "bad.nii.gz")
    content = bytearray(path.read_bytes())
    content[place if place < 0 else int(place * len(content))] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"bad\.nii\.gz: the file is damaged \(.*\)\. Copy it again\."):
        load_all(tmp_path)


def test_of_volumes_of_one_size_the_one_that_cannot_be_read_is_named(tmp_path, refused):
    for name in ("one.nii", "two.nii"):
        write(tmp_path / name)
    refused("read_bytes", "two.nii")
    with pytest.raises(DataError, match=r"two\.nii: the file cannot be read \(Permission denied\)"):
        NiftiFolder(tmp_path, ALL_TEST, seed=0)


def test_a_folder_without_volumes_says_so(tmp_path):
    (tmp_path / "a.dcm").write_bytes(b"")
    with pytest.raises(DataError, match=r"no \*\.nii or \*\.nii\.gz file"):
        NiftiFolder(tmp_path, ALL_TEST, seed=0)


def test_without_nibabel_the_error_says_what_to_install(tmp_path):
    write(tmp_path / "case.nii")
    program = (
        "import sys; sys.modules['nibabel'] = None\n"
        "from marbench.anatomy.nifti import NiftiFolder\n"
        f"NiftiFolder({str(tmp_path)!r}, {{'test': (1, 1)}}, seed=0).patients('test')"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert 'DataError: reading NIfTI needs nibabel, which is not installed: pip install "marbench[dicom]"' in run.stderr


def test_a_real_scan_is_the_same_as_dicom_and_as_nifti(tmp_path, real_ct):
    pydicom = pytest.importorskip("pydicom")
    datasets = [pydicom.dcmread(real_ct / "head" / f"1-{index}.dcm") for index in (31, 34, 37)]
    # DICOM stores (row, column) running to posterior and left; NIfTI axes are (column, row, slice) in RAS.
    volume = np.stack([dataset.pixel_array.T for dataset in datasets], axis=2)
    write(tmp_path / "head.nii.gz", volume=volume, affine=np.diag([-0.527, -0.527, 9.0, 1.0]))
    dicom = DicomFolder(real_ct / "head", ALL_TEST, seed=0)
    grid = ImageGrid(128, 128, 0.2)
    ((patient, names),) = dicom.patients("test").items()
    by_instance = {name.split("-i")[1][:4]: name for name in names}
    for one, instance in zip(load_all(tmp_path, grid), ("0031", "0034", "0037"), strict=True):
        # NIfTI holds the affine in single precision.
        assert one.image == pytest.approx(dicom.load(patient, by_instance[instance], grid).image, abs=0.01)
