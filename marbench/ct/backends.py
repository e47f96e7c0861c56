"""Which implementation serves which operator: the one place where a backend is chosen and built.

===============  =========================================================================================
``triton``       kernels for CUDA devices: what "auto" takes there
``sparse``       stored weights (CSR), an eighth of them where there is symmetry: what "auto" takes elsewhere
``reference``    weights computed on the fly: any geometry, any device, the yardstick of all others
``torch_radon``  the package of that name for projection and back-projection, only where it is asked for
===============  =========================================================================================
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal, get_args

import numpy as np
import torch

from marbench.ct import brackets, torch_radon
from marbench.ct.batches import SmallerBatches
from marbench.ct.filtering import BinMatrix, filtering
from marbench.ct.linear import Adjoint, Composed, LinearMap
from marbench.ct.rebinning import parallel_beam_of, rebinning_matrix, symmetric
from marbench.ct.reference import OnTheFly
from marbench.ct.sparse import Sparse, SymmetricSparse
from marbench.ct.symmetry import obstacle as asymmetry_of
from marbench.ct.taps import TapFunction, interpolation_taps, joseph_taps
from marbench.errors import GeometryError, MarbenchError, nearest
from marbench.geometry import FanBeam, Geometry, ImageGrid
from marbench.machine.devices import check_device, why_not_triton
from marbench.reconstruction import Window

__all__ = ["Backend", "BackendChoice", "Kind", "Operator", "backend_for", "build", "check_backend", "obstacles"]

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
    asymmetry = asymmetry_of(_stored_scan(kind, geometry), grid)
    shared = f"no symmetry: {asymmetry}" if asymmetry else "views and image share the symmetry of the square"
    megabytes = _matrix_bytes(kind, geometry, grid) / 1e6
    return BackendChoice("sparse", f"{shared}; {megabytes:.0f} MB a matrix{passed_over}")


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


@dataclass(frozen=True)
class Operator:
    """Which operator is meant: image → sinogram for "project", sinogram → image for "invert".

    ``window`` and ``extrapolate`` are of inversions, see `marbench.ct.RadonInversion`.
    """

    kind: Kind
    geometry: Geometry
    grid: ImageGrid
    backend: Backend = "auto"
    window: Window = "ram-lak"
    extrapolate: bool = False

    def __post_init__(self) -> None:
        # A ray begins at the source. One that is followed to both ends of the image would count what lies behind it.
        reach = math.hypot(*self.grid.field_of_view) / 2
        if isinstance(self.geometry, FanBeam) and self.geometry.source_distance <= reach:
            raise GeometryError(
                f"The source, {self.geometry.source_distance:g} cm from the isocentre, would pass through the image, "
                f"whose corners are {reach:.2f} cm away. Move the source out, or use a smaller image."
            )


def build(operator: Operator, device: torch.device, dtype: torch.dtype) -> LinearMap:
    """Build an operator."""
    kind, geometry, grid = operator.kind, operator.geometry, operator.grid
    name = backend_for(kind, geometry, grid, device, operator.backend).name
    if name != "triton":
        built = _built_of_torch(operator, name, device, dtype)
    else:
        from marbench.ct import triton

        if kind == "project":
            built = triton.JosephProjection(geometry, grid, device, dtype)
        else:
            built = triton.inversion(geometry, grid, device, dtype, operator.window, operator.extrapolate)
    # Memory that runs out is an error which can be caught on GPUs alone; a CPU swaps, or ends the process.
    return SmallerBatches(built) if device.type == "cuda" else built


def _built_of_torch(operator: Operator, name: Backend, device: torch.device, dtype: torch.dtype) -> LinearMap:
    geometry, grid = operator.geometry, operator.grid

    def system(taps: TapFunction, scan: Geometry) -> LinearMap:
        if name == "torch_radon":
            return torch_radon.TorchRadonProjection(scan, grid, device, dtype, taps is interpolation_taps)
        if name != "sparse":
            return OnTheFly(taps, scan, grid, device, dtype)
        return (Sparse.projector if asymmetry_of(scan, grid) else SymmetricSparse)(taps, scan, grid, device, dtype)

    if operator.kind == "project":
        return system(joseph_taps, geometry)
    # f = Bᵀ H p: H the ramp filter, B the interpolation of an image to a sinogram, whose adjoint back-projects.
    # Rebinned rays lie at t = D sin γ, not equally spaced. Resampling and ramp both act along the bins: one matrix.
    parallel, matrix = filtering(geometry, grid, operator.window, operator.extrapolate)
    inversion = BinMatrix(matrix, parallel.views, device, dtype), Adjoint(system(interpolation_taps, parallel))
    if not isinstance(geometry, FanBeam):
        return Composed(*inversion)
    rebinned = parallel.views, symmetric(geometry).bins
    rows = partial(rebinning_matrix, geometry, parallel.views)
    return Composed(Sparse(rows, geometry.shape, rebinned, device, dtype), *inversion)


def _missing_here(backend: Backend, device: torch.device) -> str | None:
    """Return what a backend lacks on this machine and device."""
    if backend == "triton":
        return why_not_triton(device)
    if backend == "torch_radon":
        return torch_radon.why_absent()
    if backend == "sparse" and device.type not in ("cpu", "cuda"):
        return f"device {device.type!r} has no sparse matrix product"
    return None


def _stored_scan(kind: Kind, geometry: Geometry) -> Geometry:
    # What is stored for an inversion is the back-projection of the rebinned, parallel scan.
    return parallel_beam_of(geometry) if kind == "invert" and isinstance(geometry, FanBeam) else geometry


def _why_not_sparse(kind: Kind, geometry: Geometry, grid: ImageGrid) -> str | None:
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
    """Upper estimate: two taps of 8 bytes a pixel column, or a pixel, for all rays or an eighth of them."""
    scan = _stored_scan(kind, geometry)
    share = 1 if asymmetry_of(scan, grid) else 1 / 8
    if kind == "invert":
        return share * scan.views * grid.rows * grid.columns * 2 * 8
    # A ray meets two pixels in every row, or column, that it crosses.
    return share * float(np.prod(geometry.shape)) * max(grid.shape) * 2 * 8
