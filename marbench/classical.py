"""The classical building blocks of a plugin under one name; they live in `marbench.toolbox`."""

from marbench.toolbox.interpolation import additive_interpolation, linear_interpolation, normalized_interpolation
from marbench.toolbox.metal_hardening import metal_beam_hardening
from marbench.toolbox.priors import flat_water_prior, tissue_prior

__all__ = [
    "additive_interpolation",
    "flat_water_prior",
    "linear_interpolation",
    "metal_beam_hardening",
    "normalized_interpolation",
    "tissue_prior",
]
