"""DuDoNet++: its composition, and sinograms without a first view."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from tiny_scans import build, make_batch, randomize

from marbench import Spec
from marbench.toolbox.interpolation import linear_interpolation
from marbench.toolbox.networks import compress_hu
from marbench.toolbox.unets import SinogramUNet


@pytest.mark.parametrize("options", [{}, {"pyramid": False}, {"normalised": True, "subpixel": True}])
def test_periodic_views_have_no_first_one(options: dict[str, bool]) -> None:
    network = SinogramUNet(2, channels=2, periodic=True, **options)
    torch.nn.init.normal_(network.up[-1].weight)
    sinogram, metal = torch.rand(1, 2, 96, 33), torch.rand(1, 1, 96, 33)
    turned = network(sinogram.roll(32, dims=2), metal.roll(32, dims=2))
    torch.testing.assert_close(turned, network(sinogram, metal).roll(32, dims=2), rtol=1e-4, atol=1e-5)
    network.periodic = False  # the same weights, and views that end
    for layer in (*network.down, *network.up):
        layer.padding = (1, 1)
    inside = slice(40, 56)
    assert network(sinogram, metal).shape == turned.shape
    assert not torch.allclose(network(sinogram, metal)[..., inside, :], turned.roll(-32, dims=2)[..., inside, :])


@pytest.mark.parametrize("base", ["li", "measured"])
def test_dudonetpp_is_its_composition(base: str, tiny: Spec) -> None:
    method, scan = build(f"dudonetpp[sinogram_width=2,image_width=2,base={base}]", tiny), make_batch(tiny).scan
    randomize(method)
    sinogram_network, image_network = method.networks().values()
    operators, trace = method.context.operators, scan.metal_trace
    mask = scan.metal_mask.float()
    filled = linear_interpolation(scan.sinogram, trace)
    start, seen = (filled, [filled, scan.sinogram]) if base == "li" else (scan.sinogram, [scan.sinogram])
    path = operators.project_mu(mask)[:, None]
    correction = sinogram_network(torch.stack(seen, 1) / (0.192 * 40.96), path)[:, 0]
    x_se = operators.reconstruct(torch.where(trace, start + correction, scan.sinogram))
    more = image_network(compress_hu(x_se)[:, None], compress_hu(scan.image)[:, None], mask[:, None])[:, 0]
    torch.testing.assert_close(method.reduce(scan), (x_se + 300 * more).detach(), rtol=1e-3, atol=0.5)
    assert (correction[trace].abs() > 1e-3).any() and more.abs().max() > 1e-3
    other = replace(scan, image=scan.image + 100)
    assert not torch.allclose(method.reduce(other), method.reduce(scan), atol=0.1)
