"""Measures: what they say of themselves, how they are found, and that images are scored by them."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

import marbench
from marbench.cases.case import Case, Scan, Truth
from marbench.cases.info import CaseInfo, CaseKey
from marbench.errors import MetricError
from marbench.metrics.conventions import CONVENTIONS
from marbench.metrics.fidelity import psnr, rmse, ssim
from marbench.metrics.measure import LARGEST, measure, measures_of, stored_measures
from marbench.metrics.scoring import Scorer, score_image

RNG = np.random.default_rng(0)
TRUTH = RNG.normal(0, 60, (64, 48)).astype(np.float32)
NOISY = TRUTH + RNG.normal(0, 20, TRUTH.shape).astype(np.float32)
METAL = np.zeros(TRUTH.shape, dtype=bool)
METAL[10:20, 10:20] = True
BOTH = ["dudonet2019", "dudonetpp2020"]


def _case(window: tuple[float, float] = (-160.0, 240.0), metal: np.ndarray = METAL) -> Case:
    image, mask = torch.from_numpy(TRUTH)[None], torch.from_numpy(metal)[None]
    sinogram = torch.zeros(1, 4, 4)
    scan = Scan(sinogram, mask, sinogram > 0, image)
    info = CaseInfo(CaseKey("c", "p", "s", "m", 1), int(metal.sum()), 1.0, ("gold",), "thorax", window)
    return Case(scan, Truth(image, sinogram, mask), info)


def test_only_parts_of_a_whole_have_bounds_that_a_diverging_method_cannot_leave() -> None:
    for each in measures_of(CONVENTIONS):
        if each.unit in ("HU", "%"):
            assert each.bounds == (0, LARGEST), each.id
        else:
            assert each.bounds[1] in (1, 100, LARGEST), each.id
    image = np.where(METAL, TRUTH, np.float32(3e38))
    scores = score_image(image, _case(), measures_of([*BOTH, "clinical"]))
    assert scores["rmse_hu"] > 1e38 and not math.isnan(scores["psnr[dudonet2019]"])
    for each in measures_of([*BOTH, "clinical"]):
        assert math.isnan(scores[each.id]) or each.bounds[0] <= scores[each.id] <= each.bounds[1], each.id


def test_an_image_is_scored_as_the_single_functions_do() -> None:
    scores = score_image(NOISY, _case((-400.0, 600.0)), measures_of(BOTH))
    assert list(scores) == [each.id for each in measures_of(BOTH)]
    assert scores["rmse_hu"] == rmse(NOISY, TRUTH, ~METAL)
    for convention, hu_range in zip(BOTH, [(-400.0, 600.0), (-175.0, 275.0)], strict=True):
        assert scores[f"psnr[{convention}]"] == psnr(NOISY, TRUTH, ~METAL, hu_range)
        assert scores[f"ssim[{convention}]"] == ssim(NOISY, TRUTH, ~METAL, hu_range)


def test_what_is_kept_of_the_truth_changes_no_score() -> None:
    scorer, measures = Scorer(_case(), measures_of(BOTH)), measures_of(BOTH)
    for image in (NOISY, TRUTH, NOISY + 5, NOISY):
        assert scorer.score(image) == score_image(image, _case(), measures)


def test_metal_pixels_count_for_nothing() -> None:
    spoiled = NOISY.copy()
    spoiled[METAL] = 30000
    assert score_image(spoiled, _case(), measures_of(BOTH)) == score_image(NOISY, _case(), measures_of(BOTH))


def test_conventions_differ_by_their_window() -> None:
    scores = score_image(NOISY, _case((-450.0, 1050.0)), measures_of(BOTH))
    assert scores["psnr[dudonet2019]"] == pytest.approx(20 * math.log10(1500 / scores["rmse_hu"]), abs=1e-6)
    assert scores["psnr[dudonet2019]"] > scores["psnr[dudonetpp2020]"] + 5


def test_of_a_case_without_what_a_measure_needs_there_is_no_number_and_no_error() -> None:
    without_truth = replace(_case(), truth=None)  # type: ignore[arg-type]  # as recorded scans will be
    assert all(math.isnan(value) for value in score_image(NOISY, without_truth, measures_of(BOTH)).values())
    brightest = replace(
        measure("rmse_hu"),
        id="brightest_hu",
        needs=frozenset({"metal"}),
        compute=lambda scored: float(scored.image[~scored.reference.valid].max()),
    )
    assert score_image(NOISY, without_truth, [brightest])["brightest_hu"] == NOISY[METAL].max()
    no_metal = _case(metal=np.zeros_like(METAL))
    assert math.isnan(score_image(NOISY, no_metal, [brightest])["brightest_hu"])
    assert score_image(NOISY, no_metal, measures_of("dudonet2019"))["rmse_hu"] == pytest.approx(20, rel=0.05)


def test_every_measure_says_what_it_is() -> None:
    measures = measures_of(CONVENTIONS)
    assert len({each.id for each in measures}) == len(measures)
    for each in measures:
        assert each.title and each.digits > 0 and each.needs <= {"truth", "metal", "region", "scan"}
        assert bool(each.convention) != bool(each.definition)
        assert each == measure(each.id)
        if "region" in each.needs:
            continue  # noise has no places for regions
        better, worse = (
            score_image(TRUTH + error * np.sign(NOISY - TRUTH), _case(), [each])[each.id] for error in (5, 50)
        )
        assert each.sign * better > each.sign * worse


def test_measures_and_conventions_are_found_by_name_or_the_nearest_is_told() -> None:
    assert measures_of("dudonet2019") == measures_of(["dudonet2019", "dudonet2019"])
    with pytest.raises(MetricError, match=r"no measure 'psnr\[dudonet\]'; did you mean 'psnr\[dudonet2019\]'"):
        measure("psnr[dudonet]")
    with pytest.raises(MetricError, match="no metric convention 'dudonet2020'; did you mean 'dudonet"):
        measures_of(["dudonet2020"])


def test_a_table_tells_which_measures_it_holds() -> None:
    columns = ["x[", "psnr[dudonetpp2020]", "ssim[dudonetpp2020]", "psnr[dudonet2019]", "ssim[dudonet2019]"]
    ids = [each.id for each in stored_measures([*columns, "psnr[own]", "ssim[own]"], first=["dudonet2019"])]
    assert ids == [f"{name}[{convention}]" for convention in (*BOTH, "own") for name in ("psnr", "ssim")]
    (unknown, *_) = stored_measures(["psnr[own]", "ssim[own]"])
    with pytest.raises(MetricError, match="no metric convention 'own'"):
        score_image(NOISY, _case(), [unknown])


def test_score_takes_one_convention_as_text_and_refuses_unknown_ones() -> None:
    image, case = torch.from_numpy(NOISY), _case()
    assert marbench.score(image, case, conventions="dudonet2019") == score_image(
        NOISY, case, measures_of("dudonet2019")
    )
    with pytest.raises(marbench.MarbenchError, match="did you mean 'dudonet2019'"):
        marbench.score(image, case, conventions="dudonet219")
