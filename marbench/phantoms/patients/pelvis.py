"""Sections of the pelvis, from the iliac crests (level 0) to the roof of the hip joint (level 1)."""

from __future__ import annotations

import numpy as np

from marbench.phantoms.patients.bowel import colon, hollow, loops
from marbench.phantoms.patients.canvas import Canvas, Tissue
from marbench.phantoms.patients.person import Person
from marbench.phantoms.patients.spine import LUMBAR, vertebra
from marbench.phantoms.patients.tissues import fat, fluid, muscle
from marbench.phantoms.patients.torso import frame_blob, padded, shell, vessel
from marbench.phantoms.shapes import Blob, Ellipse, Field, Point, Stroke, mirror, ring

__all__ = ["buttocks", "outline", "paint"]

_FRAME: list[Point] = [
    (0, 7.4), (5, 7.3), (9.8, 6.0), (13.4, 3.2), (14.8, -0.8), (14.0, -4.8), (10.6, -8.0), (5, -9.2), (0, -7.8)
]  # fmt: skip
_CAVITY: list[Point] = [(0, 6.3), (5, 6.0), (8.7, 4.6), (9.6, 2.6), (8.4, -0.4), (6.6, -2.8), (4.2, -4.6), (0, -4.4)]
_ILIUM_HIGH: list[Point] = [(12.0, 2.6), (11.7, 0.2), (9.9, -2.5), (6.9, -4.6), (4.6, -6.9)]
_ILIUM_LOW: list[Point] = [(10.2, 3.2), (9.8, 1.4), (9.0, -0.6), (7.9, -2.4), (7.0, -3.4)]


def outline(person: Person) -> Blob:
    """Skin contour."""
    stream = person.stream("outline")
    fat_, belly = person.fat, stream.uniform(0.7, 1.3)
    return padded(
        person, frame_blob(person, _FRAME, "frame"), 0.7 + 3.4 * fat_ * belly, 0.8 + 2.6 * fat_, 0.8 + 2.6 * fat_
    )


def paint(canvas: Canvas, person: Person, skin: Blob) -> None:
    """Fill the skin contour."""
    level = person.level
    inside = shell(canvas, person, skin, frame_blob(person, _FRAME, "frame"))
    cavity = frame_blob(person, _CAVITY, "frame", bump=0.3)
    within = np.minimum(canvas.distance(cavity, rough=0.08), inside - np.float32(0.6))
    canvas.fill(within, fat(person, 6))
    buttocks(canvas, person, inside, lateral=(11.9, -1.9), width=1.9 + 0.6 * level)
    _iliopsoas(canvas, person)
    _viscera(canvas, person, cavity, within)
    if level < 0.14:
        vertebra(canvas, person, (0.0, -2.6), LUMBAR)
    else:
        _sacrum(canvas, person)
    _ilia(canvas, person)


def buttocks(canvas: Canvas, person: Person, inside: Field, lateral: Point, width: float) -> None:
    """Gluteal muscles as separate bellies in fat, and the cleft between the buttocks."""
    stream = person.stream("buttocks")
    gap, flesh = fat(person, 8), muscle(person)
    back = np.minimum(inside, np.float32(-2.0) - canvas.y)
    canvas.fill(back, gap)
    for side in (-1, 1):
        bulk = stream.uniform(0.9, 1.08) * (1 - 0.12 * person.age)
        maximus = Stroke(mirror([(2.6, -6.9), (6.8, -7.3), (11.0, -5.4)], side), [0.7 * bulk, 1.65 * bulk, 1.3 * bulk])
        canvas.paint(maximus, Tissue(flesh.hu, soft=7, fine=5, strands=flesh.strands - 70), inside, rough=0.12)
        x, y = side * lateral[0], lateral[1]
        canvas.line(Ellipse(x, y, width, 4.3, 0.32 * side), 0.16, gap, inside)
        canvas.paint(Ellipse(x, y, width, 4.3, 0.32 * side), flesh, inside, rough=0.08)
        canvas.line(Ellipse(x - 0.8 * side, y - 0.4, width - 0.5, 3.0, 0.32 * side), 0.06, gap, inside)
    cleft = Stroke([(0, -11.5), (0.05, -7.9)], [0.45, 0.12])
    canvas.paint(cleft, gap, rough=0.1)


def _iliopsoas(canvas: Canvas, person: Person) -> None:
    level, flesh = person.level, muscle(person)
    bulk = person.stream("muscles").uniform(0.85, 1.15)
    for side in (-1, 1):
        if level < 0.65:
            path = mirror([(10.6, 1.6), (8.8, -1.6), (6.9, -3.6)], side)
            canvas.paint(Stroke(path, [0.9, 1.3 * bulk, 0.5]), flesh, rough=0.1)
        psoas = Ellipse(side * (3.6 + 4.6 * level), -1.6 + 4.0 * level, 1.7 * bulk, 1.9 * bulk, 0.4 * side)
        canvas.line(psoas, 0.12, fat(person))
        canvas.paint(psoas, flesh, rough=0.07)


def _viscera(canvas: Canvas, person: Person, cavity: Blob, within: Field) -> None:
    level = person.level
    stream = person.stream("viscera")
    front = np.minimum(within, canvas.y + np.float32(3.0))
    loops(canvas, person, cavity.grown(-0.8), front, 0.85 - 0.5 * person.fat)
    if level < 0.7:
        colon(canvas, person, "caecum", [(-7.4, 1.8)], 2.2, within)
        colon(canvas, person, "descending colon", [(8.0, 1.2)], 1.4, within)
    colon(canvas, person, "sigmoid", [(2.6, -2.2 + stream.drift(-0.6, 0.6)), (0.6, -2.8)], 1.4, within)
    if level > 0.62:
        full = stream.uniform(0.5, 1.1) * min(1.0, (level - 0.5) / 0.35)
        bladder = Ellipse(stream.normal(0, 0.4), 2.8, 3.8 * full, 2.6 * full)
        canvas.paint(bladder, Tissue(38, soft=5), within, rough=0.05)
        canvas.paint(Ellipse(bladder.x, bladder.y, bladder.a - 0.25, bladder.b - 0.25), fluid(5), within, rough=0.04)
    if person.female and level > 0.5:
        uterus = Ellipse(stream.normal(0, 1.0), -0.6, 2.6, 1.9, stream.normal(0, 0.3))
        canvas.paint(uterus, Tissue(48 + 0.35 * person.contrast, soft=9, fine=5), within, rough=0.12)
        if stream.chance(0.3):
            r = stream.uniform(1.0, 2.8)
            canvas.paint(Ellipse(uterus.x + 3.5, 0.2, r, r), fluid(8), within)
            canvas.line(Ellipse(uterus.x + 3.5, 0.2, r, r), 0.08, Tissue(45), within)
    for side in (-1, 1):
        x = side * (2.6 + 3.6 * level)
        vessel(canvas, person, x, -1.4 + 2.6 * level, 0.55, f"external iliac artery {side}")
        vessel(
            canvas, person, x - 0.4 * side, -2.5 + 2.6 * level, 0.72, f"external iliac vein {side}", vein=True, flat=0.8
        )
        vessel(canvas, person, side * 4.6, -3.2, 0.4, f"internal iliac artery {side}")
    if stream.chance(0.15):
        hollow(canvas, person, Blob(ring((0.0, -3.4), (2.0, 1.2), 16)), fluid(8), 0.0, within)


def _sacrum(canvas: Canvas, person: Person) -> None:
    """Sacrum with canal and foramina; it narrows and falls back with the level."""
    t = (person.level - 0.14) / 0.86
    stream = person.stream("sacrum")
    size = 1.0 - 0.25 * t - 0.35 * max(0.0, t - 0.6)
    cy = -4.6 - 1.6 * t
    half = [(1.6, 1.7), (3.4, 1.1), (5.0, 0.2), (4.8, -1.0), (3.2, -2.0), (1.6, -2.4)]
    points = [(s * x * size + stream.normal(0, 0.08), cy + y * size) for x, y in half for s in (-1, 1)]
    points += [(0.0, cy + 1.9 * size), (0.0, cy - 3.0 * size)]
    body = Blob(points, (0.0, cy - 0.2), smooth=4, bulge=stream.bumps(0.06, 9))
    canvas.bone(body, 0.1, 0.85 * person.density, 110)
    soft = Tissue(-40, soft=20, fine=20)
    if t < 0.75:
        canvas.line(Ellipse(0.0, cy - 1.5 * size, 1.2 * size, 0.62 * size), 0.1, Tissue(700 * person.density, fine=100))
        canvas.paint(Ellipse(0.0, cy - 1.5 * size, 1.15 * size, 0.55 * size), Tissue(5, soft=10))
        phase = (stream.uniform(0, 1) + person.z / 2.6) % 1.0
        if phase < 0.6:
            for side in (-1, 1):
                foramen = Ellipse(side * 1.9 * size, cy + 0.6 * size, 0.6 * size, 0.85 * size, 0.4 * side)
                canvas.line(foramen, 0.08, Tissue(600 * person.density, fine=100))
                canvas.paint(foramen, soft, rough=0.05)


def _ilia(canvas: Canvas, person: Person) -> None:
    """Both iliac wings and, in the upper half, the sacroiliac joints."""
    t = person.level
    stream = person.stream("ilia")
    joint = 0.14 < t < 0.72
    for side in (-1, 1):
        notch = max(0.0, t - 0.62) / 0.38  # the greater sciatic notch opens behind the wing
        path = []
        for k, (h, w) in enumerate(zip(_ILIUM_HIGH, _ILIUM_LOW, strict=True)):
            # The wing's front follows the level; its back waits for the sciatic notch.
            u = t if k < 2 else 0.25 * t + 0.75 * notch
            x, y = (1 - u) * h[0] + u * w[0], (1 - u) * h[1] + u * w[1]
            x = side * (x - 0.6 * t * (k > 2) * (notch == 0)) + stream.normal(0, 0.1)
            path.append((x, y + stream.normal(0, 0.1)))
        radii = [0.85 + 0.25 * t, 0.36 + 0.5 * t + 0.5 * notch, 0.26 + 0.2 * t + 0.9 * notch, 0.8 + 0.35 * notch, 0.75]
        radii = [r * stream.uniform(0.9, 1.12) for r in radii]
        wing = Stroke(path, radii)
        if joint:
            gap = Stroke(path[2:], [r + 0.14 for r in radii[2:]])
            canvas.paint(gap, Tissue(45, fine=40), Ellipse(0, -4.6, 6.6, 3.2).distance(canvas.x, canvas.y))
        canvas.bone(wing, 0.16, person.density, 170, rough=0.05)
        if joint and person.age > 0.4:
            x, y = path[3]
            sclerosis = Ellipse(x - 0.2 * side, y + 0.6, 0.25, 0.9, 0.6 * side)
            canvas.paint(sclerosis, Tissue(750 * person.density, fine=120), rough=0.08)
