"""The image's total variation decides what the metal trace holds (Zeng, 2022)."""

import torch
from torch.nn import functional

from marbench import Method, Scan
from marbench.toolbox.guides import tissue_guide
from marbench.toolbox.harmonic import harmonic_interpolation
from marbench.toolbox.interpolation import linear_interpolation
from marbench.toolbox.variation import divergence, gradient


class TotalVariationThroughInversion(Method):
    """Chooses the trace z so that f = FBP(p + T(z − p)) outside metal varies little and is nowhere emptier than air.

    The cost is Σ w (√(‖∇f‖² + ε²) + β min(f + 1000, 0)²), f in HU, w = 0 in metal and its margin, 1 elsewhere. There is
    no data term: rays outside the trace T stay as measured, those inside count for nothing. The gradient for z comes
    through the Radon inversion layer. G. L. Zeng, Vis. Comput. Ind. Biomed. Art 5 (2022) 1, gives cost and unknowns.
    """

    start: str
    steps: int
    rate: float
    smoothing: float
    negativity: float
    margin: int

    def reduce(self, scan: Scan) -> torch.Tensor:
        """Return the reconstruction with the values of the trace that Adam has found."""
        size = 2 * self.margin + 1
        near_metal = functional.max_pool2d(scan.metal_mask[:, None].float(), size, stride=1, padding=size // 2)
        weight = 1 - near_metal[:, 0]
        operators, sinogram = self.context.operators, self._start(scan)
        # Only what is unknown is stepped: a tenth of the rays. All rays of a batch are one line of numbers.
        trace, rays = scan.metal_trace.flatten().nonzero()[:, 0], sinogram.flatten()
        start = rays[trace]
        change, mean, power = torch.zeros_like(start), torch.zeros_like(start), torch.zeros_like(start)
        for step in range(self.steps):
            slope = operators.inversion.adjoint(self._slope(operators.reconstruct(rays.view_as(sinogram)), weight))
            # The cost is of HU, the layer's image of µ.
            slope = slope.flatten()[trace] * (1000 / operators.water)
            # Adam, written out: the first use of torch.optim takes seconds, in which it imports torch's compiler. And
            # by sums and products, as fused steps are rounded otherwise at the end of a line than within it.
            mean, power = 0.9 * mean + 0.1 * slope, 0.999 * power + 0.001 * slope.square()
            unbiased = mean / (1 - 0.9 ** (step + 1)), power / (1 - 0.999 ** (step + 1))
            change -= self.rate * (1 - step / self.steps) * unbiased[0] / (unbiased[1].sqrt() + 1e-8)
            rays[trace] = start + change
        return operators.reconstruct(rays.view_as(sinogram))

    def _start(self, scan: Scan) -> torch.Tensor:
        sinogram, trace = scan.sinogram, scan.metal_trace
        if self.start == "li":
            return linear_interpolation(sinogram, trace)
        guide = tissue_guide(self.context.operators, sinogram, trace, scan.metal_mask)
        return harmonic_interpolation(sinogram, trace, guide, is_circle=self.context.geometry.is_circle)

    def _slope(self, image: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """Return the derivative of the cost for every pixel, ``(batch, rows, columns)``."""
        field = gradient(image)
        length = (field.square().sum(dim=-3, keepdim=True) + self.smoothing**2).sqrt_()
        below = (image + 1000).clamp_(max=0)
        return 2 * self.negativity * weight * below - divergence(field * (weight[..., None, :, :] / length))
