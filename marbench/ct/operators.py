"""The operators of one benchmark, in the units of its methods."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch

from marbench.ct import ops
from marbench.ct.inversion import RadonInversion
from marbench.ct.projection import project
from marbench.geometry import Geometry, ImageGrid
from marbench.physics.hounsfield import WATER_ATTENUATION, hu_to_mu, mu_to_hu
from marbench.reconstruction import Truncation, Window

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
    window, truncation : str
        Of the inversion, see `RadonInversion`.
    """

    geometry: Geometry
    grid: ImageGrid
    water: float = WATER_ATTENUATION
    window: Window = "ram-lak"
    truncation: Truncation = "refuse"

    @cached_property
    def inversion(self) -> RadonInversion:
        """The Radon inversion layer, attenuation in 1/cm out."""
        return RadonInversion(self.geometry, self.grid, window=self.window, truncation=self.truncation)

    def project(self, image_hu: torch.Tensor) -> torch.Tensor:
        """Return the line integrals of an image in HU: ``(..., rows, columns)`` → ``(..., views, bins)``, no unit.

        `marbench.ct.project` and `project_mu` take µ in 1/cm instead.
        """
        # HU have an offset: projecting them without it would give air, −1000 HU, a line integral of its own. Rounded to
        # half precision, that offset would be one of HU.
        return self.project_mu(hu_to_mu(image_hu.to(ops.working_dtype(image_hu.dtype)), self.water))

    def project_mu(self, mu: torch.Tensor) -> torch.Tensor:
        """Return the line integrals of an image of µ in 1/cm: ``(..., rows, columns)`` → ``(..., views, bins)``."""
        return project(mu, self.geometry, self.grid)

    def reconstruct(self, sinogram: torch.Tensor) -> torch.Tensor:
        """Return the filtered back-projection in HU: ``(..., views, bins)`` → ``(..., rows, columns)``.

        `inversion` returns µ in 1/cm instead.
        """
        mu: torch.Tensor = self.inversion(sinogram)
        return mu_to_hu(mu, self.water)
