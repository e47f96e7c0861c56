"""The eight symmetries of the square (D4), acting on rays and on images.

Symmetry ``g = 2 r + m`` rotates by r · 90°, counter-clockwise, then reflects in the line y = x if m = 1.

* Rotation takes the source from β to β + π/2, a parallel view from θ to θ + π/2.
* Reflection in y = x takes the fan ray (β, γ) to (3π/2 − β, −γ), the parallel ray (θ, t) to (π/2 − θ, t).
* A parallel view beyond π is the view θ − π with its bins reversed.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from marbench.geometry import FanBeam, Geometry, ImageGrid

__all__ = ["copies", "obstacle", "orbits", "representatives", "sum_of_copies"]

IntArray = NDArray[np.int64]


def obstacle(geometry: Geometry, grid: ImageGrid) -> str | None:
    """Return why the symmetries of the square do not map this scan onto itself, or None if they do."""
    if grid.rows != grid.columns:
        return f"the image is not square ({grid.rows} × {grid.columns})"
    if isinstance(geometry, FanBeam):
        # A turn by 90° needs the whole circle, a reflection a detector that is its own mirror image.
        if geometry.angles or not geometry.is_circle:
            return "the views are not those of an evenly divided circle"
        if geometry.offset:
            return f"the detector is shifted by {geometry.offset:g} cells"
    divisor = 4 if isinstance(geometry, FanBeam) else 2
    if geometry.views % divisor:
        return f"{geometry.views} views are not divisible by {divisor}"
    # A reflection takes view k to c − k − 2·start/step, which must be a view again.
    half_steps = _start_in_half_steps(geometry)
    if abs(half_steps - round(half_steps)) > 1e-6:
        return f"the start angle is {half_steps / 2:.6g} view steps, neither whole nor half"
    return None


def orbits(geometry: Geometry) -> IntArray:
    """Return where each symmetry takes each ray: flat sinogram indices, shape ``(8, views · bins)``."""
    fan = isinstance(geometry, FanBeam)
    # In steps of β, or of θ: parallel views are counted over the whole circle, though half of it is measured.
    circle = geometry.views if fan else 2 * geometry.views
    bins = geometry.bins
    view, column = np.divmod(np.arange(geometry.views * bins), bins)
    # Views of a clockwise source count down where β counts up.
    sense = -1 if isinstance(geometry, FanBeam) and geometry.clockwise else 1
    mirror = sense * ((3 * circle // 4 if fan else circle // 4) - round(_start_in_half_steps(geometry)))
    table = np.empty((8, view.size), np.int64)
    for g in range(8):
        turns, reflected = divmod(g, 2)
        there = view + sense * turns * (circle // 4)
        there = mirror - there if reflected else there
        # What a parallel view beyond π and the reflection of a fan have in common: the bins run the other way.
        beyond, there = np.divmod(there % circle, geometry.views)
        reverse = beyond.astype(bool) ^ bool(reflected and fan)
        table[g] = there * bins + np.where(reverse, bins - 1 - column, column)
    return table


def representatives(geometry: Geometry) -> tuple[IntArray, IntArray]:
    """Return one ray of every orbit, and where all rays are found from these.

    Returns
    -------
    rays : ``(stored,)``
        The first ray of every orbit: the views of an eighth of the circle, sorted.
    source : ``(views · bins,)``
        Index into the flattened ``(stored, 8)`` array whose element (i, g) belongs to the ray g(rays[i]).
    """
    table = orbits(geometry)
    # The first of an orbit is the one that no symmetry takes to a smaller index.
    rays = np.flatnonzero(table.min(axis=0) == np.arange(table.shape[1]))
    source = np.empty(table.shape[1], np.int64)
    for g in reversed(range(8)):
        source[table[g, rays]] = np.arange(len(rays)) * 8 + g
    return rays, source


def copies(image: Tensor) -> Tensor:
    """Return the image seen through all eight symmetries, ``(pixels, 8)``: column g holds x ∘ g."""
    size = len(image)
    # One complex number carries a pixel and its mirror image: half as many moves.
    pair = torch.complex(image, _reflect(image))
    turned = pair.new_empty(size, size, 4)
    for turns in range(4):
        turned[..., turns] = torch.rot90(pair, -turns)
    return torch.view_as_real(turned).view(-1, 8)


def sum_of_copies(columns: Tensor, size: int) -> Tensor:
    """Return the adjoint of `copies`: every column turned back, all added up, ``(size, size)``."""
    turned = torch.view_as_complex(columns.view(size, size, 4, 2))
    pair = turned[..., 0] + torch.rot90(turned[..., 1], 1)
    pair += torch.rot90(turned[..., 2], 2)
    pair += torch.rot90(turned[..., 3], 3)
    return pair.real + _reflect(pair.imag)


def _reflect(image: Tensor) -> Tensor:
    # y points up: the line y = x is the other diagonal of the array.
    return image.T.flip(0, 1)


def _start_in_half_steps(geometry: Geometry) -> float:
    step = (2 * math.pi if isinstance(geometry, FanBeam) else math.pi) / geometry.views
    return 2 * geometry.start / step
