"""A method that works on the sinogram."""

import torch

from marbench import Method, Scan
from marbench.toolbox.interpolation import linear_interpolation


class MyMethod(Method):
    """What stands in ``[parameters]`` of method.toml and is annotated here is an attribute of this type."""

    weight: float

    def reduce(self, scan: Scan) -> torch.Tensor:
        """Return HU, ``(batch, rows, columns)``, on the device of the scan."""
        interpolated = linear_interpolation(scan.sinogram, scan.metal_trace)
        # Line integrals; outside the trace both are the same.
        mixed = self.weight * interpolated + (1 - self.weight) * scan.sinogram
        return self.context.operators.reconstruct(mixed)
