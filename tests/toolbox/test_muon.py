"""Muon: the iteration makes matrices orthogonal, the step descends, and its state survives a checkpoint."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from marbench.toolbox.muon import Muon, orthogonalize


@pytest.mark.parametrize("shape", [(16, 144), (64, 64), (128, 20)])
def test_singular_values_are_brought_near_one_and_directions_stay(shape):
    generator = torch.Generator().manual_seed(0)
    matrix = torch.randn(shape, generator=generator, dtype=torch.float64)
    u, values, v = torch.linalg.svd(matrix, full_matrices=False)
    # Singular values spread over a factor of 20, as those of gradients are.
    spread = torch.linspace(1, 0.05, len(values), dtype=torch.float64)
    result = torch.linalg.multi_dot([u.mT, orthogonalize(u @ torch.diag(spread) @ v), v.mT])
    assert torch.all((result.diagonal() > 0.6) & (result.diagonal() < 1.3))
    assert (result - torch.diag(result.diagonal())).abs().max() < 1e-9


def test_a_zero_gradient_gives_a_zero_step():
    assert torch.equal(orthogonalize(torch.zeros(8, 72)), torch.zeros(8, 72))


def test_weights_from_or_to_few_channels_and_biases_belong_to_adam():
    network = nn.Sequential(nn.Conv2d(2, 16, 3), nn.BatchNorm2d(16), nn.Conv2d(16, 8, 3), nn.Conv2d(8, 1, 1))
    groups = {group["orthogonal"]: group["params"] for group in Muon(network.parameters()).param_groups}
    assert [tuple(weight.shape) for weight in groups[True]] == [(8, 16, 3, 3)]
    assert len(groups[False]) == len(list(network.parameters())) - 1


def test_adam_part_is_the_adam_of_torch():
    ours, theirs = (nn.Parameter(torch.tensor([1.0, -2.0, 3.0], dtype=torch.float64)) for _ in range(2))
    optimizers = Muon([ours], rate=0.1, betas=(0.5, 0.9)), torch.optim.Adam([theirs], 0.1, betas=(0.5, 0.9))
    for step in range(5):
        for weight, optimizer in zip((ours, theirs), optimizers, strict=True):
            weight.grad = torch.sin(weight.detach() + step)
            optimizer.step()
    torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=0)


def test_decay_shrinks_the_weights_that_mix_channels_by_its_share_of_the_rate_and_no_others():
    matrix, bias = nn.Parameter(torch.full((8, 72), 2.0)), nn.Parameter(torch.full((8,), 2.0))
    matrix.grad, bias.grad = torch.zeros_like(matrix), torch.zeros_like(bias)
    Muon([matrix, bias], matrix_rate=0.02, decay=0.5).step()
    torch.testing.assert_close(matrix.detach(), torch.full((8, 72), 2 * 0.99))
    assert torch.equal(bias.detach(), torch.full((8,), 2.0))


def test_a_step_has_the_same_length_whatever_the_scale_of_the_loss():
    weight = nn.Parameter(torch.zeros(8, 72))
    gradient = torch.randn(8, 72, generator=torch.Generator().manual_seed(1))
    steps = []
    for scale in (1e-4, 1.0, 1e4):
        one = nn.Parameter(weight.detach().clone())
        one.grad = scale * gradient
        Muon([one], matrix_rate=0.02).step()
        steps.append(one.detach())
    torch.testing.assert_close(steps[0], steps[1], rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(steps[2], steps[1], rtol=1e-3, atol=1e-5)
    assert torch.sum(steps[1] * gradient) < 0


def test_a_restored_optimizer_goes_on_as_if_it_had_never_stopped():
    def network() -> nn.Sequential:
        torch.manual_seed(0)
        return nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.Conv2d(8, 1, 1))

    def train(model: nn.Module, optimizer: Muon, steps: range) -> None:
        for step in steps:
            image = torch.randn(2, 1, 12, 12, generator=torch.Generator().manual_seed(step))
            optimizer.zero_grad()
            model(image).square().mean().backward()
            optimizer.step()

    whole = network()
    train(whole, Muon(whole.parameters()), range(6))
    first = network()
    optimizer = Muon(first.parameters())
    train(first, optimizer, range(3))
    second = network()
    second.load_state_dict(first.state_dict())
    restored = Muon(second.parameters())
    restored.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    train(second, restored, range(3, 6))
    for one, other in zip(whole.parameters(), second.parameters(), strict=True):
        assert torch.equal(one, other)
