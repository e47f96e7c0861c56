import math

import numpy as np
import pytest

from marbench.metrics.conventions import CONVENTIONS
from marbench.metrics.fidelity import psnr, rmse, score_image, ssim

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
    assert psnr(TRUTH, TRUTH, EVERYWHERE, WINDOW) == math.inf
    assert ssim(TRUTH, TRUTH, EVERYWHERE, WINDOW) == pytest.approx(1)


def test_ssim_agrees_with_the_definition_at_one_pixel() -> None:
    """Equation 13 of Wang et al. evaluated by hand in the 11 × 11 window round an inner pixel."""
    offsets = np.arange(-5, 6)
    weights = np.exp(-(offsets[:, None] ** 2 + offsets**2) / (2 * 1.5**2))
    weights /= weights.sum()
    valid = np.zeros(TRUTH.shape, dtype=bool)
    valid[30, 20] = True
    low, high = WINDOW
    # Everywhere but at the scored pixel the candidate takes the truth's values.
    y = np.clip(TRUTH, low, high).astype(np.float64)
    x = y.copy()
    x[30, 20] = np.clip(NOISY[30, 20], low, high)
    x, y = x[25:36, 15:26], y[25:36, 15:26]
    mean_x, mean_y = (weights * x).sum(), (weights * y).sum()
    var_x, var_y = (weights * (x - mean_x) ** 2).sum(), (weights * (y - mean_y) ** 2).sum()
    covariance = (weights * (x - mean_x) * (y - mean_y)).sum()
    c1, c2 = (0.01 * 400) ** 2, (0.03 * 400) ** 2
    expected = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    expected /= (mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2)
    assert ssim(NOISY, TRUTH, valid, WINDOW) == pytest.approx(expected, abs=1e-9)


def test_metal_pixels_count_for_nothing() -> None:
    metal = np.zeros(TRUTH.shape, dtype=bool)
    metal[10:20, 10:20] = True
    spoiled = NOISY.copy()
    spoiled[metal] = 30000
    conventions = list(CONVENTIONS)
    assert score_image(spoiled, TRUTH, metal, WINDOW, conventions) == score_image(
        NOISY, TRUTH, metal, WINDOW, conventions
    )


def test_values_outside_the_window_are_clipped_for_psnr_but_not_for_rmse() -> None:
    truth = np.full((16, 16), 500.0, dtype=np.float32)
    valid = np.ones((16, 16), dtype=bool)
    assert psnr(truth + 300, truth, valid, WINDOW) == math.inf
    assert rmse(truth + 300, truth, valid) == pytest.approx(300)


def test_conventions_differ_by_their_window() -> None:
    scores = score_image(NOISY, TRUTH, ~EVERYWHERE, (-450.0, 1050.0), ["dudonet2019", "dudonetpp2020"])
    assert scores["psnr[dudonet2019]"] == pytest.approx(20 * math.log10(1500 / scores["rmse_hu"]), abs=1e-6)
    assert scores["psnr[dudonet2019]"] > scores["psnr[dudonetpp2020]"] + 5


def test_precision_of_the_input_does_not_matter() -> None:
    single = score_image(NOISY, TRUTH, ~EVERYWHERE, WINDOW, ["dudonet2019"])
    double = score_image(
        NOISY.astype(np.float64), TRUTH.astype(np.float64), ~EVERYWHERE, WINDOW, ["dudonet2019"]
    )
    assert single == pytest.approx(double, rel=1e-6)
