"""The package torch_radon as its forks publish it: names, arguments, conventions and scales, on the CPU.

Rays are sampled with bilinear interpolation at steps of one pixel, back-projections are pixel-driven, and neither is
the transpose of the other, as in the package. Written from the documented interface; units are pixels, y points down.
"""

from __future__ import annotations

import types
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import grid_sample


class Beam:
    """Parallel (``source`` is None) or flat fan; ``twist`` turns all angles, which no published fork does."""

    def __init__(
        self, angles: Tensor, count: int, spacing: float, source: float | None, detector: float, twist: float
    ) -> None:
        self.angles, self.count, self.spacing = angles.double() + twist, count, spacing
        self.source, self.detector = source, detector

    def forward(self, images: Tensor) -> Tensor:
        rows, columns = images.shape[-2:]
        reach = 0.75 * max(rows, columns)
        along = torch.arange(-reach, reach, dtype=torch.float64)
        u = (torch.arange(self.count, dtype=torch.float64) - (self.count - 1) / 2) * self.spacing
        views = []
        for angle in self.angles:
            across, forwards = axes(angle)
            if self.source is None:
                points = u[:, None, None] * across + along[:, None] * forwards
            else:
                source = -self.source * forwards
                rays = u[:, None] * across + (self.source + self.detector) * forwards
                rays = rays / rays.norm(dim=1, keepdim=True)
                points = source + (along + self.source)[:, None] * rays[:, None]
            place = points / torch.tensor([columns / 2, rows / 2])
            place = place.float().expand(len(images), *place.shape)
            samples = grid_sample(images[:, None], place, align_corners=False)[:, 0]
            views.append(samples.sum(-1))
        return torch.stack(views, dim=1)

    def back_project(self, sinograms: Tensor, rows: int, columns: int, scale: float) -> Tensor:
        x = torch.arange(columns, dtype=torch.float64) - (columns - 1) / 2
        y = (torch.arange(rows, dtype=torch.float64) - (rows - 1) / 2)[:, None]
        total = sinograms.new_zeros(len(sinograms), rows, columns)
        for view, angle in zip(sinograms.unbind(1), self.angles, strict=True):
            across, forwards = axes(angle)
            u, magnification = across[0] * x + across[1] * y, torch.ones(())
            if self.source is not None:
                magnification = (self.source + self.detector) / (self.source + forwards[0] * x + forwards[1] * y)
            place = u * magnification / self.spacing / (self.count / 2)
            place = torch.stack([place, torch.zeros_like(place)], dim=-1).float().expand(len(view), rows, columns, 2)
            total += grid_sample(view[:, None, None], place, align_corners=False)[:, 0] * magnification
        return total * scale


def axes(angle: Tensor) -> tuple[Tensor, Tensor]:
    """Along the detector, and from the source to the isocentre: x to the right, y down."""
    return torch.stack([angle.cos(), -angle.sin()]), torch.stack([-angle.sin(), -angle.cos()])


def version_2(twist: float = 0.0) -> types.ModuleType:
    class Volume2D:
        def __init__(self, center: Sequence[float] = (0.0, 0.0), voxel_size: Sequence[float] = (1.0, 1.0)) -> None:
            assert tuple(voxel_size) == (1.0, 1.0)
            self.height = self.width = -1

        def set_size(self, height: int, width: int) -> None:
            self.height, self.width = height, width

    class ParallelBeam(Beam):
        def __init__(
            self, det_count: int, angles: Tensor, det_spacing: float = 1.0, volume: Any = None, *fan: float
        ) -> None:
            source, detector = fan or (None, 0.0)
            super().__init__(angles, det_count, det_spacing, source, detector, twist)
            self.volume = volume

        def backward(self, sinogram: Tensor) -> Tensor:
            assert self.volume.height > 0, "Must use forward before calling backward or specify a volume"
            return self.back_project(sinogram, self.volume.height, self.volume.width, 1 / self.spacing)

    class FanBeam(ParallelBeam):
        def __init__(
            self, det_count: int, angles: Tensor, src_dist: float | None = None, det_dist: float | None = None,
            det_spacing: float = 1.0, volume: Any = None,
        ) -> None:  # fmt: skip
            assert src_dist is not None
            assert det_dist is not None
            super().__init__(det_count, angles, det_spacing, volume, src_dist, det_dist)

    module = types.ModuleType("torch_radon")
    vars(module).update(Volume2D=Volume2D, ParallelBeam=ParallelBeam, FanBeam=FanBeam, __version__="2.0")
    return module


def version_1() -> types.ModuleType:
    class Radon(Beam):
        def __init__(
            self, resolution: int, angles: Tensor, det_count: int = -1, det_spacing: float = 1.0,
            clip_to_circle: bool = False, *fan: float,
        ) -> None:  # fmt: skip
            assert resolution % 16 == 0
            source, detector = fan or (None, 0.0)
            super().__init__(-angles, det_count, det_spacing, source, detector, 0.0)
            self.resolution = resolution

        def backward(self, sinogram: Tensor) -> Tensor:
            return self.back_project(sinogram, self.resolution, self.resolution, 1.0)

    class RadonFanbeam(Radon):
        def __init__(
            self, resolution: int, angles: Tensor, source_distance: float, det_distance: float = -1,
            det_count: int = -1, det_spacing: float = -1, clip_to_circle: bool = False,
        ) -> None:  # fmt: skip
            super().__init__(resolution, angles, det_count, det_spacing, clip_to_circle, source_distance, det_distance)

    module = types.ModuleType("torch_radon")
    vars(module).update(Radon=Radon, RadonFanbeam=RadonFanbeam, __version__="1.0.0")
    return module
