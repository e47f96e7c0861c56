import pytest
import torch

from marbench.physics.hounsfield import WATER_ATTENUATION, hu_to_mu, mu_to_hu, split_tissue


def test_hu_scale_is_fixed_by_air_and_water() -> None:
    assert hu_to_mu(torch.tensor([-1000.0, 0.0, 1000.0])).tolist() == pytest.approx([0, 0.192, 0.384])
    values = torch.linspace(-1000, 3000, 41, dtype=torch.float64)
    assert torch.allclose(mu_to_hu(hu_to_mu(values)), values)


def test_split_adds_up_and_follows_the_thresholds() -> None:
    hu = torch.tensor([-1000.0, -90.0, 100.0, 800.0, 1500.0, 2500.0], dtype=torch.float64)
    mu = hu_to_mu(hu)
    water, bone = split_tissue(mu)
    assert torch.allclose(water + bone, mu)
    assert bone[:3].tolist() == pytest.approx([0, 0, 0], abs=1e-12)
    assert water[4:].tolist() == pytest.approx([0, 0], abs=1e-12)
    # Half way between 100 and 1500 HU, half of the attenuation is bone.
    assert float(bone[3] / mu[3]) == pytest.approx(0.5)
    assert pytest.approx(0.2112) == 1.1 * WATER_ATTENUATION


def test_negative_attenuation_is_taken_as_none() -> None:
    water, bone = split_tissue(torch.tensor([-0.01]))
    assert float(water) == 0
    assert float(bone) == 0
