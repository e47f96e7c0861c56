"""Behind a bowtie: air is nothing, water is water, and every column has a spectrum of its own."""

import math

import numpy as np
import pytest
import torch

from marbench.physics.beam_hardening import apply_polynomial, column_coefficients, water_coefficients
from marbench.physics.bowtie import Bowtie, thickness_at
from marbench.physics.hounsfield import WATER_ATTENUATION
from marbench.physics.materials import find_material, mass_attenuation, relative_attenuation
from marbench.physics.spectrum import weighted_spectrum

BEAM = weighted_spectrum("w120_al2.8", "integrating")
BOWTIE = Bowtie(find_material("aluminium"), (3.7, 1.2, 0.25, 1.2, 3.7), BEAM, 70.0)
COLUMNS = torch.arange(5)


def independent(water_cm: float, titanium_cm: float, aluminium_cm: float) -> float:
    """Return −ln(S/S_air) behind a bowtie, from the tables of attenuation, energy by energy."""
    energies = np.array(BEAM.energies)
    mu = {name: mass_attenuation(name, energies) * find_material(name).density for name in ("water", "titanium")}
    behind = BEAM.photons * np.exp(-mass_attenuation("aluminium", energies) * 2.7 * aluminium_cm)
    left = behind * np.exp(-mu["water"] * water_cm - mu["titanium"] * titanium_cm)
    return -math.log(left.sum() / behind.sum())


def test_the_thickness_runs_straight_between_pairs_and_is_the_same_on_both_sides() -> None:
    gamma = np.radians([-15.0, -10.0, -5.0, 0.0, 2.5, 10.0, 20.0])
    found = thickness_at(((0.0, 0.2), (5.0, 0.4), (10.0, 1.4)), gamma)
    assert found == pytest.approx([1.4, 1.4, 0.4, 0.2, 0.3, 1.4, 1.4])


def test_without_an_object_line_integrals_are_zero_and_the_air_scan_shows_the_bowtie() -> None:
    assert not BOWTIE.line_integrals(torch.zeros(2, 3, 5), ["water", "bone"], COLUMNS).any()
    energies = np.array(BEAM.energies)
    of_aluminium = mass_attenuation("aluminium", energies) * 2.7
    expected = [(BEAM.photons * np.exp(-of_aluminium * cm)).sum() for cm in BOWTIE.thickness]
    np.testing.assert_allclose(BOWTIE.transmission(), expected, rtol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_a_column_attenuates_as_its_own_spectrum_does(dtype: torch.dtype) -> None:
    _, titanium = relative_attenuation("titanium", (70.0,), 70.0)
    _, water = relative_attenuation("water", (70.0,), 70.0)
    paths = torch.tensor([20 * water, 0.5 * titanium], dtype=dtype)[:, None, None].expand(-1, 2, 5).clone()
    paths[:, 1, 2] = 0
    found = BOWTIE.line_integrals(paths, ["water", "titanium"], COLUMNS)
    expected = [independent(20, 0.5, cm) for cm in BOWTIE.thickness]
    np.testing.assert_allclose(found[0], expected, rtol=1e-9 if dtype == torch.float64 else 3e-6)
    assert found[1, 2] == 0 and torch.equal(found[1, :2], found[0, :2])
    # Rays one by one, as behind a mask, are the same to the bit.
    chosen = torch.tensor([[True, False, True, False, True], [False, True, True, False, False]])
    some = BOWTIE.line_integrals(paths[:, chosen], ["water", "titanium"], COLUMNS.expand(2, 5)[chosen])
    assert torch.equal(some, found[chosen])
    assert max(expected) - min(expected) > 0.5  # what the bowtie hardens, a patient hardens no more


@pytest.mark.parametrize(("order", "longest", "accuracy"), [(3, 50.0, 6e-3), (5, 30.0, 2e-4)])
def test_corrected_water_is_its_density_times_its_path_in_every_column(order, longest, accuracy) -> None:
    coefficients = column_coefficients(BOWTIE, order, longest)
    mono = torch.linspace(0, longest * WATER_ATTENUATION, 40, dtype=torch.float64)
    paths = mono[:, None].expand(-1, 5)[None]
    poly = BOWTIE.line_integrals(paths, ["water"], COLUMNS)
    corrected = apply_polynomial(poly, coefficients)
    assert (corrected - mono[:, None]).abs().max() < accuracy
    assert not corrected[0].any()
    # The correction of the middle is wrong at the ends: by more than a centimetre of water.
    wrong = apply_polynomial(poly, coefficients[:, 2:3].expand(-1, 5))
    assert (wrong - mono[:, None])[:, 0].abs().max() > 0.2


def test_columns_behind_which_nothing_is_left_of_long_paths_are_corrected_by_the_others() -> None:
    low = weighted_spectrum("12 keV")
    bowtie = Bowtie(find_material("aluminium"), (0.0, 0.9), low, 70.0)
    mono = torch.linspace(0, 3 * WATER_ATTENUATION, 10, dtype=torch.float64)
    poly = bowtie.line_integrals(mono[:, None].expand(-1, 2)[None], ["water"], torch.arange(2))
    assert float(poly.max()) < 12
    assert (apply_polynomial(poly, column_coefficients(bowtie)) - mono[:, None]).abs().max() < 1e-7


def test_the_cubic_of_a_beam_without_bowtie_is_that_of_its_thinnest() -> None:
    bare = Bowtie(find_material("aluminium"), (0.0, 0.0), BEAM, 70.0)
    np.testing.assert_allclose(column_coefficients(bare)[:, 1], water_coefficients(BEAM), rtol=1e-9)
