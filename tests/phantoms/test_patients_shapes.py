"""Shapes, their distances, and the share of a pixel that they cover."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest

from marbench.phantoms.patients.canvas import Canvas, Pose, Tissue
from marbench.phantoms.patients.texture import LATTICE, atlas
from marbench.phantoms.shapes import Blob, Difference, Ellipse, Shape, Stroke, Union

WIDTH = 10.24


def canvas(size: int, pose: Pose | None = None) -> Canvas:
    return Canvas((size, size), WIDTH, pose or Pose(), atlas(0, round(WIDTH / size, 6)), (0.0, 0.0))


def area(shape: Shape, size: int, pose: Pose | None = None) -> float:
    """Area in cm² of a shape painted with 0 HU on air."""
    picture = canvas(size, pose)
    picture.paint(shape, Tissue(0.0))
    return float((picture.image / 1000 + 1).sum() * (WIDTH / size) ** 2)


CIRCLE = [(math.cos(t), math.sin(t)) for t in np.linspace(0, 2 * math.pi, 60, endpoint=False)]


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
    ],
    ids=["ellipse", "blob", "stroke", "thin stroke", "ring", "union"],
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
