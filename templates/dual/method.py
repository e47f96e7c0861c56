"""A method that goes from the sinogram to the image and back."""

import torch

from marbench import Method, Scan
from marbench.toolbox.interpolation import additive_interpolation, linear_interpolation
from marbench.toolbox.priors import tissue_prior


class MyMethod(Method):
    """``self.context`` also knows the ``geometry``, the ``grid`` and the ``device``."""

    def reduce(self, scan: Scan) -> torch.Tensor:
        """Return HU, ``(batch, rows, columns)``, on the device of the scan."""
        operators = self.context.operators
        image = operators.reconstruct(linear_interpolation(scan.sinogram, scan.metal_trace))
        prior = tissue_prior(image, scan.metal_mask)  # HU
        filled = additive_interpolation(scan.sinogram, scan.metal_trace, operators.project(prior))
        return operators.reconstruct(filled)
