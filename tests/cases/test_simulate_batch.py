"""Many cases simulated at once: the physics of one case at a time, the noise of a torch generator."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from marbench.cases.simulator import Simulator
from marbench.cases.sources import open_source
from marbench.phantoms.metals import coverage, library
from marbench.physics.transmission import photon_noise
from marbench.spec import load_spec

SPEC = load_spec("mini")
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


@pytest.fixture(scope="module")
def simulator() -> Simulator:
    return Simulator(SPEC, DEVICE)


@pytest.fixture(scope="module")
def slices() -> list:
    source = open_source(SPEC)
    patients = list(source.patients("test").items())[:2]
    return [source.load(patient, names[0], SPEC.grid) for patient, names in patients]


@pytest.fixture(scope="module")
def metals() -> list[dict[str, np.ndarray]]:
    """Of different materials, so that each case has to ignore the other's."""
    by_materials = {}
    for metal in library("test"):
        areas = coverage(metal, SPEC.grid, SPEC.metals.reference_pixel_cm, (0.0, 0.0))
        by_materials.setdefault(tuple(areas), areas)
    return list(by_materials.values())[:2]


def test_batch_equals_its_cases_without_noise(simulator: Simulator, slices: list, metals: list) -> None:
    assert set(metals[0]) != set(metals[1])
    together = simulator.without_metals(slices)
    sinograms, traces = simulator.with_metals(together, metals, None)
    noiseless = Simulator(SPEC.model_copy(update={"physics": SPEC.physics.model_copy(update={"noise": False})}), DEVICE)
    for k, (slice_, metal) in enumerate(zip(slices, metals, strict=True)):
        free = noiseless.without_metal(slice_)
        sinogram, trace = noiseless.with_metal(free, metal, np.random.default_rng(0))
        assert trace.any()
        assert torch.equal(traces[k], trace)
        assert torch.allclose(together[k].polychromatic, free.polychromatic, atol=1e-5)
        assert torch.allclose(sinograms[k], sinogram, atol=1e-4)


def test_noise_is_a_function_of_the_generator(simulator: Simulator, slices: list, metals: list) -> None:
    free = simulator.without_metals(slices)
    first, again, other = (
        simulator.with_metals(free, metals, torch.Generator(DEVICE).manual_seed(seed))[0] for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_noise_of_the_device_has_the_statistics_of_photon_counts() -> None:
    line_integrals = torch.full((400_000,), 4.0, device=DEVICE)
    noisy = photon_noise(line_integrals, 2e5, 10.0, torch.Generator(DEVICE).manual_seed(0))
    counts = 2e5 * torch.exp(-noisy.double())
    expected = round(2e5 * np.exp(-4.0)) + 10
    assert counts.mean().item() == pytest.approx(expected, rel=1e-3)
    assert counts.var().item() == pytest.approx(expected, rel=2e-2)
