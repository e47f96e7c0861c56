"""Metal deletion technique (Boas & Fleischmann, 2011): the trace follows the projection of the smoothed image."""

from itertools import product

import torch
from torch.nn import functional

from marbench import Method, Scan
from marbench.toolbox.interpolation import linear_interpolation


class MetalDeletion(Method):
    """Replaces the trace by the projection of the last image without metal and its noise, several times over.

    f ← FBP(T·P(B f) + (1 − T)·p) from the LI image on, where B is a bilateral filter that takes no value from metal.
    F. E. Boas, D. Fleischmann, Radiology 259 (2011) 894–902.
    """

    passes: int
    reach: int
    sigma_d: float
    sigma_r: float

    def reduce(self, scan: Scan) -> torch.Tensor:
        """Return the image of the last pass."""
        operators = self.context.operators
        image = operators.reconstruct(linear_interpolation(scan.sinogram, scan.metal_trace))
        for _ in range(self.passes):
            projected = operators.project(self._smooth(image, scan.metal_mask))
            image = operators.reconstruct(torch.where(scan.metal_trace, projected, scan.sinogram))
        return image

    def _smooth(self, image: torch.Tensor, metal: torch.Tensor) -> torch.Tensor:
        """Return Σ w f / Σ w over the neighbours, w = exp(−‖Δr‖²/2σ_d² − (Δf)²/2σ_r²), 0 for those in metal."""
        reach, rows, columns = self.reach, *image.shape[1:]
        # Beyond the image there is no tissue either.
        values, tissue = (functional.pad(each, (reach,) * 4) for each in (image, ~metal))
        neighbours, exponents = [], []
        for down, right in product(range(2 * reach + 1), repeat=2):
            window = (slice(None), slice(down, down + rows), slice(right, right + columns))
            distance = (down - reach) ** 2 + (right - reach) ** 2
            unlike = (values[window] - image).square() / (2 * self.sigma_r**2)
            exponent = -unlike - distance / (2 * self.sigma_d**2)
            exponents.append(torch.where(tissue[window], exponent, -torch.inf))
            neighbours.append(values[window])
        # In metal that is far brighter than all tissue in reach, exp alone would be 0 for every neighbour.
        weights = torch.stack(exponents).softmax(0)
        total = torch.zeros_like(image)
        for weight, value in zip(weights, neighbours, strict=True):
            total = total + weight * value
        # Deep within metal, where no neighbour counts, there is no weight, and the image stays.
        return torch.where(total.isnan(), image, total)
