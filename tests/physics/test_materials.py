import numpy as np
import pytest

from marbench.errors import DataError
from marbench.physics.materials import MATERIALS, mass_attenuation, relative_attenuation

# NIST XCOM total attenuation with coherent scattering at 70 keV, cm²/g.
XCOM_70_KEV = {"water": 0.1929, "bone": 0.2570, "titanium": 0.5361, "gold": 3.054}


@pytest.mark.parametrize(("name", "expected"), XCOM_70_KEV.items())
def test_mass_attenuation_agrees_with_xcom(name: str, expected: float) -> None:
    assert mass_attenuation(name, np.array([70.0]))[0] == pytest.approx(expected, rel=1e-3)


def test_gold_has_its_k_edge_at_80_7_kev() -> None:
    below, above = mass_attenuation("gold", np.array([80.5, 81.0]))
    assert above > 3 * below


@pytest.mark.parametrize("name", MATERIALS)
def test_relative_attenuation_is_one_at_the_reference_energy(name: str) -> None:
    ratio, mu = relative_attenuation(name, (40.0, 70.0, 100.0), 70.0)
    assert ratio[1] == 1.0
    assert ratio[0] > 1
    assert mu > 0.1


def test_unknown_material_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(DataError, match="did you mean 'titanium'"):
        mass_attenuation("titanum", np.array([70.0]))
