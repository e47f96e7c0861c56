import math

import numpy as np
import pytest
from skimage.metrics import structural_similarity

from marbench.errors import MetricError
from marbench.metrics.conventions import PSNR_CEILING
from marbench.metrics.fidelity import psnr, rmse, ssim

RNG = np.random.default_rng(0)
TRUTH = RNG.normal(0, 60, (64, 48)).astype(np.float32)
NOISY = TRUTH + RNG.normal(0, 20, TRUTH.shape).astype(np.float32)
EVERYWHERE = np.ones(TRUTH.shape, dtype=bool)
WINDOW = (-160.0, 240.0)


def test_constant_offset_has_closed_forms() -> None:
    truth = np.zeros((16, 16), dtype=np.float32)
    valid = np.ones((16, 16), dtype=bool)
    assert rmse(truth + 4, truth, valid) == pytest.approx(4)
    assert psnr(truth + 4, truth, valid, (-200, 200)) == pytest.approx(20 * math.log10(100))


def test_equal_images_are_perfect() -> None:
    assert rmse(TRUTH, TRUTH, EVERYWHERE) == 0
    assert psnr(TRUTH, TRUTH, EVERYWHERE, WINDOW) == pytest.approx(PSNR_CEILING)
    assert ssim(TRUTH, TRUTH, EVERYWHERE, WINDOW) == pytest.approx(1)


def test_ssim_agrees_with_scikit_image() -> None:
    low, high = WINDOW
    scaled = [(np.clip(image.astype(np.float64), low, high) - low) / (high - low) for image in (NOISY, TRUTH)]
    options = {"data_range": 1, "gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    _, similarity = structural_similarity(*scaled, **options, full=True)
    assert ssim(NOISY, TRUTH, EVERYWHERE, WINDOW) == pytest.approx(similarity.mean(), abs=1e-9)
    # A part of the image: the pixels that are not scored take the truth's values first.
    scored = np.zeros(TRUTH.shape, dtype=bool)
    scored[10:40, 5:30] = True
    _, similarity = structural_similarity(np.where(scored, *scaled), scaled[1], **options, full=True)
    assert ssim(NOISY, TRUTH, scored, WINDOW) == pytest.approx(similarity[scored].mean(), abs=1e-9)


def test_values_outside_the_window_are_clipped_for_psnr_but_not_for_rmse() -> None:
    truth = np.full((16, 16), 500.0, dtype=np.float32)
    valid = np.ones((16, 16), dtype=bool)
    assert psnr(truth + 300, truth, valid, WINDOW) == pytest.approx(PSNR_CEILING)
    assert rmse(truth + 300, truth, valid) == pytest.approx(300)


def test_metal_pixels_count_for_nothing_whatever_they_hold() -> None:
    valid = EVERYWHERE.copy()
    valid[10:20, 10:20] = False
    spoiled = NOISY.copy()
    spoiled[~valid] = np.nan
    for measure in (rmse, lambda *arrays: psnr(*arrays, WINDOW), lambda *arrays: ssim(*arrays, WINDOW)):
        assert measure(spoiled, TRUTH, valid) == measure(NOISY, TRUTH, valid)


def test_precision_and_type_of_the_input_do_not_matter() -> None:
    whole = [np.rint(image) for image in (NOISY, TRUTH)]
    for measure in (rmse, lambda *arrays: psnr(*arrays, WINDOW), lambda *arrays: ssim(*arrays, WINDOW)):
        single = measure(NOISY, TRUTH, EVERYWHERE)
        assert measure(NOISY.astype(np.float64), TRUTH.astype(np.float64), EVERYWHERE) == pytest.approx(
            single, rel=1e-6
        )
        stored = measure(*(image.astype(np.int16) for image in whole), EVERYWHERE)
        assert stored == pytest.approx(measure(*whole, EVERYWHERE), rel=1e-9)


def test_an_error_beyond_all_numbers_is_infinite() -> None:
    image = np.full((4, 4), 1e200)
    with np.errstate(all="raise"):
        assert rmse(image, np.zeros((4, 4)), np.ones((4, 4), dtype=bool)) == math.inf
        assert psnr(image, np.zeros((4, 4)), np.ones((4, 4), dtype=bool), WINDOW) == pytest.approx(
            20 * math.log10(400 / 240)
        )


@pytest.mark.parametrize("measure", [rmse, psnr, ssim])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"valid": EVERYWHERE.astype(int)}, r"A mask of pixels is boolean. Got int64, .* mask.astype\(bool\)"),
        ({"valid": EVERYWHERE.astype(np.uint8) * 255}, "Got uint8"),
        ({"valid": EVERYWHERE[:10]}, r"truth has the shape \(64, 48\), the mask of its pixels \(10, 48\)"),
        ({"valid": ~EVERYWHERE}, "none of the 3072 pixels is valid"),
        ({"image": NOISY.T}, r"image has the shape \(48, 64\)"),
        ({"image": NOISY[None]}, r"image has the shape \(1, 64, 48\)"),
        ({"truth": TRUTH[1:]}, r"truth has the shape \(63, 48\)"),
        ({"image": NOISY[None], "truth": TRUTH[None], "valid": EVERYWHERE[None]}, r"\(rows, columns\)"),
        ({"image": np.where(np.arange(48) == 3, np.nan, NOISY)}, "64 of 3072 scored pixels of the image are NaN"),
        ({"truth": np.where(np.arange(48) == 3, np.inf, TRUTH)}, "64 of 3072 scored pixels of the truth are NaN"),
        ({"image": NOISY.astype(complex)}, "real numbers. Got complex128"),
        ({"truth": "truth"}, "real numbers. Got <U5"),
    ],
)
def test_what_cannot_be_scored_is_refused_by_every_measure(measure, change, message) -> None:
    arguments = {"image": NOISY, "truth": TRUTH, "valid": EVERYWHERE, **change}
    with pytest.raises(MetricError, match=message):
        measure(*arguments.values(), *(() if measure is rmse else (WINDOW,)))


@pytest.mark.parametrize("measure", [psnr, ssim])
@pytest.mark.parametrize("hu_range", [(240.0, -160.0), (40.0, 40.0), (math.nan, 240.0), (-math.inf, 240.0)])
def test_a_range_that_is_none_is_refused(measure, hu_range) -> None:
    with pytest.raises(MetricError, match="from a lower to a higher finite value"):
        measure(NOISY, TRUTH, EVERYWHERE, hu_range)


@pytest.mark.parametrize("measure", [psnr, ssim])
def test_a_range_is_any_pair_of_numbers_and_nothing_else(measure) -> None:
    for pair in (list(WINDOW), np.array(WINDOW)):
        assert measure(NOISY, TRUTH, EVERYWHERE, pair) == measure(NOISY, TRUTH, EVERYWHERE, WINDOW)
    for wrong in (240.0, (-160.0, 40.0, 240.0), ("low", "high"), None):
        with pytest.raises(MetricError, match=r"a pair of numbers, \(low, high\). Got "):
            measure(NOISY, TRUTH, EVERYWHERE, wrong)
