"""Each fault of a picture is found by its name, and no method's picture is taken for faulty."""

import numpy as np
import pytest
from scipy import ndimage

import marbench
from marbench.cases.case import Case
from marbench.cases.suite import Suite
from marbench.conformance.plausible import check_plausible
from marbench.errors import MetricError
from marbench.metrics.lints import faults


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    suite = Suite("mini")
    return [suite[index] for index in (0, 12, 105)]  # abdomen, hip, and another region


def about_centre(image: np.ndarray, scale: float) -> np.ndarray:
    centre = (np.array(image.shape) - 1) / 2
    return ndimage.affine_transform(image, np.eye(2) / scale, centre * (1 - 1 / scale), order=1, mode="nearest")


FAULTS = [
    ("attenuation", lambda a: 0.19 * (1 + a / 1000)),  # 1/cm
    ("attenuation", lambda a: 0.019 * (1 + a / 1000)),  # 1/mm
    ("attenuation", lambda a: (np.clip(a, -1000, 1000) + 1000) / 2000),  # 0 to 1
    ("8 bit", lambda a: np.rint((np.clip(a, -160, 240) + 160) * 255 / 400)),
    ("window", lambda a: np.clip(a, -160, 240)),
    ("window", lambda a: np.clip(a, -500, 1300)),
    ("window", lambda a: np.minimum(a, 300)),
    ("window", lambda a: np.maximum(a, -750)),
    ("offset", lambda a: a + 1024),
    ("scaled values", lambda a: a * 4),
    ("transposed", lambda a: a.T),
    ("flipped", lambda a: a[::-1]),
    ("flipped", lambda a: a[:, ::-1]),
    ("rotated", lambda a: np.rot90(a)),
    ("rotated", lambda a: a[::-1, ::-1]),
    ("rotated", lambda a: ndimage.rotate(a, 10, reshape=False, order=1, mode="nearest")),
    ("shifted", lambda a: np.roll(a, (6, -3), (0, 1))),
    ("shifted", lambda a: np.roll(a, 2, 0)),
    ("shifted", lambda a: ndimage.shift(a, (0, 0.5), order=1, mode="nearest")),
    ("field of view", lambda a: about_centre(a, 1.1)),
    ("field of view", lambda a: about_centre(a, 0.85)),
    ("shape", lambda a: a[1:]),
    ("not finite", lambda a: np.where(a > 3000, np.nan, a) if a.max() > 3000 else np.full_like(a, np.inf)),
    ("constant", lambda a: np.zeros_like(a)),
]


@pytest.mark.parametrize(("name", "spoil"), FAULTS, ids=[f"{n}-{name}" for n, (name, _) in enumerate(FAULTS)])
def test_a_spoilt_picture_has_its_fault(cases, name, spoil):
    case = cases[0]
    # The uncorrected image is the hardest to recognise.
    found = faults(spoil(case.scan.image[0].numpy()), case.truth.image[0].numpy(), case.scan.metal_mask[0].numpy())
    assert [fault.name for fault in found] == [name]
    assert found[0].seen and found[0].remedy and str(found[0]).startswith(f"{name}: ")


def test_a_mirrored_image_is_found_in_every_body_though_they_are_nearly_symmetric(cases):
    for case in cases:
        truth, metal = case.truth.image[0].numpy(), case.scan.metal_mask[0].numpy()
        for image in (case.scan.image[0].numpy(), truth):
            assert [fault.name for fault in faults(image[:, ::-1], truth, metal)] == ["flipped"], case.id


def test_metal_that_was_replaced_by_a_number_is_found(cases):
    case = cases[0]
    image, metal = case.truth.image[0].numpy().copy(), case.scan.metal_mask[0].numpy()
    for number in (-1000.0, 0.0):
        image[metal] = number
        assert [fault.name for fault in faults(image, case.truth.image[0].numpy(), metal)] == ["metal cut out"]
        assert check_plausible([case], [image]).outcome == "failed"
    image[metal] = 3000.0  # metal put back
    assert faults(image, case.truth.image[0].numpy(), metal) == ()


def test_no_method_is_taken_for_faulty_with_or_without_a_known_truth(cases):
    for case in cases:
        uncorrected, metal = case.scan.image[0].numpy(), case.scan.metal_mask[0].numpy()
        for method in ("none", "li", "cgan"):
            image = marbench.load_method(method, "mini").reduce(case.scan)[0].numpy()
            for reference in (case.truth.image[0].numpy(), uncorrected):
                assert faults(image, reference, metal) == (), (method, case.id)
        clipped = np.clip(uncorrected, -1000, 3071)  # as scanners store
        assert faults(clipped, case.truth.image[0].numpy(), metal) == ()


@pytest.mark.parametrize("least", [-1000.0, -1024.0])
def test_an_image_without_what_the_noise_of_the_truth_has_below_air_is_none_of_a_window(cases, least):
    truth, metal = cases[0].truth.image[0].numpy(), cases[0].scan.metal_mask[0].numpy()
    noisy = truth + np.random.default_rng(0).normal(0, 80, truth.shape)
    assert faults(np.maximum(noisy, least), noisy, metal) == ()
    assert [fault.name for fault in faults(np.maximum(noisy, -900), noisy, metal)] == ["window"]


@pytest.mark.parametrize("height", [50.0, 500.0])
def test_where_there_is_nothing_to_compare_with_there_is_no_fault(height):
    image = np.add.outer(np.zeros(32), np.linspace(0, height, 32))
    everywhere = np.ones((32, 32), dtype=bool)
    assert faults(image, np.zeros((32, 32)), ~everywhere) == ()
    assert faults(image, image, everywhere) == ()


def test_tensors_of_a_case_are_taken_and_those_of_a_batch_refused_with_their_shape(cases):
    truth, scan = cases[0].truth, cases[0].scan
    assert faults(scan.image[0], truth.image[0], scan.metal_mask[0]) == ()
    with pytest.raises(MetricError, match=r"shape \(rows, columns\)\. Got \(1, "):
        faults(scan.image, truth.image, scan.metal_mask)
    with pytest.raises(MetricError, match=r"The truth has the shape \(1, "):
        faults(scan.image[0], truth.image, scan.metal_mask[0])


def test_a_field_of_view_within_the_body_has_no_air_to_go_by(cases):
    parts = (cases[0].truth.image[0], cases[0].scan.image[0], cases[0].scan.metal_mask[0])
    truth, image, metal = (part.numpy()[48:80, 48:80] for part in parts)
    assert (truth < -900).mean() < 0.02
    assert faults(image, truth, metal) == ()
    assert [fault.name for fault in faults(0.19 * (1 + image / 1000), truth, metal)] == ["attenuation"]
