"""DuDoDp: its steps are those of its equations, and what is measured within the metal trace has no say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tiny_scans import NARROW, build, make_batch, randomize, take

from marbench import Scan, Spec
from marbench.method.learned import Batch, LearnedMethod


@pytest.fixture
def method(small: Spec) -> LearnedMethod:
    made = build(NARROW["dudodp"], small)
    randomize(made)
    made.networks()["prior"].eval()
    return made


@pytest.fixture
def scan(small: Spec) -> Scan:
    return take(make_batch(small), 0).scan


def faded(residual: NDArray[np.float64], trace: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the residual that fades in the trace: (∇² − 0.2) r = 0, found by going from ray to ray again and again."""
    inside = np.where(trace, 0, residual)
    neighbours = np.full(trace.shape, 4)
    neighbours[:, [0, -1]] = 3  # views close a circle, bins end
    for _ in range(100):
        wide = np.pad(inside, ((0, 0), (1, 1)))
        around = np.roll(inside, 1, axis=0) + np.roll(inside, -1, axis=0) + wide[:, 2:] + wide[:, :-2]
        inside = np.where(trace, around / (neighbours + 0.2), residual)
    return inside


def test_every_step_is_its_equations(method: LearnedMethod, scan: Scan) -> None:
    operators, trace = method.context.operators, scan.metal_trace[0].numpy()
    measured = scan.sinogram[0].numpy().astype(np.float64)
    bins = np.arange(trace.shape[1])
    rows = zip(measured, trace, strict=True)
    filled = np.stack([np.interp(bins, bins[~hidden], row[~hidden]) for row, hidden in rows])
    steps = 12
    noise = torch.randn(steps, *scan.image.shape[1:], generator=torch.Generator().manual_seed(0))
    for step in range(steps):
        hu = 400 * 0.1 ** (step / 11)
        image = operators.reconstruct(torch.from_numpy(filled).float()[None])
        with torch.no_grad():
            seen = (image + hu * noise[step] + 500) / 500
            denoised = 500 * method.networks()["prior"](seen, torch.full((1, 1, 1), hu / 500)) - 500
        prior = operators.project(denoised)[0].numpy().astype(np.float64)
        filled = np.where(trace, prior + faded(measured - prior, trace), measured)
    expected = operators.reconstruct(torch.from_numpy(filled).float()[None])
    torch.testing.assert_close(method.reduce(scan), expected, rtol=1e-4, atol=0.1)


def test_the_denoiser_begins_as_the_best_linear_guess(small: Spec) -> None:
    network = build(NARROW["dudodp"], small).networks()["prior"]
    level = torch.tensor([0.01, 1.0, 3.0]).view(3, 1, 1)
    image = torch.randn(3, 20, 20)
    torch.testing.assert_close(network(image, level), image / (1 + level**2))


def test_what_is_measured_in_the_trace_has_no_say(method: LearnedMethod, scan: Scan) -> None:
    other = torch.where(scan.metal_trace, 7.0, scan.sinogram)
    changed = replace(scan, sinogram=other, image=method.context.operators.reconstruct(other))
    assert torch.equal(method.reduce(scan), method.reduce(changed))


def test_without_a_trace_the_scan_stays_as_it_is(method: LearnedMethod, scan: Scan) -> None:
    free = replace(scan, metal_trace=torch.zeros_like(scan.metal_trace), metal_mask=torch.zeros_like(scan.metal_mask))
    torch.testing.assert_close(method.reduce(free), scan.image)


def test_the_noise_is_neither_of_the_process_nor_taken_from_it(method: LearnedMethod, scan: Scan) -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = method.reduce(scan)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert torch.equal(method.reduce(scan), first)


def loss(method: LearnedMethod, batch: Batch, seed: int) -> float:
    torch.manual_seed(seed)
    return float(next(method.objectives(batch)).loss.detach())


def test_the_loss_at_the_start_is_what_the_best_linear_guess_leaves(small: Spec) -> None:
    method, batch = build("dudodp[width=4,patch=0]", small), make_batch(small)
    level = np.exp(np.linspace(np.log(0.01), np.log(2), 10001))
    power = float((batch.truth.image / 500 + 1).square().mean())
    expected = float(((power * level**2 + 1) / (1 + level**2)).mean())
    assert np.mean([loss(method, batch, seed) for seed in range(30)]) == pytest.approx(expected, rel=0.05)


def test_training_sees_no_scan(small: Spec) -> None:
    method, batch = build(NARROW["dudodp"], small), make_batch(small)
    randomize(method)
    scan = replace(batch.scan, sinogram=batch.scan.sinogram + 1, metal_mask=~batch.scan.metal_mask)
    assert loss(method, replace(batch, scan=scan), 7) == loss(method, batch, 7)
