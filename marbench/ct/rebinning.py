"""Fan-beam rays sorted into parallel views: θ = β + γ, t = D sin γ."""

from __future__ import annotations

import math

import numpy as np
import scipy.sparse

from marbench.geometry import FanBeam, ParallelBeam

__all__ = ["parallel_beam_of", "rebinning_matrix"]


def parallel_beam_of(fan: FanBeam) -> ParallelBeam:
    """Return the parallel scan that a fan-beam scan is rebinned to.

    Half as many views over π as the fan has over 2π (rounded up to an even number, which a square image
    can use twice), rays as far apart as the fan's at the isocentre, as many as its field of view holds.
    """
    views = 2 * math.ceil(fan.views / 4)
    spacing = fan.isocentre_pitch
    # 1e-9: the outermost ray of the fan itself may be a sample.
    half = math.floor(fan.field_radius / spacing + 1e-9)
    return ParallelBeam(views=views, bins=2 * half + 1, spacing=spacing)


def rebinning_matrix(fan: FanBeam, views: int) -> scipy.sparse.csr_matrix:
    """Return the interpolation from (β, γ) to (θ, γ), ``(views · bins, fan views · bins)``, θ_p = p π / views.

    The line (θ, γ) is measured twice on a full circle: at β = θ − γ, and in the opposite direction at
    β = θ + π + γ with fan angle −γ. Each is interpolated linearly between two sources; the result is the mean.
    """
    # (θ, t) and (θ + π, −t) are one line. A full circle of sources measures both, and the mean has less noise.
    bin_index = np.arange(fan.bins)
    theta = np.arange(views)[:, None] * (math.pi / views)
    row = np.arange(views)[:, None] * fan.bins + bin_index
    entries = []
    for beta, column in ((theta - fan.gamma, bin_index), (theta + math.pi + fan.gamma, bin_index[::-1])):
        # In steps of β from view 0; the remainder by the number of views closes the circle.
        position = (beta - fan.start) * (fan.views / (2 * math.pi))
        lower = np.floor(position)
        for source, weight in ((lower, lower + 1 - position), (lower + 1, position - lower)):
            entries.append((row, source.astype(int) % fan.views * fan.bins + column, weight / 2))
    rows, columns, weights = (np.stack(part).ravel() for part in zip(*entries, strict=True))
    shape = (views * fan.bins, fan.views * fan.bins)
    return scipy.sparse.coo_matrix((weights, (rows, columns)), shape=shape).tocsr()
