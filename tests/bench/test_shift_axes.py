"""The axes of `marbench shift`: of a benchmark one thing is changed, and nothing else."""

import pytest
import torch

from marbench.bench.shift_axes import axes, derive
from marbench.cases.suite import Suite
from marbench.spec import Spec, load_spec


def test_along_every_axis_nothing_else_changes() -> None:
    base, named = load_spec("mini"), set()
    kept = ("seed", "grid_section", "split", "truth", "metrics", "reconstruction")
    for axis in axes().values():
        specs = [derive(base, axis, point) for point in axis.points]
        assert [spec is base for spec in specs].count(True) == 1, axis.name
        for spec in specs:
            assert all(getattr(spec, name) == getattr(base, name) for name in kept)
            sections = ("geometry_section", "physics", "metals", "segmentation", "anatomy")
            assert sum(getattr(spec, name) != getattr(base, name) for name in sections) == (spec is not base)
            assert spec is base or spec.hash != base.hash
            named.add(spec.name)
    assert len(named) == 1 + sum(len(axis.points) - 1 for axis in axes().values())


def test_of_a_base_with_the_longest_name_every_point_has_a_name_of_its_own() -> None:
    named = [load_spec("mini").model_copy(update={"name": end.rjust(64, "n")}) for end in "ab"]
    specs = [derive(base, axis, point) for base in named for axis in axes().values() for point in axis.points]
    assert len({spec.hash for spec in specs}) > 20
    assert len({(spec.name, spec.hash) for spec in specs}) == len({spec.name for spec in specs})
    assert max(len(spec.name) for spec in specs) == 64


def test_the_true_mask_is_one_found_by_no_threshold() -> None:
    content = load_spec("mini").model_dump(mode="json", by_alias=True, exclude_none=True)
    found = Spec.model_validate(content | {"segmentation": {"threshold_hu": 2500, "grow_px": 1}})
    axis = axes()["threshold"]
    specs = {point.label: derive(found, axis, point) for point in axis.points}
    assert specs["2500"] is found
    assert specs["true"].segmentation.threshold_hu is None and specs["true"].segmentation.grow_px == 1
    assert specs["true"].name == "mini-threshold-true"


def test_truth_is_the_base_s_but_where_the_scanner_is_another(tiny: Spec) -> None:
    true = Suite(tiny)[3].truth
    assert true is not None
    for axis, at in (("mask", 0), ("metal", -1), ("dose", -1)):
        other = Suite(derive(tiny, axes()[axis], axes()[axis].points[at]))[3].truth
        assert other is not None
        assert (other.image - true.image).abs().max() < 1  # HU: a ray counts whole photons
        assert torch.equal(other.metal, true.metal)


def test_a_smaller_patient_is_the_same_patient_beside_an_implant_of_the_same_size(tiny: Spec) -> None:
    axis = axes()["anatomy"]
    adult, child = (Suite(derive(tiny, axis, point))[3] for point in (axis.points[0], axis.points[2]))
    bodies = [(case.known_truth.image > -500).sum() for case in (adult, child)]
    assert float(bodies[1] / bodies[0]) == pytest.approx(0.7**2, rel=0.1)
    assert child.info.metal_area_mm2 == pytest.approx(adult.info.metal_area_mm2, rel=0.02)
    assert (child.info.key, child.info.region) == (adult.info.key, adult.info.region)


def test_a_flat_detector_has_the_pitch_of_the_arc_at_the_isocentre() -> None:
    base, axis = load_spec("mini"), axes()["geometry"]
    flat = derive(base, axis, axis.points[1])
    assert flat.geometry.detector == "flat"
    assert flat.geometry.isocentre_pitch == pytest.approx(base.geometry.isocentre_pitch)
