"""CT slices from DICOM: small files written here, broken ones too, and real scans."""

import re
import subprocess
import sys

import numpy as np
import pydicom
import pytest
from dicom_files import as_fd, phantom, write_dicom

from marbench.anatomy.dicom import DicomFolder
from marbench.anatomy.pseudonyms import patient_label
from marbench.errors import DataError
from marbench.geometry import ImageGrid

ALL_TEST = {"test": (None, None), "val": (0, 0), "train": (0, 0)}
GRID = ImageGrid(48, 48, 0.5)
P1 = patient_label("P-1")


def only_slice(folder, grid=GRID, **options):
    source = DicomFolder(folder, ALL_TEST, seed=0, **options)
    ((patient, (name,)),) = source.patients("test").items()
    return source.load(patient, name, grid)


def test_a_slice_arrives_in_hu_upright_with_its_window_and_region(tmp_path):
    write_dicom(tmp_path / "a.dcm")
    one = only_slice(tmp_path)
    assert one.image.dtype == np.float32
    assert one.image[20, 24] == pytest.approx(140)  # the brighter half is on top
    assert one.image[28, 24] == pytest.approx(40)
    assert one.image[0, 0] == one.image.min() == -1000
    assert (one.window, one.region, one.patient_id) == ((-125, 225), "abdomen", P1)


def test_slope_and_intercept_are_applied(tmp_path):
    write_dicom(tmp_path / "a.dcm", pixels=(phantom() + 1000) // 2, RescaleSlope=2, RescaleIntercept=-1000)
    assert only_slice(tmp_path).image[20, 24] == pytest.approx(140)


def test_monochrome1_changes_the_display_not_the_values(tmp_path):
    write_dicom(tmp_path / "a.dcm", PhotometricInterpretation="MONOCHROME1")
    assert only_slice(tmp_path).image[20, 24] == pytest.approx(140)


@pytest.mark.parametrize("padding", [0, 5000])
def test_padding_is_air_however_bright(tmp_path, padding):
    stored = phantom() + 1024
    stored[:6] = padding
    write_dicom(tmp_path / "a.dcm", pixels=stored, PixelPaddingValue=padding)
    one = only_slice(tmp_path)
    assert (one.image[:4] == -1000).all()
    assert one.image[20, 24] == pytest.approx(140)


def test_a_range_of_padding_values_is_air(tmp_path):
    stored = phantom() + 1024
    stored[:3], stored[3:6] = 5000, 5010
    write_dicom(tmp_path / "a.dcm", pixels=stored, PixelPaddingValue=5010, PixelPaddingRangeLimit=5000)
    assert (only_slice(tmp_path).image[:4] == -1000).all()


def test_values_below_air_are_air(tmp_path):
    image = phantom()
    image[:5] = -2048
    write_dicom(tmp_path / "a.dcm", pixels=image, PixelRepresentation=1, RescaleIntercept=0)
    assert only_slice(tmp_path).image.min() == -1000


@pytest.mark.parametrize("missing", [{"WindowCenter": None}, {"WindowWidth": 0}, {"WindowCenter": []}])
def test_without_a_window_soft_tissue_is_shown(tmp_path, missing):
    write_dicom(tmp_path / "a.dcm", **missing, BodyPartExamined=None)
    one = only_slice(tmp_path)
    assert (one.window, one.region) == ((-160, 240), "unknown")


@pytest.mark.parametrize("window", [(1064, 400), (32768, 65536), (0, 1), (-2000, 500)])
def test_a_window_that_is_none_of_hu_scores_nothing_and_is_told(tmp_path, window):
    write_dicom(tmp_path / "a.dcm", WindowCenter=window[0], WindowWidth=window[1])
    source = DicomFolder(tmp_path, ALL_TEST, seed=0)
    ((patient, (name,)),) = source.patients("test").items()
    assert source.load(patient, name, GRID).window == (-160, 240)
    assert any("1 slices whose display window is none of HU" in line for line in source.notices(GRID))


@pytest.mark.parametrize("window", [(40, 40), (-600, 1500), (600, 4000), (800, 2000)])
def test_windows_of_every_organ_are_taken(tmp_path, window):
    write_dicom(tmp_path / "a.dcm", WindowCenter=window[0], WindowWidth=window[1])
    assert only_slice(tmp_path).window == (window[0] - window[1] / 2, window[0] + window[1] / 2)


def test_a_body_larger_than_the_image_is_told(tmp_path):
    write_dicom(tmp_path / "a.dcm")
    source = DicomFolder(tmp_path, ALL_TEST, seed=0)
    assert source.patients("test") and source.notices(GRID) == ()
    (line,) = source.notices(ImageGrid(48, 48, 0.3))
    assert "14.4 cm wide and 14.4 cm high: 1 of 1 slices, whose bodies are up to 15.8 cm wide and 15.8 cm high" in line
    scaled = DicomFolder(tmp_path, ALL_TEST, seed=0, fit="image")
    assert scaled.patients("test") and scaled.notices(ImageGrid(48, 48, 0.3)) == ()


def test_pixels_need_not_be_square_nor_a_series_of_one_matrix(tmp_path):
    write_dicom(tmp_path / "a.dcm", InstanceNumber=1)
    write_dicom(tmp_path / "b.dcm", pixels=phantom(96) + 1024, InstanceNumber=2)
    write_dicom(tmp_path / "c.dcm", pixels=(phantom() + 1024)[:, ::2], InstanceNumber=3)
    source = DicomFolder(tmp_path, ALL_TEST, seed=0)
    areas = [(source.load(P1, name, GRID).image > -300).sum() for name in source.patients("test")[P1]]
    assert areas == pytest.approx([areas[0]] * 3, rel=0.04)


def test_slices_are_ordered_by_series_and_position_not_by_file_name(tmp_path):
    for name, series, position in [("a", 5, 10.0), ("b", 4, 30.0), ("c", 4, 20.0), ("sub/d", 5, -5.0)]:
        write_dicom(tmp_path / f"{name}.dcm", SeriesNumber=series, InstanceNumber=int(abs(position)),
              SeriesInstanceUID=f"1.2.{series}", ImagePositionPatient=[0, 0, position])  # fmt: skip
    names = DicomFolder(tmp_path, ALL_TEST, seed=0).patients("test")[P1]
    assert [name.rsplit("-", 1)[0] for name in names] == [
        "s4-i0020",
        "s4-i0030",
        "s5-i0005",
        "s5-i0010",
    ]


def test_what_is_no_ct_slice_is_passed_over_and_counted(tmp_path):
    write_dicom(tmp_path / "ct.dcm")
    write_dicom(tmp_path / "mr1", Modality="MR")
    write_dicom(tmp_path / "mr2", Modality="MR")
    write_dicom(tmp_path / "scout.dcm", ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    write_dicom(tmp_path / "coronal.dcm", ImageOrientationPatient=[1, 0, 0, 0, 0, -1])
    (tmp_path / "notes.txt").write_text("no DICOM")
    (tmp_path / "copy.dcm").write_bytes((tmp_path / "ct.dcm").read_bytes())
    source = DicomFolder(tmp_path, ALL_TEST, seed=0)
    assert sum(map(len, source.patients("test").values())) == 1
    assert source.skipped == {
        "MR": 2,
        "CT localizers": 1,
        "CT reformats that are not axial": 1,
        "not DICOM": 1,
        "copies of a slice": 1,
    }


def test_a_folder_without_ct_says_what_it_holds(tmp_path):
    with pytest.raises(DataError, match=r"no CT slice in .*: 0 files"):
        DicomFolder(tmp_path, ALL_TEST, seed=0)
    for index in range(3):
        write_dicom(tmp_path / f"{index}.dcm", Modality="MR")
    (tmp_path / "a.txt").write_text("")
    with pytest.raises(DataError, match=r"4 files: 3 MR, 1 not DICOM"):
        DicomFolder(tmp_path, ALL_TEST, seed=0)
    with pytest.raises(DataError, match="not a folder"):
        DicomFolder(tmp_path / "absent", ALL_TEST, seed=0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"PixelSpacing": None}, "PixelSpacing"),
        ({"PixelSpacing": [0, 0]}, "PixelSpacing"),
        ({"PixelSpacing": [1.5, float("inf")]}, "PixelSpacing"),
        ({"BitsAllocated": 64, "BitsStored": 64, "HighBit": 63}, "BitsAllocated 16 or 32. Got 64"),
        ({"NumberOfFrames": 4}, "one slice per file"),
        ({"RescaleSlope": None}, "RescaleSlope"),
        ({"RescaleSlope": 0}, "RescaleSlope"),
        ({"RescaleIntercept": None}, "RescaleIntercept"),
    ],
)
def test_an_unsuitable_slice_is_an_error_that_names_the_file(tmp_path, changes, message):
    write_dicom(tmp_path / "good.dcm")
    write_dicom(tmp_path / "bad.dcm", **changes)
    with pytest.raises(DataError, match=rf"bad\.dcm: .*{message}"):
        DicomFolder(tmp_path, ALL_TEST, seed=0)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("slope", [b"nan ", b"inf ", b"abc "])
def test_a_slope_that_is_no_number_is_refused(tmp_path, slope):
    path = write_dicom(tmp_path / "bad.dcm", RescaleSlope="1.25")
    path.write_bytes(path.read_bytes().replace(b"1.25", slope))
    with pytest.raises(DataError, match=r"bad\.dcm: .*RescaleSlope"):
        DicomFolder(tmp_path, ALL_TEST, seed=0)


@pytest.mark.parametrize(
    ("tag", "message"),
    [
        (0x00080060, "the DICOM header cannot be read"),  # Modality
        (0x00281053, "expected a finite RescaleSlope"),
        (0x00280120, "expected one number as PixelPaddingValue"),
    ],
)
def test_a_value_whose_length_does_not_fit_its_type_is_told(tmp_path, tag, message):
    as_fd(write_dicom(tmp_path / "bad.dcm", PixelPaddingValue=0), tag)
    with pytest.raises(DataError, match=message):
        only_slice(tmp_path)


def test_an_unknown_transfer_syntax_is_told_and_an_empty_one_is_found(tmp_path):
    path = write_dicom(tmp_path / "a.dcm")
    content, known = path.read_bytes(), b"1.2.840.10008.1.2.1\0"
    path.write_bytes(content.replace(known, bytes(len(known))))
    assert only_slice(tmp_path).image[20, 24] == pytest.approx(140)
    path.write_bytes(content.replace(known, b"1.2.840.113619.5.99\0"))
    with pytest.raises(DataError, match=r"TransferSyntaxUID, 1\.2\.840\.113619\.5\.99, is not a known one: convert"):
        only_slice(tmp_path)


@pytest.mark.parametrize("kept", [140, 200, 500, 700, 5000])
def test_a_truncated_file_is_an_error_that_names_it(tmp_path, kept):
    path = write_dicom(tmp_path / "bad.dcm")
    path.write_bytes(path.read_bytes()[:kept])
    write_dicom(tmp_path / "good.dcm")
    with pytest.raises(DataError, match=r"bad\.dcm"):
        DicomFolder(tmp_path, ALL_TEST, seed=0).patients("test")


def test_the_whole_picture_can_be_used_without_a_spacing(tmp_path):
    write_dicom(tmp_path / "a.dcm", PixelSpacing=None)
    assert only_slice(tmp_path, fit="image").image[10, 24] == pytest.approx(140)


def test_an_unknown_fit_lists_the_known_ones(tmp_path):
    write_dicom(tmp_path / "a.dcm")
    with pytest.raises(DataError, match="did you mean 'physical'"):
        DicomFolder(tmp_path, ALL_TEST, seed=0, fit="physic")


@pytest.mark.filterwarnings("ignore:Invalid value for VR")
def test_what_a_header_says_of_a_person_enters_no_name(tmp_path):
    write_dicom(tmp_path / "a.dcm", PatientID="../Doe^Jane", BodyPartExamined="HEAD/NECK")
    write_dicom(tmp_path / "b.dcm", PatientID="4711-0815", PatientIdentityRemoved=None, BodyPartExamined="ABDOMEN DOE")
    write_dicom(tmp_path / "c.dcm", PatientID=None, BodyPartExamined="JANE", SeriesNumber=20190302)
    source = DicomFolder(tmp_path, ALL_TEST, seed=0)
    patients = source.patients("test")
    names = [*patients, *(name for ids in patients.values() for name in ids)]
    assert len(patients) == 3
    assert all(re.fullmatch(r"patient-[0-9a-f]{12}", name) for name in patients)
    assert len(set(names)) == 6
    assert all(re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name) for name in names)
    assert not re.search("4711|0815|2019|doe|jane", " ".join(names), re.IGNORECASE)
    regions = {source.load(patient, ids[0], GRID).region for patient, ids in patients.items()}
    assert regions == {"head", "abdomen", "unknown"}


def test_one_person_is_one_patient_whatever_each_file_says_of_itself(tmp_path):
    flags = ({"PatientIdentityRemoved": "YES"}, {"PatientIdentityRemoved": None}, {"PatientID": "P-1 "})
    for number, changes in enumerate(flags):
        write_dicom(tmp_path / f"{number}.dcm", InstanceNumber=number, SeriesInstanceUID=f"1.2.{number}", **changes)
    assert list(DicomFolder(tmp_path, ALL_TEST, seed=0).patients("test")) == [P1]


def test_who_goes_where_does_not_depend_on_the_salt(tmp_path, monkeypatch):
    for number in range(8):
        write_dicom(tmp_path / f"{number}.dcm", hu=phantom(hu=10 * number), PatientID=f"person {number}")
    counts = {"test": (3, 3), "val": (2, 2), "train": (None, None)}

    def pixels(split):
        source = DicomFolder(tmp_path, counts, seed=0)
        chosen = source.patients(split)
        return chosen, [
            source.load(who, name, GRID).image[28, 24].item() for who, ids in chosen.items() for name in ids
        ]

    before = {split: pixels(split) for split in counts}
    monkeypatch.setenv("MARBENCH_SALT", "another")
    for split, (ids, values) in before.items():
        again, same = pixels(split)
        assert same == values
        assert not set(again) & set(ids)
        assert list(again.values()) == list(ids.values())


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("keyword", ["ImagePositionPatient", "InstanceNumber", "SeriesNumber"])
def test_text_where_a_number_orders_slices_does_no_harm(tmp_path, keyword):
    path = write_dicom(tmp_path / "a.dcm", **{keyword: 77777 if keyword.endswith("Number") else ["77777"] * 6})
    path.write_bytes(path.read_bytes().replace(b"77777", b"Amade"))
    assert only_slice(tmp_path).image[20, 24] == pytest.approx(140)


def test_slices_with_one_uid_at_different_places_are_no_copies(tmp_path):
    for number in range(4):
        write_dicom(tmp_path / f"{number}.dcm", InstanceNumber=number, SOPInstanceUID="1.2.3.4")
    source = DicomFolder(tmp_path, ALL_TEST, seed=0)
    assert len(source.patients("test")[P1]) == 4
    assert source.skipped == {}


def test_a_compressed_copy_of_a_slice_counts_once(tmp_path):
    for number in range(2):
        place = {"hu": phantom(hu=40 + number), "ImagePositionPatient": [0, 0, 5 * number], "InstanceNumber": number}
        write_dicom(tmp_path / f"{number}.dcm", **place)
        dataset = pydicom.dcmread(tmp_path / f"{number}.dcm")
        dataset.compress(pydicom.uid.RLELossless, generate_instance_uid=False)
        dataset.save_as(tmp_path / f"{number}-rle.dcm")
    source = DicomFolder(tmp_path, ALL_TEST, seed=0)
    assert len(source.patients("test")[P1]) == 2
    assert source.skipped == {"copies of a slice": 2}


@pytest.mark.parametrize("copied_first", [True, False])
def test_a_copy_of_a_series_with_other_uids_and_numbers_counts_once(tmp_path, copied_first):
    other = {"SeriesInstanceUID": "1.2.4", "SeriesNumber": 900}
    names = ("b", "a") if copied_first else ("a", "b")
    for number in range(3):
        # The last two are one picture at one place, which only their numbers tell apart.
        same = {"hu": phantom(hu=40 + min(number, 1)), "ImagePositionPatient": [0, 0, 5 * min(number, 1)]}
        write_dicom(tmp_path / f"{names[0]}{number}.dcm", InstanceNumber=number, **same)
        write_dicom(tmp_path / f"{names[1]}{number}.dcm", InstanceNumber=103 - number, **other, **same)
    source = DicomFolder(tmp_path, ALL_TEST, seed=0)
    assert len(source.patients("test")[P1]) == 3
    assert source.skipped == {"copies of a slice": 3}


def test_without_a_position_slices_of_different_numbers_are_no_copies(tmp_path):
    for number in range(2):
        write_dicom(tmp_path / f"{number}.dcm", InstanceNumber=number, SeriesInstanceUID=f"1.2.{number}",
              ImagePositionPatient=None)  # fmt: skip
    assert len(DicomFolder(tmp_path, ALL_TEST, seed=0).patients("test")[P1]) == 2


def test_two_studies_with_the_same_numbers_keep_distinct_names(tmp_path):
    write_dicom(tmp_path / "a.dcm", SeriesInstanceUID="1.2.3")
    write_dicom(tmp_path / "b.dcm", hu=phantom(hu=50), SeriesInstanceUID="1.2.4")
    source = DicomFolder(tmp_path, ALL_TEST, seed=0)
    names = source.patients("test")[P1]
    assert len(set(names)) == 2
    assert [source.load(P1, name, GRID).image[28, 24] for name in names] == pytest.approx([40, 50])
    # The same, whatever the UIDs are, in a process too that was given ids alone.
    write_dicom(tmp_path / "a.dcm", SeriesInstanceUID="1.2.5")
    other, fresh = (DicomFolder(tmp_path, ALL_TEST, seed=0) for _ in range(2))
    assert other.data() == source.data()
    assert set(other.patients("test")[P1]) == set(names)
    assert [fresh.load(P1, name, GRID).image[28, 24] for name in names] == pytest.approx([40, 50])
    (tmp_path / "b.dcm").write_bytes(b"")
    assert fresh.load(P1, names[0], GRID).image[28, 24] == pytest.approx(40)


def test_one_picture_at_two_places_is_two_slices(tmp_path):
    for number in range(2):
        write_dicom(tmp_path / f"{number}.dcm", ImagePositionPatient=[0, 0, 5 * number])
    source = DicomFolder(tmp_path, ALL_TEST, seed=0)
    first, second = source.patients("test")[P1]
    assert second == f"{first}.2"
    for one in (source, DicomFolder(tmp_path, ALL_TEST, seed=0)):
        assert one.load(P1, second, GRID).image[28, 24] == pytest.approx(40)


def test_the_region_of_a_slice_is_told_though_other_splits_cannot_be_read(tmp_path):
    for number in range(2):
        write_dicom(tmp_path / f"{number}.dcm", hu=phantom(hu=40 + number), PatientID=f"P-{number}")
    source = DicomFolder(tmp_path, {"train": (1, 1), "test": (1, 1)}, seed=0)
    ((patient, (name,)),) = source.patients("test").items()
    for stored in source.stored_slices(*source.division["train"]):
        stored.file.write_bytes(b"")
    assert source.region(patient, name) == "abdomen"


def test_changed_data_have_another_identity_and_the_old_one_is_refused(tmp_path):
    write_dicom(tmp_path / "a.dcm")
    before = DicomFolder(tmp_path, ALL_TEST, seed=0)
    (name,) = before.patients("test")[P1]
    write_dicom(tmp_path / "a.dcm", hu=phantom(hu=41))
    (changed,) = DicomFolder(tmp_path, ALL_TEST, seed=0).patients("test")[P1]
    assert changed != name
    assert changed.rsplit("-", 1)[0] == name.rsplit("-", 1)[0] == "s4-i0001"
    with pytest.raises(DataError, match=f"slice {name} has changed: .* digest {changed.rsplit('-', 1)[1]}"):
        before.load(P1, name, GRID)


def test_unknown_patients_and_slices_are_refused(tmp_path):
    write_dicom(tmp_path / "a.dcm")
    source = DicomFolder(tmp_path, ALL_TEST, seed=0)
    with pytest.raises(DataError, match="no patient 'P-2' among the 1"):
        source.load("P-2", "x-1", GRID)
    with pytest.raises(DataError, match=f"{P1} has no slice 'x-1'"):
        source.load(P1, "x-1", GRID)


def test_loading_does_not_depend_on_what_was_loaded_before(tmp_path):
    for index in range(3):
        write_dicom(tmp_path / f"{index}.dcm", hu=phantom(hu=index), InstanceNumber=index)
    first, second = DicomFolder(tmp_path, ALL_TEST, seed=0), DicomFolder(tmp_path, ALL_TEST, seed=0)
    names = first.patients("test")[P1]
    forward = [first.load(P1, name, GRID).image for name in names]
    # A worker gets ids only: it has never asked for the patients.
    backward = [second.load(P1, name, GRID).image for name in reversed(names)]
    assert all(np.array_equal(one, other) for one, other in zip(forward, reversed(backward), strict=True))


def with_metal(hu, width, row=32):
    image = phantom()
    image[row : row + width, 30 : 30 + width] = hu
    return image


def test_a_slice_with_metal_is_left_out_and_named(tmp_path):
    write_dicom(tmp_path / "clean.dcm", InstanceNumber=1)
    write_dicom(tmp_path / "metal.dcm", hu=with_metal(4000, 2), InstanceNumber=2)
    source = DicomFolder(tmp_path, ALL_TEST, seed=0)
    (kept,) = source.patients("test")[P1]
    assert kept.startswith("s4-i0001-")
    ((left_out, reason),) = source.left_out.items()
    assert left_out.startswith("s4-i0002-")
    assert reason == "metal: 56 mm² up to 4000 HU"


@pytest.mark.parametrize(
    "image", [with_metal(2900, 4), with_metal(3400, 4, row=60)], ids=["dense enamel", "a clip in the table"]
)
def test_teeth_and_hardware_outside_the_body_are_no_implants(tmp_path, image):
    write_dicom(tmp_path / "a.dcm", hu=image)
    source = DicomFolder(tmp_path, ALL_TEST, seed=0)
    assert len(source.patients("test")[P1]) == 1
    assert source.left_out == {}


def test_too_few_usable_slices_say_how_many_there_are(tmp_path):
    for index in range(4):
        write_dicom(tmp_path / f"{index}.dcm", hu=with_metal(4000, 2) if index else None, InstanceNumber=index)
    with pytest.raises(
        DataError, match=r"test split asks for 3 slices, but its 1 patients have 1 .*3 left out: metal\)"
    ):
        DicomFolder(tmp_path, {"test": (1, 3)}, seed=0).patients("test")
    with pytest.raises(DataError, match=r"test split asks for 2 patients; there are 1\."):
        DicomFolder(tmp_path, {"test": (2, 3)}, seed=0).patients("test")


def test_without_pydicom_the_error_says_what_to_install(tmp_path):
    write_dicom(tmp_path / "a.dcm")
    program = (
        "import sys; sys.modules['pydicom'] = None\n"
        "from marbench.anatomy.dicom import DicomFolder\n"
        f"DicomFolder({str(tmp_path)!r}, {{'test': (1, 1)}}, seed=0)"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert 'DataError: DICOM needs pydicom, which is not installed: pip install "marbench[dicom]"' in run.stderr


@pytest.fixture(scope="module")
def real(real_ct):
    source = DicomFolder(real_ct, ALL_TEST, seed=0)
    source.patients("test")
    return source


def test_real_slices_with_dental_metal_or_nobody_are_left_out_and_all_others_kept(real):
    head, abdomen = patient_label("C3N-04457"), patient_label("TCGA-09-2043")
    left_out = {name.split("-i")[1][:4]: reason.split(":")[0] for name, reason in real.left_out.items()}
    # Metal in the headrest of slice 61 and in clothes of the abdomen is no reason; 79 is the scalp of the vertex, 82
    # and 85 lie above it.
    assert left_out == {
        "0027": "metal",
        "0028": "metal",
        "0079": "hardly any patient",
        "0082": "no patient in the picture",
        "0085": "no patient in the picture",
    }
    assert {patient: len(names) for patient, names in real.patients("test").items()} == {head: 25, abdomen: 40}


def test_real_bodies_lie_in_the_middle_face_up_in_hu(real):
    grid = ImageGrid(128, 128, 0.46)
    for patient, names in real.patients("test").items():
        above = below = 0.0
        for name in names[::6]:
            one = real.load(patient, name, grid)
            assert one.image.min() == -1000
            assert np.isfinite(one.image).all()
            soft = one.image[(one.image > -200) & (one.image < 200)]
            assert -120 < np.median(soft) < 80
            above, below = above + one.image[:50].mean(), below + one.image[-50:].mean()
        assert below > above  # the table lies below
    assert real.load(patient, name, grid).window == (-160, 240)


def test_a_folder_without_a_usable_slice_says_why(tmp_path):
    for index in range(3):
        write_dicom(tmp_path / f"{index}.dcm", hu=with_metal(4000, 2), InstanceNumber=index)
    with pytest.raises(DataError, match=r"asks for all slices, but its 1 patients have 0 .*3 left out: metal\)"):
        DicomFolder(tmp_path, ALL_TEST, seed=0).patients("test")
