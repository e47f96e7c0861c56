"""Real slices are in HU, and no longer once anything of what converters do was done to them."""

import numpy as np
import pytest
from scipy import ndimage

from marbench.anatomy.proof import clipped, doubt, unlikely_size

pydicom = pytest.importorskip("pydicom")

NO_PADDING = np.zeros((512, 512), dtype=bool)


@pytest.fixture(scope="module")
def real_slices(real_ct):
    """Chest, pelvis, teeth, brain, and air above the vertex; padding of −2000 outside the circle in some."""
    names = ("abdomen/1-001", "abdomen/1-097", "abdomen/1-153", "head/1-01", "head/1-27", "head/1-58", "head/1-85")
    read = [pydicom.dcmread(real_ct / f"{name}.dcm") for name in names]
    return [one.pixel_array.astype(np.float32) * one.RescaleSlope + one.RescaleIntercept for one in read]


def doubts(slices, change):
    changed = [np.asarray(change(image), np.float32) for image in slices]
    return [doubt(image, NO_PADDING) or clipped(image, NO_PADDING) for image in changed]


def circle(value):
    y, x = np.mgrid[:512, :512] - 255.5
    return lambda image: np.where(np.hypot(x, y) > 256, value, image)


@pytest.mark.parametrize(
    "change",
    [
        lambda image: image,
        lambda image: np.maximum(image, -1024),
        lambda image: np.maximum(image, -1000),
        circle(-2000),
        circle(-32768),
        lambda image: image + np.random.default_rng(0).normal(0, 30, image.shape) * (image > -1100),
        lambda image: ndimage.rotate(image, 20, reshape=False, order=1, cval=-1000),
        lambda image: ndimage.zoom(image, 0.25, order=1).repeat(4, 0).repeat(4, 1),
    ],
    ids=["as scanned", "from -1024", "from -1000", "padding -2000", "padding -32768", "noise", "rotated", "coarse"],
)
def test_real_slices_are_in_hu(real_slices, change):
    assert doubts(real_slices, change) == [None] * len(real_slices)


@pytest.mark.parametrize(
    "change",
    [
        lambda image: np.maximum(image, -1024) + 1024,
        lambda image: circle(-2000)(np.maximum(image, -1024) + 1024),
        lambda image: np.maximum(image, -1024) + 1000,
        lambda image: np.maximum(image, -1024) - 1024 + np.random.default_rng(0).normal(0, 9, image.shape),
        lambda image: np.clip(image, -160, 240),
        lambda image: np.clip(image, -500, 1000),
        lambda image: (np.clip(image, -160, 240) + 160) / 400 * 255,
        lambda image: np.maximum(image, 0),
        lambda image: np.where(image < 0, 4096 + image, image),
        lambda image: image / 2,
        lambda image: image * 2,
        lambda image: (image / 1000 + 1) * 0.192,
        lambda image: (np.maximum(image, -1024) + 1024) / 4095,
        lambda image: (np.maximum(image, -1000) + 1000) * 0.0074,
        lambda image: (np.maximum(image, -1000) + 1000) / 10,
        lambda image: np.random.default_rng(0).normal(0, 4, image.shape) + 40 * (image > 150),
        lambda image: image > -300,
        circle(0),
        circle(3000),
        circle(62512),
        lambda image: ndimage.rotate(image, 20, reshape=False, order=1, cval=0),
        lambda image: np.where(np.arange(512)[:, None] < 40, 0, image),
        lambda image: np.where(image == image.max(), np.nan, image),
        lambda image: np.where(image == image.max(), np.inf, image),
    ],
    ids=[
        "HU + 1024", "with padding", "HU + 1000", "HU - 1024", "soft window", "wide window", "8 bits", "no negatives",
        "wrapped", "half", "double", "attenuation", "0 to 1", "effective Z", "electron density", "iodine", "mask",
        "filled with 0", "with 3000", "with 62512", "rotated into 0", "a side of 0", "NaN", "infinity",
    ],
)  # fmt: skip
def test_what_is_done_to_them_shows(real_slices, change):
    assert [str(why).split(":")[0] for why in doubts(real_slices, change)] == ["not in HU"] * len(real_slices)


def test_bone_that_a_window_cut_off_shows_and_metal_at_the_end_of_the_scale_is_metal(real_slices):
    bones = real_slices[:4]
    assert all("clipped" in str(why) for why in doubts(bones, lambda image: np.clip(image, -1000, 400)))
    assert doubts(real_slices, lambda image: np.clip(image * 1.0 + 4000 * (image > 1200), -1024, 3071))[4] is None
    y, x = np.mgrid[:512, :512]
    implant = np.where(np.hypot(x - 256, y - 256) < 40, 2047, np.minimum(bones[1], 2047))
    assert doubt(implant, NO_PADDING) is None
    assert "2047, fills" in str(clipped(implant, NO_PADDING))  # for whoever knows of no implant


def test_a_picture_from_within_a_body_is_proven_by_fat_and_bone_or_not_at_all(real_slices):
    within = real_slices[2][200:290, 130:250]
    assert within.min() > -200
    assert doubt(within, np.zeros(within.shape, bool)) is None
    assert "neither air" in str(doubt(within + 1024, np.zeros(within.shape, bool)))
    brain = real_slices[5][220:290, 220:290]
    assert "neither air" in str(doubt(brain, np.zeros(brain.shape, bool)))


def test_nothing_scanned_is_empty():
    image = np.full((64, 64), -1000.0, np.float32)
    assert doubt(image, np.zeros(image.shape, bool)) == "empty: every pixel is -1000"
    assert doubt(image, np.ones(image.shape, bool)) == "empty: nothing but padding"


@pytest.mark.parametrize(
    ("spacing", "right"), [(0.0008, False), (0.008, True), (0.1, True), (0.25, True), (300.0, False)]
)
def test_pixels_are_of_a_size_that_scanners_have(spacing, right):
    assert (unlikely_size((spacing, spacing), (512, 512)) is None) == right
