"""The model observer against closed forms on white noise, and its parts against their definitions."""

import math

import numpy as np
import pytest
from scipy import stats

from marbench.errors import MetricError
from marbench.metrics.consistency import inconsistency
from marbench.metrics.detectability import auc, detectability, hotelling_template, laguerre_gauss

SIZE, RADIUS, SIGMA = 25, 4.0, 20.0
PLACE = np.arange(SIZE) - 12
LESION = (np.hypot(PLACE[:, None], PLACE) <= RADIUS).astype(float)


def white(count, contrast, seed):
    return contrast * LESION + np.random.default_rng(seed).normal(0, SIGMA, (count, SIZE, SIZE))


@pytest.mark.parametrize("contrast", [0.0, 4.0, 8.0])
def test_on_white_noise_the_observer_is_as_good_as_its_channels_allow(contrast) -> None:
    """d'² = Δvᵀ K⁻¹ Δv with v = U x, K = σ² U Uᵀ, and AUC = Φ(d'/√2)."""
    channels = laguerre_gauss(SIZE, RADIUS).reshape(5, -1)
    channels = channels - channels.mean(axis=1, keepdims=True)
    shift = channels @ (contrast * LESION).ravel()
    d = math.sqrt(shift @ np.linalg.solve(SIGMA**2 * channels @ channels.T, shift))
    found = detectability(white(400, contrast, 1), white(400, 0, 2), RADIUS)
    low, high = found.auc_interval
    assert low < stats.norm.cdf(d / math.sqrt(2)) < high and low < found.auc < high
    assert high - low < 0.14
    assert found.d == pytest.approx(d, abs=0.15)
    # The mean of 400 differences over the pixels of the lesion, to three standard errors.
    assert found.contrast == pytest.approx(contrast, abs=3 * SIGMA * math.sqrt(2 / 400 / LESION.sum()))


def test_channels_are_orthonormal_where_the_grid_resolves_them() -> None:
    channels = laguerre_gauss(151, 30.0).reshape(5, -1)
    np.testing.assert_allclose(channels @ channels.T, np.eye(5), atol=1e-6)
    # In the middle every Laguerre polynomial is 1.
    np.testing.assert_allclose(laguerre_gauss(7, 3.0)[:, 3, 3], math.sqrt(2) / 3)


def test_the_template_is_fishers_in_two_channels_and_the_area_scipys() -> None:
    rng = np.random.default_rng(3)
    one, other = rng.normal(1, 1, (50, 2)), rng.normal(0, 2, (60, 2))
    a, b = (np.cov(each.T) for each in (one, other))
    expected = np.linalg.inv((a + b) / 2) @ (one.mean(0) - other.mean(0))
    np.testing.assert_allclose(hotelling_template(one, other), expected)
    t, u = one @ expected, other @ expected
    assert auc(t, u) == pytest.approx(stats.mannwhitneyu(t, u).statistic / (50 * 60))


def test_a_method_that_erases_lesions_leaves_the_observer_guessing() -> None:
    noise = white(60, 0, 5)
    seen = detectability(white(60, 30, 4), noise, RADIUS)
    erased = detectability(white(60, 0, 6), noise, RADIUS)
    assert seen.auc > 0.99 and erased.auc_interval[0] < 0.5 < erased.auc_interval[1]
    assert seen == detectability(white(60, 30, 4), noise, RADIUS)


def test_what_is_no_ensemble_is_told() -> None:
    with pytest.raises(MetricError, match=r"at least 12 square pictures.*Got \(11, 25, 25\)"):
        detectability(white(11, 0, 1), white(12, 0, 1), RADIUS)
    with pytest.raises(MetricError, match="one size"):
        detectability(white(12, 0, 1), white(12, 0, 1)[:, 1:, 1:], RADIUS)


def test_an_image_disagrees_with_the_rays_that_miss_metal() -> None:
    measured, trace = np.full((4, 5), 2.0), np.zeros((4, 5), dtype=bool)
    trace[:, 2] = True
    projected = measured.copy()
    projected[0, 0], projected[:, 2] = 5.0, 99.0
    # One of 16 rays outside of the trace is off by 3, of 2 each: √9 / √(16 · 4).
    assert inconsistency(projected, measured, trace) == pytest.approx(3 / 8)
    with pytest.raises(MetricError, match="No ray"):
        inconsistency(projected, measured, np.ones((4, 5), dtype=bool))
    with pytest.raises(MetricError, match="one shape"):
        inconsistency(projected, measured, trace.astype(int))
