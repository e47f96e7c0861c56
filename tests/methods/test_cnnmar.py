"""CNNMAR: additive fusion, the beam-hardening corrected image and the tissue prior."""

from __future__ import annotations

import torch
from tiny_scans import build, make_batch

from marbench import Spec
from marbench.method.request import context_for, parse_methods
from marbench.toolbox.interpolation import additive_interpolation, linear_interpolation
from marbench.toolbox.metal_hardening import metal_beam_hardening
from marbench.toolbox.priors import flat_water_prior


def test_fusion_with_an_empty_prior_is_linear_interpolation(tiny: Spec) -> None:
    scan = make_batch(tiny).scan
    fused = additive_interpolation(scan.sinogram, scan.metal_trace, torch.zeros_like(scan.sinogram))
    assert torch.equal(fused, linear_interpolation(scan.sinogram, scan.metal_trace))


def test_fusion_with_a_perfect_prior_is_exact(tiny: Spec) -> None:
    batch = make_batch(tiny)
    fused = additive_interpolation(batch.scan.sinogram, batch.scan.metal_trace, batch.truth.sinogram)
    torch.testing.assert_close(fused, batch.truth.sinogram)
    assert torch.equal(fused[~batch.scan.metal_trace], batch.scan.sinogram[~batch.scan.metal_trace])


def test_a_polynomial_beam_hardening_of_metal_is_undone(tiny: Spec) -> None:
    batch = make_batch(tiny)
    operators = context_for(parse_methods("none")[0], tiny).operators
    path, trace = operators.project_mu(batch.scan.metal_mask.float()), batch.scan.metal_trace
    tissue = linear_interpolation(batch.truth.sinogram, trace)
    corrected = metal_beam_hardening(tissue + 2 * path - 0.2 * path**2 + 0.01 * path**3, trace, path)
    torch.testing.assert_close(corrected, tissue + 2 * path, rtol=1e-3, atol=1e-3)


def test_beam_hardening_without_metal_changes_nothing(tiny: Spec) -> None:
    clean = make_batch(tiny).truth.sinogram
    none = torch.zeros_like(clean)
    assert torch.equal(metal_beam_hardening(clean, none.bool(), none), clean)


def test_prior_flattens_water_keeps_air_and_bone_and_fills_metal() -> None:
    torch.manual_seed(0)
    image = torch.full((1, 40, 40), -1000.0)
    image[0, 5:35, 5:35] = 40 + 20 * torch.randn(30, 30)
    image[0, 15:25, 10:14] = 900.0
    metal = torch.zeros_like(image, dtype=torch.bool)
    metal[0, 25:28, 25:28] = True
    image[metal] = 9000.0
    prior = flat_water_prior(image, metal, transition=2.0)
    assert torch.equal(prior[0, :4], image[0, :4])
    assert torch.equal(prior[0, 15:25, 10:14], image[0, 15:25, 10:14])
    water = prior[0, 10:32, 20:32]
    torch.testing.assert_close(water, torch.full_like(water, float(water.mean())), rtol=0, atol=1e-3)
    assert abs(float(water.mean()) - 40) < 3


def test_prior_of_an_image_of_one_tissue_is_that_image() -> None:
    image = torch.full((1, 16, 16), -1000.0)
    assert torch.equal(flat_water_prior(image, torch.zeros_like(image, dtype=torch.bool), 1.0), image)


def test_network_sees_water_in_the_place_of_metal(tiny: Spec) -> None:
    method, scan = build("cnnmar", tiny), make_batch(tiny).scan
    inputs = method._inputs(scan)  # type: ignore[attr-defined]
    assert inputs.shape == (2, 3, *tiny.grid.shape)
    assert inputs.min() >= 0
    assert (inputs.movedim(1, -1)[scan.metal_mask] == 1).all()
