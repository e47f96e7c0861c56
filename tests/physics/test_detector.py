"""Scatter, crosstalk and the low-signal correction, each against the equation written out for NumPy."""

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from marbench.physics.crosstalk import crosstalk
from marbench.physics.low_signal import smoothed
from marbench.physics.scatter import Scatter

AAPM = Scatter(0.02699, 1.0, ((0.0, 1.0), (8.0, 0.625), (16.0, 0.209), (24.0, 0.065)))


def rows(*shape: int, low: float = 0.0, high: float = 1.0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).uniform(low, high, shape))


def test_crosstalk_loses_nothing_and_leaves_a_constant_scan_alone() -> None:
    signal = rows(3, 40)
    mixed = crosstalk(signal, 0.025)
    np.testing.assert_allclose(mixed.sum(dim=1), signal.sum(dim=1))
    assert torch.allclose(crosstalk(torch.full((2, 9), 5.0), 0.1), torch.full((2, 9), 5.0))
    wide = np.pad(signal.numpy(), ((0, 0), (1, 1)), mode="edge")
    np.testing.assert_allclose(mixed, [np.convolve(row, [0.025, 0.95, 0.025], mode="valid") for row in wide])
    assert crosstalk(signal, 0.0) is signal


def test_the_kernel_of_scatter_sums_to_one_and_what_is_scattered_is_the_convolution() -> None:
    half = np.array(AAPM.weights())
    whole = np.concatenate([half[:0:-1], half])
    assert len(whole) == 49 and whole.sum() == pytest.approx(1)
    assert half[4] / half[0] == pytest.approx((1 + 0.625) / 2)
    air, signal = 1e6 * rows(60, low=0.5), 1e6 * rows(3, 60, low=1e-6, high=0.4)
    expected = [np.convolve(0.02699 * -np.log(row / air.numpy()) * row, whole, mode="same") for row in signal.numpy()]
    np.testing.assert_allclose(AAPM.of(signal, air), expected, rtol=1e-12)
    assert torch.equal(AAPM.of(signal, air)[1:2], AAPM.of(signal[1:2], air))


def test_air_scatters_nothing_and_signals_below_zero_are_taken_for_opaque() -> None:
    assert not AAPM.of(torch.full((2, 30), 1e5, dtype=torch.float64), 1e5).any()
    below = AAPM.of(torch.tensor([[0.0] * 24 + [-1.0] + [0.0] * 24], dtype=torch.float64), 1e5)
    assert float(below.sum()) == pytest.approx(-0.02699 * math.log(1e10))


def test_behind_35_cm_of_water_there_is_about_15_percent_of_scatter() -> None:
    x = np.arange(-450, 450) * 550 / 950 / 10
    water = torch.from_numpy(np.exp(-0.19 * 2 * np.sqrt(np.maximum(0, 17.5**2 - x**2))))[None]
    ratio = AAPM.of(water, 1.0) / water
    assert 0.12 < float(ratio[0, 450]) < 0.19


def test_a_correction_with_the_kernel_that_it_was_scattered_with_takes_most_of_it_away() -> None:
    x = np.linspace(-1, 1, 200)
    primary = torch.from_numpy(np.exp(-6 * np.sqrt(np.maximum(0, 1 - x**2)) - 3.0 * (np.abs(x - 0.2) < 0.04)))[None]
    total = primary + AAPM.of(primary, 1.0)
    left = total - AAPM.of(total, 1.0) - primary
    assert float(left.abs().sum()) < 0.2 * float((total - primary).abs().sum())


def low_signal(ratio: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return one corrected view, cell by cell, after the description of CatSim's correction."""
    floor, x, n = math.exp(-13), ratio.copy(), len(ratio)
    for i in range(n):
        if ratio[i] <= 0:
            x[i] = (ratio[max(i - 1, 0)] + ratio[min(i + 1, n - 1)]) / 2
    for i in (0, 1, 2, n - 3, n - 2, n - 1):
        x[i] = max(x[i], floor)
    if x.min() < math.exp(-10.3):
        x = np.where(x <= floor, floor * (1 + 50 * x), x)
        x = mean_of(x, [1 / 7] * 7)
    if x.min() < math.exp(-8):
        x = mean_of(x, [1 / 16, 1 / 4, 3 / 8, 1 / 4, 1 / 16])
    return np.maximum(x, floor)


def mean_of(x: NDArray[np.float64], weights: list[float]) -> NDArray[np.float64]:
    out, reach = x.copy(), len(weights) // 2
    for i in range(reach, len(x) - reach):
        if x[i] <= 0.005:
            mean = sum(weight * x[i - reach + k] for k, weight in enumerate(weights))
            out[i] = x[i] - min(1.0, math.exp(-x[i] / 0.001)) * (x[i] - mean)
    return out


def test_starved_bins_are_corrected_as_by_hand() -> None:
    bright = np.array([0.5, 0.2, 0.1, 0.3, 0.9, 0.4, 0.2, 0.1, 0.6])
    dim = np.array([0.5, 0.2, 2e-4, 1e-3, 4e-3, 6e-3, 2e-2, 0.1, 0.6])
    starved = np.array([0.5, 1e-2, -1e-5, 1e-7, -2e-6, 0.0, 3e-3, 1e-5, 0.6])
    at_the_end = np.array([-1e-3, -2e-4, 1e-9, 0.1, 0.2, 0.1, 1e-4, -0.1, -0.2])
    views = np.stack([bright, dim, starved, at_the_end])
    found = smoothed(torch.from_numpy(views))
    np.testing.assert_allclose(found, [low_signal(view) for view in views], rtol=1e-12)
    assert np.array_equal(found[0], bright) and not np.array_equal(found[1], dim)
    assert float(found.min()) >= math.exp(-13)
    assert torch.equal(smoothed(torch.from_numpy(views[2:3])), found[2:3])


def test_what_is_measured_well_is_left_alone_and_what_is_not_loses_its_noise() -> None:
    rng = np.random.default_rng(1)
    counts = torch.from_numpy(rng.poisson(20.0, (50, 200)) / 1e6)
    corrected = smoothed(counts)
    assert float(corrected[:, 5:-5].std()) < 0.5 * float(counts[:, 5:-5].std())
    assert float(corrected[:, 5:-5].mean()) == pytest.approx(2e-5, rel=0.02)
