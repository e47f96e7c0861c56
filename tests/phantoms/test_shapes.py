"""Shapes, their distances, and the share of a pixel that they cover."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest

from marbench.phantoms.patients.canvas import Canvas, Pose, Tissue
from marbench.phantoms.patients.texture import LATTICE, atlas
from marbench.phantoms.shapes import (
    Arc,
    Blob,
    Difference,
    Ellipse,
    Polygon,
    Screw,
    Shape,
    Stroke,
    Union,
    arc,
    disc,
    members,
    moved,
    ring,
    union,
)

WIDTH = 10.24


def canvas(size: int, pose: Pose | None = None) -> Canvas:
    return Canvas((size, size), WIDTH, pose or Pose(), atlas(0, round(WIDTH / size, 6)), (0.0, 0.0))


def area(shape: Shape, size: int, pose: Pose | None = None) -> float:
    """Area in cm² of a shape painted with 0 HU on air."""
    picture = canvas(size, pose)
    picture.paint(shape, Tissue(0.0))
    return float((picture.image / 1000 + 1).sum() * (WIDTH / size) ** 2)


CIRCLE = ring(count=60)
SQUARE = Polygon(((-1, -1), (1, -1), (1, 1), (-1, 1)))


@pytest.mark.parametrize("size", [32, 64, 256])
@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        (Ellipse(0.3, -0.2, 2.0, 1.2, 0.4), math.pi * 2.0 * 1.2),
        (Blob([(2 * x, 2 * y) for x, y in CIRCLE], (0, 0), smooth=1), math.pi * 4),
        (Stroke([(-2, 0), (2, 1)], 0.5), 2 * 0.5 * math.hypot(4, 1) + math.pi * 0.25),
        (Stroke([(-3, -1), (3, 1.5)], 0.05), 2 * 0.05 * 6.5 + math.pi * 0.0025),  # thinner than a pixel
        (Difference(Ellipse(0, 0, 2, 2), Ellipse(0, 0, 1, 1)), math.pi * 3),
        (Union([Ellipse(-2, 0, 1, 1), Ellipse(2, 0, 1, 1)]), 2 * math.pi),
        (disc(1, 1, 2), math.pi * 4),
        (Arc(0.5, 0, 2, 0.5), 2 * math.pi * 2 * 1),
        (Arc(0, 0, 3, 0.4, -0.5, math.pi), math.pi * 3 * 0.8 + math.pi * 0.16),
        (Polygon(((-2, -1), (2, -1), (2, 1), (-2, 1)), 0.5), 8 + 0.5 * 12 + math.pi * 0.25),
        (Screw((0, -3), (0, 3), 2, 0.3, 0.8), 2 * 6 * 0.85 - 0.5),  # a thread of mean depth 0.15, a tapered tip
    ],
    ids=["ellipse", "blob", "stroke", "thin stroke", "hole", "union", "disc", "ring", "arc", "polygon", "screw"],
)
def test_area_is_kept_at_any_resolution(shape: Shape, expected: float, size: int) -> None:
    assert area(shape, size) == pytest.approx(expected, rel=0.06)


def test_pose_shifts_turns_and_stretches_without_losing_the_shape() -> None:
    shape = Stroke([(0.5, 0), (2, 1)], 0.4)
    plain = area(shape, 128)
    moved = area(shape, 128, Pose((-1.5, 0.7), 0.6, (1.2, 0.9), ((0.1, 0.3, 0.2, 0.0, 1.0),)))
    assert moved == pytest.approx(1.2 * 0.9 * plain, rel=0.08)


def test_distance_is_positive_inside_and_exact_on_the_border() -> None:
    x, y = np.float32([[0.0, 3.0, 4.0]]), np.zeros((1, 3), np.float32)
    blob = Blob([(3 * c, 3 * s) for c, s in CIRCLE], (0, 0))
    for shape in (Ellipse(0, 0, 3, 2), blob, Stroke([(-1, 0), (1, 0)], 2.0)):
        inside, border, outside = shape.distance(x, y)[0]
        assert inside > 1
        assert border == pytest.approx(0, abs=0.02)
        assert -1.2 < outside < -0.7


def inside(shape: Shape, x: float, y: float) -> bool:
    return bool(shape.distance(np.array([x]), np.array([y]))[0] > 0)


def test_angles_are_radians_counter_clockwise() -> None:
    """Each of these lies along the diagonal of the first quadrant once it is turned by π/4."""
    along = 1.5 * math.cos(math.pi / 4), 1.5 * math.sin(math.pi / 4)
    shapes: list[Shape] = [
        Ellipse(0, 0, 2, 0.2, math.pi / 4),
        Arc(0, 0, 1.5, 0.2, math.pi / 8, math.pi / 4),
        moved(Stroke([(0, 0), (2, 0)], 0.2), turn=math.pi / 4),
        Stroke(arc((0, 0), (1.5, 0.1), 0, 0.1, 2, turn=math.pi / 4), 0.2),
    ]
    for shape in shapes:
        assert inside(shape, *along)
        assert not inside(shape, along[0], -along[1])
    assert np.allclose(ring((1, 2), (3, 1), 4, math.pi / 2), [(1, 5), (0, 2), (1, -1), (2, 2)])


@pytest.mark.parametrize(
    "shape",
    [
        Ellipse(1, 2, 2, 1, 0.4),
        Blob([(2 * x + 1, y) for x, y in CIRCLE]),
        Stroke([(0, 0), (1, 2), (3, 1)], [0.5, 0.1, 0.8]),
        Stroke([(1, 1)], 0.7),
        Arc(1, -1, 2, 0.3, 0.5, 4.0),
        Arc(0, 0, 2, 0.3, -2.0, 1.0),
        Screw((0, 0), (2, 3), 0.8, 0.1, 0.4),
        Difference(SQUARE, disc(0, 0, 0.5)),
        moved(union(SQUARE, disc(2, 0, 1)), 1, 2, 0.7, mirror=True),
        Union([disc(-1, 0, 1), disc(1, 0, 1)], fillet=0.3),
    ],
    ids=lambda shape: type(shape).__name__,
)
def test_bounds_hold_the_shape(shape: Shape) -> None:
    box = shape.bounds
    x, y = np.meshgrid(np.linspace(box.left - 1, box.right + 1, 200), np.linspace(box.bottom - 1, box.top + 1, 200))
    depth = shape.distance(x, y)
    held = (x >= box.left) & (x <= box.right) & (y >= box.bottom) & (y <= box.top)
    assert (depth > 0).any()
    assert depth[~held].max() < 0.02


def test_the_inradius_is_that_of_the_largest_disc_inside() -> None:
    assert Ellipse(0, 0, 3, 2).inradius == Union([Ellipse(5, 5, 1, 1), Stroke([(0, 0), (4, 0)], [1, 2])]).inradius == 2
    assert Blob([(2 * x, 3 * y) for x, y in CIRCLE]).inradius == pytest.approx(2, abs=0.1)
    assert math.isinf(SQUARE.inradius)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_distances_have_the_precision_of_the_points(dtype: type) -> None:
    x, y = np.ones((2, 3), dtype), np.zeros((2, 3), dtype)
    for shape in (Ellipse(0, 0, 3, 2), Blob(CIRCLE), Stroke([(0, 0), (1, 1)], [0.1, 0.2]), SQUARE, moved(SQUARE, 0.1)):
        assert shape.distance(x, y).dtype == dtype


def test_only_unions_without_fillet_come_apart() -> None:
    one, two = disc(0, 0, 1), disc(2, 0, 1)
    assert members(union(union(one, two), one)) == (one, two, one)
    filleted = Union((one, two), fillet=0.5)
    assert members(filleted) == (filleted,)
    assert inside(filleted, 1.0, 0.1)
    assert not inside(union(one, two), 1.0, 0.1)


def test_bone_is_a_dense_shell_around_spongy_bone() -> None:
    picture = canvas(256)
    picture.bone(Ellipse(0, 0, 3, 3), cortex=0.3, density=1.0, marrow=150)
    radius = np.hypot(picture.x, picture.y)
    shell, core = picture.image[(radius > 2.8) & (radius < 2.9)], picture.image[radius < 2]
    assert shell.mean() > 1000
    assert 80 < core.mean() < 250
    assert core.std() > 20


def test_coarse_fields_are_means_of_fine_ones() -> None:
    fine, coarse = atlas(0, LATTICE), atlas(0, 8 * LATTICE)
    for name in ("soft", "fine", "trabecular", "strands", "vessels"):
        a, b = getattr(fine, name).reshape(1024, 1024), getattr(coarse, name).reshape(1024, 1024)
        blocks = a.reshape(128, 8, 128, 8).mean(axis=(1, 3))
        middle = 0.25 * sum(b[i::8, j::8] for i in (3, 4) for j in (3, 4))
        assert np.corrcoef(blocks.ravel(), middle.ravel())[0, 1] > 0.95
        assert a.mean() == pytest.approx(b.mean(), abs=0.01)


def test_field_amplitude_falls_with_pixel_size() -> None:
    spreads = [float(atlas(0, pixel).trabecular.std()) for pixel in (0.05, 0.1, 0.3)]
    assert all(a > b for a, b in pairwise(spreads))
