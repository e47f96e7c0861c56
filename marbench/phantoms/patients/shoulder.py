"""Sections through the shoulders, from the clavicles (level 0) to below the shoulder joints (level 1)."""

from __future__ import annotations

import math

import numpy as np

from marbench.phantoms.patients.canvas import Canvas, Tissue
from marbench.phantoms.patients.person import Person
from marbench.phantoms.patients.spine import THORACIC, vertebra
from marbench.phantoms.patients.thorax import lung_tissue
from marbench.phantoms.patients.tissues import GAS, fat, muscle
from marbench.phantoms.patients.torso import back_muscles, padded, ribs, shell, vessel
from marbench.phantoms.shapes import Blob, Ellipse, Field, Point, Shape, Stroke, Union, mirror, ring

__all__ = ["outline", "paint"]

_FRAME: list[Point] = [
    (0, 4.8), (4, 5.6), (8, 5.8), (12, 5.4), (16, 4.8), (18.6, 2.0),
    (18.9, -1.6), (17.2, -4.6), (13, -6.8), (8, -8.2), (4, -8.2), (0, -7.4),
]  # fmt: skip


def outline(person: Person) -> Blob:
    """Skin contour; flatter at the top of the shoulders."""
    rise = 0.82 + 0.18 * min(1.0, person.level / 0.5)
    half = [(x, y * rise) for x, y in _FRAME]
    points = [(s * x, y) for x, y in half for s in ((-1, 1) if x else (1,))]
    frame = Blob(points, (0.0, -0.8), smooth=4, bulge=person.stream("frame").bumps(0.25))
    return padded(person, frame, 0.5 + 1.6 * person.fat, 0.4 + 1.0 * person.fat, 0.5 + 1.6 * person.fat)


def paint(canvas: Canvas, person: Person, skin: Blob) -> None:
    """Fill the skin contour."""
    depth = 0.5 + 1.0 * person.fat
    inside = shell(canvas, person, skin, skin.grown(-depth))
    _muscles(canvas, person, inside)
    _chest(canvas, person, inside)
    _neck(canvas, person)
    back_muscles(canvas, person, -6.3, 1.7, 1.1, inside)
    vertebra(canvas, person, (0.0, -2.4), THORACIC)
    for side in (-1, 1):
        _scapula(canvas, person, side)
        _humerus(canvas, person, side)
        _clavicle(canvas, person, side, inside)
    if person.level > 0.55:
        manubrium = Ellipse(0.0, 4.0, 2.4, 0.75)
        canvas.bone(manubrium, 0.1, 0.9 * person.density, 140, inside)


def _muscles(canvas: Canvas, person: Person, inside: Field) -> None:
    """Deltoid, rotator cuff, pectorals and trapezius in their fat planes; fat and vessels of the axilla."""
    stream = person.stream("muscles")
    gap, flesh = fat(person, 8), muscle(person)
    for side in (-1, 1):
        canvas.paint(
            Stroke(mirror([(8.5, 1.8), (11.2, 0.6), (9.8, -1.0)], side), [1.4, 1.5, 0.8]), gap, inside, rough=0.2
        )
        bellies: list[Shape] = [
            Ellipse(15.4 * side, -0.6, 3.2, 4.4, 0.15 * side),
            Stroke(mirror([(4.0, 4.6), (8.0, 4.3), (12.2, 3.2)], side), [0.6, 0.8, 0.7]),
            Stroke(mirror([(7.2, 2.9), (10.0, 2.4)], side), [0.5, 0.45]),
            Stroke(mirror([(7.0, -4.6), (10.0, -2.9), (12.0, -1.4)], side), [0.9, 1.1, 0.5]),
            Stroke(mirror([(6.8, -6.6), (10.6, -5.2), (13.6, -3.6)], side), [0.8, 1.25, 0.8]),
            Stroke(mirror([(0.8, -7.0), (5.0, -7.9), (9.5, -7.3)], side), [0.5, 0.45, 0.35]),
            Stroke(mirror([(2.4, -5.2), (5.0, -6.6)], side), [0.8, 0.7]),
        ]
        for belly in bellies:
            canvas.line(belly, 0.12 + 0.08 * person.fat, gap, inside)
            canvas.paint(belly, flesh, inside, rough=0.08)
        vessel(canvas, person, side * 9.6, 1.3, 0.42, f"axillary artery {side}")
        vessel(canvas, person, side * 9.0, 2.0, 0.55, f"axillary vein {side}", vein=True)
        for _ in range(stream.count(1, 4)):
            x, y = side * stream.uniform(8.5, 11.5), stream.uniform(-0.6, 1.8)
            node = Ellipse(x, y, stream.uniform(0.2, 0.5), 0.22, stream.normal(0, 1))
            canvas.paint(node, Tissue(40, soft=10), inside, rough=0.05)


def _chest(canvas: Canvas, person: Person, inside: Field) -> None:
    """Upper ribs around the apices of the lungs."""
    level = person.level
    a, b = 4.6 + 3.2 * level, 3.2 + 2.0 * level
    centre = (0.0, -1.3)
    wall = Blob(ring(centre, (a, b)), centre, bulge=person.stream("ring").bumps(0.2))
    canvas.paint(wall.grown(0.7), muscle(person), inside, rough=0.08)
    within = canvas.distance(wall, rough=0.05)
    canvas.fill(within, fat(person, 12))
    if level > 0.12:
        for side in (-1, 1):
            lung = Ellipse(side * 0.62 * a, -1.7, 0.42 * a, 0.78 * b, 0.1 * side)
            canvas.paint(lung, lung_tissue(person), within - np.float32(0.1), rough=0.05)
    ribs(canvas, person, wall, 3, (0.75, 2.5), -0.3)


def _neck(canvas: Canvas, person: Person) -> None:
    """Trachea, thyroid, gullet and the vessels that rise to the neck."""
    stream = person.stream("neck")
    x = stream.normal(0, 0.2)
    if person.level < 0.45:
        for side in (-1, 1):
            gland = Ellipse(x + 1.45 * side, 1.3, 0.75, 1.15, 0.3 * side)
            canvas.paint(gland, Tissue(90 + 0.4 * person.contrast, soft=10, fine=8), rough=0.08)
    canvas.paint(Ellipse(x, 1.2, 1.0, 1.05), Tissue(60, fine=60))
    canvas.paint(Ellipse(x, 1.2, 0.82, 0.9), GAS, rough=0.03)
    canvas.paint(Ellipse(x + 0.5, -0.3, 0.8, 0.5), Tissue(45, soft=8), rough=0.06)
    for side in (-1, 1):
        vessel(canvas, person, 2.5 * side, 1.0, 0.45, f"carotid {side}")
        vessel(canvas, person, 3.2 * side, 1.8, 0.75, f"jugular {side}", vein=True)
        path = mirror([(2.6, -0.2), (4.4, 1.2), (7.6, 1.6)], side)
        if stream.chance(0.5):
            canvas.paint(Stroke(path, [0.45, 0.45, 0.4]), Tissue(person.blood_hu, soft=3), rough=0.04)
    if person.contrast and stream.chance(0.3):
        side = -1 if stream.chance(0.5) else 1
        dense = Stroke(mirror([(8.8, 2.6), (5.0, 2.6), (2.2, 2.4)], side), [0.45, 0.5, 0.55])
        canvas.paint(dense, Tissue(stream.uniform(600, 1800), soft=60), rough=0.05)


def _scapula(canvas: Canvas, person: Person, side: int) -> None:
    """Blade, spine with acromion, neck with glenoid, coracoid."""
    level = person.level
    stream = person.stream(f"scapula {side}")
    bend = stream.normal(0, 0.2)
    blade = Stroke(mirror([(11.6, -1.2), (9.8, -3.0 + bend), (7.0, -5.6)], side), [0.55, 0.2, 0.34])
    parts: list[Shape] = [blade]
    if 0.1 < level < 0.9:
        parts.append(Stroke(mirror([(12.5, 0.4), (12.3, -1.5)], side), [0.42, 0.62]))
        parts.append(Stroke(mirror([(12.1, -0.7), (11.4, -1.3)], side), [0.85, 0.6]))
    if level < 0.6:
        tip = (14.6, -4.0) if level < 0.35 else (12.4, -4.9)
        parts.append(Stroke(mirror([(9.4, -3.4), (11.4, -4.8), tip], side), [0.26, 0.36, 0.5]))
    canvas.bone(Union(parts, fillet=0.3), 0.15, person.density, 140, rough=0.04)
    if 0.08 < level < 0.4:
        coracoid = Stroke(mirror([(11.4, 0.6), (11.7, 2.2)], side), [0.6, 0.65])
        canvas.bone(coracoid, 0.13, person.density, 180)


def _humerus(canvas: Canvas, person: Person, side: int) -> None:
    """Head with tuberosities, then neck and shaft."""
    level = person.level
    stream = person.stream(f"humerus {side}")
    x, y = side * (15.3 + stream.normal(0, 0.15)), -0.4 + stream.normal(0, 0.3)
    if level > 0.85:
        shaft = Ellipse(x + 0.3 * side, y, 1.5, 1.5)
        canvas.bone(shaft, 0.3, person.density, 70)
        return
    radius = 2.45 * math.sqrt(max(0.15, 1 - ((level - 0.42) / 0.5) ** 2))
    canvas.paint(Ellipse(x, y, radius + 0.2, radius + 0.2), Tissue(55, fine=20))
    parts: list[Shape] = [Ellipse(x, y, radius, radius)]
    if level > 0.3:
        parts.append(Ellipse(x + 1.2 * side, y + 0.9, 1.2, 1.3, 0.5 * side))
        parts.append(Ellipse(x + 0.1 * side, y + 1.7, 0.7, 0.7))
    canvas.bone(Union(parts, fillet=0.4), 0.11, person.density, 170 - 60 * person.age, rough=0.035)


def _clavicle(canvas: Canvas, person: Person, side: int, inside: Field) -> None:
    """The stretch of clavicle that lies in the section: lateral high up, medial further down."""
    level = person.level
    stream = person.stream(f"clavicle {side}")
    course = [(2.0, 3.6), (4.6, 3.6), (7.4, 2.6), (10.0, 2.0), (12.6, 1.4), (14.4, 0.8)]
    first = min(3, max(0, round(3.2 - 7 * level + stream.normal(0, 0.4))))
    if level > 0.7:
        return
    part = course[first : first + 3]
    canvas.bone(Stroke(mirror(part, side), [0.45, 0.62, 0.5]), 0.2, person.density, 160, inside, rough=0.04)
