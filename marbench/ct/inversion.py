"""The Radon inversion layer: filtered back-projection of fan-beam and parallel-beam sinograms."""

from __future__ import annotations

from typing import get_args

from torch import Tensor, nn

from marbench.ct import ops
from marbench.ct.backends import Backend, check_backend
from marbench.errors import GeometryError, nearest
from marbench.geometry import FanBeam, Geometry, ImageGrid
from marbench.reconstruction import Truncation, Window, window_fault

__all__ = ["RadonInversion"]


class RadonInversion(nn.Module):
    """Filtered back-projection as a differentiable layer: the Radon inversion layer (RIL) of DuDoNet.

    A fan-beam sinogram is rebinned to parallel rays (θ = β + γ, t = D sin γ), each of which it measures
    twice; then, as for a parallel-beam sinogram, follow the Ram-Lak filter and back-projection over
    [0, π) with linear interpolation. The layer has no parameters and is linear.

    What a part of a circle measures twice is weighted as in Parker 1982, see `marbench.ct.rebinning`.

    Parameters
    ----------
    geometry : FanBeam or ParallelBeam
    grid : ImageGrid
    window : {"ram-lak", "shepp-logan", "cosine", "hamming", "hann"} or pairs
        Of the ramp filter: a name, or pairs of f/f_N and factor, see `marbench.ct.filtering.ramp`.
    truncation : {"refuse", "extrapolate", "ignore"}
        Where the scan does not see the circle that fits into the image: refuse it; continue every view smoothly beyond
        its ends; or take what lies there for empty, which is right for objects that the scan sees whole.
    backend : {"auto", "reference", "sparse", "torch_radon", "triton"}
        See `marbench.ct.backend_for`.

    Raises
    ------
    GeometryError
        Lines through the image are not measured, or the backend cannot serve the geometry.

    References
    ----------
    W.-A. Lin et al., "DuDoNet: Dual Domain Network for CT Metal Artifact Reduction", CVPR 2019, §3.2;
    A. C. Kak and M. Slaney, "Principles of Computerized Tomographic Imaging", 1988, §3.3 and §3.4.3.
    """

    def __init__(
        self,
        geometry: Geometry,
        grid: ImageGrid,
        *,
        window: Window = "ram-lak",
        truncation: Truncation = "refuse",
        backend: Backend = "auto",
    ) -> None:
        super().__init__()
        if fault := window_fault(window):
            raise GeometryError(fault)
        if truncation not in get_args(Truncation):
            raise GeometryError(f"Unknown truncation {truncation!r}: {nearest(truncation, get_args(Truncation))}.")
        check_backend("invert", geometry, grid, backend)  # a backend that cannot serve is refused here
        inscribed = min(grid.field_of_view) / 2
        unmeasured = geometry.unmeasured(inscribed) if isinstance(geometry, FanBeam) else None
        if unmeasured:
            raise GeometryError(f"{unmeasured}. Use more of the circle.")
        # The outermost pixels of the circle that fits into the image are half outside.
        if truncation == "refuse" and geometry.field_radius < inscribed - grid.pixel:
            raise GeometryError(
                f"The scan sees a circle of radius {geometry.field_radius:.2f} cm, but the image reaches "
                f"{inscribed:.2f} cm from its centre: what lies beyond would be truncated. Choose truncation = "
                "'extrapolate', or 'ignore' for an object that is seen whole."
            )
        self.geometry, self.grid, self.window, self.backend = geometry, grid, window, backend
        self._key = ops.operator_key("invert", geometry, grid, backend, window, truncation == "extrapolate")

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
        return f"{self.geometry}, {self.grid}, window={self.window!r}, backend={self.backend!r}"
