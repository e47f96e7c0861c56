"""The building blocks of classical methods refuse what would silently make another algorithm of them."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from marbench.ct.operators import Operators
from marbench.errors import DataError
from marbench.geometry import FanBeam, ImageGrid
from marbench.toolbox.convolutional_dictionary import scene_of
from marbench.toolbox.harmonic import harmonic_interpolation
from marbench.toolbox.interpolation import additive_interpolation, linear_interpolation, normalized_interpolation
from marbench.toolbox.metal_hardening import metal_beam_hardening
from marbench.toolbox.priors import flat_water_prior, tissue_prior

SINOGRAM = torch.rand(2, 8, 20, generator=torch.Generator().manual_seed(0)) + 1
TRACE = torch.zeros(2, 8, 20, dtype=torch.bool)
TRACE[:, :, 7:11] = True
IMAGE = torch.rand(2, 16, 16, generator=torch.Generator().manual_seed(1)) * 2000 - 1000
MASK = torch.zeros(2, 16, 16, dtype=torch.bool)
MASK[:, 4:6, 4:6] = True

CALLS: dict[str, tuple[Any, ...]] = {
    "linear_interpolation": (SINOGRAM, TRACE),
    "normalized_interpolation": (SINOGRAM, TRACE, SINOGRAM + 1),
    "additive_interpolation": (SINOGRAM, TRACE, SINOGRAM + 1),
    "metal_beam_hardening": (SINOGRAM, TRACE, SINOGRAM),
    "tissue_prior": (IMAGE, MASK),
    "flat_water_prior": (IMAGE, MASK, 2.0),
    "scene_of": (IMAGE, MASK, SINOGRAM, TRACE),
}


def scene(image: torch.Tensor, mask: torch.Tensor, sinogram: torch.Tensor, trace: torch.Tensor) -> torch.Tensor:
    found = scene_of(Operators(FanBeam(8, 20, 20.0, 0.05), ImageGrid(16, 16, 0.5)), sinogram, trace, image, mask)
    return (found.measured * found.outside)[:, 0]


_BLOCKS = (
    linear_interpolation,
    normalized_interpolation,
    additive_interpolation,
    metal_beam_hardening,
    tissue_prior,
    flat_water_prior,
)
FUNCTIONS: dict[str, Callable[..., torch.Tensor]] = {each.__name__: each for each in _BLOCKS} | {"scene_of": scene}


def call(name: str, *changed: tuple[int, Any]) -> torch.Tensor:
    arguments = list(CALLS[name])
    for position, value in changed:
        arguments[position] = value
    return FUNCTIONS[name](*arguments)


@pytest.mark.parametrize("name", CALLS)
def test_masks_of_0_and_1_or_255_are_masks(name: str) -> None:
    mask = CALLS[name][1]
    for given in (mask.to(torch.uint8), mask.to(torch.uint8) * 255, mask.float(), mask.long() * 255):
        assert torch.equal(call(name, (1, given)), call(name))
    with pytest.raises(DataError, match="a mask is boolean, 0 and 1, or 0 and 255"):
        call(name, (1, mask.to(torch.uint8) * 2))


@pytest.mark.parametrize("name", CALLS)
def test_what_is_no_tensor_or_does_not_fit_is_refused(name: str) -> None:
    first, mask = CALLS[name][:2]
    for changed, message in (
        ((0, first.numpy()), r"expected a torch\.Tensor\. Got numpy\.ndarray"),
        ((1, mask.numpy()), r"expected a torch\.Tensor of booleans"),
        ((0, np.asarray(first).tolist()), r"Got builtins\.list"),
        ((0, first.int()), "expected float32"),
        ((1, mask[:, 1:]), "expected the same shape and device"),
    ):
        with pytest.raises(DataError, match=message):
            call(name, changed)


@pytest.mark.parametrize("name", ["metal_beam_hardening", "tissue_prior", "flat_water_prior", "scene_of"])
def test_what_is_done_scan_by_scan_needs_the_batch_axis(name: str) -> None:
    single = [(position, value[0]) for position, value in enumerate(CALLS[name]) if isinstance(value, torch.Tensor)]
    with pytest.raises(DataError, match=r"expected the shape \(batch, .*add the batch axis with \[None\]"):
        call(name, *single)


@pytest.mark.parametrize("name", ["metal_beam_hardening", "tissue_prior", "flat_water_prior"])
def test_one_value_that_is_not_finite_is_refused_where_it_would_spoil_the_rest(name: str) -> None:
    spoiled = CALLS[name][0].clone()
    spoiled[0, 5, 5] = torch.nan
    with pytest.raises(DataError, match=r"1 of .* values are NaN or infinite"):
        call(name, (0, spoiled))


@pytest.mark.parametrize("name", ["metal_beam_hardening", "normalized_interpolation", "additive_interpolation"])
def test_one_value_of_a_prior_or_a_path_that_is_not_finite_is_refused(name: str) -> None:
    for value in (torch.nan, torch.inf):
        spoiled = CALLS[name][2].clone()
        spoiled[0, 5, 5] = value
        with pytest.raises(DataError, match=r"(prior_sinogram|metal_path): 1 of .* values are NaN or infinite"):
            call(name, (2, spoiled))


@pytest.mark.parametrize("name", ["tissue_prior", "flat_water_prior"])
def test_a_prior_is_a_constant_for_autograd(name: str) -> None:
    prior = call(name, (0, IMAGE.clone().requires_grad_()))
    assert not prior.requires_grad
    assert torch.equal(prior, call(name))


@pytest.mark.parametrize("asking", [0, 1])
def test_harmonic_completion_says_that_it_has_no_gradient(asking: int) -> None:
    given = [SINOGRAM, SINOGRAM + 1]
    plain = harmonic_interpolation(given[0], TRACE, given[1], is_circle=True)
    given[asking] = given[asking].clone().requires_grad_()
    with pytest.raises(DataError, match=r"no gradient: give it \.detach\(\)"):
        harmonic_interpolation(given[0], TRACE, given[1], is_circle=True)
    with torch.no_grad():
        assert torch.equal(harmonic_interpolation(given[0], TRACE, given[1], is_circle=True), plain)


@pytest.mark.parametrize("name", CALLS)
def test_a_batch_may_be_empty(name: str) -> None:
    empty = [(position, value[:0]) for position, value in enumerate(CALLS[name]) if isinstance(value, torch.Tensor)]
    assert call(name, *empty).shape == CALLS[name][0][:0].shape


def test_a_transition_has_a_length() -> None:
    for length in (0.0, -1.0, float("nan")):
        with pytest.raises(DataError, match="expected a length above 0"):
            call("flat_water_prior", (2, length))
