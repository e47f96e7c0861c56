"""Exact augmentation: the symmetries of the square, acting on images and sinograms alike."""

from __future__ import annotations

import numpy as np
import torch

from marbench.ct.symmetry import obstacle, orbits
from marbench.geometry import Geometry, ImageGrid

__all__ = ["SquareSymmetries"]


class SquareSymmetries:
    """The eight symmetries of the square as permutations of pixels and of rays: ``project(g x) = g project(x)``.

    Symmetry ``g = 2 r + m`` turns by r · 90°, counter-clockwise, then reflects in the line y = x if m = 1 (see
    `marbench.ct.symmetry`). A scan that the symmetries do not map onto itself has only the identity.

    Attributes
    ----------
    count : int
        8, or 1.
    """

    def __init__(self, geometry: Geometry, grid: ImageGrid, device: torch.device | str = "cpu") -> None:
        rays = np.arange(geometry.views * geometry.bins)[None]
        pixels = np.arange(grid.rows * grid.columns).reshape(grid.shape)
        if obstacle(geometry, grid) is None:
            # `orbits` says where a ray goes; gathering needs to know whence it comes.
            rays = np.argsort(orbits(geometry), axis=1)
            turned = [np.rot90(pixels, turns) for turns in range(4)]
            # y points up: the line y = x is the other diagonal of the array.
            pixels = np.stack([image for turn in turned for image in (turn, turn.T[::-1, ::-1])])
        self._rays = torch.from_numpy(np.ascontiguousarray(rays)).to(device)
        self._pixels = torch.from_numpy(np.ascontiguousarray(pixels.reshape(len(rays), -1))).to(device)
        self.count = len(rays)

    def sinograms(self, sinograms: torch.Tensor, elements: torch.Tensor) -> torch.Tensor:
        """Apply to each of ``(batch, views, bins)`` the symmetry in ``elements``, int64 ``(batch,)``."""
        return sinograms.flatten(1).gather(1, self._rays[elements]).view(sinograms.shape)

    def images(self, images: torch.Tensor, elements: torch.Tensor) -> torch.Tensor:
        """Apply to each of ``(batch, rows, columns)`` the symmetry in ``elements``."""
        return images.flatten(1).gather(1, self._pixels[elements]).view(images.shape)
