import pytest

from marbench.errors import DataError
from marbench.physics.spectrum import load_spectrum


def test_the_120_kvp_spectrum_has_the_published_shape() -> None:
    spectrum = load_spectrum("w120_al2.8")
    assert spectrum.energies[0] == 20
    assert spectrum.energies[-1] == 120
    assert spectrum.photons.sum() == pytest.approx(1)
    # The table of the DuDoNet simulator has a mean of 55.12 keV.
    assert float(spectrum.photons @ spectrum.energies) == pytest.approx(55.12, abs=0.1)
    # The tungsten Kα lines at 58 and 59 keV stand out.
    assert spectrum.energies[spectrum.photons.argmax()] == 59


def test_unknown_spectrum_is_refused() -> None:
    with pytest.raises(DataError, match=r"w120_al2\.8"):
        load_spectrum("w120")
