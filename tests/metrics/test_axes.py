"""Axes against those that the organisers of the AAPM CT-MAR challenge published, and scores worked out by hand."""

import math

import pytest

from marbench.errors import MetricError
from marbench.metrics.axes import SCORES, axis_of, overall, score


@pytest.mark.parametrize(
    ("name", "nmar", "truth", "published"),
    [
        ("ct_number", 60, 0, [0, 0, 30, 60, 90, 120]),  # case 02
        ("streak", 300, 0, [0, 0, 150, 300, 450, 600]),  # case 03
        ("metal_volume", 0.5, 0, [0, 0, 0.25, 0.5, 0.75, 1.0]),  # case 04
        ("bone_volume", 0.02, 0, [0, 0, 0.01, 0.02, 0.03, 0.04]),  # case 01
        ("ssim", 0.98, 0, [20, 1, 0.99, 0.98, 0.97, 0.96]),  # case 01
        ("bone_dice", 0.9, 0, [20, 1, 0.95, 0.9, 0.85, 0.8]),  # case 04
        ("noise", 0, 8, [0, 8, 10, 12, 14, 16]),  # case 01
        ("sharpness", 0.1, 0, [10, 1, 0.94, 0.85, 0.67, 0.56]),
        ("proton_range", 0.1, 0, [0, 0, 0.005, 0.01, 0.015, 0.02]),
    ],
)
def test_the_rule_gives_the_axes_of_the_challenge(name, nmar, truth, published) -> None:
    axis = axis_of(name, nmar, truth)
    assert axis[:6] == pytest.approx(published)
    assert [score(x, axis) for x in axis[1:6]] == pytest.approx(SCORES[1:6])


def test_scores_lie_between_the_points_and_end_with_them() -> None:
    ssim = axis_of("ssim", 0.98)
    assert score(0.985, ssim) == pytest.approx(1.5)
    assert (score(2, ssim), score(-30, ssim)) == (0, 4)
    # An axis that goes to and fro is put in order with its scores: 46.5 is half way between 45 (1) and 48 (0).
    assert score(46.5, (0, 48, 45, 64, 72, 80, 9999)) == pytest.approx(0.5)


def test_the_score_of_a_case_is_the_mean_of_the_eight_that_it_has() -> None:
    axes = {"ct_number": axis_of("ct_number", 60), "bone_volume": axis_of("bone_volume", 0.02)}
    axes["bone_dice"] = axis_of("bone_dice", 0.9)
    values = {"ct_number": 30, "bone_volume": 0.04, "bone_dice": 0.95, "noise": 3, "streak": math.nan}
    assert overall(values, axes) == pytest.approx((1 + (4 + 1) / 2) / 2)
    assert math.isnan(overall({"noise": 3}, axes))


def test_what_has_no_axis_is_told() -> None:
    with pytest.raises(MetricError, match="no axis of 'ssimm'; did you mean 'ssim'"):
        axis_of("ssimm", 0.9)
    with pytest.raises(MetricError, match=r"in units of an error above 0. Got 0"):
        axis_of("metal_dice", 1.0)
