"""Line integrals of an image along the rays of a scan, and their adjoint."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from marbench.ct import ops
from marbench.ct.backends import Backend
from marbench.geometry import Geometry, ImageGrid

__all__ = ["back_project", "project", "projection_norm"]


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


def projection_norm(geometry: Geometry, grid: ImageGrid, device: torch.device | str = "cpu") -> float:
    """Return ‖P‖, the largest singular value of `project`, in cm: what the step lengths of iterations depend on.

    Descents along Pᵀ(P x − y) converge for steps below 2/‖P‖².
    """
    # No weight of P is negative, so the first singular vector is smooth, and power iteration from a flat image short.
    image = torch.ones(1, *grid.shape, dtype=torch.float32, device=device)
    for _ in range(30):
        image = back_project(project(image / image.norm(), geometry, grid), geometry, grid)
    return math.sqrt(float(image.norm()))
