"""What a method invents: worked out by hand where rays are sums of rows and columns, and on a scan of a benchmark."""

import math

import numpy as np
import pytest
from clinical_phantom import BODY, COLUMNS, METAL, QUIET, RAW, TRUTH

import marbench
from marbench.cases.scanner import operators_of
from marbench.cases.suite import Suite
from marbench.metrics.consistency import Measured
from marbench.metrics.fidelity import Reference, ScoredImage
from marbench.metrics.measure import measure
from marbench.metrics.regions import regions_of

INCONSISTENCY, CHANGE = measure("inconsistency[hallucination]"), measure("clean_change[hallucination]")
WATER = np.zeros((4, 4))
MIDDLE = np.arange(16).reshape(4, 4) == 6  # row 1, column 2


def sums(image):
    """Line integrals of a picture whose water has 1 per pixel: of its columns, and of its rows."""
    mu = 1 + image / 1000
    return np.array([mu.sum(axis=0), mu.sum(axis=1)])


def inconsistency(image, trace=None):
    """Of an image of water with one pixel of metal, whose rays all measured 4."""
    trace = np.zeros((2, 4), dtype=bool) if trace is None else trace
    return INCONSISTENCY.compute(
        ScoredImage(image, Reference(None, MIDDLE, measured=Measured(sums(WATER), trace, sums)))
    )


def test_an_image_is_held_against_the_rays_that_miss_metal() -> None:
    assert inconsistency(WATER) == 0
    invented = WATER.copy()
    invented[0, 0] = 1000.0
    # Two of six rays are off by 1, of 4 each.
    assert inconsistency(invented) == pytest.approx(100 * math.sqrt(2 / (6 * 16)))
    # The column belongs to the trace: one of five.
    assert inconsistency(invented, np.array([[1, 0, 0, 0], [0, 0, 0, 0]], dtype=bool)) == pytest.approx(
        100 * math.sqrt(1 / (5 * 16))
    )
    beside_metal = WATER.copy()
    beside_metal[1, 0] = 1000.0  # its row meets metal, and bears no witness
    assert inconsistency(beside_metal) == pytest.approx(100 * math.sqrt(1 / (6 * 16)))


def test_what_an_image_shows_in_metal_is_no_inconsistency() -> None:
    assert inconsistency(np.where(MIDDLE, np.nan, WATER)) == 0
    assert inconsistency(np.where(MIDDLE, 9000, WATER)) == 0


def test_where_no_ray_misses_metal_or_no_scan_is_known_there_is_no_number() -> None:
    assert math.isnan(inconsistency(WATER, np.ones((2, 4), dtype=bool)))
    assert math.isnan(INCONSISTENCY.compute(ScoredImage(WATER, Reference(None, MIDDLE))))


def test_a_change_counts_where_the_uncorrected_image_was_right() -> None:
    reference = Reference(TRUTH, METAL, raw=RAW, pixel_mm=1.0)
    free = regions_of(reference)["artifact_free"]
    # 15 HU everywhere else: a disc of 5 mm is within 10 HU where 1 − 10²/15² of it or more is quiet.
    assert free[60, 50] and (QUIET | ~free | (np.abs(RAW - TRUTH) == 15)).all()
    assert 0.8 < free.sum() / QUIET.sum() < 1
    left = COLUMNS < 50
    changed = RAW + np.where(left, 6.0, -2.0)
    share = (left & free).sum() / free.sum()
    assert CHANGE.compute(ScoredImage(changed, reference)) == pytest.approx(math.sqrt(36 * share + 4 * (1 - share)))
    assert CHANGE.compute(ScoredImage(np.where(free, RAW, 0), reference)) == 0
    wrong = Reference(TRUTH, METAL, raw=TRUTH + np.where(BODY, 11.0, 0) + 4000 * METAL, pixel_mm=1.0)
    assert math.isnan(CHANGE.compute(ScoredImage(TRUTH, wrong)))


def test_on_a_scan_the_truth_agrees_better_with_the_rays_than_streaks_do(tiny) -> None:
    case = Suite(tiny)[0]
    truth, raw = case.known_truth.image[0], case.scan.image[0]
    scores = [marbench.score(image, case, "hallucination", spec=tiny)[INCONSISTENCY.id] for image in (truth, raw)]
    assert scores[0] < scores[1]
    touched = operators_of(tiny).project(-1000 + 1000.0 * case.known_truth.metal.float()) > 0
    missed = ~(touched | case.scan.metal_trace)[0]
    off = (operators_of(tiny).project(truth) - case.scan.sinogram[0])[missed]
    assert scores[0] == pytest.approx(float(100 * off.norm() / case.scan.sinogram[0][missed].norm()), rel=1e-4)
    assert math.isnan(marbench.score(truth, case, "hallucination")[INCONSISTENCY.id])


def test_air_that_rounding_leaves_a_trace_of_touches_no_ray(tiny: marbench.Spec) -> None:
    """0.2 1/cm is no power of two: −1000 HU is 1.5e-8 1/cm in float32, where that of 0.192 is 0."""
    content = tiny.model_dump(mode="json", by_alias=True, exclude_none=True)
    content["physics"] |= {"water_attenuation": 0.2, "reference_kev": 64.0}
    spec = marbench.Spec.model_validate(content)
    case = Suite(spec)[0]
    assert marbench.score(case.known_truth.image, case, "hallucination", spec)["inconsistency[hallucination]"] < 20


def test_a_mask_that_is_wrong_on_purpose_changes_no_number(tiny: marbench.Spec) -> None:
    content = tiny.model_dump(mode="json", by_alias=True, exclude_none=True)
    wrong = marbench.Spec.model_validate(content | {"segmentation": {"shift_px": 2}})
    cases = Suite(tiny)[0], Suite(wrong)[0]
    assert not cases[0].scan.metal_trace.equal(cases[1].scan.metal_trace)
    numbers = [
        marbench.score(case.scan.image, case, "hallucination", spec)[INCONSISTENCY.id]
        for case, spec in zip(cases, (tiny, wrong), strict=True)
    ]
    assert numbers[0] == pytest.approx(numbers[1], rel=1e-3)
