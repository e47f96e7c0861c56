"""The image's total variation decides what the metal trace holds (Zeng, 2022)."""

import torch
from torch.nn import functional

from marbench import Method, Scan
from marbench.toolbox.guides import tissue_guide
from marbench.toolbox.harmonic import harmonic_interpolation
from marbench.toolbox.interpolation import linear_interpolation
from marbench.toolbox.variation import gradient


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
        start, reconstruct = self._start(scan), self.context.operators.reconstruct
        change = torch.zeros_like(start)
        mean, power = torch.zeros_like(start), torch.zeros_like(start)
        for step in range(self.steps):
            with torch.enable_grad():
                change.requires_grad_()
                # The sum over a batch has the gradients of its scans, each by itself.
                cost = (weight * self._cost(reconstruct(start + change * scan.metal_trace))).sum()
                (slope,) = torch.autograd.grad(cost, change)
            # Adam, written out: the first use of torch.optim takes seconds, in which it imports torch's compiler.
            mean, power = mean.lerp(slope, 0.1), power.lerp(slope.square(), 0.001)
            unbiased = mean / (1 - 0.9 ** (step + 1)), power / (1 - 0.999 ** (step + 1))
            change = change.detach() - self.rate * (1 - step / self.steps) * unbiased[0] / (unbiased[1].sqrt() + 1e-8)
        return reconstruct(start + change * scan.metal_trace)

    def _start(self, scan: Scan) -> torch.Tensor:
        sinogram, trace = scan.sinogram, scan.metal_trace
        if self.start == "li":
            return linear_interpolation(sinogram, trace)
        guide = tissue_guide(self.context.operators, sinogram, trace, scan.metal_mask)
        return harmonic_interpolation(sinogram, trace, guide, is_circle=self.context.geometry.is_circle)

    def _cost(self, image: torch.Tensor) -> torch.Tensor:
        """Return the cost of every pixel, ``(batch, rows, columns)``."""
        variation = (gradient(image).square().sum(dim=-3) + self.smoothing**2).sqrt()
        return variation + self.negativity * (image + 1000).clamp(max=0).square()
