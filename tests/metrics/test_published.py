"""Conventions of published code against second implementations, written from their definitions alone."""

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

from marbench.errors import MetricError
from marbench.metrics.conventions import CONVENTIONS
from marbench.metrics.fidelity import Reference, ScoredImage
from marbench.metrics.measure import measure, measures_of

RNG = np.random.default_rng(17)
TRUTH = np.clip(RNG.normal(0, 700, (40, 44)), -1000, 3000)
IMAGE = TRUTH + RNG.normal(0, 60, TRUTH.shape)
METAL = np.zeros(TRUTH.shape, dtype=bool)
METAL[10:14, 20:27] = True
RAW = IMAGE + 4000 * METAL
PEAK = (0.5 / 0.192 - 1) * 1000  # HU of 0.5/cm


def score(id, image=IMAGE, truth=TRUTH, metal=METAL, raw=RAW):
    return measure(id).compute(ScoredImage(image, Reference(truth, metal, (-160, 240), raw)))


def attenuation(hu):
    return np.clip(0.192 * (1 + hu / 1000), 0, 0.5) / 0.5


def decibels(one, other):
    return 10 * math.log10(1 / np.mean((one - other) ** 2))


def similarity(one, other, weights, unbiased=1.0):
    """Mean over all windows that lie within the pictures, window by window."""
    windows = [sliding_window_view(each, weights.shape) for each in (one, other)]
    x, y = (np.einsum("ijkl,kl->ij", each, weights) for each in windows)
    xx, yy = (np.einsum("ijkl,kl->ij", each**2, weights) for each in windows)
    xy = np.einsum("ijkl,kl->ij", windows[0] * windows[1], weights)
    vx, vy, vxy = (unbiased * each for each in (xx - x * x, yy - y * y, xy - x * y))
    return np.mean((2 * x * y + 1e-4) * (2 * vxy + 9e-4) / ((x * x + y * y + 1e-4) * (vx + vy + 9e-4)))


UNIFORM = np.full((7, 7), 1 / 49)
GAUSSIAN = np.exp(-(np.arange(-5, 6)[:, None] ** 2 + np.arange(-5, 6) ** 2) / (2 * 1.5**2))
GAUSSIAN /= GAUSSIAN.sum()


def test_adn() -> None:
    zero = (RAW > PEAK) | METAL
    pair = [np.where(zero, 0, attenuation(each)) for each in (IMAGE, TRUTH)]
    assert score("psnr[adn2019]") == pytest.approx(decibels(*pair), abs=1e-6)
    assert score("ssim[adn2019]") == pytest.approx(similarity(*pair, UNIFORM, 49 / 48), abs=1e-6)


def test_syndeeplesion() -> None:
    pair = [np.where(METAL, 0, np.rint(255 * attenuation(each)) / 255) for each in (IMAGE, TRUTH)]
    assert score("psnr[syndeeplesion]") == pytest.approx(decibels(*pair), abs=1e-6)
    assert score("ssim[syndeeplesion]") == pytest.approx(similarity(*pair, GAUSSIAN), abs=1e-6)


def test_syndeeplesion_as_it_was_published(tmp_path) -> None:
    """Through the program that wrote the pictures."""
    plt = pytest.importorskip("matplotlib.pyplot")
    pair = []
    for number, each in enumerate((IMAGE, TRUTH)):
        plt.imsave(tmp_path / f"{number}.png", attenuation(each), cmap="gray")
        grey = 255 * plt.imread(tmp_path / f"{number}.png")[..., 0].astype(float)
        pair.append(np.where(METAL, 0, np.rint(grey) / 255))
    assert score("psnr[syndeeplesion-published]") == pytest.approx(decibels(*pair), abs=1e-6)
    assert score("ssim[syndeeplesion-published]") == pytest.approx(similarity(*pair, GAUSSIAN), abs=1e-6)


def test_cnnmar_has_no_psnr() -> None:
    pair = [np.where(METAL, 0, 0.192 * (1 + each / 1000)) for each in (IMAGE, TRUTH)]
    pair = [each / pair[1].max() for each in pair]
    assert score("ssim[cnnmar2018]") == pytest.approx(similarity(*pair, GAUSSIAN), abs=1e-6)
    assert [each.id for each in measures_of("cnnmar2018")] == ["ssim[cnnmar2018]", "rmse_hu"]


def test_aapm_side_values() -> None:
    pair = [np.where(METAL, 0, (np.clip(each, -2000, 6000) + 2000) / 8000) for each in (IMAGE, TRUTH)]
    assert score("psnr[aapm2024-side]") == pytest.approx(decibels(*pair), abs=1e-6)
    assert score("ssim[aapm2024-side]") == pytest.approx(similarity(*pair, GAUSSIAN), abs=1e-6)


@pytest.mark.parametrize("shape", [(384, 390), (640, 650)])
def test_wangs_program_averages_blocks_of_large_pictures(shape) -> None:
    truth = np.clip(RNG.normal(0, 700, shape), -1000, 3000)
    image, metal = truth + RNG.normal(0, 60, shape), np.zeros(shape, dtype=bool)
    pair, blocks = [np.rint(255 * attenuation(each)) / 255 for each in (image, truth)], []
    factor = {384: 2, 640: 3}[shape[0]]
    for each in pair:
        # An even block begins at its pixel, an odd one lies about it; the border is mirrored.
        before, after = (factor - 1) // 2, factor // 2
        padded = np.pad(each, ((before, after), (before, after)), mode="symmetric")
        blocks.append(sliding_window_view(padded, (factor, factor)).mean((2, 3))[::factor, ::factor])
    expected = similarity(*blocks, GAUSSIAN)
    assert score("ssim[syndeeplesion]", image, truth, metal, image) == pytest.approx(expected, abs=1e-6)


def test_the_body_is_scored_as_if_the_air_around_it_were_metal() -> None:
    rows, columns = np.mgrid[:64, :64]
    disc = (rows - 32) ** 2 + (columns - 30) ** 2 < 24**2
    truth = np.where(disc, 40.0, -1000.0)
    truth[30:34, 28:31] = -900  # gas within the body belongs to it
    truth[2:4, 58:62] = 0  # a part of the table does not
    image = truth + RNG.normal(0, 30, truth.shape)
    metal = np.zeros(truth.shape, dtype=bool)
    metal[20:22, 30:33] = True
    scored = Reference(truth, ~disc | metal)
    for name in ("psnr", "ssim"):
        expected = getattr(ScoredImage(image, scored), name)((-1000.0, 1000.0))
        assert score(f"{name}[body]", image, truth, metal, image) == pytest.approx(expected, abs=1e-9)


def test_without_a_body_or_the_uncorrected_image_it_is_said() -> None:
    with pytest.raises(MetricError, match="no body"):
        score("psnr[body]", IMAGE, np.full(TRUTH.shape, -1000.0))
    with pytest.raises(MetricError, match="uncorrected image"):
        score("psnr[adn2019]", raw=None)
    with pytest.raises(MetricError, match="nothing but air"):
        score("ssim[cnnmar2018]", IMAGE, np.full(TRUTH.shape, -1000.0))
    small = np.zeros((10, 6))
    small[2:8] = 40.0
    for name, window in (("adn2019", 7), ("syndeeplesion", 11), ("aapm2024-side", 11), ("aapm2024", 11)):
        with pytest.raises(MetricError, match=f"{window} × {window}"):
            measure(f"ssim[{name}]").compute(
                ScoredImage(small, Reference(small, small > 50, (-160, 240), small, pixel_mm=3.2))
            )


def test_the_worked_example_of_the_manual_holds_to_five_digits() -> None:
    page = (Path(__file__).parents[2] / "docs" / "numbers.md").read_text(encoding="utf-8")
    made: dict[str, Any] = {}
    exec(re.findall(r"```python\n(.*?)```", page, re.DOTALL)[0], made)
    scored = ScoredImage(made["image"], Reference(made["truth"], made["metal"], made["window"], made["raw"]))
    assert f"RMSE is {measure('rmse_hu').compute(scored):.5f} HU" in page
    for name in CONVENTIONS:
        if any("region" in each.needs for each in measures_of(name)):
            continue  # a disc is no body; see test_clinical.py
        (row,) = re.findall(rf"^\| `{name}` .*$", page, re.MULTILINE)
        values = [f"{each.compute(scored):.5f}" for each in measures_of(name) if each.convention]
        told = row.strip("| ").split(" | ")[-2:]
        assert told[-len(values) :] == values, row


def test_what_an_image_holds_within_metal_changes_nothing() -> None:
    spoiled = np.where(METAL, np.nan, IMAGE)
    for each in measures_of(["adn2019", "syndeeplesion", "cnnmar2018", "aapm2024-side", "body"]):
        assert score(each.id, spoiled) == score(each.id), each.id
