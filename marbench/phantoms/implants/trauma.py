"""Implants that hold broken bones: plates, nails, screws, wires. Lengths in mm, arguments in degrees."""

from __future__ import annotations

import math

from marbench.phantoms.implants.metal import Material, Part
from marbench.phantoms.implants.outlines import rectangle, screw
from marbench.phantoms.shapes import Arc, Difference, Point, Shape, Stroke, disc, moved, union

__all__ = ["bone_screw", "cannulated_screws", "hip_nail", "hip_screw", "nail", "plate", "wires"]


def plate(
    length: float,
    thickness: float,
    bow: float,
    screws: tuple[tuple[float, float], ...] = (),
    diameter: float = 3.5,
    material: Material = "titanium",
    screw_material: Material | None = None,
) -> tuple[Part, ...]:
    """Return a plate seen edge-on, bowed over the bone by ``bow`` degrees, with screws into the bone below.

    A screw is (position from −1 to 1 along the plate, length); its head stands a little proud of the plate.
    """
    # The plate's middle lies in the origin, the bone's axis below it.
    radius = length / math.radians(bow)
    band = Arc(0.0, -radius, radius, thickness / 2, math.radians(90.0 - bow / 2), math.radians(bow))
    held: list[Shape] = []
    for position, screw_length in screws:
        turn = math.radians(90.0 - position * bow / 2)
        x, y = radius * math.cos(turn), radius * math.sin(turn) - radius
        held.append(screw((x, y), screw_length, turn + math.radians(180.0 + 5.0 * position), diameter))
        held.append(moved(rectangle(1.9 * diameter, thickness + 1.0, 0.4), x, y, turn=turn - math.pi / 2))
    return (Part(material, band), *((Part(screw_material or material, union(*held)),) if held else ()))


def bone_screw(length: float, diameter: float, washer: float = 0.0, material: Material = "steel") -> tuple[Part, ...]:
    """Return a screw that points up, with a round head and a ``washer`` of that diameter (0 for none)."""
    head = moved(rectangle(1.7 * diameter, 0.7 * diameter, 0.25 * diameter), y=-0.2 * diameter)
    shapes: list[Shape] = [screw((0.0, 0.0), length, math.pi / 2, diameter), head]
    if washer:
        shapes.append(rectangle(washer, 1.8, 0.4))
    return (Part(material, union(*shapes)),)


def cannulated_screws(
    lengths: tuple[float, ...], diameter: float, gap: float, direction: float = 145.0, material: Material = "titanium"
) -> tuple[Part, ...]:
    """Return parallel screws with heads, e.g. through a femoral neck, their tips up and to the left."""
    shapes: list[Shape] = []
    for k, length in enumerate(lengths):
        one = union(
            screw((0.0, 0.0), length, math.pi / 2, diameter),
            moved(rectangle(1.6 * diameter, 0.7 * diameter, 0.2 * diameter), y=-0.2 * diameter),
        )
        shapes.append(moved(one, 0.12 * gap * k * k, gap * k, turn=math.radians(direction - 90.0 + 1.5 * k)))
    return (Part(material, union(*shapes)),)


def nail(
    diameter: float,
    cannula: float = 0.0,
    lock: float = 0.0,
    lock_diameter: float = 5.0,
    material: Material = "titanium",
    lock_material: Material | None = None,
) -> tuple[Part, ...]:
    """Return an intramedullary nail in cross-section, hollow by ``cannula``, with a locking screw ``lock`` long."""
    rod: Shape = disc(0.0, 0.0, diameter / 2)
    if cannula:
        rod = Difference(rod, disc(0.0, 0.0, cannula / 2))
    if not lock:
        return (Part(material, rod),)
    head = moved(rectangle(3.0, 1.7 * lock_diameter, 0.8), x=-0.45 * lock)
    bolt = union(screw((-0.45 * lock, 0.0), lock, 0.0, lock_diameter), head)
    return Part(material, rod), Part(lock_material or material, bolt)


def hip_screw(
    length: float, diameter: float, plate_width: float, plate_thickness: float, material: Material = "steel"
) -> tuple[Part, ...]:
    """Return a dynamic hip screw: a thick lag screw in a barrel, on a plate at the lateral cortex (right)."""
    lag = screw((-0.45 * length, 0.0), 0.55 * length, math.pi, diameter)
    barrel = Stroke(((-0.55 * length, 0.0), (0.0, 0.0)), 0.475 * diameter)
    side = moved(rectangle(plate_thickness, plate_width, 1.2), x=0.0)
    return (Part(material, union(lag, barrel, side)),)


def hip_nail(diameter: float, length: float, lag_diameter: float, material: Material = "titanium") -> tuple[Part, ...]:
    """Return a proximal femoral nail in cross-section, with a lag screw through it towards the femoral head (left)."""
    lag = union(
        Stroke(((0.3 * length, -0.05 * length), (-0.3 * length, 0.05 * length)), 0.41 * lag_diameter),
        screw((-0.25 * length, 0.0417 * length), 0.45 * length, math.radians(170.5), lag_diameter),
    )
    return Part(material, disc(0.0, 0.0, diameter / 2)), Part(material, lag)


def wires(
    lines: tuple[tuple[Point, ...], ...] = (), dots: tuple[Point, ...] = (), width: float = 1.8
) -> tuple[Part, ...]:
    """Return Kirschner wires: polylines in the slice and dots where they pass through it."""
    radius = width / 2
    return (Part("steel", union(*(Stroke(line, radius) for line in lines), *(disc(x, y, radius) for x, y in dots))),)
