"""Procedural patients: pure, the same at any resolution, and within the HU statistics of real slices."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from functools import lru_cache
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from numpy.typing import NDArray

from marbench.anatomy.slices import Slice
from marbench.errors import DataError
from marbench.geometry import ImageGrid
from marbench.phantoms.patients import REGIONS, ProceduralPatients, RandomScenes
from marbench.spec_sections import AnatomySection, BodyRegion

COUNTS = {"train": (14, 21), "val": (7, 7), "test": (12, 20)}
SOURCE = ProceduralPatients(7, COUNTS)
GRID = ImageGrid(128, 128, 0.32)
REAL = Path(__file__).resolve().parents[3] / "shared" / "data" / "ct" / "abdomen"


@lru_cache(maxsize=1)
def slices_of_test_split() -> list[Slice]:
    return [SOURCE.load(p, s, GRID) for p, slices in SOURCE.patients("test").items() for s in slices]


def body(image: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Everything denser than fat and its surroundings; the table's foam and air are not."""
    return np.asarray(image > -300)


def test_slices_are_spread_evenly_over_patients_and_regions() -> None:
    table = SOURCE.patients("test")
    assert len(table) == 12
    assert sum(map(len, table.values())) == 20
    assert {len(slices) for slices in table.values()} == {1, 2}
    assert table["test-p003"][0] == "test-p003-s0"
    regions = [SOURCE.load(p, slices[0], ImageGrid(32, 32, 1.28)).region for p, slices in table.items()]
    counts = [regions.count(name) for name in REGIONS]
    assert min(counts) >= 1
    assert max(counts) - min(counts) <= 1


def test_slice_does_not_depend_on_process_or_order() -> None:
    ids = [(p, s) for p, slices in SOURCE.patients("test").items() for s in slices][:8]
    digests = {s: hashlib.sha256(SOURCE.load(p, s, GRID).image.tobytes()).hexdigest() for p, s in ids}
    program = (
        "import hashlib\n"
        "from marbench.phantoms.patients import ProceduralPatients\n"
        "from marbench.geometry import ImageGrid\n"
        f"source = ProceduralPatients(7, {COUNTS!r})\n"
        f"for p, s in reversed({ids!r}):\n"
        "    print(s, hashlib.sha256(source.load(p, s, ImageGrid(128, 128, 0.32)).image.tobytes()).hexdigest())\n"
    )
    printed = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
    assert dict(line.split() for line in printed.splitlines()) == digests


def test_patients_do_not_depend_on_how_many_there_are() -> None:
    small = ProceduralPatients(7, {"test": (2, 2)})
    large = ProceduralPatients(7, {"test": (9, 9)})
    a, b = (source.load("test-p001", "test-p001-s0", GRID).image for source in (small, large))
    np.testing.assert_array_equal(a, b)


def test_splits_seeds_and_patients_share_nobody() -> None:
    other = ProceduralPatients(8, COUNTS)
    images = [
        SOURCE.load("test-p000", "test-p000-s0", GRID).image,
        SOURCE.load("val-p000", "val-p000-s0", GRID).image,
        SOURCE.load("train-p000", "train-p000-s0", GRID).image,
        SOURCE.load("train-p007", "train-p007-s0", GRID).image,  # the same region
        other.load("test-p000", "test-p000-s0", GRID).image,
    ]
    for i, a in enumerate(images):
        for b in images[i + 1 :]:
            assert np.mean(np.abs(a - b) > 20) > 0.05
    ids = [set(SOURCE.patients(split)) for split in ("train", "val", "test")]
    assert not (ids[0] & ids[1] | ids[1] & ids[2] | ids[0] & ids[2])


def test_neighbouring_slices_show_the_same_person() -> None:
    pairs = [(p, s) for p, s in SOURCE.patients("test").items() if len(s) == 2]
    overlaps = []
    for patient, (first, second) in pairs:
        a, b = (body(SOURCE.load(patient, s, GRID).image) for s in (first, second))
        assert not np.array_equal(a, b)
        overlaps.append(2 * np.sum(a & b) / (a.sum() + b.sum()))
    assert min(overlaps) > 0.75
    assert np.median(overlaps) > 0.85


def test_resolutions_show_the_same_anatomy() -> None:
    fine_grid = ImageGrid(512, 512, 0.08)
    for patient, slices in list(SOURCE.patients("test").items())[:7]:
        coarse = SOURCE.load(patient, slices[0], GRID).image
        fine = SOURCE.load(patient, slices[0], fine_grid).image.reshape(128, 4, 128, 4)
        mean, spread = fine.mean(axis=(1, 3)), np.ptp(fine, axis=(1, 3))
        difference = np.abs(coarse - mean)
        inside_tissue = (spread < 120) & (mean > -200) & (mean < 200)
        assert np.median(difference[inside_tissue]) < 6
        assert np.percentile(difference[inside_tissue], 98) < 45
        assert abs(coarse.mean() - mean.mean()) < 4  # the mass of thin and small things is kept
        assert np.corrcoef(coarse.ravel(), mean.ravel())[0, 1] > 0.99


def test_other_fields_of_view_show_the_same_picture_scaled() -> None:
    a = SOURCE.load("test-p002", "test-p002-s0", ImageGrid(96, 96, 40.96 / 96)).image
    b = SOURCE.load("test-p002", "test-p002-s0", ImageGrid(96, 96, 15.36 / 96)).image
    np.testing.assert_array_equal(a, b)


def test_images_are_finite_float32_with_air_around_the_body() -> None:
    for piece in slices_of_test_split():
        image = piece.image
        assert image.dtype == np.float32
        assert image.shape == GRID.shape
        assert np.isfinite(image).all()
        assert image.min() >= -1000
        assert image.max() <= 3000
        assert (image[0] == -1000).all(), piece.slice_id
        assert (image[:-12, [0, -1]] == -1000).all(), piece.slice_id


def test_windows_show_soft_tissue() -> None:
    for piece in slices_of_test_split():
        low, high = piece.window
        assert low < 0 < high
        assert 300 <= high - low <= 2000
        shown = (piece.image > low) & (piece.image < high) & body(piece.image)
        assert shown.sum() > 0.3 * body(piece.image).sum()


# Shares of the pixels above −300 HU. The real abdomen and head series of CPTAC and TCGA-OV, 128², span: fat 0.05–0.55,
# soft tissue 0.27–0.79, above 300 HU 0.01–0.10 in the trunk and 0.05–0.30 in the head.
@pytest.mark.parametrize("number", range(COUNTS["test"][1]))
def test_hu_shares_are_those_of_real_slices(number: int) -> None:
    piece = slices_of_test_split()[number]
    values = piece.image[body(piece.image)]
    fat = np.mean((values > -160) & (values < -40))
    soft = np.mean((values > -20) & (values < 150))
    bone = np.mean(values > 300)
    head = piece.region in ("head", "dental")
    assert 0.03 < fat < 0.66
    assert 0.18 < soft < 0.85
    assert (0.04 if head else 0.008) < bone < (0.36 if head else 0.16)
    assert values.max() > (1000 if head else 600)
    if piece.region == "thorax":
        assert np.mean((piece.image > -960) & (piece.image < -650)) > 0.04


def test_dental_sections_have_enamel() -> None:
    brightest = [
        piece.image.max()
        for piece in (SOURCE.load(p, s[0], ImageGrid(256, 256, 0.16)) for p, s in SOURCE.patients("train").items())
        if piece.region == "dental"
    ]
    assert max(brightest) > 1700


@pytest.mark.skipif(not REAL.is_dir(), reason="no real CT series beside the checkout")
def test_fat_and_muscle_lie_where_they_lie_in_a_real_series() -> None:
    pydicom = pytest.importorskip("pydicom")

    def modes(image: NDArray[np.float32]) -> tuple[float, float]:
        fat = image[(image > -150) & (image < -50)]
        muscle = image[(image > 10) & (image < 100)]
        return float(np.median(fat)), float(np.median(muscle))

    real = []
    for path in sorted(REAL.glob("*.dcm"))[::6]:
        dataset = pydicom.dcmread(path)
        real.append(modes(dataset.pixel_array * float(dataset.RescaleSlope) + float(dataset.RescaleIntercept)))
    trunk = [modes(piece.image) for piece in slices_of_test_split() if piece.region in ("abdomen", "pelvis", "hip")]
    for measured, reference in zip(np.transpose(trunk), np.transpose(real), strict=True):
        assert abs(np.median(measured) - np.median(reference)) < 12
        assert measured.min() > reference.min() - 15
        assert measured.max() < reference.max() + 15


@pytest.mark.parametrize(
    ("patient", "piece"),
    [
        ("test-p000", "test-p001-s0"),
        ("test-p000", "test-p000-s9"),
        ("someone", "someone-s0"),
        ("test-p900", "test-p900-s0"),
    ],
)
def test_unknown_slices_are_refused(patient: str, piece: str) -> None:
    with pytest.raises(DataError):
        SOURCE.load(patient, piece, GRID)


@pytest.mark.parametrize("counts", [{"test": (3, 2)}, {"test": (-1, 0)}, {"holdout": (1, 1)}])
def test_impossible_counts_are_refused(counts: dict[str, tuple[int, int]]) -> None:
    with pytest.raises(DataError):
        ProceduralPatients(1, counts)  # type: ignore[arg-type]


def test_random_scenes_are_pure_and_hold_bone_gas_and_fat() -> None:
    scenes = RandomScenes(3, {"train": (12, 16)})
    table = scenes.patients("train")
    assert sum(map(len, table.values())) == 16
    images = {s: scenes.load(p, s, GRID).image for p, slices in table.items() for s in slices}
    again = RandomScenes(3, {"train": (40, 55)}).load("train-r005", "train-r005-s0", GRID)
    np.testing.assert_array_equal(again.image, images["train-r005-s0"])
    stack = np.stack(list(images.values()))
    assert np.isfinite(stack).all()
    assert stack.min() == -1000
    assert stack.max() <= 3000
    assert np.median((stack > 400).mean(axis=(1, 2))) > 0.002
    assert ((stack > -130) & (stack < -60)).any(axis=(1, 2)).all()
    with pytest.raises(DataError):
        scenes.load("train-p000", "train-p000-s0", GRID)


def test_random_scenes_show_the_same_at_any_resolution() -> None:
    scenes = RandomScenes(3, {"train": (4, 4)})
    for patient, (piece,) in scenes.patients("train").items():
        coarse = scenes.load(patient, piece, GRID).image
        fine = scenes.load(patient, piece, ImageGrid(512, 512, 0.08)).image.reshape(128, 4, 128, 4).mean(axis=(1, 3))
        assert np.corrcoef(coarse.ravel(), fine.ravel())[0, 1] > 0.99
        assert abs(coarse.mean() - fine.mean()) < 4


def test_some_regions_alone_take_turns_over_the_patients() -> None:
    without = ProceduralPatients(7, {"train": (5, 5)}, regions=("hip", "head"))
    names = {patient: without.region(patient, *slices) for patient, slices in without.patients("train").items()}
    assert list(names.values()) == ["hip", "head", "hip", "head", "hip"]
    (patient, (name,)) = next(iter(without.patients("train").items()))
    assert without.load(patient, name, ImageGrid(16, 16, 2.56)).region == "hip"
    assert set(get_args(BodyRegion)) == set(REGIONS)
    with pytest.raises(ValueError, match="one twice"):
        AnatomySection(regions=("hip", "hip"))
    with pytest.raises(ValueError, match='scale and regions are of "procedural" patients: those of "dicom"'):
        AnatomySection(source="dicom", path="ct", scale=0.5)
