"""The layout of the NIH DeepLesion data set, written small."""

import csv

import numpy as np
import pytest
from PIL import Image

from marbench.anatomy.deeplesion import DeepLesion
from marbench.errors import DataError
from marbench.geometry import ImageGrid

ALL = {"test": (None, None), "val": (None, None), "train": (None, None)}
GRID = ImageGrid(64, 64, 0.24)
HEADER = [
    "File_name", "Patient_index", "Study_index", "Series_ID", "Key_slice_index", "Measurement_coordinates",
    "Bounding_boxes", "Lesion_diameters_Pixel_", "Normalized_lesion_location", "Coarse_lesion_type",
    "Possibly_noisy", "Slice_range", "Spacing_mm_px_", "Image_size", "DICOM_windows", "Patient_gender",
    "Patient_age", "Train_Val_Test",
]  # fmt: skip


def picture(hu=40):
    y, x = np.mgrid[:64, :64] - 31.5
    image = np.where(np.hypot(x, y) < 32, -1000, -3024)
    image[np.hypot(x, y) < 22] = hu
    image[(np.hypot(x, y) < 22) & (y < 0)] += 100
    return image


def write_png(path, hu=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(((picture() if hu is None else hu) + 32768).astype(np.uint16)).save(path)


def row(patient, key, split, series=1, window="-175, 275", spacing="2.4, 2.4, 5"):
    name = f"{patient:06d}_01_{series:02d}"
    return [
        f"{name}_{key:03d}.png", patient, 1, series, key, "233.537, 95.0204, 234.057, 106.977", "1, 2, 3, 4",
        "16.8, 9.7", "0.44, 0.27, 0.36", 3, 0, "103, 115", spacing, "64, 64", window, "F", 62.0, split,
    ]  # fmt: skip


def write_table(folder, rows, header=HEADER):
    with (folder / "DL_info.csv").open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])


@pytest.fixture
def folder(tmp_path):
    """Patients 1–3 train, 4 val, 5 and 6 test; five slices each, the key slice twice in the table."""
    rows = []
    for patient, split in [(1, 1), (2, 1), (3, 1), (4, 2), (5, 3), (6, 3)]:
        rows += [row(patient, 9, split), row(patient, 9, split)]
        for index in range(7, 12):
            write_png(tmp_path / "Images_png" / f"{patient:06d}_01_01" / f"{index:03d}.png", picture(hu=10 * index))
    write_table(tmp_path, rows)
    return tmp_path


def test_a_slice_arrives_in_hu_with_the_window_of_its_series(folder):
    source = DeepLesion(folder, ALL, seed=0)
    name = source.patients("test")["000005"][0]
    one = source.load("000005", name, GRID)
    assert one.image[20, 32] == pytest.approx(170)
    assert one.image[40, 32] == pytest.approx(70)
    assert one.image[0, 0] == one.image.min() == -1000
    assert one.window == (-175, 275)
    assert name.startswith("000005_01_01_007-")


def test_the_official_split_of_the_patients_is_kept(folder):
    source = DeepLesion(folder, ALL, seed=0)
    assert {split: sorted(source.patients(split)) for split in ("train", "val", "test")} == {
        "train": ["000001", "000002", "000003"],
        "val": ["000004"],
        "test": ["000005", "000006"],
    }


def test_counts_choose_within_the_official_split(folder):
    source = DeepLesion(folder, {"test": (1, 3), "train": (2, 6)}, seed=0)
    assert [len(ids) for ids in source.patients("test").values()] == [3]
    assert [len(ids) for ids in source.patients("train").values()] == [3, 3]
    assert source.patients("val") == {}
    with pytest.raises(DataError, match="test split asks for 3 patients; 2 of the 6 that were found belong to it"):
        DeepLesion(folder, {"test": (3, 6)}, seed=0).patients("test")


def test_neighbours_of_the_key_slice_are_used_once_each(folder):
    names = DeepLesion(folder, ALL, seed=0).patients("val")["000004"]
    assert [name.split("-")[0] for name in names] == [f"000004_01_01_{index:03d}" for index in range(7, 12)]


def test_the_spacing_of_the_table_is_used_for_true_size(folder):
    rows = [row(5, 9, 3, spacing="1.2, 1.2, 5")]
    write_table(folder, rows)
    areas = []
    for fit in ("image", "physical"):
        source = DeepLesion(folder, ALL, seed=0, fit=fit)
        (name, *_) = source.patients("test")["000005"]
        areas.append((source.load("000005", name, GRID).image > -300).sum())
    assert areas[0] / areas[1] == pytest.approx(4, rel=0.05)


def test_series_that_were_not_downloaded_are_passed_over(folder):
    write_table(folder, [row(5, 9, 3), row(7, 9, 3), row(8, 9, 1)])
    source = DeepLesion(folder, ALL, seed=0)
    assert list(source.patients("test")) == ["000005"]
    assert source.skipped == {"series that were not downloaded": 2}


def test_slices_with_metal_are_left_out(folder):
    image = picture()
    image[20:24, 20:24] = 20000
    write_png(folder / "Images_png" / "000004_01_01" / "008.png", image)
    source = DeepLesion(folder, ALL, seed=0)
    assert len(source.patients("val")["000004"]) == 4
    ((name, reason),) = source.left_out.items()
    assert name.startswith("000004_01_01_008-")
    assert reason.startswith("metal")


def test_a_missing_key_slice_is_an_error_that_names_it(folder):
    (folder / "Images_png" / "000005_01_01" / "009.png").unlink()
    with pytest.raises(DataError, match=r"000005_01_01: 009\.png is missing"):
        DeepLesion(folder, ALL, seed=0).patients("test")


def test_8_bits_are_the_wrong_depth(folder):
    path = folder / "Images_png" / "000005_01_01" / "009.png"
    Image.fromarray(np.zeros((64, 64), np.uint8)).save(path)
    with pytest.raises(DataError, match=r"009\.png: wrong bit depth: .* Got uint8"):
        DeepLesion(folder, ALL, seed=0).patients("test")
    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(path)
    with pytest.raises(DataError, match=r"009\.png: wrong bit depth"):
        DeepLesion(folder, ALL, seed=0).patients("test")


@pytest.mark.parametrize("kept", [0, 20, 200])
def test_a_truncated_picture_is_an_error_that_names_it(folder, kept):
    path = folder / "Images_png" / "000005_01_01" / "009.png"
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(DataError, match=r"009\.png: the picture cannot be read"):
        DeepLesion(folder, ALL, seed=0).patients("test")


def test_what_is_missing_is_said(folder, tmp_path_factory):
    empty = tmp_path_factory.mktemp("empty")
    with pytest.raises(DataError, match=r"DL_info\.csv does not exist"):
        DeepLesion(empty, ALL, seed=0)
    write_table(empty, [row(1, 9, 1)])
    with pytest.raises(DataError, match=r"Images_png holds none of the 1 series"):
        DeepLesion(empty, ALL, seed=0)
    write_table(folder, [])
    with pytest.raises(DataError, match="no rows"):
        DeepLesion(folder, ALL, seed=0)
    write_table(folder, [], header=HEADER[:-1])
    with pytest.raises(DataError, match="Train_Val_Test is missing"):
        DeepLesion(folder, ALL, seed=0)


@pytest.mark.parametrize(
    "bad",
    [
        row(2, 9, 4),
        row(2, 9, 1, window="-175"),
        row(2, 9, 1, window="275, -175"),
        row(2, 9, 1, spacing="0, 0, 5"),
        row(2, 9, 1, spacing="nan, nan, 5"),
        ["../../../etc/passwd.png", *row(2, 9, 1)[1:]],
        row(2, 9, 1)[:5],
    ],
)
def test_a_malformed_row_is_an_error_that_names_its_line(folder, bad):
    write_table(folder, [row(1, 9, 1), bad])
    with pytest.raises(DataError, match=r"DL_info\.csv, line 3"):
        DeepLesion(folder, ALL, seed=0)


def test_a_patient_in_two_splits_is_refused(folder):
    write_table(folder, [row(1, 9, 1), row(1, 9, 3, series=2)])
    with pytest.raises(DataError, match="patient 000001 is in two splits"):
        DeepLesion(folder, ALL, seed=0)
