"""Vertebrae in axial section: body, arch, processes, canal, disc and facet joints."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from marbench.phantoms.patients.canvas import Canvas, Tissue
from marbench.phantoms.patients.person import Person
from marbench.phantoms.shapes import Blob, Ellipse, Point, Shape, Stroke, Union, mirror

__all__ = ["CERVICAL", "LUMBAR", "THORACIC", "VertebraKind", "vertebra"]


@dataclass(frozen=True)
class VertebraKind:
    """Proportions of a vertebra in cm, relative to the centre of its body.

    Attributes
    ----------
    body : (a, b)
        Half-width and half-depth of the body.
    canal : (a, b)
        Half axes of the spinal canal.
    transverse : (x, y), half-width
        Tip of a transverse process.
    spinous : float
        y of the tip of the spinous process.
    """

    body: Point
    canal: Point
    transverse: Point
    transverse_width: float
    spinous: float


CERVICAL = VertebraKind((1.35, 0.95), (1.2, 0.75), (2.6, -0.7), 0.42, -4.3)
THORACIC = VertebraKind((1.6, 1.5), (0.9, 0.85), (3.2, -3.5), 0.42, -5.0)
LUMBAR = VertebraKind((2.4, 1.75), (1.15, 0.9), (4.3, -2.7), 0.3, -5.6)


def vertebra(canvas: Canvas, person: Person, centre: Point, kind: VertebraKind, phase: float | None = None) -> None:
    """Paint a vertebra.

    Parameters
    ----------
    centre : (x, y)
        Of the vertebral body, cm.
    phase : float, optional
        Height within the segment: below 0.55 the section shows pedicles and transverse processes, from 0.72 on the
        disc. Drawn, and changing along the body, when left out.
    """
    stream = person.stream("vertebra")
    if phase is None:
        # A segment of the neck is about 1.7 cm tall, one further down about 3.4.
        phase = (stream.uniform(0, 1) + person.z / (1.7 if kind is CERVICAL else 3.4)) % 1.0
    size = stream.uniform(0.92, 1.1)
    cx, cy = centre
    body = _body(stream.bumps(0.05), kind, centre, size)
    canal = Ellipse(cx, cy - size * (kind.body[1] + 0.8 * kind.canal[1]), size * kind.canal[0], size * kind.canal[1])
    _arch(canvas, person, centre, kind, size, phase)
    if phase > (0.88 if kind is CERVICAL else 0.78):
        canvas.bone(body, cortex=0.05, density=0.1, marrow=700)
        canvas.paint(body.grown(-0.25), Tissue(stream.uniform(75, 105), soft=8, fine=6), rough=0.04)
        if person.age > 0.7 and stream.chance(0.4):
            canvas.paint(Ellipse(cx, cy + 0.1, 0.8, 0.15), Tissue(-700, fine=60), rough=0.06)
    else:
        endplate = max(0.0, phase - 0.6) / 0.18
        canvas.bone(body, cortex=0.07, density=person.density, marrow=150 + 300 * endplate, rough=0.035)
        if 0.25 < phase < 0.5:
            vein = Stroke(
                [(cx, cy - 0.95 * size * kind.body[1]), (cx, cy - 0.1), (cx + 0.5, cy + 0.4)], [0.22, 0.1, 0.04]
            )
            canvas.paint(vein, Tissue(70, fine=20))
    if person.age > 0.5 and stream.chance(0.5):
        side = -1 if stream.chance(0.5) else 1
        tip = (cx + side * size * kind.body[0] * 0.95, cy + 0.55 * size * kind.body[1])
        spur = Stroke([(tip[0] - 0.3 * side, tip[1] - 0.2), (tip[0] + 0.2 * side, tip[1] + 0.35)], [0.35, 0.12])
        canvas.bone(spur, cortex=0.15, density=person.density)
    canvas.paint(canal, Tissue(-60, fine=15))
    sac = Ellipse(canal.x, canal.y + 0.08, canal.a * 0.78, canal.b * 0.78)
    canvas.paint(sac, Tissue(stream.uniform(12, 28), soft=3))
    # The cord ends at the first lumbar vertebra.
    if kind is not LUMBAR:
        canvas.paint(Ellipse(sac.x, sac.y, sac.a * 0.62, sac.b * 0.62), Tissue(36, soft=3))


def _body(bulge: NDArray[np.float64], kind: VertebraKind, centre: Point, size: float) -> Blob:
    """Contour of the body: kidney-shaped, flat or hollow towards the canal."""
    a, b = size * kind.body[0], size * kind.body[1]
    cx, cy = centre
    half = [
        (a, 0.0), (0.95 * a, 0.5 * b), (0.62 * a, 0.88 * b), (0.94 * a, -0.45 * b), (0.72 * a, -0.88 * b),
        (0.36 * a, -0.86 * b),
    ]  # fmt: skip
    ring = [(cx + s * x, cy + y) for s in (-1, 1) for x, y in half]
    return Blob([*ring, (cx, cy + 0.98 * b), (cx, cy - 0.8 * b)], centre, smooth=7, bulge=bulge)


def _arch(canvas: Canvas, person: Person, centre: Point, kind: VertebraKind, size: float, phase: float) -> None:
    """Pedicles, laminae, processes and facets, as far as the section at ``phase`` meets them."""
    stream = person.stream("arch")
    cx, cy = centre
    a, b = kind.body
    back = -(b + 2.1 * kind.canal[1])
    corner = (kind.canal[0] + 0.35, -(b + 1.0 * kind.canal[1]))
    parts: list[Shape] = []
    facets: list[tuple[Shape, Shape]] = []

    def place(points: list[Point]) -> list[Point]:
        return [(cx + size * x, cy + size * y) for x, y in points]

    for side in (-1.0, 1.0):
        lean = stream.normal(0, 0.06)
        lamina = mirror([corner, (0.45, back), (0.0, back - 0.2)], side)
        parts.append(Stroke(place(lamina), [0.42, 0.33, 0.33]))
        if phase < 0.55:
            pedicle = mirror([(0.72 * a, -0.75 * b), corner], side)
            parts.append(Stroke(place(pedicle), [0.5, 0.42]))
        if phase < 0.5:
            tip_x, tip_y = kind.transverse
            process = mirror([corner, (0.6 * tip_x, 0.5 * (corner[1] + tip_y)), (tip_x, tip_y + lean)], side)
            width = kind.transverse_width
            parts.append(Stroke(place(process), [1.3 * width, width, 1.05 * width]))
        else:
            outer = Ellipse(
                cx + side * size * (corner[0] + 0.45), cy + size * (corner[1] - 0.1), 0.5, 0.85, -0.5 * side
            )
            inner = Ellipse(
                cx + side * size * (corner[0] + 0.05), cy + size * (corner[1] - 0.75), 0.45, 0.7, -0.5 * side
            )
            facets.append((outer, inner))
    slant = stream.normal(0, 0.12)
    length = kind.spinous if phase > 0.3 else back + 0.45 * (kind.spinous - back)
    spine = Stroke(place([(0.0, back), (0.5 * slant, 0.5 * (back + length)), (slant, length)]), [0.36, 0.26, 0.4])
    parts.append(spine)
    canvas.bone(Union(parts, fillet=0.35), cortex=0.14, density=person.density, marrow=190)
    for outer_facet, inner_facet in facets:
        canvas.bone(inner_facet, cortex=0.16, density=person.density, marrow=260)
        canvas.line(outer_facet, 0.07, Tissue(40))
        canvas.bone(outer_facet, cortex=0.16, density=person.density, marrow=260)
