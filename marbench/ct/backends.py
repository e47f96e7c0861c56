"""Which implementation serves which operator: the one place where a backend is chosen and built.

==============  ==========================================================================================
``sparse``      stored weights with the symmetry of the square (CSR): the fastest where it applies
``reference``   weights computed on the fly: any geometry, any device, the yardstick of all others
==============  ==========================================================================================
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch

from marbench.ct.filtering import BinMatrix, filter_matrix, resampling_matrix
from marbench.ct.linear import Adjoint, Composed, LinearMap
from marbench.ct.rebinning import parallel_beam_of, rebinning_matrix
from marbench.ct.reference import OnTheFly
from marbench.ct.sparse import SparseMatrix, SymmetricSparse
from marbench.ct.symmetry import obstacle
from marbench.ct.taps import TapFunction, interpolation_taps, joseph_taps
from marbench.errors import GeometryError, nearest
from marbench.geometry import FanBeam, Geometry, ImageGrid

__all__ = ["Backend", "BackendChoice", "Kind", "backend_for", "build"]

Kind = Literal["project", "invert"]
Backend = Literal["auto", "reference", "sparse"]

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
    backend : {"auto", "reference", "sparse"}
        "auto" takes the fastest that applies.

    Raises
    ------
    GeometryError
        If the backend is unknown, or cannot serve this geometry.
    """
    if backend not in get_args(Backend):
        raise GeometryError(f"Unknown operator backend {backend!r}: {nearest(backend, get_args(Backend))}.")
    if backend == "reference":
        return BackendChoice("reference", "asked for")
    why_not = _why_not_sparse(kind, geometry, grid, torch.device(device))
    if backend == "sparse":
        if why_not:
            raise GeometryError(f"The sparse backend cannot serve {geometry!r} on {grid!r}: {why_not}.")
        return BackendChoice("sparse", "asked for")
    if why_not:
        return BackendChoice("reference", f"no stored weights: {why_not}")
    megabytes = _matrix_bytes(kind, geometry, grid) / 1e6
    return BackendChoice("sparse", f"views and image share the symmetry of the square; {megabytes:.0f} MB a matrix")


def build(
    kind: Kind,
    geometry: Geometry,
    grid: ImageGrid,
    backend: Backend,
    device: torch.device,
    dtype: torch.dtype,
) -> LinearMap:
    """Build an operator: image → sinogram for "project", sinogram → image for "invert"."""
    name = backend_for(kind, geometry, grid, device, backend).name
    system = SymmetricSparse if name == "sparse" else OnTheFly
    if kind == "project":
        return system(joseph_taps, geometry, grid, device, dtype)
    taps: TapFunction = interpolation_taps
    if not isinstance(geometry, FanBeam):
        ramp = BinMatrix(filter_matrix(geometry), geometry.views, device, dtype)
        return Composed(ramp, Adjoint(system(taps, geometry, grid, device, dtype)))
    parallel = parallel_beam_of(geometry)
    rebinning = SparseMatrix(
        rebinning_matrix(geometry, parallel.views), geometry.shape, (parallel.views, geometry.bins), device, dtype
    )
    ramp = BinMatrix(
        resampling_matrix(geometry, parallel) @ filter_matrix(parallel), parallel.views, device, dtype
    )
    return Composed(rebinning, ramp, Adjoint(system(taps, parallel, grid, device, dtype)))


def _why_not_sparse(kind: Kind, geometry: Geometry, grid: ImageGrid, device: torch.device) -> str | None:
    if device.type not in ("cpu", "cuda"):
        return f"device {device.type!r} has no sparse matrix product"
    scan = parallel_beam_of(geometry) if kind == "invert" and isinstance(geometry, FanBeam) else geometry
    asymmetry = obstacle(scan, grid)
    if asymmetry:
        return asymmetry
    needed = _matrix_bytes(kind, geometry, grid)
    if needed > MEMORY_LIMIT_BYTES:
        return f"a matrix would take {needed / 1e9:.1f} GB, more than {MEMORY_LIMIT_BYTES / 1e9:.0f} GB"
    return None


def _matrix_bytes(kind: Kind, geometry: Geometry, grid: ImageGrid) -> float:
    """Upper estimate: two taps of 8 bytes a pixel column, or a pixel, for an eighth of the rays."""
    if kind == "invert":
        views = parallel_beam_of(geometry).views if isinstance(geometry, FanBeam) else geometry.views
        return views / 8 * grid.rows * grid.columns * 2 * 8
    return float(np.prod(geometry.shape)) / 8 * max(grid.shape) * 2 * 8
