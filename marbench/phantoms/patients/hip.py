"""Sections through the hip joints, from the acetabular roof (level 0) to below the lesser trochanters (level 1)."""

from __future__ import annotations

import math

import numpy as np

from marbench.phantoms.patients.bowel import colon, loops
from marbench.phantoms.patients.canvas import Canvas, Tissue
from marbench.phantoms.patients.pelvis import buttocks
from marbench.phantoms.patients.person import Person
from marbench.phantoms.patients.tissues import GAS, fat, fluid, muscle
from marbench.phantoms.patients.torso import frame_blob, padded, shell, vessel
from marbench.phantoms.shapes import Blob, Ellipse, Field, Point, Shape, Stroke, Union, arc, mirror

__all__ = ["outline", "paint"]

_FRAME: list[Point] = [
    (0, 5.4), (5, 6.6), (10, 6.4), (13.8, 3.8), (15.4, -0.6), (14.4, -5.0), (10.8, -8.2), (5, -9.0), (0, -6.4)
]  # fmt: skip
_CAVITY: list[Point] = [(0, 5.2), (3, 5.2), (5.6, 4.0), (5.9, 1.0), (5.4, -2.2), (4.2, -5.0), (2.0, -6.2), (0, -6.4)]


def outline(person: Person) -> Blob:
    """Skin contour."""
    f, belly = person.fat, person.stream("outline").uniform(0.6, 1.4)
    return padded(person, frame_blob(person, _FRAME, "frame"), 0.9 + 3.0 * f * belly, 0.9 + 2.4 * f, 0.9 + 2.2 * f)


def paint(canvas: Canvas, person: Person, skin: Blob) -> None:
    """Fill the skin contour."""
    level = person.level
    inside = shell(canvas, person, skin, frame_blob(person, _FRAME, "frame"))
    _muscles(canvas, person, inside)
    cavity = frame_blob(person, _CAVITY, "frame", bump=0.15)
    within = np.minimum(canvas.distance(cavity, rough=0.08), inside)
    if level < 0.85:
        canvas.fill(within, fat(person, 6))
        _pelvic_organs(canvas, person, cavity, within)
    _groin(canvas, person)
    for side in (-1, 1):
        _hip_bone(canvas, person, side)
        _femur(canvas, person, side)
    _midline(canvas, person)
    _folds(canvas, person, skin)


def _muscles(canvas: Canvas, person: Person, inside: Field) -> None:
    """Bellies around the joint, each in its own fat."""
    flesh, gap = muscle(person), fat(person, 6)
    canvas.fill(inside, gap)
    buttocks(canvas, person, inside, lateral=(12.9, -0.6), width=1.9 if person.level < 0.5 else 1.3)
    stream = person.stream("muscles")
    bulk = stream.uniform(0.92, 1.1) * (1 - 0.1 * person.age)
    low = max(0.0, person.level - 0.5)
    bellies: list[tuple[float, float, float, float, float]] = [
        (9.2, 3.3, 2.1, 1.5, 0.2),  # iliopsoas
        (11.6, 4.6, 1.2, 0.9, 0.4),  # sartorius
        (12.6, 2.7, 1.1, 1.5, 0.3),  # rectus femoris
        (14.2, 2.0, 0.7, 2.0, 0.3),  # tensor fasciae latae
        (4.9 + 1.2 * low, 3.4, 2.3, 1.0, -0.5),  # pectineus
        (5.7, -0.4, 0.75, 3.0, 0.05),  # obturator internus
        (9.0, -4.2, 2.2, 0.9, 0.1),  # quadratus femoris, gemelli
    ]
    if low:
        bellies += [(5.0, 0.4, 2.6, 1.8, 0.4), (6.6, -4.0, 1.8, 1.5, 0.3), (12.6, -0.2, 2.3, 2.6, 0.0)]
    for side in (-1, 1):
        for x, y, a, b, turn in bellies:
            belly = Ellipse(
                side * x + stream.normal(0, 0.15), y + stream.normal(0, 0.15), a * bulk, b * bulk, -turn * side
            )
            canvas.line(belly, 0.09, gap)
            canvas.paint(belly, flesh, inside, rough=0.09)


def _pelvic_organs(canvas: Canvas, person: Person, cavity: Blob, within: Field) -> None:
    level = person.level
    stream = person.stream("organs")
    if level < 0.2:
        loops(canvas, person, cavity.grown(-0.6), np.minimum(within, canvas.y - np.float32(0.5)), 0.6)
    for side in (-1, 1):
        levator = Stroke(mirror([(4.9, -0.5), (3.6, -3.6), (1.6, -5.4)], side), [0.3, 0.28, 0.3])
        if level > 0.4:
            canvas.paint(levator, muscle(person), within, rough=0.06)
    full = stream.uniform(0.55, 1.15) * (1.0 if level < 0.45 else max(0.25, 1 - 2.2 * (level - 0.45)))
    bladder = Ellipse(stream.normal(0, 0.3), 2.2, 4.1 * full, 2.5 * full)
    wall = stream.uniform(0.18, 0.5)
    canvas.paint(bladder, Tissue(40 + 0.2 * person.contrast, soft=5), within, rough=0.06)
    urine = Tissue(stream.uniform(150, 600), soft=15) if person.contrast and stream.chance(0.12) else fluid(4)
    canvas.paint(Ellipse(bladder.x, bladder.y, bladder.a - wall, bladder.b - wall), urine, within, rough=0.04)
    organ_hu = 46 + 0.3 * person.contrast
    if level < 0.75:
        size = (2.6, 1.5) if person.female else (2.3 + person.age, 1.5 + 0.6 * person.age)
        organ = Ellipse(stream.normal(0, 0.2), -1.0, *size)
        canvas.paint(organ, Tissue(organ_hu, soft=8, fine=6), within, rough=0.1)
        if not person.female and stream.chance(0.3):
            canvas.paint(Ellipse(0.5, -1.1, 0.2, 0.12), Tissue(stream.uniform(200, 700)), rough=0.05)
    colon(canvas, person, "rectum", [(stream.normal(0, 0.3), -4.0 - 0.6 * level)], 1.75 - 0.7 * level, within)
    if stream.chance(0.4):
        for _ in range(stream.count(1, 5)):
            r = stream.uniform(0.1, 0.25)
            canvas.paint(
                Ellipse(stream.uniform(-5, 5), stream.uniform(-4, 0), r, r), Tissue(stream.uniform(250, 800)), within
            )


def _groin(canvas: Canvas, person: Person) -> None:
    """Femoral vessels, nerve and lymph nodes."""
    stream = person.stream("groin")
    for side in (-1, 1):
        canvas.paint(Ellipse(side * 7.6, 5.0, 1.7, 1.1), fat(person))
        vessel(canvas, person, side * 8.1, 5.0, 0.52, f"femoral artery {side}")
        vessel(canvas, person, side * 7.0, 4.8, 0.68, f"femoral vein {side}", vein=True)
        for _ in range(stream.count(1, 4)):
            x, y = side * stream.uniform(5.5, 8.5), stream.uniform(5.6, 7.2)
            node = Ellipse(x, y, stream.uniform(0.2, 0.6), 0.28, stream.normal(0, 1))
            canvas.paint(node, Tissue(35, soft=10, fine=15), rough=0.06)


def _hip_bone(canvas: Canvas, person: Person, side: int) -> None:
    """Acetabulum around the head, then pubic ramus and ischium below it."""
    level = person.level
    stream = person.stream(f"hip bone {side}")
    parts: list[Shape] = []
    if level < 0.12:
        parts.append(Stroke(mirror([(9.6, 2.2), (9.1, 0.2), (8.2, -2.0)], side), [1.3, 2.1, 1.4]))
    elif level < 0.6:
        reach = stream.uniform(2.9, 3.1)
        rim = arc((9.1, -0.3), (reach, reach), math.radians(72), math.radians(290), 8)
        radii = [0.35, 0.75, 0.7, 0.42, 0.3, 0.5, 1.0, 0.4]
        parts.append(Stroke(mirror(rim, side), [r * stream.uniform(0.88, 1.1) for r in radii]))
        parts.append(Stroke(mirror([(7.2, -2.4), (6.6, -3.8)], side), [0.9, 0.6]))
    if 0.38 < level < 0.85:
        start = 6.6 if level < 0.62 else 4.0
        ramus = mirror([(start, 2.0), (3.4, 3.0), (0.75, 3.6 - 1.2 * level)], side)
        parts.append(Stroke(ramus, [0.75, 0.62, 0.95]))
    if level > 0.42:
        x = 6.6 - 1.2 * (level - 0.42)
        tuber = Ellipse(side * x, -3.2, 1.25, 1.9, 0.45 * side)
        if level > 0.9:
            return
        parts.append(tuber)
    if parts:
        canvas.bone(Union(parts, fillet=0.4), 0.16, person.density, 165, rough=0.05)


def _femur(canvas: Canvas, person: Person, side: int) -> None:
    """Head, neck and trochanters, then the shaft."""
    level = person.level
    stream = person.stream(f"femur {side}")
    head = (side * 9.1, -0.3)
    if 0.1 < level < 0.62:
        # A sphere cut at a level.
        radius = 2.5 * math.sqrt(max(0.02, 1 - ((level - 0.34) / 0.3) ** 2))
        canvas.paint(Ellipse(*head, radius + 0.22, radius + 0.22), Tissue(55, fine=30))
        parts: list[Shape] = [Ellipse(*head, radius, radius)]
        if level > 0.36:
            parts.append(Stroke([head, (side * 12.4, -1.2)], [min(radius, 1.5), 1.35]))
            parts.append(Ellipse(side * 13.0, -1.6, 1.25, 1.7, 0.3 * side))
        elif level > 0.24:
            canvas.bone(Ellipse(side * 13.4, -1.4, 0.9, 1.3, 0.3 * side), 0.1, 0.9 * person.density, 130)
        canvas.bone(Union(parts, fillet=0.5), 0.12, person.density, 190, rough=0.03)
        packed = Ellipse(head[0] - 0.2 * side, head[1] + 0.4, 0.55 * radius, 0.7 * radius, 0.3 * side)
        box = canvas.box(packed.bounds)
        share = np.clip(canvas.distance(packed, box, 0.1), 0, 0.6) * np.float32(0.6)
        canvas.blend(share, canvas.value(Tissue(430 * person.density, trabecular=90, soft=30), box), box)
        if level < 0.45:
            canvas.paint(Ellipse(head[0] - side * radius, head[1] - 0.1, 0.35, 0.45), Tissue(20, soft=20))
    elif level >= 0.62:
        t = (level - 0.62) / 0.38
        x, y = side * (11.9 - 0.5 * t), -0.9 + 0.4 * t
        parts = [Ellipse(x, y, 1.9 - 0.35 * t, 2.0 - 0.45 * t)]
        if 0.15 < t < 0.7:
            parts.append(Ellipse(x - 1.3 * side, y - 1.4, 0.9, 0.8, 0.5 * side))
        if t < 0.25:
            parts.append(Ellipse(x + 1.0 * side, y - 1.1, 1.1, 1.2))
        canvas.bone(Union(parts, fillet=0.5), 0.18 + 0.4 * t * stream.uniform(0.8, 1.2), person.density, 130 - 140 * t)


def _midline(canvas: Canvas, person: Person) -> None:
    """Coccyx and pubic symphysis."""
    level = person.level
    if level < 0.55:
        canvas.bone(Ellipse(0.0, -6.3, 1.2 - level, 0.5), 0.1, 0.8 * person.density, 120)
    if 0.42 < level < 0.85:
        canvas.paint(Ellipse(0.0, 3.6 - 1.2 * level, 0.28, 1.1), Tissue(70, fine=20))
    if level > 0.7:
        canvas.paint(Ellipse(0.0, -2.0, 1.5, 2.0), Tissue(35, soft=20), rough=0.15)
        canvas.paint(Ellipse(0.0, -4.4, 1.0, 1.2), Tissue(50, soft=12), rough=0.1)


def _folds(canvas: Canvas, person: Person, skin: Blob) -> None:
    """Gluteal cleft and, in the obese, the fold of the groin: air between two layers of skin."""
    stream = person.stream("folds")
    bottom = skin.at(-math.pi / 2)[1]
    depth = stream.uniform(1.2, 3.2)
    folds: list[list[Point]] = [
        [(0.05, bottom - 0.1), (0.0, bottom + 0.5 * depth), (stream.normal(0, 0.1), bottom + depth)]
    ]
    if person.fat > 0.4 and stream.chance(0.6):
        for side in (-1, 1):
            x, y = skin.at(math.pi / 2 - side * 0.95, -0.3)
            folds.append([(x, y), (x - side * 2.0, y - 0.9), (x - side * 3.6, y - 0.8)])
    for fold in folds:
        canvas.paint(Stroke(fold, [0.55, 0.28, 0.15]), Tissue(25, soft=10))
        canvas.paint(Stroke(fold, [0.3, 0.07, 0.02]), GAS)
