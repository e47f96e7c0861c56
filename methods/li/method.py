"""Linear interpolation (Kalender et al., 1987)."""

import torch

from marbench import Method, Scan
from marbench.toolbox.interpolation import linear_interpolation


class LinearInterpolation(Method):
    """Interpolates the trace view by view."""

    def reduce(self, scan: Scan) -> torch.Tensor:
        """Return the reconstruction of the interpolated sinogram."""
        return self.context.operators.reconstruct(linear_interpolation(scan.sinogram, scan.metal_trace))
