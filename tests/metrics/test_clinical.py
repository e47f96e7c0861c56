"""Clinical measures on a slice of known places, where their values can be worked out by hand."""

import math

import numpy as np
import pytest
from clinical_phantom import BODY, BONE, COLUMNS, METAL, RAW, ROWS, TRUTH, disc
from numpy.lib.stride_tricks import sliding_window_view
from scipy import ndimage

from marbench.metrics.fidelity import Reference, ScoredImage
from marbench.metrics.measure import measure, measures_of
from marbench.metrics.places import Disc
from marbench.metrics.proton import stopping_power, water_equivalent_mm
from marbench.metrics.regions import regions_of

REFERENCE = Reference(TRUTH, METAL, raw=RAW, pixel_mm=1.0)
REGIONS = regions_of(REFERENCE)
BOTH = ("clinical", "aapm2024")


def score(id, image, reference=REFERENCE):
    return measure(id).compute(ScoredImage(image, reference))


def test_the_truth_has_no_fault_but_the_metal_that_it_lacks() -> None:
    for each in measures_of(BOTH):
        perfect = {"noise[aapm2024]": TRUTH[REGIONS["noise"]].std(), "metal_volume[aapm2024]": 1}.get(
            each.id, 1.0 if each.higher_is_better else 0.0
        )
        perfect = 0 if each.id == "metal_dice[aapm2024]" else perfect
        assert each.compute(ScoredImage(TRUTH, REFERENCE)) == pytest.approx(perfect, abs=1e-9), each.id


def test_a_constant_error_is_the_error_of_ct_number() -> None:
    # +7 HU on half of the region by columns: √(7² · share)
    left = COLUMNS < 88
    share = (left & REGIONS["clear"]).sum() / REGIONS["clear"].sum()
    assert score("ct_number[clinical]", TRUTH + 7 * left) == pytest.approx(7 * math.sqrt(share))
    # Two steps to the four neighbours reach as far as 2 mm do.
    assert score("ct_number[aapm2024]", TRUTH + 7 * left) == pytest.approx(7 * math.sqrt(share))
    for name in BOTH:
        assert score(f"ct_number[{name}]", TRUTH + 100 * ~BODY) == 0
        assert score(f"ct_number[{name}]", TRUTH + 100 * ndimage.binary_dilation(METAL)) == 0


def test_noise_is_a_standard_deviation_whose_lack_counts_as_an_error() -> None:
    # The truth is even there. Pixels by turns ±6 HU: σ = 6, but for the odd pixel of a disc.
    checker = 6.0 * (-1) ** (ROWS + COLUMNS)
    even = checker[REGIONS["noise"]]
    expected = math.sqrt(36 - even.mean() ** 2)
    assert expected == pytest.approx(6, abs=0.05)
    assert score("noise[clinical]", TRUTH + checker) == pytest.approx(expected)
    assert score("noise[aapm2024]", TRUTH + checker) == pytest.approx(expected)
    noisy = Reference(TRUTH + checker, METAL, raw=RAW + checker, pixel_mm=1.0)
    there = regions_of(noisy)["noise"]
    smooth = TRUTH[there].std()
    assert score("noise[aapm2024]", TRUTH, noisy) == pytest.approx(smooth)
    assert score("noise[clinical]", TRUTH, noisy) == pytest.approx((TRUTH + checker)[there].std() - smooth)


def test_edges_of_twice_the_height_are_as_wrong_as_edges_of_half() -> None:
    for factor, expected in ((0.5, 0.5), (2.0, 2.0)):
        image = 40 + factor * (TRUTH - 40)
        assert score("sharpness[aapm2024]", image) == pytest.approx(expected)
        assert score("sharpness[clinical]", image) == pytest.approx(0.5)
    assert score("sharpness[clinical]", np.zeros_like(TRUTH)) == 0


def test_the_amplitude_of_streaks_is_between_the_twentieths_at_both_ends() -> None:
    # 400 pixels, of which 20 at each end count: 10 of +50 and 10 of +20, against 5 of −80 and 15 of 0.
    rows, columns = np.nonzero(REGIONS["streak"])
    assert len(rows) == 400
    image = TRUTH.copy()
    for start, stop, error in ((0, 10, 50), (10, 100, 20), (100, 105, -80)):
        image[rows[start:stop], columns[start:stop]] += error
    expected = (10 * 50 + 10 * 20) / 20 - 5 * -80 / 20
    for name in BOTH:
        assert score(f"streak[{name}]", image) == pytest.approx(expected)


def windowed(one, other, span):
    """SSIM of every pixel whose window lies within the picture."""
    weights = np.exp(-(np.arange(-5, 6)[:, None] ** 2 + np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    weights /= weights.sum()
    x, y = (sliding_window_view(each, (11, 11)) for each in (one, other))
    mx, my, xx, yy, xy = (np.einsum("ijkl,kl->ij", v, weights) for v in (x, y, x * x, y * y, x * y))
    c1, c2 = (0.01 * span) ** 2, (0.03 * span) ** 2
    structure = (2 * (xy - mx * my) + c2) / (xx - mx**2 + yy - my**2 + c2)
    return (2 * mx * my + c1) / (mx**2 + my**2 + c1) * structure


def test_similarity_is_taken_window_by_window() -> None:
    image = TRUTH + 40 * np.sin(COLUMNS / 3) + 3000 * METAL
    near = ndimage.binary_dilation(METAL, iterations=2)
    aapm = windowed(*(np.where(near, 100, each) for each in (image, TRUTH)), 5000.0)
    inside = (REGIONS["body"] & ~near)[5:-5, 5:-5]
    assert score("ssim[aapm2024]", image) == pytest.approx(aapm[inside].mean(), abs=1e-9)
    clear = REGIONS["clear"]
    one, truth = (np.clip(each, -1000, 1000) + 1000 for each in (np.where(clear, image, TRUTH), TRUTH))
    assert score("ssim[clinical]", image) == pytest.approx(windowed(one, truth, 2000.0)[clear[5:-5, 5:-5]].mean())


def test_bone_by_area_and_overlap() -> None:
    # Of the bone's n pixels one row is lost, and 10 pixels are bone elsewhere.
    image, lost = TRUTH.copy(), BONE & (ROWS == 120)
    image[lost], image[88, 80:90] = 149, 150
    n, m = BONE.sum(), lost.sum()
    for name, unit in (("clinical", 100), ("aapm2024", 1)):
        assert score(f"bone_volume[{name}]", image) == pytest.approx(unit * abs(1 - (n - m + 10) / n))
        assert score(f"bone_dice[{name}]", image) == pytest.approx(2 * (n - m) / (n - m + 10 + n))


def test_metal_as_the_image_shows_it_and_as_it_is_put_back() -> None:
    # Tissue near metal reaches 52 HU: metal is above 302. 8 pixels beside it are that bright, 16 of its own are not.
    image = TRUTH + 4000 * METAL
    image[59, 100:108], image[60:62, 100:108] = 303, 301
    assert score("metal_volume[aapm2024]", image) == pytest.approx(1 - (64 - 16 + 8) / 64)
    assert score("metal_dice[aapm2024]", image) == pytest.approx(2 * 48 / (56 + 64))
    assert score("metal_volume[clinical]", image) == pytest.approx(100 * 8 / 64)
    assert score("metal_dice[clinical]", image) == pytest.approx(2 * 64 / (72 + 64))
    erased = np.where(METAL, np.nan, image)
    assert score("metal_dice[clinical]", erased) == score("metal_dice[clinical]", image)
    assert score("metal_dice[aapm2024]", np.where(METAL, 0, TRUTH)) == 0


@pytest.mark.parametrize("angle", [0.0, 90.0, 180.0, 270.0, 30.0])
def test_a_beam_through_a_slab_reaches_as_far_as_its_stopping_power_says(angle) -> None:
    # Water of 50 HU (1.038) all over, a square of 60 mm; the middle ray ends 10 mm beyond its middle.
    body = (abs(ROWS - 88) <= 30) & (abs(COLUMNS - 88) <= 30)
    target = Disc(88, 88, 10)
    deep = water_equivalent_mm(np.full(TRUTH.shape, 50.0), body, target, angle, 1.0)
    assert len(deep) == 21
    aside, turn = np.arange(-10, 11), math.radians(angle)
    # From the side that the beam enters by; every ray ends on the circle.
    entry = 30.5 / max(abs(math.cos(turn)), abs(math.sin(turn)))
    lean = aside * math.tan(turn) if angle == 30 else 0
    expected = 1.038 * (entry - lean + np.sqrt(100 - aside**2))
    assert deep == pytest.approx(expected, abs=0.6)
    assert water_equivalent_mm(np.full(TRUTH.shape, 50.0), body, target, angle, 0.5) == pytest.approx(deep / 2)


def test_the_stopping_power_is_that_of_the_table() -> None:
    # −70 HU is half way between −120 (0.897) and −20 (1.003); beyond the ends it stays.
    assert stopping_power(np.array([-2000, -70, 140, 99999999.0])) == pytest.approx([0, 0.95, 1.097, 3.2])


def test_the_range_of_protons_is_wrong_by_what_the_beam_meets() -> None:
    """Bone of 1000 HU, 5 mm deep, across the beam behind the metal: ΔWET = 5 (SPR(1000) − SPR(40 ± 12))."""
    target = REGIONS.target
    right, down = math.cos(math.radians(REGIONS.beam)), math.sin(math.radians(REGIONS.beam))
    along = (COLUMNS - target.column) * right + (ROWS - target.row) * down
    slab = (along < -30) & (along >= -35) & disc(target.row, target.column, 60)
    image = np.where(slab, 1000.0, TRUTH)
    power = stopping_power(np.array([1000.0, 28.0, 52.0]))
    low, high = 5 * (power[0] - power[2]), 5 * (power[0] - power[1])
    assert low - 0.1 < score("wet[clinical]", image) < high + 0.1
    longest = score("wet[clinical]", image) / score("proton_range[clinical]", image) * 100
    assert 60 < longest < 170
    assert score("proton_range[aapm2024]", image) * longest == pytest.approx((low + high) / 2, rel=0.4)


def test_the_scorer_of_the_challenge_turns_the_picture_and_not_the_body() -> None:
    """A beam along the rows, where turning does nothing: the sum over each row up to the end of the target."""
    metal = np.zeros_like(METAL)
    metal[84:92, 60:68] = True
    truth = np.where(BODY, 40.0, -1000.0)
    truth[(abs(COLUMNS - 64) < 14) & (abs(ROWS - 88) < 60)] = 200  # no tissue for a target but to the right
    truth[(abs(COLUMNS - 64) < 26) & (COLUMNS < 64)] = 200
    reference = Reference(truth, metal, raw=truth + 4000 * metal, pixel_mm=2.0)
    regions = regions_of(reference)
    assert regions.beam == 0 and regions.target is not None
    image = truth + 50 * (COLUMNS < 60)
    p, q = (stopping_power(each) * (regions["body"]) for each in (image, truth))
    rows = np.flatnonzero(regions["target"].any(axis=1))[:-1]  # the last one is not looked at
    ends = [int(np.flatnonzero(regions["target"][row]).max()) for row in rows]
    one, other = (
        np.array([2.0 * each[row, : end + 1].sum() for row, end in zip(rows, ends, strict=True)]) for each in (p, q)
    )
    assert score("proton_range[aapm2024]", image, reference) == pytest.approx(abs(one - other).max() / other.max())


def test_an_image_of_nothing_is_wrong_by_the_whole_range() -> None:
    assert score("proton_range[aapm2024]", np.full_like(TRUTH, -1024.0)) == 1


def test_a_slice_without_a_place_has_no_number_and_no_error() -> None:
    water = np.where(BODY, 200.0, -1000.0)
    nothing = Reference(water, METAL, raw=water, pixel_mm=1.0)
    scores = {each.id: each.compute(ScoredImage(water, nothing)) for each in measures_of(BOTH) if each.convention}
    lacking = {name for name, value in scores.items() if math.isnan(value)}
    assert {f"{name}[clinical]" for name in ("noise", "sharpness", "streak", "proton_range", "wet")} <= lacking
    assert not lacking & {f"{name}[{of}]" for of in BOTH for name in ("ct_number", "ssim", "bone_volume")}
    unknown = Reference(TRUTH, METAL, raw=RAW)
    assert all(math.isnan(score(each.id, TRUTH, unknown)) for each in measures_of(BOTH) if each.convention)
