"""Which implementation serves which operator: the one place where a backend is chosen and built.

===============  =========================================================================================
``triton``       kernels for CUDA devices: what "auto" takes there
``sparse``       stored weights with the symmetry of the square (CSR): what "auto" takes elsewhere
``reference``    weights computed on the fly: any geometry, any device, the yardstick of all others
``torch_radon``  the package of that name for projection and back-projection, only where it is asked for
===============  =========================================================================================
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch

from marbench.ct import brackets, torch_radon
from marbench.ct.batches import SmallerBatches
from marbench.ct.filtering import BinMatrix, filter_matrix, resampling_matrix
from marbench.ct.linear import Adjoint, Composed, LinearMap
from marbench.ct.rebinning import parallel_beam_of, rebinning_matrix
from marbench.ct.reference import OnTheFly
from marbench.ct.sparse import SparseMatrix, SymmetricSparse
from marbench.ct.symmetry import obstacle as asymmetry_of
from marbench.ct.taps import TapFunction, interpolation_taps, joseph_taps
from marbench.errors import GeometryError, MarbenchError, nearest
from marbench.geometry import FanBeam, Geometry, ImageGrid
from marbench.machine.devices import check_device, why_not_triton

__all__ = ["Backend", "BackendChoice", "Kind", "backend_for", "build", "check_backend", "obstacles"]

Kind = Literal["project", "invert"]
Backend = Literal["auto", "reference", "sparse", "torch_radon", "triton"]

# A matrix above this (float32, one of the two that a derivative needs) is not worth its memory.
MEMORY_LIMIT_BYTES = 1_000_000_000


@dataclass(frozen=True)
class BackendChoice:
    """The backend that serves an operator, and why."""

    name: Backend
    reason: str


def backend_for(
    kind: Kind,
    geometry: Geometry,
    grid: ImageGrid,
    device: torch.device | str = "cpu",
    backend: Backend = "auto",
) -> BackendChoice:
    """Tell which backend serves an operator on a device, and why.

    Parameters
    ----------
    kind : {"project", "invert"}
        The projector (with its adjoint), or the Radon inversion.
    backend : {"auto", "reference", "sparse", "torch_radon", "triton"}
        "auto" takes the fastest that applies, torch_radon excepted.

    Raises
    ------
    GeometryError
        If the backend is unknown, or cannot serve this geometry.
    MarbenchError
        If the device or a package that the backend needs is not there.
    """
    device = torch.device(device)
    check_device(device)
    if backend != "auto":
        check_backend(kind, geometry, grid, backend)
        missing = _missing_here(backend, device)
        if missing:
            raise MarbenchError(f"The {backend} backend cannot run here: {missing}.")
        return BackendChoice(backend, "asked for")
    why_not = obstacles(kind, geometry, grid, device)
    # Kernels first on a GPU: they hold three numbers a ray, where stored weights take a hundred megabytes.
    if device.type == "cuda" and why_not["triton"] is None:
        return BackendChoice("triton", f"kernels on {torch.cuda.get_device_name(device)}")
    passed_over = f"; no Triton kernels: {why_not['triton']}" if device.type == "cuda" else ""
    if why_not["sparse"]:
        return BackendChoice("reference", f"no stored weights: {why_not['sparse']}{passed_over}")
    megabytes = _matrix_bytes(kind, geometry, grid) / 1e6
    reason = f"views and image share the symmetry of the square; {megabytes:.0f} MB a matrix{passed_over}"
    return BackendChoice("sparse", reason)


def obstacles(
    kind: Kind, geometry: Geometry, grid: ImageGrid, device: torch.device | str = "cpu"
) -> dict[Backend, str | None]:
    """Return why each backend cannot serve an operator on a device: None where it can."""
    device = torch.device(device)
    check_device(device)
    return {
        name: _missing_here(name, device) or (_OBSTACLES[name](kind, geometry, grid) if name in _OBSTACLES else None)
        for name in get_args(Backend)
        if name != "auto"
    }


def check_backend(kind: Kind, geometry: Geometry, grid: ImageGrid, backend: Backend) -> None:
    """Raise GeometryError if a backend is unknown, or can serve this geometry on no device."""
    if backend not in get_args(Backend):
        raise GeometryError(f"Unknown operator backend {backend!r}: {nearest(backend, get_args(Backend))}.")
    why_not = _OBSTACLES[backend](kind, geometry, grid) if backend in _OBSTACLES else None
    if why_not:
        raise GeometryError(f"The {backend} backend cannot serve {geometry!r} on {grid!r}: {why_not}.")


def build(
    kind: Kind, geometry: Geometry, grid: ImageGrid, backend: Backend, device: torch.device, dtype: torch.dtype
) -> LinearMap:
    """Build an operator: image → sinogram for "project", sinogram → image for "invert"."""
    name = backend_for(kind, geometry, grid, device, backend).name
    if name == "triton":
        from marbench.ct import triton

        kernels = triton.JosephProjection if kind == "project" else triton.inversion
        built: LinearMap = kernels(geometry, grid, device, dtype)
    else:
        built = _built_of_torch(kind, geometry, grid, name, device, dtype)
    # Memory that runs out is an error which can be caught on GPUs alone; a CPU swaps, or ends the process.
    return SmallerBatches(built) if device.type == "cuda" else built


def _built_of_torch(
    kind: Kind, geometry: Geometry, grid: ImageGrid, name: Backend, device: torch.device, dtype: torch.dtype
) -> LinearMap:
    def system(taps: TapFunction, scan: Geometry) -> LinearMap:
        if name == "torch_radon":
            return torch_radon.TorchRadonProjection(scan, grid, device, dtype, taps is interpolation_taps)
        return (SymmetricSparse if name == "sparse" else OnTheFly)(taps, scan, grid, device, dtype)

    if kind == "project":
        return system(joseph_taps, geometry)
    # f = Bᵀ H p: H the ramp filter, B the interpolation of an image to a sinogram, whose adjoint back-projects.
    if not isinstance(geometry, FanBeam):
        ramp = BinMatrix(filter_matrix(geometry), geometry.views, device, dtype)
        return Composed(ramp, Adjoint(system(interpolation_taps, geometry)))
    parallel = parallel_beam_of(geometry)
    rebinning = SparseMatrix(
        rebinning_matrix(geometry, parallel.views), geometry.shape, (parallel.views, geometry.bins), device, dtype
    )
    # Rebinned rays lie at t = D sin γ, not equally spaced. Resampling and ramp both act along the bins: one matrix.
    ramp = BinMatrix(resampling_matrix(geometry, parallel) @ filter_matrix(parallel), parallel.views, device, dtype)
    return Composed(rebinning, ramp, Adjoint(system(interpolation_taps, parallel)))


def _missing_here(backend: Backend, device: torch.device) -> str | None:
    """Return what a backend lacks on this machine and device."""
    if backend == "triton":
        return why_not_triton(device)
    if backend == "torch_radon":
        return torch_radon.why_absent()
    if backend == "sparse" and device.type not in ("cpu", "cuda"):
        return f"device {device.type!r} has no sparse matrix product"
    return None


def _why_not_sparse(kind: Kind, geometry: Geometry, grid: ImageGrid) -> str | None:
    # What is stored for an inversion is the back-projection of the rebinned, parallel scan.
    scan = parallel_beam_of(geometry) if kind == "invert" and isinstance(geometry, FanBeam) else geometry
    asymmetry = asymmetry_of(scan, grid)
    if asymmetry:
        return asymmetry
    needed = _matrix_bytes(kind, geometry, grid)
    if needed > MEMORY_LIMIT_BYTES:
        return f"a matrix would take {needed / 1e9:.1f} GB, more than {MEMORY_LIMIT_BYTES / 1e9:.0f} GB"
    return None


def _why_not_triton(kind: Kind, geometry: Geometry, grid: ImageGrid) -> str | None:
    if kind == "project":
        return brackets.obstacle(geometry, grid)
    return "fewer than 4 views" if isinstance(geometry, FanBeam) and geometry.views < 4 else None


def _why_not_torch_radon(kind: Kind, geometry: Geometry, grid: ImageGrid) -> str | None:
    # An inversion hands it parallel rays, whatever the scan was.
    return torch_radon.obstacle(geometry) if kind == "project" else None


_OBSTACLES: dict[Backend, Callable[[Kind, Geometry, ImageGrid], str | None]] = {
    "sparse": _why_not_sparse,
    "torch_radon": _why_not_torch_radon,
    "triton": _why_not_triton,
}


def _matrix_bytes(kind: Kind, geometry: Geometry, grid: ImageGrid) -> float:
    """Upper estimate: two taps of 8 bytes a pixel column, or a pixel, for an eighth of the rays."""
    if kind == "invert":
        views = parallel_beam_of(geometry).views if isinstance(geometry, FanBeam) else geometry.views
        return views / 8 * grid.rows * grid.columns * 2 * 8
    # A ray meets two pixels in every row, or column, that it crosses.
    return float(np.prod(geometry.shape)) / 8 * max(grid.shape) * 2 * 8
