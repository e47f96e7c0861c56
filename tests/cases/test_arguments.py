"""What users hand in is what it should be, or is refused: nothing is cast, cut or guessed in silence."""

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch

import marbench
from marbench.cases.case import Case, Scan
from marbench.cases.suite import Suite
from marbench.errors import DataError, MetricError
from marbench.method.images import InvalidImage
from marbench.physics.hounsfield import hu_to_mu


@pytest.fixture(scope="module")
def suite() -> Suite:
    return Suite("mini")


@pytest.fixture(scope="module")
def case(suite: Suite) -> Case:
    return suite[0]


def parts(scan: Scan, **other: Any) -> dict[str, Any]:
    return {field.name: getattr(scan, field.name) for field in dataclasses.fields(Scan)} | other


@pytest.mark.parametrize("peak", [1, 255])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int64, torch.float32])
def test_masks_as_files_hold_them_give_the_same_scan(case: Case, peak: int, dtype: torch.dtype) -> None:
    scan = case.scan
    masks = {name: getattr(scan, name).to(dtype) * peak for name in ("metal_mask", "metal_trace")}
    given = Scan(**parts(scan, **masks))
    for name in masks:
        assert getattr(given, name).dtype == torch.bool
        assert torch.equal(getattr(given, name), getattr(scan, name))


def test_what_is_no_scan_is_refused_with_what_was_expected(case: Case) -> None:
    scan = case.scan
    starved = scan.sinogram.clone()
    starved[0, 3, 4] = torch.inf
    faults: list[tuple[dict[str, Any], str]] = [
        ({"sinogram": scan.sinogram[0]}, r"Scan\.sinogram: expected the shape \(batch, views, bins\).*\[None\]"),
        ({name: value[0] for name, value in parts(scan).items()}, r"expected the shape \(batch"),
        ({"image": scan.image[0]}, r"Scan\.image: expected the shape \(batch, rows, columns\)"),
        ({"sinogram": scan.sinogram.numpy()}, r"Scan\.sinogram: expected a torch\.Tensor\. Got numpy\.ndarray"),
        ({"metal_mask": scan.metal_mask.numpy()}, r"Scan\.metal_mask: expected a torch\.Tensor of booleans"),
        ({"sinogram": scan.sinogram.half()}, r"expected float32\. Got torch\.float16: convert it with \.float\(\)"),
        ({"image": scan.image.int()}, r"Scan\.image: expected float32\. Got torch\.int32"),
        ({"metal_trace": scan.metal_trace * 2}, r"Scan\.metal_trace: a mask is boolean, 0 and 1, or 0 and 255"),
        ({"metal_mask": scan.metal_mask * 0.5}, r"Scan\.metal_mask: a mask is boolean"),
        ({"metal_trace": scan.metal_mask}, r"Scan\.metal_trace and Scan\.sinogram: expected the same shape"),
        ({"metal_mask": scan.metal_trace}, r"Scan\.metal_mask and Scan\.image: expected the same shape"),
        (
            {"image": scan.image.expand(2, -1, -1), "metal_mask": scan.metal_mask.expand(2, -1, -1)},
            "as many sinograms as images. Got 1 and 2",
        ),
        ({"sinogram": starved}, r"Scan\.sinogram: 1 of 49152 values are NaN or infinite\. Rays that no photon"),
        ({"image": scan.image * torch.nan}, r"Scan\.image: 16384 of 16384 values are NaN"),
        ({"image": hu_to_mu(scan.image)}, r"Scan\.image: expected HU.* like attenuation in 1/cm"),
    ]
    for changed, message in faults:
        with pytest.raises(DataError, match=message):
            Scan(**parts(scan, **changed))


def test_a_scan_may_be_empty_flat_or_of_double_precision(case: Case) -> None:
    scan = case.scan
    assert len(Scan(**{name: value[:0] for name, value in parts(scan).items()})) == 0
    assert Scan(**parts(scan, image=torch.zeros_like(scan.image))).image.sum() == 0
    assert Scan(**parts(scan, sinogram=scan.sinogram.double())).sinogram.dtype == torch.float64


def test_methods_take_a_batch_of_no_scans(case: Case) -> None:
    empty = Scan(**{name: value[:0] for name, value in parts(case.scan).items()})
    for name in ("li", "nmar", "cnnmar"):
        assert marbench.load_method(name, "mini").method.reduce(empty).shape == (0, 128, 128)


@pytest.mark.parametrize("peak", [True, 1, 255, 1.0])
@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int16, np.float32, np.float64])
def test_metal_of_any_type_of_mask_attenuates_alike(suite: Suite, peak: float, dtype: type) -> None:
    free = suite.simulator.without_metal(suite.source.load("test-p000", "test-p000-s0", suite.spec.grid))
    mask = np.zeros(suite.spec.grid.shape, np.float32)
    mask[60:64, 60:64] = 1
    expected, trace = suite.simulator.with_metal(free, {"titanium": mask}, np.random.default_rng(0))
    given = (mask * peak).astype(dtype)
    sinogram, same = suite.simulator.with_metal(free, {"titanium": given}, np.random.default_rng(0))
    assert torch.equal(sinogram, expected) and torch.equal(trace, same)


def test_what_is_no_metal_is_refused(suite: Suite) -> None:
    free = suite.simulator.without_metal(suite.source.load("test-p000", "test-p000-s0", suite.spec.grid))
    whole = np.ones(suite.spec.grid.shape, np.float32)
    faults: list[tuple[dict[str, Any], str]] = [
        ({}, "needs a mask of at least one material"),
        ({"titanum": whole}, "did you mean 'titanium'"),
        ({"titanium": -whole}, "titanium: a mask is boolean"),
        ({"titanium": 1.5 * whole}, "from 1.5 to 1.5"),
        ({"titanium": np.arange(128 * 128).reshape(128, 128)}, "map of labels"),
        ({"titanium": whole[:64]}, r"expected a mask of shape \(128, 128\). Got \(64, 128\)"),
        ({"titanium": 0.6 * whole, "steel": 0.6 * whole}, "titanium, steel overlap"),
        ({"titanium": whole * np.nan}, "a mask is boolean"),
    ]
    for metal, message in faults:
        with pytest.raises(DataError, match=message):
            suite.simulator.with_metal(free, metal, np.random.default_rng(0))


def test_an_image_in_other_units_is_told_and_not_scored(case: Case) -> None:
    assert case.truth is not None
    with pytest.raises(InvalidImage, match="expected HU, with air near -1000"):
        marbench.score(hu_to_mu(case.truth.image), case)
    with pytest.warns(UserWarning, match=r"2 of 2 cases have no image.*invalid.*expected HU"):
        rows = marbench.evaluate(lambda scan: scan.image / 1000 + 1, limit=2)
    assert set(rows["status"]) == {"invalid"}


def test_one_convention_may_be_given_as_text_and_a_misspelt_one_is_told(case: Case) -> None:
    assert case.truth is not None
    assert set(marbench.score(case.truth.image, case, "dudonet2019")) == {
        "psnr[dudonet2019]",
        "ssim[dudonet2019]",
        "rmse_hu",
    }
    with pytest.raises(MetricError, match="did you mean 'dudonetpp2020'"):
        marbench.score(case.truth.image, case, "dudonet2020")


def test_a_reversed_window_is_refused(case: Case) -> None:
    assert case.truth is not None
    reversed_window = dataclasses.replace(case, info=dataclasses.replace(case.info, window=(240.0, -160.0)))
    with pytest.raises(MetricError, match="from a lower to a higher"):
        marbench.score(case.truth.image, reversed_window)
