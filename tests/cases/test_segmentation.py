"""The metal mask that methods are given, where it is not that of what was put in."""

import numpy as np
import pytest
import torch

from marbench.cases.case import Case
from marbench.cases.segmentation import segmented
from marbench.cases.suite import Suite
from marbench.errors import SpecError
from marbench.learning.cases import World
from marbench.spec import Spec
from marbench.spec_sections import SegmentationSection


def cases_of(spec: Spec, **values: float) -> list[Case]:
    return Suite(spec.model_copy(update={"segmentation": SegmentationSection.model_validate(values)}))[:10]


@pytest.fixture(scope="module")
def base(tiny: Spec) -> list[Case]:
    return Suite(tiny)[:10]


def test_a_mask_that_is_grown_by_nothing_is_the_same_benchmark_bit_for_bit(tiny: Spec, base: list[Case]) -> None:
    assert tiny.model_copy(update={"segmentation": SegmentationSection(grow_px=0)}).hash == tiny.hash
    for one, other in zip(base, cases_of(tiny, grow_px=0), strict=True):
        parts = zip([*vars(one.scan).values(), *vars(one.truth).values()], vars(other.scan).values(), strict=False)
        assert all(torch.equal(a, b) for a, b in parts)


def test_a_mask_holds_those_that_are_grown_less_and_so_does_its_trace(tiny: Spec, base: list[Case]) -> None:
    for one, less, more in zip(base, cases_of(tiny, grow_px=1), cases_of(tiny, grow_px=2), strict=True):
        assert (one.scan.metal_mask <= less.scan.metal_mask).all()
        assert (less.scan.metal_mask < more.scan.metal_mask).any()
        assert (less.scan.metal_mask <= more.scan.metal_mask).all()
        assert (less.scan.metal_trace <= more.scan.metal_trace).all()
        assert one.scan.metal_trace.sum() < more.scan.metal_trace.sum()


def test_a_threshold_marks_what_the_uncorrected_image_shows_at_it_and_above(tiny: Spec) -> None:
    found = cases_of(tiny, threshold_hu=1500)
    assert any(case.scan.metal_mask.any() for case in found)
    for case in found:
        assert torch.equal(case.scan.metal_mask, case.scan.image >= 1500)


def test_the_scan_the_truth_and_where_it_is_scored_stay(tiny: Spec, base: list[Case]) -> None:
    for one, other in zip(base, cases_of(tiny, grow_px=-1, shift_px=2), strict=True):
        assert torch.equal(one.scan.sinogram, other.scan.sinogram)
        assert torch.equal(one.scan.image, other.scan.image)
        assert all(torch.equal(a, b) for a, b in zip(vars(one.truth).values(), vars(other.truth).values(), strict=True))
        assert one.info == other.info


def test_growing_and_shrinking_go_by_distance_and_displacing_loses_what_leaves_the_image() -> None:
    image = np.zeros((9, 9), np.float32)
    point = np.zeros((9, 9), bool)
    point[4, 4] = True

    def found(mask: np.ndarray, **values: float) -> np.ndarray:
        result = segmented(mask, image, SegmentationSection.model_validate(values))
        assert result is not None
        return result

    # All pixels within 2: 13, a disc. Shrunk by as much, the point is left; by one more, nothing.
    disc = found(point, grow_px=2)
    assert disc.sum() == 13
    assert np.array_equal(found(disc, grow_px=-2), point)
    assert not found(disc, grow_px=-3).any()
    assert not found(np.zeros_like(point), grow_px=3).any()
    assert np.array_equal(found(point, shift_px=2), np.roll(point, 2, axis=1))
    assert not found(point, shift_px=5).any()


def test_networks_are_not_trained_with_masks_that_are_wrong(tiny: Spec) -> None:
    with pytest.raises(SpecError, match="networks learn with the true mask"):
        World(tiny.model_copy(update={"segmentation": SegmentationSection(grow_px=1)}))
