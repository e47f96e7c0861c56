"""Implants of the spine. The midline is x = 0 and anterior is up; lengths in mm, arguments in degrees."""

from __future__ import annotations

import math

from marbench.phantoms.implants.metal import Material, Part
from marbench.phantoms.implants.outlines import arranged, ellipse, rectangle, screw
from marbench.phantoms.shapes import Arc, Difference, Shape, Stroke, disc, moved, union

__all__ = ["anterior_plate", "cage", "disc_prosthesis", "pedicle_screw", "pedicle_screws", "rods"]


def pedicle_screw(
    length: float, diameter: float, material: Material = "titanium", rod: Material = "titanium"
) -> tuple[Part, ...]:
    """Return a screw pointing up from its tulip head, which holds a rod seen in cross-section."""
    tulip = union(moved(rectangle(2.1 * diameter, 2.0 * diameter, 0.5 * diameter), y=-0.6 * diameter))
    return (
        Part(material, union(screw((0.0, 0.0), length, math.pi / 2, diameter), tulip)),
        Part(rod, disc(0.0, -0.8 * diameter, 0.45 * diameter)),
    )


def pedicle_screws(
    length: float,
    diameter: float,
    converge: float = 16.0,
    spread: float = 24.0,
    material: Material = "titanium",
    rod: Material = "titanium",
    cross_link: float = 0.0,
) -> tuple[Part, ...]:
    """Return a pair of pedicle screws ``2·spread`` apart at their heads, converging anteriorly.

    ``cross_link`` is the thickness of a bar that joins the rods, 0 for none.
    """
    one = pedicle_screw(length, diameter, material, rod)
    # Surgeons hardly ever place the two sides alike.
    left = arranged(one, x=spread, turn=math.radians(converge))
    parts = left + arranged(one, x=-spread, y=0.05 * length, turn=math.radians(2.5 - converge))
    if cross_link:
        y = -0.8 * diameter
        bar = Stroke(((-spread, y + 0.05 * length), (0.0, y - 0.25 * spread), (spread, y)), cross_link / 2)
        parts = (Part(material, bar), *parts)
    return parts


def rods(diameter: float, spread: float, material: Material = "titanium", hook: bool = False) -> tuple[Part, ...]:
    """Return two rods in cross-section, ``2·spread`` apart, with or without laminar hooks."""
    shapes: list[Shape] = [disc(spread, 0.0, diameter / 2), disc(-spread, 1.3, diameter / 2)]
    if hook:
        for x, side in ((spread, 0.0), (-spread, 1.3)):
            start, sweep = math.radians(20.0), math.radians(200.0)
            shapes.append(Arc(x * 0.78, side + 0.8 * diameter, diameter, 0.225 * diameter, start, sweep))
    return (Part(material, union(*shapes)),)


def cage(width: float, depth: float, wall: float, material: Material = "titanium") -> tuple[Part, ...]:
    """Return an interbody cage: a rounded frame with a strut across its middle."""
    rounding = min(width, depth) * 0.35
    frame = Difference(
        rectangle(width, depth, rounding),
        rectangle(width - 2 * wall, depth - 2 * wall, max(rounding - wall, 0.5)),
    )
    return (Part(material, union(frame, Stroke(((0.0, wall - depth / 2), (0.0, depth / 2 - wall)), wall / 2))),)


def anterior_plate(
    width: float, thickness: float, screw_length: float, screw_diameter: float, converge: float = 8.0
) -> tuple[Part, ...]:
    """Return a plate on the front of a vertebra, with two screws running backwards into it."""
    radius = 1.4 * width
    sweep = width / radius
    plate = Arc(0.0, -radius, radius, thickness / 2, math.pi / 2 - sweep / 2, sweep)
    x = 0.36 * width
    screws = union(
        screw((x, 0.0), screw_length, math.radians(270.0 - converge), screw_diameter),
        screw((-x, 0.0), 0.92 * screw_length, math.radians(270.0 + converge), screw_diameter),
    )
    return (Part("titanium", union(plate, screws)),)


def disc_prosthesis(width: float, depth: float) -> tuple[Part, ...]:
    """Return an artificial disc: a cobalt-chromium plate with a slot, and its titanium keel."""
    plate = Difference(ellipse(width, depth), moved(rectangle(0.10 * width, 0.6 * depth), y=-0.32 * depth))
    return Part("cocr", plate), Part("titanium", moved(rectangle(0.14 * width, 0.5 * depth), y=0.16 * depth))
