"""The operators of one benchmark, in the units of its methods."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch

from marbench.ct.inversion import RadonInversion
from marbench.ct.projection import project
from marbench.geometry import Geometry, ImageGrid
from marbench.physics.hounsfield import WATER_ATTENUATION, hu_to_mu, mu_to_hu

__all__ = ["Operators"]


@dataclass(frozen=True)
class Operators:
    """Projection and inversion between HU images and sinograms. All are differentiable.

    Attributes
    ----------
    geometry : FanBeam or ParallelBeam
    grid : ImageGrid
    water : float
        Attenuation of water in 1/cm, which defines the HU scale.
    """

    geometry: Geometry
    grid: ImageGrid
    water: float = WATER_ATTENUATION

    @cached_property
    def inversion(self) -> RadonInversion:
        """The Radon inversion layer, attenuation in 1/cm out."""
        return RadonInversion(self.geometry, self.grid)

    def project(self, image_hu: torch.Tensor) -> torch.Tensor:
        """Return the line integrals of an HU image: ``(..., rows, columns)`` → ``(..., views, bins)``."""
        return self.project_mu(hu_to_mu(image_hu, self.water))

    def project_mu(self, mu: torch.Tensor) -> torch.Tensor:
        """Return the line integrals of an image of attenuation in 1/cm."""
        return project(mu, self.geometry, self.grid)

    def reconstruct(self, sinogram: torch.Tensor) -> torch.Tensor:
        """Return the filtered back-projection in HU: ``(..., views, bins)`` → ``(..., rows, columns)``."""
        mu: torch.Tensor = self.inversion(sinogram)
        return mu_to_hu(mu, self.water)
