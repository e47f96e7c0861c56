"""The torch-radon package as a backend, where it is installed: for comparisons with work that was built on it.

Its forks differ in names, in the sign of angles, in the scale of back-projections and in where the source of view 0
stands. None of this is assumed: at construction each convention is tried on a smooth object until the result agrees
with the plain reference, and a package that agrees under no convention is refused.

===========  ==============================================================  =====================================
forks        projectors                                                      remarks
===========  ==============================================================  =====================================
1.x          ``Radon, RadonFanbeam(resolution, angles, …)``                   square images, sides divisible by 16
2.x, 3.x     ``ParallelBeam, FanBeam(det_count, angles, …, volume)``          any image
===========  ==============================================================  =====================================

Detectors are flat. Its back-projection is not the exact transpose of its projection, nor the reverse, and each is the
other's derivative, as in the package itself.
"""

from __future__ import annotations

import importlib
import importlib.util
import itertools
import math
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from marbench.ct.linear import LinearMap
from marbench.ct.reference import OnTheFly
from marbench.ct.taps import interpolation_taps, joseph_taps
from marbench.errors import GeometryError, MarbenchError
from marbench.geometry import FanBeam, Geometry, ImageGrid

__all__ = ["TorchRadonProjection", "obstacle", "why_absent"]

# Textures interpolate with 8-bit weights, and rays are sampled at other points than Joseph's: an agreement this good
# is no accident, and a wrong convention is off by tens of percent.
_TOLERANCE = {"project": 0.03, "back_project": 0.10}


def why_absent() -> str | None:
    """Return why the package cannot be used here, or None if it can."""
    if importlib.util.find_spec("torch_radon") is None:
        return "the package torch_radon is not installed (https://github.com/carterbox/torch-radon has a current fork)"
    return None


def obstacle(geometry: Geometry) -> str | None:
    """Return why torch-radon cannot project this scan, or None if it can."""
    if isinstance(geometry, FanBeam) and geometry.detector == "arc":
        return "torch_radon has flat detectors only"
    if isinstance(geometry, FanBeam) and geometry.offset:
        return "torch_radon has detectors that are symmetric about the central ray only"
    return None


@dataclass(frozen=True)
class _Convention:
    """How a fork numbers views and bins: ``angle = sign · ours + shift``, bins reversed or not."""

    sign: int
    shift: float
    reverse: bool


class TorchRadonProjection(LinearMap):
    """Image ``(rows, columns)`` → sinogram ``(views, bins)`` by torch-radon, in units of cm.

    ``interpolating`` means that the adjoint is the back-projection of filtered back-projection, whose weights sum to
    1 in every view, instead of Joseph's transpose.

    Raises
    ------
    MarbenchError
        If the installed package agrees with the reference under no convention.
    """

    def __init__(
        self, geometry: Geometry, grid: ImageGrid, device: torch.device, dtype: torch.dtype, interpolating: bool
    ) -> None:
        self.domain_shape, self.range_shape = grid.shape, geometry.shape
        self._dtype = dtype
        package = importlib.import_module("torch_radon")
        _check_image(package, grid)
        taps = interpolation_taps if interpolating else joseph_taps
        reference = OnTheFly(taps, geometry, grid, device, torch.float32)
        # A blob off the centre and off the axes, seen whole, that no turn or reflection takes to itself.
        image = _blob(grid, device)
        errors = []
        for convention in _conventions(geometry):
            self._reverse = convention.reverse
            self._beam = _beam(package, geometry, grid, convention, device)
            # What is back-projected must be the sinogram of something, or errors of single rays decide.
            sinogram = OnTheFly(joseph_taps, geometry, grid, device, torch.float32).forward(image)
            self._scale, error = _fit(self._project(image), reference.forward(image))
            self._adjoint_scale, back_error = _fit(self._back_project(sinogram), reference.adjoint(sinogram))
            if error < _TOLERANCE["project"] and back_error < _TOLERANCE["back_project"]:
                return
            errors.append(max(error, back_error))
        raise MarbenchError(
            f"The installed torch_radon ({getattr(package, '__version__', 'unknown version')}) differs from the "
            f"reference by {min(errors):.0%} at best, under every known convention of its forks. "
            "Use the backend auto, and report the version."
        )

    def forward(self, x: Tensor) -> Tensor:
        """Project."""
        return (self._project(x.float()) * self._scale).to(self._dtype)

    def adjoint(self, y: Tensor) -> Tensor:
        """Back-project."""
        return (self._back_project(y.float()) * self._adjoint_scale).to(self._dtype)

    def _project(self, images: Tensor) -> Tensor:
        sinograms: Tensor = self._beam.forward(images)
        return sinograms.flip(-1) if self._reverse else sinograms

    def _back_project(self, sinograms: Tensor) -> Tensor:
        images: Tensor = self._beam.backward((sinograms.flip(-1) if self._reverse else sinograms).contiguous())
        return images


def _conventions(geometry: Geometry) -> list[_Convention]:
    shifts = (0.0, math.pi) if isinstance(geometry, FanBeam) else (0.0,)
    return [_Convention(*parts) for parts in itertools.product((1, -1), shifts, (False, True))]


def _beam(
    package: ModuleType, geometry: Geometry, grid: ImageGrid, convention: _Convention, device: torch.device
) -> Any:
    """Return the package's projector, in units of pixels: its handling of other pixel sizes has changed."""
    fan = isinstance(geometry, FanBeam)
    ours = geometry.beta if isinstance(geometry, FanBeam) else geometry.theta
    angles = torch.as_tensor(convention.sign * ours + convention.shift, dtype=torch.float32, device=device)
    if isinstance(geometry, FanBeam):
        # Any flat detector is equivalent to one as far behind the isocentre as the source is before it.
        source = geometry.source_distance / grid.pixel
        spacing = geometry.pitch * 2 * geometry.source_distance / geometry.detector_distance / grid.pixel
        distances = [source, source]
    else:
        spacing, distances = geometry.spacing / grid.pixel, []
    # Versions 2 and 3 call it so; version 1 has Radon and RadonFanbeam.
    if hasattr(package, "ParallelBeam"):
        volume = package.Volume2D()
        volume.set_size(*grid.shape)
        kind = package.FanBeam if fan else package.ParallelBeam
        return kind(geometry.bins, angles, *distances, det_spacing=spacing, volume=volume)
    kind = package.RadonFanbeam if fan else package.Radon
    return kind(grid.rows, angles, *distances, det_count=geometry.bins, det_spacing=spacing)


def _check_image(package: ModuleType, grid: ImageGrid) -> None:
    if hasattr(package, "ParallelBeam"):
        return
    if not hasattr(package, "Radon"):
        raise MarbenchError(
            f"Expected ParallelBeam or Radon in the package torch_radon. Got {getattr(package, '__file__', package)}."
        )
    if grid.rows != grid.columns or grid.rows % 16:
        raise GeometryError(
            f"torch_radon 1.x needs square images with sides divisible by 16. Got {grid.rows} × {grid.columns}."
        )


def _blob(grid: ImageGrid, device: torch.device) -> Tensor:
    radius = min(grid.field_of_view) / 2
    x, y = grid.x / radius, grid.y[:, None] / radius
    blob = np.exp(-((x - 0.3) ** 2 + 2 * (y - 0.15) ** 2 + 0.9 * (x - 0.3) * (y - 0.15)) / (2 * 0.15**2))
    return torch.as_tensor(blob, dtype=torch.float32, device=device)[None]


def _fit(found: Tensor, expected: Tensor) -> tuple[float, float]:
    """Return the factor that brings ``found`` nearest to ``expected``, and what then differs, relatively."""
    # Least squares: a* = ⟨found, expected⟩ / ‖found‖².
    scale = float((found * expected).sum() / found.square().sum().clamp(min=1e-30))
    return scale, float((scale * found - expected).norm() / expected.norm())
