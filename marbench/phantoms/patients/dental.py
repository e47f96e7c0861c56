"""Sections of the jaws, from the roots of the upper teeth (level 0) to the base of the mandible (level 1)."""

from __future__ import annotations

import math
from dataclasses import dataclass

from marbench.phantoms.patients.canvas import Canvas, Tissue
from marbench.phantoms.patients.person import Person
from marbench.phantoms.patients.spine import CERVICAL, vertebra
from marbench.phantoms.patients.tissues import GAS, fat, muscle
from marbench.phantoms.patients.torso import frame_blob, shell, vessel
from marbench.phantoms.shapes import Blob, Difference, Ellipse, Field, Point, Stroke, arc, mirror

__all__ = ["neck_muscles", "outline", "paint"]

_JAW: list[Point] = [
    (0, 8.9), (2.6, 8.4), (4.7, 6.6), (6.0, 3.4), (6.7, -0.5), (6.3, -4.2), (4.6, -7.0), (2.2, -8.1), (0, -7.7),
]  # fmt: skip
_ARCH_CENTRE: Point = (0.0, 3.2)
_UPPER_CROWN, _LOWER_CROWN, _LOWER_ROOT = 0.24, 0.46, 0.66  # levels where each begins


@dataclass(frozen=True)
class _Tooth:
    """Angle along the arch (degrees from the front), half-width along and across it (cm), number of roots."""

    angle: float
    along: float
    across: float
    roots: int


_ROW = (
    _Tooth(9, 0.42, 0.34, 1), _Tooth(24, 0.34, 0.32, 1), _Tooth(38, 0.38, 0.42, 1), _Tooth(53, 0.36, 0.46, 1),
    _Tooth(66, 0.36, 0.47, 1), _Tooth(82, 0.54, 0.54, 2), _Tooth(100, 0.52, 0.52, 2), _Tooth(117, 0.46, 0.48, 2),
)  # fmt: skip


def outline(person: Person) -> Blob:
    """Skin contour of cheeks, lips and nape; the nape folds in the obese."""
    low = max(0.0, person.level - 0.5)
    half = [(x * (1 - 0.2 * low if y > 0 else 1), y * (1 - 0.25 * low) if y > 5 else y) for x, y in _JAW]
    grown = [(x * (1 + 0.1 * person.fat), y * (1 + 0.08 * person.fat)) for x, y in half]
    return frame_blob(person, grown, "jaw", 0.12)


def paint(canvas: Canvas, person: Person, skin: Blob) -> None:
    """Fill the skin contour."""
    level = person.level
    inside = shell(canvas, person, skin, skin.grown(-0.35 - 0.5 * person.fat), fat(person, 10))
    neck_muscles(canvas, person, inside)
    _lateral_face(canvas, person, inside)
    _mouth(canvas, person, inside)
    _jaws(canvas, person, inside)
    centre = (0.0, -2.9)
    for side in (-1, 1):
        flesh = Ellipse(side * 1.0, -1.65, 0.95, 0.42, 0.2 * side)
        canvas.paint(flesh, muscle(person), inside, rough=0.05)
    if level < 0.2:
        _atlas(canvas, person)
    else:
        vertebra(canvas, person, centre, CERVICAL)
    _teeth(canvas, person)


def neck_muscles(canvas: Canvas, person: Person, inside: Field, y: float = 0.0) -> None:
    """Layers of the nape and the sternocleidomastoids, each in its fascia of fat; carotids and jugulars."""
    stream = person.stream("neck")
    flesh, gap = muscle(person), fat(person, 15)
    bulk = stream.uniform(0.9, 1.08)
    bellies = [
        (1.3, -6.2, 1.15, 1.0, 0.2), (3.1, -5.6, 1.5, 0.85, 0.9), (2.2, -4.6, 1.2, 0.75, 0.5),
        (4.3, -4.6, 0.6, 1.5, 0.6), (5.3, -3.2, 0.75, 1.7, -0.3), (3.3, -3.2, 1.0, 0.8, 0.4),
        (1.6, -7.1, 1.8, 0.36, 0.3),
    ]  # fmt: skip
    for side in (-1, 1):
        for x, v, a, b, turn in bellies:
            belly = Ellipse(
                side * x + stream.normal(0, 0.08), y + v + stream.normal(0, 0.08), a * bulk, b * bulk, -turn * side
            )
            canvas.line(belly, 0.1, gap, inside)
            canvas.paint(belly, flesh, inside, rough=0.07)
        vessel(canvas, person, 3.2 * side, y - 1.5, 0.4, f"carotid {side}")
        vessel(canvas, person, 4.0 * side, y - 2.0, 0.62, f"jugular {side}", vein=True)


def _lateral_face(canvas: Canvas, person: Person, inside: Field) -> None:
    """Masseter, pterygoid, parotid or submandibular gland."""
    level = person.level
    stream = person.stream("face")
    gland = Tissue(stream.uniform(-30, 40), soft=10, fine=14, strands=-40)
    for side in (-1, 1):
        if level < 0.8:
            canvas.paint(
                Stroke(mirror([(5.6, 2.9), (5.9, 0.4)], side), [0.5, 0.75]), muscle(person), inside, rough=0.08
            )
            canvas.paint(
                Stroke(mirror([(3.9, 1.9), (4.2, -0.2)], side), [0.55, 0.6]), muscle(person), inside, rough=0.08
            )
            canvas.paint(Ellipse(5.6 * side, -1.4, 0.95, 1.4, 0.2 * side), gland, inside, rough=0.14)
        else:
            canvas.paint(Ellipse(3.7 * side, 1.2, 1.1, 1.6, 0.4 * side), gland, inside, rough=0.1)


def _mouth(canvas: Canvas, person: Person, inside: Field) -> None:
    """Lips and cheeks, tongue, and the airway behind it."""
    level = person.level
    stream = person.stream("mouth")
    cheeks = arc(_ARCH_CENTRE, (3.7, 5.0), math.radians(-15), math.radians(195), 9)
    canvas.paint(Stroke(cheeks, 0.42), muscle(person, -5), inside, rough=0.1)
    if level < 0.14:
        canvas.paint(Ellipse(0.0, 4.2, 2.6, 3.6), Tissue(45, soft=10), inside)
        return _airway(canvas, person, (0.0, -0.6), (1.5, 0.75))
    if stream.chance(0.6):
        canvas.paint(Ellipse(0.0, 4.4, 2.55, 3.4), GAS, inside, rough=0.08)
    tongue = Blob(
        [(0, 7.1), (1.6, 6.3), (2.3, 4.2), (2.2, 1.8), (0, 0.9), (-1.6, 6.3), (-2.3, 4.2), (-2.2, 1.8)],
        bulge=stream.bumps(0.2),
    )
    canvas.paint(tongue, muscle(person), inside, rough=0.06)
    septum = Stroke([(0, 6.4), (0, 2.0)], [0.06, 0.14])
    canvas.paint(septum, Tissue(-20, soft=20), inside, rough=0.06)
    if level > 0.7:
        for side in (-1, 1):
            belly = Stroke(mirror([(0.7, 6.2), (0.9, 2.2)], side), [0.5, 0.6])
            canvas.line(belly, 0.06, Tissue(-40), inside)
    return _airway(
        canvas, person, (stream.normal(0, 0.1), -0.35), (stream.uniform(0.8, 1.6), stream.uniform(0.3, 0.85))
    )


def _airway(canvas: Canvas, person: Person, centre: Point, half: Point) -> None:
    for side in (-1, 1):
        wall = Ellipse(centre[0] + side * (half[0] + 0.25), centre[1] + 0.1, 0.5, 0.7, 0.3 * side)
        canvas.paint(wall, muscle(person, 4), rough=0.12)
    canvas.paint(Ellipse(*centre, *half), GAS, rough=0.12)


def _jaws(canvas: Canvas, person: Person, inside: Field) -> None:
    """Rami, then alveolar bone of the maxilla or body of the mandible under the teeth."""
    level = person.level
    stream = person.stream("jaws")
    dense = person.density * stream.uniform(1.0, 1.2)
    if level < 0.72:
        for side in (-1, 1):
            ramus = mirror([(4.55, 2.3), (4.9, 1.0), (5.0, -0.5)], side)
            canvas.bone(Stroke(ramus, [0.3, 0.38, 0.52]), 0.2, dense, 200, inside)
            canvas.paint(Ellipse(4.75 * side, 0.6, 0.12, 0.16), Tissue(20))
    ridge = arc(_ARCH_CENTRE, (2.75, 4.2), math.radians(-32), math.radians(212), 13)
    if level < _UPPER_CROWN:
        if level < 0.12:
            palate = Difference(Ellipse(0.0, 4.9, 2.6, 2.6), Ellipse(0.0, 3.6, 1.7, 2.2 + 6 * level))
            canvas.bone(palate, 0.12, 0.8 * dense, 220, inside, rough=0.2)
            for side in (-1, 1):
                canvas.paint(Ellipse(2.9 * side, 3.6, 0.55, 1.1, 0.15 * side), GAS, rough=0.06)
        canvas.bone(Stroke(ridge, 0.72), 0.12, 0.95 * dense, 260, inside, rough=0.07)
    elif level > _LOWER_ROOT - 0.06:
        wide = (level - _LOWER_ROOT) / (1 - _LOWER_ROOT)
        body = arc((0.0, 2.0), (3.1 + 1.0 * wide, 5.3 + 0.3 * wide), math.radians(-22), math.radians(202), 13)
        radii = [0.5, 0.55, 0.62, 0.66, 0.66, 0.62, 0.64, 0.62, 0.66, 0.66, 0.62, 0.55, 0.5]
        canvas.bone(Stroke(body if wide > 0.5 else ridge, radii), 0.26, dense, 210, inside, rough=0.05)
        if wide > 0.9:
            hyoid = arc((0.0, -0.2), (1.7, 1.6), math.radians(0), math.radians(180), 7)
            canvas.bone(Stroke(hyoid, 0.26), 0.14, person.density, 200, rough=0.04)


def _teeth(canvas: Canvas, person: Person) -> None:
    """Teeth along the arch: crowns with enamel, or dentine with the pulp in roots; some are missing."""
    level = person.level
    stream = person.stream("teeth")
    lost = 0.02 + 0.3 * person.age**2
    if level > 0.82:
        return
    crown = _UPPER_CROWN <= level < _LOWER_ROOT
    near_root = not crown
    # Roots thin out with the distance from the neck of the tooth.
    taper = 1.0 if crown else max(0.45, 1 - 2.2 * (level - _LOWER_ROOT if level > 0.5 else _UPPER_CROWN - level))
    narrow = 0.93 if level > _LOWER_CROWN else 1.0
    for side in (-1, 1):
        for tooth in _ROW:
            missing, shift, turn = stream.chance(lost), stream.normal(0, 0.06), stream.normal(0, 0.08)
            enamel, dentine, worn = stream.uniform(2150, 2750), stream.uniform(1350, 1750), stream.uniform(0.8, 1.1)
            if missing:
                continue
            t = math.radians(90 - side * tooth.angle)
            x = _ARCH_CENTRE[0] + narrow * 2.75 * math.cos(t) + shift
            y = _ARCH_CENTRE[1] + narrow * 4.2 * math.sin(t) + shift
            # The arch's tangent, in which a tooth's length lies.
            along = math.atan2(4.2 * math.cos(t), -2.75 * math.sin(t)) + turn
            a, b = 1.12 * tooth.along * worn * taper, 1.08 * tooth.across * worn * taper
            if near_root:
                for k in range(tooth.roots):
                    off = (k - 0.5 * (tooth.roots - 1)) * 1.1 * tooth.along
                    centre = x + off * math.cos(along), y + off * math.sin(along)
                    _root(canvas, centre, (a / tooth.roots**0.5, b), along, dentine)
            else:
                _crown(canvas, (x, y), (a, b), along, enamel, dentine)


def _crown(canvas: Canvas, centre: Point, half: Point, angle: float, enamel: float, dentine: float) -> None:
    a, b = half
    canvas.paint(Ellipse(*centre, a, b, angle), Tissue(enamel, fine=80), rough=0.02)
    canvas.paint(Ellipse(*centre, a - 0.12, b - 0.13, angle), Tissue(dentine, soft=50, fine=40), rough=0.02)
    canvas.paint(Ellipse(*centre, 0.28 * a, 0.26 * b, angle), Tissue(250))


def _root(canvas: Canvas, centre: Point, half: Point, angle: float, dentine: float) -> None:
    a, b = half
    canvas.paint(Ellipse(*centre, a + 0.05, b + 0.05, angle), Tissue(150))
    canvas.paint(Ellipse(*centre, a, b, angle), Tissue(dentine, soft=60, fine=40), rough=0.02)
    canvas.paint(Ellipse(*centre, 0.07 + 0.12 * a, 0.07 + 0.15 * b, angle), Tissue(120))


def _atlas(canvas: Canvas, person: Person) -> None:
    """First vertebra around the dens of the second."""
    stream = person.stream("atlas")
    turn = stream.normal(0, 0.06)
    canvas.paint(Ellipse(0.0, -3.6, 1.5, 1.3), Tissue(-30, soft=20))
    canvas.paint(Ellipse(0.0, -3.9, 1.05, 0.85), Tissue(15, soft=4))
    canvas.paint(Ellipse(0.0, -3.9, 0.65, 0.5), Tissue(36))
    ring = arc((0.0, -3.4), (2.1, 1.7), math.radians(-90), math.radians(270), 13)
    radii = [0.3, 0.28, 0.3, 0.62, 0.78, 0.6, 0.32, 0.6, 0.78, 0.62, 0.3, 0.28, 0.3]
    canvas.bone(Stroke(ring, radii), 0.15, person.density, 260)
    for side in (-1, 1):
        canvas.bone(Ellipse(2.9 * side, -3.3, 0.8, 0.42, turn), 0.13, person.density, 220)
        canvas.paint(Ellipse(2.75 * side, -3.3, 0.24, 0.22), Tissue(40))
    canvas.bone(Ellipse(0.0, -2.35, 0.55, 0.55), 0.15, person.density, 330)
