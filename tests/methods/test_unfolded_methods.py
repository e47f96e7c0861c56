"""DICDNet, OSCNet, ACDNet and InDuDoNet: what each adds to the iteration that they unfold."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest
import torch
from tiny_scans import NARROW, build, make_batch

from marbench import Spec
from marbench.ct.operators import Operators
from marbench.geometry import FanBeam, ImageGrid
from marbench.method.learned import LearnedMethod
from marbench.toolbox.convolutional_dictionary import synthesize
from marbench.toolbox.unfolding import variable


def network_of(method: LearnedMethod) -> tuple[torch.nn.Module, ModuleType]:
    """Return the only network of a method, and the module that defines it."""
    (network,) = method.networks().values()
    return network, sys.modules[type(network).__module__]


def test_two_rotations_of_a_filter_are_a_quarter_turn(tiny: Spec) -> None:
    network, module = network_of(build("oscnet[plus=false,filters=2]", tiny))
    filters = module.rotate(network.coefficients.values, network.basis).view(2, 8, 9, 9)
    for turn in range(8):
        turned = torch.rot90(filters[:, turn], 1, (1, 2))
        torch.testing.assert_close(filters[:, (turn + 2) % 8], turned, rtol=1e-4, atol=1e-5)
    assert (filters[:, 1] - filters[:, 0]).abs().max() > 0.01


def test_the_filters_of_oscnet_plus_follow_the_image_and_have_one_norm(tiny: Spec) -> None:
    network, _ = network_of(build(NARROW["oscnet"], tiny))
    images = 50 * torch.rand(2, 2, 1, 12, 12)
    values = network.coefficients(*images)
    torch.testing.assert_close(values.norm(dim=2), torch.ones(2, 1))
    assert (values >= 0).all() and not torch.allclose(values[0], values[1])


def test_the_weights_of_acdnet_step_down_the_squared_misfit(tiny: Spec) -> None:
    network, module = network_of(build(NARROW["acdnet"], tiny))
    atoms, maps = network.atoms.detach() / 10, 5 * torch.rand(2, 2, 10, 10)
    target, weights = torch.randn(2, 1, 10, 10), torch.rand(2, 2, 4).requires_grad_()
    misfit = target - synthesize(maps, module.combine(weights, atoms))
    (slope,) = torch.autograd.grad(misfit.square().sum() / 2, weights)
    update = network.weights[0]
    for layer in update.layers[::2]:
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
    expected = (weights - 5 / (50 * 100) * slope).relu()
    found = update(weights, maps, misfit, atoms)
    torch.testing.assert_close(found, expected / expected.norm(dim=2, keepdim=True))
    expected = (5 / (50 * 100) * -slope).relu()  # from nothing
    found = update(None, maps, misfit, atoms)
    torch.testing.assert_close(found, expected / expected.norm(dim=2, keepdim=True).clamp(min=1e-6))


def test_a_stage_of_indudonet_descends_its_energy_first_in_the_sinogram_then_in_the_image(tiny: Spec) -> None:
    method = build(f"{NARROW['indudonet'][:-1]},filtered=false]", tiny)
    network, _ = network_of(method)
    operator, stage = network.operator, network.stages[0]
    given = method._measurement(make_batch(tiny).scan)  # type: ignore[attr-defined]
    image, sinogram = network.images(given.start).detach(), network.sinograms(given.interpolated).detach()
    norms = 2 * torch.rand_like(given.sinogram)
    found = stage((image, sinogram), given, norms, operator)

    x, s = variable(image).clone().requires_grad_(), variable(sinogram).clone().requires_grad_()
    energy = (norms * s - operator.forward(x)).square().sum() / 2
    trusted = (given.outside * (norms * s - given.sinogram)).square().sum() / 2
    (slope,) = torch.autograd.grad(energy + 0.5 * trusted, s)
    s = (s - 0.1 * slope).relu().detach()
    (slope,) = torch.autograd.grad((norms * s - operator.forward(x)).square().sum() / 2, x)
    torch.testing.assert_close(variable(found[1]), s, rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(variable(found[0]), (x - operator.step * slope).relu(), rtol=1e-4, atol=1e-3)


def test_the_projection_of_indudonet_has_an_exact_adjoint_and_a_step_by_the_norm_of_its_matrix(tiny: Spec) -> None:
    _, module = network_of(build(NARROW["indudonet"], tiny))
    fan, grid = FanBeam(views=20, bins=17, source_distance=60, pitch=0.05), ImageGrid(8, 9, 3.0)
    operator = module.ScaledProjection(Operators(fan, grid), 2.0, 0.37, filtered=False)
    x, y = torch.randn(1, 1, 8, 9).double(), torch.randn(1, 1, 20, 17).double()
    torch.testing.assert_close((operator.forward(x) * y).sum(), (x * operator.adjoint(y)).sum(), rtol=1e-10, atol=1e-10)
    matrix = operator.forward(torch.eye(72).view(72, 1, 8, 9)).flatten(1)
    norm = float(torch.linalg.matrix_norm(matrix, 2) ** 2)
    assert operator.step * norm == pytest.approx(0.37, rel=1e-3)


def test_a_filtered_step_of_indudonet_brings_an_image_nearer_to_that_of_its_sinogram(small: Spec) -> None:
    method = build(NARROW["indudonet"], small)
    network, module = network_of(method)
    batch, filtered = make_batch(small), network.operator
    plain = module.ScaledProjection(filtered.operators, filtered.unit, 1.8, filtered=False)
    start, truth = (method._image(image) for image in (batch.scan.image, batch.truth.image))  # type: ignore[attr-defined]
    misfit = filtered.forward(start) - filtered.forward(truth)
    left = {kind: (start - kind.descent(misfit) - truth).norm() / (start - truth).norm() for kind in (filtered, plain)}
    # Nearly the longest step along Pᵀ moves little but what is coarse.
    assert left[filtered] < 0.5 < 0.7 < left[plain] < 1


def test_indudonet_begins_with_a_sinogram_and_an_image_that_agree_better_at_every_stage(odd: Spec) -> None:
    method = build("indudonet[stages=4,blocks=1,channels=2,prior_width=2]", odd)
    network, _ = network_of(method)
    given = method._measurement(make_batch(odd).scan)  # type: ignore[attr-defined]
    with torch.no_grad():
        found = network(given)
    apart = [float((network.operator.forward(x) - s).norm() / given.interpolated.norm()) for x, s in found]
    assert apart[0] < 0.3 and apart == sorted(apart, reverse=True), apart
