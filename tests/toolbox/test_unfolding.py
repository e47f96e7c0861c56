"""The unfolded separation of image and artifact: its operators, and a stage against the energy that it descends."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.signal import convolve2d
from torch.nn import functional

from marbench.toolbox.convolutional_dictionary import Scene, Separation, Stage, Unfolding, analyze, synthesize
from marbench.toolbox.unfolding import ProximalNetwork, hu_to_levels, levels_to_hu


@pytest.fixture(autouse=True)
def _one_seed() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize("sets", [1, 2])
def test_synthesis_is_a_sum_of_convolutions_and_analysis_its_adjoint(sets: int) -> None:
    maps = torch.rand(2, 3, 8, 11, dtype=torch.float64)
    filters, image = torch.randn(sets, 3, 5, 5).double(), torch.randn(2, 1, 8, 11).double()
    artifact = synthesize(maps, filters)
    for item in range(2):
        own = filters[item % sets].numpy()
        expected = sum(convolve2d(maps[item, n].numpy(), own[n], mode="same") for n in range(3))
        np.testing.assert_allclose(artifact[item, 0].numpy(), expected, atol=1e-12)
    torch.testing.assert_close((artifact * image).sum(), (maps * analyze(image, filters)).sum())


def test_an_artifact_is_summed_in_float32_of_filters_that_are_rounded_too() -> None:
    """Under autocast the filters of OSCNet and ACDNet, which are products, are bfloat16, those of DICDNet are not."""
    maps, filters = torch.rand(1, 32, 12, 12), torch.randn(1, 32, 9, 9).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(synthesize(maps, filters), synthesize(maps, filters.float()))


@pytest.mark.parametrize("moves_maps", [True, False])
def test_a_stage_descends_the_squared_misfit_first_in_the_maps_then_in_the_image(moves_maps: bool) -> None:
    stage = Stage(3, 2, 1, 0.25, 5.0, moves_maps=moves_maps)  # its networks begin as ReLU(x) and ReLU(x − 0.25)
    measured, x, maps = torch.rand(2, 1, 9, 9) * 50, torch.rand(2, 1, 9, 9) * 50, torch.rand(2, 3, 9, 9) + 1
    outside, filters = (torch.rand(2, 1, 9, 9) < 0.8).float(), torch.randn(1, 3, 9, 9) / 20
    lifted = torch.cat([x, torch.rand(2, 2, 9, 9)], dim=1)
    found = stage(Scene(measured, x, outside), Separation(lifted, maps, torch.zeros_like(x)), filters)

    def slope(variable: torch.Tensor) -> torch.Tensor:
        """Differentiate ½‖I(Y − X − Σ Cₙ ∗ Mₙ)‖², with a convolution that is not ours."""
        artifact = functional.conv_transpose2d(maps, filters.movedim(0, 1), padding=4)
        energy = (outside * (measured - x - artifact)).square().sum() / 2
        return torch.autograd.grad(energy, variable)[0]

    if moves_maps:
        maps.requires_grad_()
        maps = (maps - 0.1 * slope(maps)).relu().sub(0.25).relu().detach()
    x.requires_grad_()
    expected = (x - 0.5 * slope(x)).relu()
    torch.testing.assert_close(found.image, expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(found.maps, maps, rtol=1e-4, atol=1e-4)
    assert torch.equal(found.lifted[:, 1:], lifted[:, 1:])
    assert (found.image[outside == 0] == x[outside == 0]).all()


def test_a_proximal_network_is_its_equation() -> None:
    network = ProximalNetwork(3, 2, 0.1).double().eval()
    for weight in network.parameters():
        torch.nn.init.normal_(weight, std=0.3)
    x = torch.randn(2, 3, 6, 7).double()
    expected = x
    for one, norm, _, other, last in network.blocks:
        inner = functional.conv2d(expected, one.weight, one.bias, padding=1)
        inner = (inner / (1 + 1e-5) ** 0.5 * norm.weight[:, None, None] + norm.bias[:, None, None]).relu()
        inner = functional.conv2d(inner, other.weight, other.bias, padding=1)
        inner = inner / (1 + 1e-5) ** 0.5 * last.weight[:, None, None] + last.bias[:, None, None]
        expected = (expected + inner).relu()
    torch.testing.assert_close(network(x), (expected - network.threshold).relu())


def test_the_loss_weights_sums_over_sixteen_patches_as_the_paper_does() -> None:
    measured, truth, x, artifact = torch.rand(4, 16, 1, 64, 64)
    everywhere = torch.ones_like(truth)
    loss = Unfolding(x, [(0.1, x), (1.0, x)], [(1.0, artifact)]).loss(measured, truth, everywhere)
    error, left = x - truth, artifact - (measured - truth)
    expected = 1.1 * error.square().mean() + 5e-4 * (1.1 * error.abs().sum() + left.abs().sum())
    torch.testing.assert_close(loss, expected)


def test_grey_levels_of_water_are_49_and_lose_nothing_but_what_is_clipped() -> None:
    image = torch.tensor([-1000.0, 0.0, 3000.0])
    assert float(hu_to_levels(image, 0.192)[1]) == pytest.approx(48.96)
    torch.testing.assert_close(levels_to_hu(hu_to_levels(image, 0.2), 0.2), image, rtol=0, atol=1e-3)
    assert hu_to_levels(torch.tensor([-1200.0, 9000.0]), 0.192).tolist() == [0, 255]
