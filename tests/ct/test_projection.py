"""The projector against closed-form line integrals, and its adjoint."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from ct_phantoms import BODY, dudonet
from skimage.transform import radon

from marbench.ct import back_project, project, projection_norm
from marbench.ct.backends import Backend
from marbench.errors import GeometryError
from marbench.geometry import FanBeam, Geometry, ImageGrid, ParallelBeam

ARC, GRID = dudonet()
FLAT = FanBeam(320, 321, 39.69, 43.44 / 321, "flat", 79.38)
PARALLEL = ParallelBeam(160, 321, 0.0693)

SMALL = [
    FanBeam(16, 21, 10.0, 0.04),
    FanBeam(16, 20, 10.0, 0.04, start=math.pi / 16),
    FanBeam(12, 21, 10.0, 0.7, "flat", 18.0),
    FanBeam(13, 21, 10.0, 0.04, start=0.3),
    ParallelBeam(10, 21, 0.5),
    ParallelBeam(9, 20, 0.5, start=0.2),
]


@pytest.mark.parametrize("geometry", [ARC, FLAT, PARALLEL], ids=["arc", "flat", "parallel"])
def test_discs_project_to_their_chords(geometry: Geometry) -> None:
    image = sum(disc.pixels(GRID) for disc in BODY)
    exact = sum(disc.chords(geometry) for disc in BODY)
    sinogram = project(image.float(), geometry, GRID)
    assert (sinogram - exact).norm() <= 2e-3 * exact.norm()


@pytest.mark.parametrize("margin", [(0, 6), (6, 0)])
@pytest.mark.parametrize("geometry", SMALL, ids=str)
def test_empty_margin_changes_nothing(geometry: Geometry, margin: tuple[int, int]) -> None:
    """An image that is not square projects like the square one that it fills with zeros."""
    torch.manual_seed(0)
    rows, columns = margin
    image = torch.rand(24 - 2 * rows, 24 - 2 * columns, dtype=torch.float64)
    narrow = project(image, geometry, ImageGrid(*image.shape, 0.4))
    square = project(torch.nn.functional.pad(image, (columns, columns, rows, rows)), geometry, ImageGrid(24, 24, 0.4))
    assert torch.allclose(narrow, square, atol=1e-12)


@pytest.mark.parametrize("shape", [(1, 7), (7, 1), (1, 1)])
def test_uniform_strip_has_its_own_length(shape: tuple[int, int]) -> None:
    grid, beam = ImageGrid(*shape, 0.5), ParallelBeam(2, 3, 0.01)  # along y, then along x
    sinogram = project(torch.ones(shape, dtype=torch.float64), beam, grid)
    assert sinogram[:, 1].tolist() == pytest.approx([shape[0] * 0.5, shape[1] * 0.5])


def test_scikit_image_radon_agrees() -> None:
    grid = ImageGrid(129, 129, 0.1)
    beam = ParallelBeam(45, 129, 0.1)
    image = sum(disc.pixels(grid) for disc in BODY)
    theirs = torch.from_numpy(radon(image.numpy(), theta=np.degrees(beam.theta), circle=True).T * grid.pixel)
    ours = project(image, beam, grid)
    assert (ours - theirs).norm() <= 5e-3 * theirs.norm()


@pytest.mark.parametrize("grid", [ImageGrid(14, 14, 0.5), ImageGrid(13, 13, 0.5), ImageGrid(12, 17, 0.5)], ids=str)
@pytest.mark.parametrize("geometry", SMALL, ids=str)
@pytest.mark.parametrize("backend", ["auto", "reference"])
def test_back_projection_is_the_adjoint(geometry: Geometry, grid: ImageGrid, backend: Backend) -> None:
    torch.manual_seed(1)
    for dtype, tolerance in ((torch.float32, 1e-5), (torch.float64, 1e-12)):
        x, y = torch.rand(grid.shape, dtype=dtype), torch.rand(geometry.shape, dtype=dtype)
        left = (project(x, geometry, grid, backend=backend).double() * y).sum()
        right = (x * back_project(y, geometry, grid, backend=backend).double()).sum()
        assert abs(left - right) <= tolerance * abs(left)


@pytest.mark.parametrize("geometry", SMALL, ids=str)
def test_the_norm_of_the_projection_is_that_of_its_matrix(geometry: Geometry) -> None:
    grid = ImageGrid(12, 17, 0.5)
    matrix = project(torch.eye(12 * 17).view(-1, *grid.shape), geometry, grid).flatten(1)
    assert projection_norm(geometry, grid) == pytest.approx(float(torch.linalg.matrix_norm(matrix, 2)), rel=1e-5)


def test_back_projection_is_the_adjoint_at_full_size() -> None:
    torch.manual_seed(2)
    x, y = torch.rand(GRID.shape), torch.rand(ARC.shape)
    left = (project(x, ARC, GRID).double() * y).sum()
    assert abs(left - (x * back_project(y, ARC, GRID).double()).sum()) <= 1e-5 * left


@pytest.mark.parametrize("size", [14, 15])
@pytest.mark.parametrize("geometry", [g for g in SMALL if g.views % 2 == 0], ids=str)
def test_stored_weights_equal_those_computed_on_the_fly(geometry: Geometry, size: int) -> None:
    torch.manual_seed(3)
    grid = ImageGrid(size, size, 0.5)
    x = torch.rand(2, *grid.shape)
    stored = project(x, geometry, grid, backend="sparse")
    computed = project(x, geometry, grid, backend="reference")
    assert (stored - computed).abs().max() <= 1e-5 * computed.max()


def test_projection_is_linear() -> None:
    torch.manual_seed(4)
    fan, grid = dudonet(8)
    a, b = torch.randn(2, *grid.shape, dtype=torch.float64)
    both = project(2 * a - 3 * b, fan, grid)
    assert torch.allclose(both, 2 * project(a, fan, grid) - 3 * project(b, fan, grid), atol=1e-12)


def test_wrong_shapes_and_dtypes_are_named() -> None:
    fan, grid = dudonet(8)
    with pytest.raises(GeometryError, match=r"Expected image \(\.\.\., 52, 52\)\. Got \(3, 52, 51\)\."):
        project(torch.zeros(3, 52, 51), fan, grid)
    with pytest.raises(GeometryError, match=r"Expected sinogram \(\.\.\., 40, 41\)\. Got \(40,\)\."):
        back_project(torch.zeros(40), fan, grid)
    with pytest.raises(GeometryError, match="floating-point"):
        project(torch.zeros(52, 52, dtype=torch.int32), fan, grid)
