"""Line integrals of an image along the rays of a scan, and their adjoint."""

from __future__ import annotations

from torch import Tensor

from marbench.ct import ops
from marbench.ct.backends import Backend
from marbench.geometry import Geometry, ImageGrid

__all__ = ["back_project", "project"]


def project(image: Tensor, geometry: Geometry, grid: ImageGrid, *, backend: Backend = "auto") -> Tensor:
    """Return the line integrals of an image along every ray of a scan (Joseph's method).

    Parameters
    ----------
    image : Tensor ``(..., rows, columns)``
        Attenuation µ in 1/cm.
    backend : {"auto", "reference", "sparse", "torch_radon", "triton"}
        See `marbench.ct.backend_for`.

    Returns
    -------
    Tensor ``(..., views, bins)``
        No unit. float64 for a float64 image, else float32. Differentiable any number of times.

    Raises
    ------
    GeometryError
        If the image does not fit the grid.

    References
    ----------
    P. M. Joseph, IEEE Trans. Med. Imaging 1(3), 1982.
    """
    ops.check_array("image", image, grid.shape)
    return ops.apply(image, ops.operator_key("project", geometry, grid, backend))


def back_project(sinogram: Tensor, geometry: Geometry, grid: ImageGrid, *, backend: Backend = "auto") -> Tensor:
    """Apply the exact adjoint of `project`: the unfiltered, unnormalised back-projection.

    Parameters
    ----------
    sinogram : Tensor ``(..., views, bins)``
    backend : {"auto", "reference", "sparse", "torch_radon", "triton"}
        See `marbench.ct.backend_for`.

    Returns
    -------
    Tensor ``(..., rows, columns)``
        ⟨project(x), y⟩ = ⟨x, back_project(y)⟩ for all x and y.

    Raises
    ------
    GeometryError
        If the sinogram does not fit the geometry.
    """
    ops.check_array("sinogram", sinogram, geometry.shape)
    return ops.apply_adjoint(sinogram, ops.operator_key("project", geometry, grid, backend))
