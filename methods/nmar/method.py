"""Normalised metal artifact reduction (Meyer et al., 2010)."""

import torch

from marbench import Method, Scan
from marbench.toolbox.interpolation import linear_interpolation, normalized_interpolation
from marbench.toolbox.priors import tissue_prior


class NormalizedMAR(Method):
    """Interpolates the trace after division by the projection of a tissue prior; twice, if asked, from its own image.

    p' = LI(p / P(prior)) · P(prior) inside the trace, E. Meyer et al., Med. Phys. 37 (2010) 5482–5493, eq. 4–6.
    """

    prior: str
    twice: bool

    def reduce(self, scan: Scan) -> torch.Tensor:
        """Return the reconstruction of the normalised, interpolated and denormalised sinogram."""
        operators = self.context.operators
        image = scan.image
        if self.prior == "li":
            image = operators.reconstruct(linear_interpolation(scan.sinogram, scan.metal_trace))
        for _ in range(2 if self.twice else 1):
            prior_sinogram = operators.project(tissue_prior(image, scan.metal_mask))
            completed = normalized_interpolation(scan.sinogram, scan.metal_trace, prior_sinogram)
            image = operators.reconstruct(completed)
        return image
