import numpy as np
import pytest
import torch

from marbench.toolbox.interpolation import linear_interpolation, normalized_interpolation
from marbench.toolbox.priors import tissue_prior


def test_interpolation_is_exact_on_straight_lines() -> None:
    ramp = torch.linspace(1, 4, 31).expand(5, 31)
    trace = torch.zeros(5, 31, dtype=torch.bool)
    trace[:, 7:15] = True
    trace[2, 20] = True
    spoiled = torch.where(trace, 99.0, ramp)
    assert torch.allclose(linear_interpolation(spoiled, trace), ramp, atol=1e-6)


@pytest.mark.parametrize("default", [torch.float32, torch.bfloat16])
def test_interpolation_is_as_exact_as_the_sinogram_whatever_the_default_type(default: torch.dtype) -> None:
    sinogram = torch.arange(192, dtype=torch.float64)[None, None]
    trace = torch.zeros(1, 1, 192, dtype=torch.bool)
    trace[..., 50:53] = True
    before = torch.get_default_dtype()
    torch.set_default_dtype(default)
    try:
        assert torch.allclose(linear_interpolation(sinogram, trace), sinogram, rtol=0, atol=1e-12)
    finally:
        torch.set_default_dtype(before)


def test_interpolation_agrees_with_numpy_on_random_traces() -> None:
    rng = np.random.default_rng(0)
    sinogram, trace = rng.random((2, 6, 40)), rng.random((2, 6, 40)) < 0.4
    result = linear_interpolation(torch.from_numpy(sinogram), torch.from_numpy(trace)).numpy()
    bins = np.arange(40)
    for index in np.ndindex(2, 6):
        kept = ~trace[index]
        # numpy repeats the outermost value beyond the measured bins, as ours does.
        assert result[index] == pytest.approx(np.interp(bins, bins[kept], sinogram[index][kept]))


def test_measured_bins_are_untouched() -> None:
    sinogram = torch.rand(4, 20)
    trace = torch.rand(4, 20) < 0.5
    assert torch.equal(linear_interpolation(sinogram, trace)[~trace], sinogram[~trace])


def test_a_view_without_any_measured_bin_stays_as_it_is() -> None:
    sinogram = torch.rand(2, 9)
    trace = torch.zeros(2, 9, dtype=torch.bool)
    trace[1] = True
    assert torch.equal(linear_interpolation(sinogram, trace), sinogram)


def test_normalised_interpolation_is_exact_for_a_perfect_prior() -> None:
    """Where the prior is the truth the quotient is constant, and interpolation loses nothing."""
    truth = 2 + torch.sin(torch.linspace(0, 9, 60)).expand(3, 60)
    trace = torch.zeros(3, 60, dtype=torch.bool)
    trace[:, 20:35] = True
    spoiled = torch.where(trace, 50.0, truth)
    assert torch.allclose(normalized_interpolation(spoiled, trace, truth), truth, atol=1e-5)
    assert (linear_interpolation(spoiled, trace) - truth).abs().max() > 0.5


def test_rays_that_the_prior_takes_for_air_do_not_blow_up_the_quotient() -> None:
    """A couch attenuates beside the trace where the prior sees air."""
    truth = torch.cat([torch.full((10,), 0.2), torch.linspace(1, 5, 20)])[None]
    prior = torch.where(truth < 0.5, 0.0, truth)
    trace = torch.zeros(1, 30, dtype=torch.bool)
    trace[:, 10:18] = True
    result = normalized_interpolation(torch.where(trace, 40.0, truth), trace, prior)
    assert (result - truth).abs().max() < 2


def prior_of(image: torch.Tensor, metal: torch.Tensor | None = None) -> torch.Tensor:
    mask = torch.zeros_like(image, dtype=torch.bool) if metal is None else metal
    return tissue_prior(image[None], mask[None])[0]


@pytest.fixture
def phantom() -> torch.Tensor:
    """Air, a water disc with texture, a bone disc."""
    y, x = torch.meshgrid(torch.arange(64) - 31.5, torch.arange(64) - 31.5, indexing="ij")
    image = torch.full((64, 64), -1000.0)
    image[x**2 + y**2 < 28**2] = 0
    image += 20 * torch.randn(64, 64, generator=torch.Generator().manual_seed(0))
    image[(x - 10) ** 2 + y**2 < 8**2] = 900
    return image


def test_prior_flattens_air_and_water_and_keeps_bone(phantom: torch.Tensor) -> None:
    prior = prior_of(phantom)
    assert prior[2, 2] == -1000
    assert prior[31, 15].abs() < 1e-3
    assert prior[31, 41] == pytest.approx(900, abs=1)


def test_prior_takes_metal_as_water(phantom: torch.Tensor) -> None:
    metal = torch.zeros(64, 64, dtype=torch.bool)
    metal[28:34, 12:18] = True
    prior = prior_of(torch.where(metal, 8000.0, phantom), metal)
    assert prior[metal].abs().max() < 1e-3


def test_prior_of_an_image_without_bone_is_possible(phantom: torch.Tensor) -> None:
    assert torch.isfinite(prior_of(phantom.clamp(max=0))).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_flat_tissue_is_water_in_the_prior_whatever_the_type(dtype: torch.dtype) -> None:
    image = torch.full((32, 32), 50.0, dtype=dtype)
    image[:, :6] = -1000
    prior = prior_of(image)
    assert prior.dtype == dtype and prior[:, 8:].abs().max() < 1e-3


def test_prior_of_air_alone_is_air() -> None:
    assert torch.equal(prior_of(torch.full((32, 32), -1000.0)), torch.full((32, 32), -1000.0))


def test_clusters_are_those_of_scipy() -> None:
    from scipy.cluster.vq import kmeans2

    from marbench.toolbox.priors import _cluster_onsets

    rng = np.random.default_rng(3)
    values = np.concatenate([rng.normal(0, 0.1, 900), rng.normal(0.95, 0.1, 800), rng.normal(1.9, 0.4, 300)])
    _, label = kmeans2(values, np.array([0.0, 1.0, 2.0]), iter=100, minit="matrix")
    expected = values[label == 1].min(), values[label == 2].min()
    assert _cluster_onsets(values.astype(np.float32)) == pytest.approx(expected, abs=1e-6)
