"""Metal in teeth. The dental arch opens downwards, the incisors are up (anterior); lengths in mm.

Teeth are counted from the midline: 1 and 2 incisors, 3 canine, 4 and 5 premolars, 6 to 8 molars; negative on the left.
"""

from __future__ import annotations

import math

from marbench.phantoms.implants.metal import Material, Part
from marbench.phantoms.implants.outlines import irregular, rectangle
from marbench.phantoms.shapes import Difference, Point, Shape, Stroke, disc, moved, union

__all__ = ["braces", "bridge", "crowns", "fillings", "place", "roots"]

# Width along the arch and depth across it of teeth 1 to 8.
SIZES = ((8.0, 6.5), (6.5, 6.0), (7.5, 7.5), (7.0, 8.5), (7.0, 8.5), (10.5, 10.0), (10.0, 9.5), (9.0, 9.0))


def fillings(teeth: tuple[int, ...], size: float, material: Material = "amalgam") -> tuple[Part, ...]:
    """Return ragged fillings of about ``size`` in the given teeth, no two alike."""
    shapes: list[Shape] = []
    for k, tooth in enumerate(teeth):
        x, y, turn = place(tooth)
        grown = size * (1.0 + 0.18 * math.cos(2.1 * k + tooth))
        shapes.append(moved(irregular(grown, seed=k + abs(tooth)), x, y, turn))
    return (Part(material, union(*shapes)),)


def crowns(
    teeth: tuple[int, ...], material: Material = "gold", wall: float = 0.0, filled: tuple[int, ...] = ()
) -> tuple[Part, ...]:
    """Return cast crowns: solid where the slice cuts the chewing face, a ring of thickness ``wall`` below it.

    ``filled`` are teeth with an amalgam filling beside them.
    """
    parts = [Part(material, union(*(_crown(tooth, wall) for tooth in teeth)))]
    return (*parts, *(fillings(filled, 5.0) if filled else ()))


def bridge(teeth: tuple[int, ...], material: Material = "cocr", wall: float = 0.0) -> tuple[Part, ...]:
    """Return a bridge: crowns of neighbouring teeth, joined."""
    bar = Stroke(tuple(place(tooth)[:2] for tooth in teeth), 3.6 / 2)
    return (Part(material, union(*(_crown(tooth, wall) for tooth in teeth), bar)),)


def roots(teeth: tuple[int, ...], diameter: float, material: Material = "titanium") -> tuple[Part, ...]:
    """Return dental implants in cross-section: a round fixture in the place of each root."""
    return (Part(material, union(*(disc(*place(tooth)[:2], diameter / 2) for tooth in teeth))),)


def braces(last: int, wire: float, bracket: float) -> tuple[Part, ...]:
    """Return an orthodontic wire along the outer face of the teeth, a bracket on each, and bands on the last molars."""
    teeth = [*range(-last, 0), *range(1, last + 1)]
    path: list[Point] = []
    shapes: list[Shape] = []
    for tooth in teeth:
        x, y, turn = place(tooth)
        depth = SIZES[abs(tooth) - 1][1]
        face = turn + math.pi / 2
        x, y = x + 0.5 * depth * math.cos(face), y + 0.5 * depth * math.sin(face)
        path.append((x, y))
        shapes.append(moved(rectangle(bracket * 1.3, bracket, 0.3), x, y, turn))
    return (Part("steel", union(Stroke(tuple(path), wire / 2), *shapes)),)


def _crown(tooth: int, wall: float) -> Shape:
    width, depth = SIZES[abs(tooth) - 1]
    x, y, turn = place(tooth)
    rounding = 0.32 * min(width, depth)
    shape: Shape = rectangle(width, depth, rounding)
    if wall:
        shape = Difference(shape, rectangle(width - 2 * wall, depth - 2 * wall, max(rounding - wall, 0.4)))
    return moved(shape, x, y, turn)


def place(tooth: int) -> tuple[float, float, float]:
    """Return where a tooth stands on the arch (half an ellipse), and how it is turned."""
    angle = math.radians(math.copysign(11.6 * abs(tooth) - 6.0, tooth))
    x, y = 27.5 * math.sin(angle), 44.0 * math.cos(angle) - 30.0
    outwards = math.atan2(math.cos(angle) / 44.0, math.sin(angle) / 27.5)  # along the ellipse's normal
    return x, y, outwards - math.pi / 2
