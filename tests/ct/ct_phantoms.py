"""Phantoms with closed-form line integrals: sums of discs."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch

from marbench.geometry import FanBeam, Geometry, ImageGrid


class Disc(NamedTuple):
    x: float
    y: float
    radius: float
    mu: float

    def chords(self, geometry: Geometry) -> torch.Tensor:
        theta, t = geometry.lines()
        distance = t - self.x * np.cos(theta) - self.y * np.sin(theta)
        return torch.from_numpy(self.mu * 2 * np.sqrt(np.clip(self.radius**2 - distance**2, 0, None)))

    def pixels(self, grid: ImageGrid, parts: int = 8) -> torch.Tensor:
        """µ averaged over the area of each pixel."""
        offset = (np.arange(parts) - (parts - 1) / 2) / parts * grid.pixel
        x = (grid.x[:, None] + offset).ravel()
        y = (grid.y[:, None] - offset).ravel()
        inside = (x - self.x) ** 2 + (y[:, None] - self.y) ** 2 <= self.radius**2
        coverage = inside.reshape(grid.rows, parts, grid.columns, parts).mean(axis=(1, 3))
        return torch.from_numpy(self.mu * coverage)

    def covers(self, grid: ImageGrid, margin: float) -> torch.Tensor:
        """Pixels at least ``margin`` cm inside the edge."""
        return torch.from_numpy(np.hypot(grid.x - self.x, grid.y[:, None] - self.y) < self.radius - margin)


def dudonet(scale: int = 1) -> tuple[FanBeam, ImageGrid]:
    """The geometry of DuDoNet; with ``scale``, coarser by that factor in everything."""
    fan = FanBeam(320 // scale, 2 * (160 // scale) + 1, 39.69, math.radians(0.1 * scale))
    return fan, ImageGrid(416 // scale, 416 // scale, 0.036923 * scale)


# Nothing about this phantom is symmetric.
BODY = (Disc(0.4, -0.3, 5.5, 0.2), Disc(2.4, 1.1, 1.6, 0.1), Disc(-2.5, 2.0, 1.2, 0.25), Disc(0.9, -3.2, 1.3, -0.15))
