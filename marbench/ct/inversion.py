"""The Radon inversion layer: filtered back-projection of fan-beam and parallel-beam sinograms."""

from __future__ import annotations

from torch import Tensor, nn

from marbench.ct import ops
from marbench.ct.backends import Backend, check_backend
from marbench.geometry import Geometry, ImageGrid

__all__ = ["RadonInversion"]


class RadonInversion(nn.Module):
    """Filtered back-projection as a differentiable layer: the Radon inversion layer (RIL) of DuDoNet.

    A fan-beam sinogram is rebinned to parallel rays (θ = β + γ, t = D sin γ), each of which it measures
    twice; then, as for a parallel-beam sinogram, follow the Ram-Lak filter and back-projection over
    [0, π) with linear interpolation. The layer has no parameters and is linear.

    Parameters
    ----------
    geometry : FanBeam or ParallelBeam
    grid : ImageGrid
    backend : {"auto", "reference", "sparse", "torch_radon", "triton"}
        See `marbench.ct.backend_for`.

    References
    ----------
    W.-A. Lin et al., "DuDoNet: Dual Domain Network for CT Metal Artifact Reduction", CVPR 2019, §3.2;
    A. C. Kak and M. Slaney, "Principles of Computerized Tomographic Imaging", 1988, §3.3 and §3.4.3.
    """

    def __init__(self, geometry: Geometry, grid: ImageGrid, *, backend: Backend = "auto") -> None:
        super().__init__()
        check_backend("invert", geometry, grid, backend)  # a backend that cannot serve is refused here
        self.geometry, self.grid, self.backend = geometry, grid, backend
        self._key = ops.operator_key("invert", geometry, grid, backend)

    def forward(self, sinogram: Tensor) -> Tensor:
        """Reconstruct ``(..., views, bins)`` line integrals to ``(..., rows, columns)`` µ in 1/cm.

        The result is float64 for a float64 sinogram, else float32. Raises GeometryError if the sinogram
        does not fit the geometry.
        """
        # The layer holds a text, the operator is shared by all layers of the same key: copies and pickles cost nothing.
        ops.check_array("sinogram", sinogram, self.geometry.shape)
        return ops.apply(sinogram, self._key)

    def adjoint(self, image: Tensor) -> Tensor:
        """Apply the transposed layer: ``(..., rows, columns)`` → ``(..., views, bins)``."""
        ops.check_array("image", image, self.grid.shape)
        return ops.apply_adjoint(image, self._key)

    def extra_repr(self) -> str:
        """Say what is inverted, for ``print(module)``."""
        return f"{self.geometry}, {self.grid}, backend={self.backend!r}"
