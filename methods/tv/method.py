"""Iterative reconstruction from the rays that miss metal, with total variation: eq. (5) of the DuDoNet paper."""

import torch

from marbench import Context, Method, Scan
from marbench.ct import back_project, projection_norm
from marbench.toolbox.interpolation import linear_interpolation
from marbench.toolbox.variation import divergence, gradient

# The squared norm of ∇ stays below it on every grid.
_GRADIENT_NORM_SQUARED = 8.0
# What λ is counted against, see `_price`: the rays, the path of water and the pixels across the image of mini.
_MISFIT_OF_MINI = 256 * 192 * 7.86432**2 / 128
# How far each step goes beyond where the algorithm leads; it converges below 2. The way is about as much shorter.
_RELAXATION = 1.9


class TotalVariationReconstruction(Method):
    """Solves min ‖(1 − T)(PX − p)‖² + λ TV(X) for the image X in units of water, TV(X) = Σ ‖∇X‖; T is the metal trace.

    By the primal-dual algorithm of A. Chambolle, T. Pock, J. Math. Imaging Vis. 40 (2011) 120–145, with a step for each
    of the two operators, P and ∇, over-relaxed: algorithm 3.2 of L. Condat, J. Optim. Theory Appl. 158 (2013) 460–479.
    It comes to the minimum, wherever it starts, if τ (σ‖P‖² + ρ‖∇‖²) < 1; here it starts at the LI image. X then fills
    the trace, f = FBP(p + T(PX − p)), or is the result itself.
    """

    weight: float
    steps: int
    balance: float
    output: str

    def load(self, context: Context) -> None:
        """Find ‖P‖, on which the steps depend, and the price of variation on this scan."""
        super().load(context)
        self._price = self.weight * _misfit(context) / _MISFIT_OF_MINI
        self._norm = projection_norm(context.geometry, context.grid, context.device) * context.operators.water

    def reduce(self, scan: Scan) -> torch.Tensor:
        """Return the reconstruction with the trace of the last step's image, or that image."""
        image = self._minimise(scan)
        if self.output == "image":
            return (image - 1) * 1000
        completed = torch.where(scan.metal_trace, self._project(image), scan.sinogram)
        return self.context.operators.reconstruct(completed)

    def _minimise(self, scan: Scan) -> torch.Tensor:
        """Return X after the last step, in units of water."""
        measured = (~scan.metal_trace).to(scan.sinogram)
        # To each operator nearly half of what is allowed. The minimum does not depend on τ, the way to it does.
        tau = self.balance / self._norm
        sigma, rho = 0.49 / (tau * self._norm**2), 0.49 / (tau * _GRADIENT_NORM_SQUARED)
        image = self.context.operators.reconstruct(linear_interpolation(scan.sinogram, scan.metal_trace)) / 1000 + 1
        residual, field = torch.zeros_like(scan.sinogram), torch.zeros_like(gradient(image))
        for _ in range(self.steps):
            # The proximal maps of the conjugates of ‖·‖² and of λ‖·‖.
            misfit = measured * (residual + sigma * (self._project(image) - scan.sinogram)) / (1 + sigma / 2)
            slope = field + rho * gradient(image)
            slope = slope / (slope.norm(dim=-3, keepdim=True) / self._price).clamp(min=1)
            after = image - tau * (self._back_project(2 * misfit - residual) - divergence(2 * slope - field))
            image = torch.lerp(image, after, _RELAXATION)
            residual, field = torch.lerp(residual, misfit, _RELAXATION), torch.lerp(field, slope, _RELAXATION)
        return image

    def _project(self, relative: torch.Tensor) -> torch.Tensor:
        """Return the line integrals of an image in units of water."""
        return self.context.operators.project_mu(relative * self.context.operators.water)

    def _back_project(self, sinogram: torch.Tensor) -> torch.Tensor:
        """Apply the adjoint of `_project`."""
        return back_project(sinogram, self.context.geometry, self.context.grid) * self.context.operators.water


def _misfit(context: Context) -> float:
    """Return how ‖PX − p‖² of an object that fills the image compares with TV(X), which grows with pixels across it."""
    path = context.operators.water * max(context.grid.field_of_view)
    return context.geometry.views * context.geometry.bins * path**2 / max(context.grid.shape)
