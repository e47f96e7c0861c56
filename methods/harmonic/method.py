"""Completion of the sinogram by Poisson's equation with a prior's gradient (Mehranian et al., 2013)."""

import torch

from marbench import Method, Scan
from marbench.toolbox.guides import tissue_guide
from marbench.toolbox.harmonic import harmonic_interpolation


class HarmonicCompletion(Method):
    """Fills the trace with min ½‖∇(u − αP(prior))‖², u = p outside the trace.

    α = 1 follows the projection of the NMAR prior, α = 0 is Laplace's equation for the sinogram itself. The equation
    is that of A. Mehranian et al., IEEE Trans. Nucl. Sci. 60 (2013) 3318–3332; it is solved exactly here.
    """

    alpha: float

    def reduce(self, scan: Scan) -> torch.Tensor:
        """Return the reconstruction of the completed sinogram."""
        operators, is_circle = self.context.operators, self.context.geometry.is_circle
        guide = tissue_guide(operators, scan.sinogram, scan.metal_trace, scan.metal_mask)
        completed = harmonic_interpolation(scan.sinogram, scan.metal_trace, self.alpha * guide, is_circle=is_circle)
        return operators.reconstruct(completed)
