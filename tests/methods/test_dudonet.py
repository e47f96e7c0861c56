"""DuDoNet: the composition, the gradients through the Radon inversion layer, and the ablation of the paper."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from tiny_scans import build, make_batch, randomize
from torch.nn import functional

from marbench import Spec
from marbench.method.learned import Batch, LearnedMethod
from marbench.method.weights import assign_weights

SIZE = "sinogram_width=2,image_width=2"


def losses(method: LearnedMethod, batch: Batch) -> dict[str, torch.Tensor]:
    return dict(next(method.objectives(batch)).terms)


@pytest.mark.parametrize(
    ("variant", "networks", "terms"),
    [
        ("A", ["sinogram"], ["sinogram"]),
        ("B", ["sinogram"], ["sinogram"]),
        ("C", ["image"], ["image"]),
        ("D", ["sinogram", "image"], ["sinogram", "image"]),
        ("E", ["sinogram", "image"], ["sinogram", "image"]),
        ("F", ["sinogram", "image"], ["sinogram", "radon", "image"]),
        ("G", ["sinogram", "image"], ["sinogram", "radon", "image"]),
    ],
)
def test_variants_have_the_networks_and_losses_of_the_ablation(
    variant: str, networks: list[str], terms: list[str], tiny: Spec
) -> None:
    method, batch = build(f"dudonet[variant={variant},{SIZE}]", tiny), make_batch(tiny)
    assert list(method.networks()) == networks
    assert list(losses(method, batch)) == terms
    loss = next(method.objectives(batch)).loss.detach()
    torch.testing.assert_close(loss, torch.stack(list(losses(method, batch).values())).sum())


@pytest.mark.parametrize(("without", "with_pyramid"), [("A", "B"), ("D", "E"), ("F", "G")])
def test_the_mask_pyramid_adds_one_channel_to_every_scale(without: str, with_pyramid: str, tiny: Spec) -> None:
    def inputs(variant: str) -> list[int]:
        network = build(f"dudonet[variant={variant},{SIZE}]", tiny).networks()["sinogram"]
        return [m.in_channels for m in network.modules() if isinstance(m, torch.nn.Conv2d)]

    # Downwards all but the first convolution; upwards the first reads one mask, each other one that of its skip.
    more = [b - a for a, b in zip(inputs(without), inputs(with_pyramid), strict=True)]
    assert more == [0, 1, 1, 1, 1, 1, 1, 1, 1, 1]


@pytest.mark.parametrize("shape", [(64, 48), (70, 53)])
@pytest.mark.parametrize("norm", ["none", "batch"])
def test_the_sinogram_network_is_table_4_layer_by_layer(shape: tuple[int, int], norm: str, tiny: Spec) -> None:
    method = build(f"dudonet[{SIZE},sinogram_norm={norm}]", tiny)
    randomize(method)
    network = method.networks()["sinogram"].double().train()
    sinogram = torch.rand(2, 1, *shape, dtype=torch.float64)
    trace = (torch.rand(2, 1, *shape) < 0.2).double()
    *convolutions, last = [m for m in network.modules() if isinstance(m, torch.nn.Conv2d)]
    assert len(list(network.parameters())) == 2 * 10

    def normalised(x: torch.Tensor) -> torch.Tensor:
        return functional.batch_norm(x, None, None, training=True) if norm == "batch" else x

    x, seen = torch.cat([sinogram, trace], dim=1), []
    for index, convolution in enumerate(convolutions[:5]):
        seen.append(x)
        x = normalised(convolution(x if index == 0 else functional.leaky_relu(x, 0.2)))
        x = torch.cat([x, functional.adaptive_avg_pool2d(trace, x.shape[-2:])], dim=1)
    for convolution in (*convolutions[5:], last):
        skip = seen.pop()
        x = convolution(functional.interpolate(x.relu(), size=skip.shape[-2:], mode="bilinear"))
        x = x if convolution is last else torch.cat([normalised(x), skip], dim=1)
    torch.testing.assert_close(network(sinogram, trace), x)


@pytest.mark.parametrize(("norm", "same"), [("batch", True), ("none", False)])
def test_steps_that_lengthen_or_shift_channels_leave_a_normalised_network_as_it_is(
    norm: str, same: bool, tiny: Spec
) -> None:
    """So that no optimiser makes a layer negative everywhere, and silent behind its ReLU."""
    method = build(f"dudonet[{SIZE},sinogram_norm={norm}]", tiny)
    randomize(method)
    network, trace = method.networks()["sinogram"].double().train(), (torch.rand(1, 1, 70, 53) < 0.2).double()
    sinogram = torch.rand(1, 1, 70, 53, dtype=torch.float64)
    outputs = []
    with torch.no_grad():
        for offset in (0.0, 1000.0):
            for convolution in (*network.down, *network.up[:-1]):  # type: ignore[misc]
                convolution.weight *= 100
                convolution.bias -= offset
            outputs.append(network(sinogram, trace))
    before, after = outputs
    assert torch.allclose(after, before, rtol=1e-3, atol=1e-3 * float(before.abs().max())) == same


def test_subpixels_begin_as_the_interpolation_and_draw_what_it_cannot(tiny: Spec) -> None:
    coarse = build(f"dudonet[{SIZE}]", tiny)
    randomize(coarse)
    fine = build(f"dudonet[{SIZE},sinogram_upsampling=subpixel]", tiny)
    state = {f"{name}.{key}": v for name, net in coarse.networks().items() for key, v in net.state_dict().items()}
    assign_weights(fine.networks(), fine.adopt(state), "dudonet")
    one, other = (method.networks()["sinogram"].eval() for method in (coarse, fine))
    sinogram, trace = torch.rand(1, 1, 64, 96), (torch.rand(1, 1, 64, 96) < 0.2).float()
    inside = (..., slice(2, -2), slice(2, -2))
    torch.testing.assert_close(other(sinogram, trace)[inside], one(sinogram, trace)[inside], rtol=1e-4, atol=1e-5)
    with torch.no_grad():  # no smooth field is like a chessboard, whatever lies below it
        other.up[-1].weight.zero_()
        other.up[-1].bias.copy_(torch.tensor([1.0, -1.0, -1.0, 1.0]))
    for shape in ((64, 96), (65, 97), (33, 40)):
        drawn = other(torch.rand(1, 1, *shape), torch.zeros(1, 1, *shape))[0, 0]
        assert drawn.shape == shape
        assert (drawn[1:] == -drawn[:-1]).all() and (drawn[:, 1:] == -drawn[:, :-1]).all()
    assert fine.adopt(fine.adopt(state)).keys() == state.keys() and coarse.adopt(state) is state


@pytest.mark.parametrize("source", ["li", "raw"])
def test_measured_data_outside_the_trace_stay_as_they_are(source: str, tiny: Spec) -> None:
    method, scan = build(f"dudonet[{SIZE},input={source}]", tiny), make_batch(tiny).scan
    randomize(method)
    y_out = method._estimate(scan).y_out  # type: ignore[attr-defined]
    outside = ~scan.metal_trace
    assert torch.equal(y_out[outside], scan.sinogram[outside])
    assert not torch.isclose(y_out[~outside], scan.sinogram[~outside]).all()


@pytest.mark.parametrize("variant", ["E", "G"])
def test_the_image_loss_reaches_the_sinogram_network(variant: str, tiny: Spec) -> None:
    method, batch = build(f"dudonet[variant={variant},{SIZE},sinogram_norm=none]", tiny), make_batch(tiny)
    randomize(method)
    estimate = method._estimate(batch.scan)  # type: ignore[attr-defined]
    x_out = method._refine(estimate.x, estimate.x_hat)  # type: ignore[attr-defined]
    (x_out - batch.truth.image).abs().mean().backward()
    assert all(weight.grad.abs().sum() > 0 for weight in method.networks()["sinogram"].parameters())


def test_the_radon_consistency_loss_alone_trains_the_sinogram_network(tiny: Spec) -> None:
    method, batch = build("dudonet[sinogram_width=4,image_width=2]", tiny), make_batch(tiny)
    sinogram_network = method.networks()["sinogram"]
    optimizer = torch.optim.Adam(sinogram_network.parameters(), 1e-3)
    before = {name: weight.clone() for name, weight in sinogram_network.named_parameters()}
    curve = []
    for _ in range(20):
        x_hat = method._estimate(batch.scan).x_hat  # type: ignore[attr-defined]
        loss = (x_hat - batch.truth.image).abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        curve.append(loss.item())
    assert curve[-1] < 0.9 * curve[0]
    assert all(not torch.equal(weight, before[name]) for name, weight in sinogram_network.named_parameters())
    assert all(weight.grad is None for weight in method.networks()["image"].parameters())


@pytest.mark.parametrize("text", [f"dudonet[{SIZE}]", f"dudonet[{SIZE},body=rdn,input=raw]"])
def test_gradients_are_those_of_central_differences(text: str, odd: Spec) -> None:
    method, batch = build(text, odd), make_batch(odd, dtype=torch.float64)
    randomize(method)
    for network in method.networks().values():
        network.double()
    sinogram = batch.scan.sinogram.clone().requires_grad_()
    batch = replace(batch, scan=replace(batch.scan, sinogram=sinogram))
    for variables in ([sinogram], *(list(network.parameters()) for network in method.networks().values())):
        loss = next(method.objectives(batch)).loss
        gradients = torch.autograd.grad(loss, variables)
        directions = [torch.randn_like(variable) for variable in variables]
        expected = sum((g * d).sum() for g, d in zip(gradients, directions, strict=True))

        step, values = 1e-7, []
        with torch.no_grad():
            for move in (step, -2 * step):
                for variable, direction in zip(variables, directions, strict=True):
                    variable += move * direction
                values.append(next(method.objectives(batch)).loss.item())
            for variable, direction in zip(variables, directions, strict=True):
                variable += step * direction
        found = (values[0] - values[1]) / (2 * step)
        assert found == pytest.approx(float(expected), rel=1e-4)


def test_a_residual_dense_body_can_take_the_place_of_the_unet(tiny: Spec) -> None:
    network = build("dudonet[image_width=8,body=rdn,rdn_blocks=3,rdn_layers=2]", tiny).networks()["image"]
    convolutions = [module for module in network.modules() if isinstance(module, torch.nn.Conv2d)]
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in network.modules())
    assert convolutions[0].in_channels == 2
    assert len(convolutions) == 2 + 3 * (2 + 1) + 2 + 1
