"""Laws of the way from a scanner's matrix to an image grid."""

import numpy as np
import pytest

from marbench.anatomy.body import body_centre, body_mask
from marbench.anatomy.resample import resample
from marbench.geometry import ImageGrid


def disc(shape, spacing, centre, radius, hu=40.0, oversampling=8):
    """A disc in air, its edge averaged over sub-pixels; centre and radius in cm from the middle of the picture."""
    axes = []
    for count, size in zip(shape, spacing, strict=True):
        axes.append(((np.arange(count * oversampling) + 0.5) / oversampling - count / 2) * size)
    inside = (axes[0][:, None] - centre[0]) ** 2 + (axes[1] - centre[1]) ** 2 < radius**2
    coverage = inside.reshape(shape[0], oversampling, shape[1], oversampling).mean((1, 3))
    return (-1000 + (hu + 1000) * coverage).astype(np.float32)


def centroid(image, grid):
    """(y down, x right) of what is not air, in cm from the isocentre."""
    weight = image.astype(np.float64) + 1000
    return -(weight.sum(1) @ grid.y) / weight.sum(), (weight.sum(0) @ grid.x) / weight.sum()


@pytest.mark.parametrize("shape", [(64, 64), (65, 63)])
def test_same_pixels_are_kept_as_they_are(shape):
    image = np.random.default_rng(0).uniform(-1000, 2000, shape).astype(np.float32)
    same = resample(image, (0.1, 0.1), ImageGrid(*shape, 0.1), "image")
    assert same == pytest.approx(image, abs=1e-3)


@pytest.mark.parametrize("pixel", [0.03, 0.05, 0.07, 0.1, 0.32])
@pytest.mark.parametrize("fit", ["physical", "image"])
def test_a_symmetric_phantom_stays_symmetric(pixel, fit):
    phantom = disc((256, 256), (0.1, 0.1), (0, 0), 8.0)
    for size in (64, 65):
        image = resample(phantom, (0.1, 0.1), ImageGrid(size, size, pixel), fit)
        for mirrored in (image[::-1], image[:, ::-1], image.T):
            assert image == pytest.approx(mirrored, abs=1e-3)


@pytest.mark.parametrize("pixel", [0.05, 0.1, 0.17, 0.32])
@pytest.mark.parametrize("spacing", [(0.1, 0.1), (0.12, 0.08)])
def test_an_organ_keeps_its_distance_from_the_middle_of_the_body(pixel, spacing):
    shape = (300, 320)
    body = disc(shape, spacing, (1.0, -2.0), 9.0)
    organ = disc(shape, spacing, (1.0 + 3.0, -2.0 + 2.5), 1.0, hu=1000.0)
    grid = ImageGrid(round(24 / pixel), round(24 / pixel), pixel)
    alone = resample(body, spacing, grid, "physical")
    together = resample(np.maximum(body, organ), spacing, grid, "physical")
    assert centroid(together - alone - 1000, grid) == pytest.approx((3.0, 2.5), abs=0.06)
    assert centroid(alone, grid) == pytest.approx((0.0, 0.0), abs=0.06)


@pytest.mark.parametrize("pixel", [0.05, 0.1, 0.23, 0.32])
def test_mass_and_area_are_preserved(pixel):
    phantom = disc((256, 256), (0.1, 0.1), (0.7, -0.4), 8.0, hu=55.0)
    size = round(26 / pixel)
    image = resample(phantom, (0.1, 0.1), ImageGrid(size, size, pixel), "physical")
    mass = (image.astype(np.float64) + 1000).sum() * pixel**2
    assert mass == pytest.approx(1055 * np.pi * 8.0**2, rel=2e-3)
    assert image.max() == pytest.approx(55.0, abs=1e-3)


def test_noise_finer_than_the_grid_is_averaged_away():
    noise = np.random.default_rng(1).normal(0, 100, (512, 512)).astype(np.float32)
    image = resample(noise, (0.08, 0.08), ImageGrid(128, 128, 0.32), "image")
    assert image.std() == pytest.approx(100 / 4, rel=0.05)


def test_whole_factors_give_the_mean_of_blocks():
    image = np.random.default_rng(2).uniform(-1000, 2000, (64, 64)).astype(np.float32)
    small = resample(image, (0.1, 0.1), ImageGrid(16, 16, 0.4), "image")
    assert small == pytest.approx(image.reshape(16, 4, 16, 4).mean((1, 3)), abs=1e-3)


def test_smaller_pixels_interpolate_linearly():
    ramp = np.tile(np.linspace(-500, 500, 11, dtype=np.float32), (11, 1))
    grid = ImageGrid(44, 44, 0.025)
    fine = resample(ramp, (0.1, 0.1), grid, "image")
    assert fine[20, 2:-2] == pytest.approx(1000 * grid.x[2:-2], abs=1e-3)


def test_outside_the_picture_is_air():
    image = resample(np.full((40, 40), 30, np.float32), (0.1, 0.1), ImageGrid(100, 100, 0.1), "physical")
    assert (image[:30] == -1000).all()
    assert (image[:, 70:] == -1000).all()
    assert (image[30:70, 30:70] == 30).all()
    assert image.dtype == np.float32


def test_the_whole_picture_fills_the_field_of_view_whatever_its_spacing():
    picture = disc((100, 100), (0.1, 0.1), (1, 1), 3.0)
    grid = ImageGrid(64, 64, 0.24)
    images = [resample(picture, (size, size), grid, "image") for size in (0.05, 0.1)]
    assert images[0] == pytest.approx(images[1], abs=1e-2)
    assert centroid(images[1], grid) == pytest.approx((1.536, 1.536), abs=0.01)


def test_an_oblong_picture_keeps_its_aspect():
    grid = ImageGrid(64, 64, 0.1)
    image = resample(np.zeros((50, 100), np.float32), (0.1, 0.1), grid, "image")
    assert (image[:16] == -1000).all()
    assert (image[16:48] == 0).all()


def test_row_0_stays_on_top():
    picture = np.full((64, 64), -1000, np.float32)
    picture[8:30] = 0
    assert resample(picture, (0.1, 0.1), ImageGrid(64, 64, 0.1), "image")[:20].mean() > -700


def test_the_table_is_no_part_of_the_body():
    picture = disc((256, 256), (0.1, 0.1), (-2.0, 1.0), 7.0)
    with_table = picture.copy()
    with_table[200:210, 20:236] = 100  # a headrest 1 cm thick
    assert body_centre(with_table, (0.1, 0.1)) == pytest.approx(body_centre(picture, (0.1, 0.1)))
    assert not body_mask(with_table, (0.1, 0.1))[200:210].any()


def test_both_legs_are_the_body_and_their_middle_its_centre():
    legs = np.maximum(disc((200, 300), (0.1, 0.1), (0, -7), 5.0), disc((200, 300), (0.1, 0.1), (0, 7), 6.0))
    assert body_centre(legs, (0.1, 0.1)) == pytest.approx((99.5, 149.5 + 5), abs=1)


def test_gas_inside_the_body_belongs_to_it():
    picture = np.where(disc((200, 200), (0.1, 0.1), (0, 0), 2.0) > 0, -1000, disc((200, 200), (0.1, 0.1), (0, 0), 7.0))
    assert body_mask(picture, (0.1, 0.1))[100, 100]


def test_a_picture_without_a_body_is_centred_on_itself():
    assert body_centre(np.full((50, 60), -1000.0), (0.1, 0.1)) == (24.5, 29.5)
