import math
from typing import get_args

import numpy as np
import pytest
import torch
from scipy.integrate import quad

from marbench.physics.beam_hardening import apply_polynomial, turning_point, water_coefficients
from marbench.physics.hounsfield import WATER_ATTENUATION
from marbench.physics.spectrum import Detector, load_spectrum, weighted_spectrum
from marbench.physics.transmission import count, polychromatic

SPECTRUM = "w120_al2.8"


def mu_elam(element: str, energy_ev: float) -> float:
    """Return a mass attenuation coefficient, cm²/g."""
    # Here, since it takes a second that each test process would spend.
    import xraydb

    return float(xraydb.mu_elam(element, energy_ev))


def independent_line_integral(
    water_cm: float, titanium_cm: float, name: str = SPECTRUM, detector: Detector = "counting"
) -> float:
    """Integrate the polychromatic law by adaptive quadrature, straight from xraydb and the committed table.

    The spectrum is piecewise constant over its 1 keV bins and attenuation is taken at each bin's centre, as the table
    defines them; path lengths scale with the linear attenuation at 70 keV (water 0.192/cm).
    """
    spectrum = load_spectrum(name)

    def attenuation(element_fractions: dict[str, float], kev: float) -> float:
        return sum(f * mu_elam(e, kev * 1000) for e, f in element_fractions.items())

    water = {"H": 0.1119, "O": 0.8881}
    scale = WATER_ATTENUATION / attenuation(water, 70.0)
    mu_water = {kev: scale * attenuation(water, kev) for kev in spectrum.energies}
    mu_titanium = {kev: 4.5 * attenuation({"Ti": 1.0}, kev) for kev in spectrum.energies}
    density = dict(zip(spectrum.energies, spectrum.photons, strict=True))

    def integrand(kev: float) -> float:
        centre = float(round(kev))
        weight = centre if detector == "integrating" else 1.0
        return weight * density[centre] * math.exp(-mu_water[centre] * water_cm - mu_titanium[centre] * titanium_cm)

    transmitted = sum(quad(integrand, kev - 0.4999999, kev + 0.4999999)[0] for kev in spectrum.energies)
    weights = spectrum.photons * (spectrum.energies if detector == "integrating" else 1.0)
    return -math.log(transmitted / weights.sum())


@pytest.mark.parametrize(("water_cm", "titanium_cm"), [(1, 0), (20, 0), (45, 0), (14, 2), (30, 5), (0, 1)])
def test_law_agrees_with_independent_integration(water_cm: float, titanium_cm: float) -> None:
    titanium_at_70 = 4.5 * mu_elam("Ti", 70000)
    paths = torch.tensor([water_cm * WATER_ATTENUATION, titanium_cm * titanium_at_70])
    computed = float(polychromatic(paths[:, None], ["water", "titanium"], SPECTRUM)[0])
    assert computed == pytest.approx(independent_line_integral(water_cm, titanium_cm), rel=1e-4)


@pytest.mark.parametrize("detector", get_args(Detector))
@pytest.mark.parametrize("kvp", [70, 80, 100, 140])
@pytest.mark.parametrize(("water_cm", "titanium_cm"), [(20, 0), (30, 5)])
def test_law_of_every_tube_voltage_and_detector(
    water_cm: float, titanium_cm: float, kvp: int, detector: Detector
) -> None:
    titanium_at_70 = 4.5 * mu_elam("Ti", 70000)
    paths = torch.tensor([[water_cm * WATER_ATTENUATION], [titanium_cm * titanium_at_70]])
    name = f"w{kvp}_al2.8"
    computed = float(polychromatic(paths, ["water", "titanium"], weighted_spectrum(name, detector)))
    assert computed == pytest.approx(independent_line_integral(water_cm, titanium_cm, name, detector), rel=1e-4)


def test_one_energy_obeys_beers_law_and_the_correction_takes_it_to_the_reference() -> None:
    mono = torch.linspace(0, 9, 10, dtype=torch.float64)
    assert torch.allclose(polychromatic(mono[None], ["water"], "70 keV"), mono)
    at_100 = polychromatic(mono[None], ["water"], "100 keV")
    # XCOM, cm²/g: 0.1707 at 100 keV, 0.1929 at 70 keV.
    assert torch.allclose(at_100, mono * 0.1707 / 0.1929, rtol=1e-3)
    assert torch.allclose(apply_polynomial(at_100, water_coefficients("100 keV")), mono, atol=1e-9)


@pytest.mark.parametrize("kev", [10, 12, 15])
@pytest.mark.parametrize("order", [3, 5])
def test_water_is_corrected_at_energies_that_a_patient_lets_nothing_through_of(kev: int, order: int) -> None:
    """Of 50 cm of water the law gives 80 from 15 cm on at 10 keV, which says nothing of its path."""
    mono = torch.linspace(0, 5 * WATER_ATTENUATION, 10, dtype=torch.float64)
    poly = polychromatic(mono[None], ["water"], f"{kev} keV")
    corrected = apply_polynomial(poly, water_coefficients(f"{kev} keV", order=order))
    assert torch.allclose(corrected, mono, atol=1e-7)


def test_a_polynomial_turns_where_its_slope_is_none_in_the_first_column_that_does() -> None:
    # p + p²/10 − p³/100 has the slope 1 + p/5 − 3p²/100.
    cubic = [1.0, 0.1, -0.01]
    turn = (0.2 + math.sqrt(0.04 + 0.12)) / 0.06
    assert turning_point(cubic, 20.0) == pytest.approx(turn, abs=0.02)
    assert turning_point(cubic, turn - 0.01) is None
    assert turning_point([0.5], 40.0) is None and turning_point([-0.5], 40.0) == 0
    columns = np.array([[1.0, 1.0], [0.1, 0.0], [-0.01, 0.0]])
    assert turning_point(columns, np.array([20.0, 40.0])) == pytest.approx(turn, abs=0.02)
    assert turning_point(columns[:, 1:], np.array([40.0])) is None


def test_published_photon_count_behind_water_and_titanium() -> None:
    """14 cm of water and 2 cm of titanium leave about 1.7e4 of 2e7 photons in the DuDoNet geometry."""
    titanium_at_70 = 4.5 * mu_elam("Ti", 70000)
    paths = torch.tensor([[14 * WATER_ATTENUATION], [2 * titanium_at_70]])
    photons = 2e7 * math.exp(-float(polychromatic(paths, ["water", "titanium"], SPECTRUM)))
    assert photons == pytest.approx(1.7e4, rel=0.05)


def test_nothing_in_the_beam_means_no_attenuation() -> None:
    assert polychromatic(torch.zeros(2, 5), ["water", "bone"], SPECTRUM).abs().max() < 1e-6


def test_opaque_rays_stay_finite() -> None:
    line_integrals = polychromatic(torch.full((1, 3), 1e6), ["gold"], SPECTRUM)
    assert torch.isfinite(line_integrals).all()


def test_rays_do_not_depend_on_their_neighbours() -> None:
    paths = torch.rand(2, 9000, generator=torch.Generator().manual_seed(0)) * 8
    whole = polychromatic(paths, ["water", "bone"], SPECTRUM)
    some = torch.arange(3, 9000, 7)
    assert torch.equal(polychromatic(paths[:, some], ["water", "bone"], SPECTRUM), whole[some])


def test_scatter_is_the_floor_of_the_count() -> None:
    dark = count(torch.zeros(20000, dtype=torch.float64), 20, np.random.default_rng(0))
    assert float(dark.mean()) == pytest.approx(20, rel=0.01)


def test_noise_has_poisson_mean_and_variance() -> None:
    expected = 1e5 * math.exp(-3)
    counts = count(torch.full((200_000,), expected, dtype=torch.float64), 0, np.random.default_rng(1))
    assert float(counts.mean()) == pytest.approx(expected, rel=1e-3)
    assert float(counts.var()) == pytest.approx(expected, rel=2e-2)


def test_electronics_add_their_own_noise_and_without_them_nothing_is_drawn() -> None:
    expected = torch.full((200, 200), 1e4 * math.exp(-4), dtype=torch.float64)
    plain = count(expected, 0.0, np.random.default_rng(3))
    assert torch.equal(plain, count(expected, 0.0, np.random.default_rng(3), 0.0))
    noisy = count(expected, 0.0, np.random.default_rng(3), 10.0)
    assert float(noisy.var()) == pytest.approx(1e4 * math.exp(-4) + 10.0**2, rel=0.05)


def test_water_correction_returns_the_monochromatic_line_integral() -> None:
    """The published cubic of the DuDoNet simulator leaves 0.0125 at most over 0 … 50 cm of water; ours 0.0133."""
    mono = torch.linspace(0, 50 * WATER_ATTENUATION, 500, dtype=torch.float64)
    corrected = apply_polynomial(polychromatic(mono[None], ["water"], SPECTRUM), water_coefficients(SPECTRUM))
    assert corrected[0] == pytest.approx(0, abs=1e-9)
    assert float((corrected - mono).abs().max()) < 0.0135
