import math

import numpy as np
import pytest
from skimage.metrics import structural_similarity

from marbench.metrics.conventions import CONVENTIONS, PSNR_CEILING
from marbench.metrics.fidelity import Reference, psnr, rmse, ssim

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


def test_a_reference_scores_as_the_single_measures_do() -> None:
    metal = np.zeros(TRUTH.shape, dtype=bool)
    metal[10:20, 10:20] = True
    scores = Reference(TRUTH, metal, (-175.0, 275.0), ["dudonet2019", "dudonetpp2020"]).score(NOISY)
    assert scores["rmse_hu"] == rmse(NOISY, TRUTH, ~metal)
    for convention in ("dudonet2019", "dudonetpp2020"):
        assert scores[f"psnr[{convention}]"] == psnr(NOISY, TRUTH, ~metal, (-175, 275))
        assert scores[f"ssim[{convention}]"] == ssim(NOISY, TRUTH, ~metal, (-175, 275))


def test_metal_pixels_count_for_nothing() -> None:
    metal = np.zeros(TRUTH.shape, dtype=bool)
    metal[10:20, 10:20] = True
    spoiled = NOISY.copy()
    spoiled[metal] = 30000
    reference = Reference(TRUTH, metal, WINDOW, list(CONVENTIONS))
    assert reference.score(spoiled) == reference.score(NOISY)


def test_values_outside_the_window_are_clipped_for_psnr_but_not_for_rmse() -> None:
    truth = np.full((16, 16), 500.0, dtype=np.float32)
    valid = np.ones((16, 16), dtype=bool)
    assert psnr(truth + 300, truth, valid, WINDOW) == pytest.approx(PSNR_CEILING)
    assert rmse(truth + 300, truth, valid) == pytest.approx(300)


def test_conventions_differ_by_their_window() -> None:
    scores = Reference(TRUTH, ~EVERYWHERE, (-450.0, 1050.0), ["dudonet2019", "dudonetpp2020"]).score(NOISY)
    assert scores["psnr[dudonet2019]"] == pytest.approx(20 * math.log10(1500 / scores["rmse_hu"]), abs=1e-6)
    assert scores["psnr[dudonet2019]"] > scores["psnr[dudonetpp2020]"] + 5


def test_precision_of_the_input_does_not_matter() -> None:
    single = Reference(TRUTH, ~EVERYWHERE, WINDOW, ["dudonet2019"]).score(NOISY)
    double = Reference(TRUTH.astype(np.float64), ~EVERYWHERE, WINDOW, ["dudonet2019"]).score(NOISY.astype(np.float64))
    assert single == pytest.approx(double, rel=1e-6)
