"""The symmetries of the square map rays onto rays, and stored rays stand for all others."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from marbench.ct.symmetry import copies, obstacle, orbits, representatives, sum_of_copies
from marbench.geometry import FanBeam, Geometry, ImageGrid, ParallelBeam

STEP = math.pi / 6
SYMMETRIC = [
    FanBeam(8, 5, 10.0, 0.05),
    FanBeam(12, 6, 10.0, 0.05, start=STEP / 2),
    FanBeam(12, 5, 10.0, 0.3, "flat", 12.0, start=-5 * STEP),
    ParallelBeam(6, 5, 0.5),
    ParallelBeam(6, 4, 0.5, start=1.5 * STEP),
]


def turned(theta: np.ndarray, t: np.ndarray, symmetry: int) -> tuple[np.ndarray, np.ndarray]:
    turns, reflected = divmod(symmetry, 2)
    theta = theta + turns * math.pi / 2
    return (math.pi / 2 - theta if reflected else theta), t


def line_coordinates(theta: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Numbers that are equal for (θ, t) and (θ + π, −t)."""
    return np.stack([np.cos(2 * theta), np.sin(2 * theta), t * np.cos(theta), t * np.sin(theta)])


@pytest.mark.parametrize("geometry", SYMMETRIC, ids=str)
def test_orbits_are_the_geometric_images_of_the_rays(geometry: Geometry) -> None:
    theta, t = (lines.ravel() for lines in geometry.lines())
    for symmetry, ray in enumerate(orbits(geometry)):
        expected = line_coordinates(*turned(theta, t, symmetry))
        np.testing.assert_allclose(line_coordinates(theta[ray], t[ray]), expected, atol=1e-12)


@pytest.mark.parametrize("geometry", SYMMETRIC, ids=str)
def test_every_ray_is_found_from_a_stored_one(geometry: Geometry) -> None:
    rays, source = representatives(geometry)
    stored, symmetry = np.divmod(source, 8)
    np.testing.assert_array_equal(orbits(geometry)[symmetry, rays[stored]], np.arange(source.size))
    assert len(rays) <= source.size / 8 + 2 * geometry.bins  # an eighth, and the views on the border of the wedge


def test_copies_are_the_image_at_the_moved_points() -> None:
    grid = ImageGrid(5, 5, 1.0)
    image = torch.arange(25.0).view(5, 5)
    columns = copies(image)
    points = {(float(x), float(y)): (r, c) for r, y in enumerate(grid.y) for c, x in enumerate(grid.x)}
    for symmetry in range(8):
        turns, reflected = divmod(symmetry, 2)
        for (x, y), (row, column) in points.items():
            there = complex(x, y) * 1j**turns
            moved = (there.imag, there.real) if reflected else (there.real, there.imag)
            assert columns[row * 5 + column, symmetry] == image[points[moved]]


def test_sum_of_copies_is_the_adjoint_of_copies() -> None:
    torch.manual_seed(0)
    image, columns = torch.randn(6, 6, dtype=torch.float64), torch.randn(36, 8, dtype=torch.float64)
    assert torch.allclose((copies(image) * columns).sum(), (image * sum_of_copies(columns, 6)).sum(), rtol=1e-13)


@pytest.mark.parametrize(
    ("geometry", "grid", "reason"),
    [
        (FanBeam(8, 5, 10.0, 0.05), ImageGrid(4, 5, 1.0), "not square"),
        (FanBeam(10, 5, 10.0, 0.05), ImageGrid(4, 4, 1.0), "not divisible by 4"),
        (ParallelBeam(7, 5, 1.0), ImageGrid(4, 4, 1.0), "not divisible by 2"),
        (FanBeam(8, 5, 10.0, 0.05, start=0.1), ImageGrid(4, 4, 1.0), "start angle"),
    ],
)
def test_asymmetry_is_named(geometry: Geometry, grid: ImageGrid, reason: str) -> None:
    assert reason in str(obstacle(geometry, grid))
