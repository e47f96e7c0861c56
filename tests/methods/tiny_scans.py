"""Small scans of an ellipse with bone and a metal disc: beam hardening for metal, closed-form truth."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from marbench import Scan, Spec, Truth, load_spec
from marbench.method.learned import Batch, LearnedMethod
from marbench.method.request import context_for, instantiate, parse_methods

# Narrow networks, so that the tests of training last seconds.
NARROW = {
    "cgan": "cgan[width=4,depth=4,discriminator_width=4]",
    "rdn": "rdn[width=8,growth=4,blocks=2,layers=2]",
    "cnnmar": "cnnmar[width=8]",
    "dudonet": "dudonet[sinogram_width=4,image_width=4]",
    "dicdnet": "dicdnet[stages=2,blocks=1,maps=4,channels=3]",
    "oscnet": "oscnet[stages=2,blocks=1,filters=1,channels=3]",
    "acdnet": "acdnet[stages=2,blocks=1,maps=2,atoms=4,channels=3]",
    "indudonet": "indudonet[stages=2,blocks=1,channels=3,sinogram_channels=3,prior_width=4]",
    "dudonetpp": "dudonetpp[sinogram_width=4,image_width=4]",
    "unet_sinogram": "unet_sinogram[width=4]",
    "nmar_cnn": "nmar_cnn[width=8,scales=2]",
    "dudodp": "dudodp[width=4,patch=16]",
}


def write_spec(folder: Path, views: int, bins: int, size: int) -> Spec:
    path = folder / f"tiny-{views}-{bins}-{size}.toml"
    path.write_text(
        f'extends = "mini"\nname = "tiny"\n[geometry]\nviews = {views}\nbins = {bins}\n'
        f"pitch_deg = {32.6 / (bins - 1)}\n"
        f"[grid]\nsize = {size}\npixel_cm = {40.96 / size}\n"
    )
    return load_spec(path)


def make_batch(spec: Spec, batch: int = 2, dtype: torch.dtype = torch.float32) -> Batch:
    operators = context_for(parse_methods("none")[0], spec).operators
    axis = torch.linspace(-1, 1, spec.grid.rows, dtype=dtype)
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    images, metals = [], []
    for item in range(batch):
        image = torch.where(x**2 / 0.7 + y**2 / 0.4 < 1, 40.0, -1000.0).to(dtype)
        image = image + 700 * (((x - 0.3) ** 2 + (y - 0.1 * item) ** 2) < 0.02)
        images.append(image)
        metals.append((x + 0.3) ** 2 + (y - 0.1) ** 2 < 0.01 * (item + 1))
    image, metal = torch.stack(images), torch.stack(metals)
    clean, path = operators.project(image), operators.project_mu(metal.to(dtype))
    sinogram = clean + 2 * path - 0.2 * path**2
    return Batch(
        Scan(sinogram, metal, path > 0, operators.reconstruct(sinogram)),
        Truth(operators.reconstruct(clean), clean, metal),
    )


def build(text: str, spec: Spec, preset: str | None = None) -> LearnedMethod:
    """Return a method with random weights, ready for training."""
    request = parse_methods(text, preset=preset)[0]
    method = instantiate(request)
    assert isinstance(method, LearnedMethod)
    method.build(context_for(request, spec))
    return method


def randomize(method: LearnedMethod) -> None:
    """Give every weight a value, also those that start at zero."""
    for network in method.networks().values():
        for weight in network.parameters():
            if not weight.any():
                torch.nn.init.normal_(weight, std=0.05)


def take(batch: Batch, item: int) -> Batch:
    scan = {name: getattr(batch.scan, name)[item : item + 1] for name in batch.scan.__dataclass_fields__}
    truth = {name: getattr(batch.truth, name)[item : item + 1] for name in batch.truth.__dataclass_fields__}
    return Batch(replace(batch.scan, **scan), replace(batch.truth, **truth))


def train(method: LearnedMethod, batch: Batch, steps: int) -> list[dict[str, float]]:
    """Train on one batch; return the terms of the loss at every step."""
    optimizers, curves = method.optimizers(), []
    for _ in range(steps):
        terms: dict[str, float] = {}
        for objective in method.objectives(batch):
            optimizers[objective.optimizer].zero_grad()
            objective.loss.backward()
            optimizers[objective.optimizer].step()
            terms |= {name: float(value) for name, value in objective.terms.items()}
        curves.append(terms)
    return curves
