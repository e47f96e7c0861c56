"""Metal in soft tissue, vessels and the chest wall: clips, coils, leads, devices, projectiles. Lengths in mm."""

from __future__ import annotations

import math

from marbench.phantoms.implants.metal import Material, Part
from marbench.phantoms.implants.outlines import irregular, rectangle, screw, segment, smooth
from marbench.phantoms.shapes import Arc, Difference, Point, Polygon, Shape, Stroke, disc, moved, union

__all__ = [
    "anchor",
    "aneurysm_clip",
    "bullet",
    "clips",
    "coil",
    "fragments",
    "heart_valve",
    "leads",
    "pacemaker",
    "pellets",
    "port",
    "staples",
    "stent",
    "sternal_wires",
]

Placed = tuple[float, float, float]
"""Where something lies, and how it is turned: (x, y, degrees)."""


def clips(places: tuple[Placed, ...], length: float, width: float, gape: float = 25.0) -> tuple[Part, ...]:
    """Return surgical clips: two legs that gape by ``gape`` degrees."""
    half = math.radians(gape / 2)
    x, y = length * math.cos(half), length * math.sin(half)
    one = Stroke(((x, y), (0.0, 0.0), (x, -y)), width / 2)
    return (Part("titanium", union(*(moved(one, x, y, math.radians(turn)) for x, y, turn in places))),)


def aneurysm_clip(blade: float, width: float, material: Material = "titanium") -> tuple[Part, ...]:
    """Return an aneurysm clip: closed blades, legs that cross, and the spring's loop at the end."""
    spring = Arc(-0.62 * blade, 0.0, 0.17 * blade, width / 2, math.radians(40.0), math.radians(280.0))
    leg, half = 0.13 * blade, 0.5 * width
    legs = union(
        Stroke(((-0.5 * blade, leg), (-0.2 * blade, -half), (0.0, -half), (blade, -0.45 * width)), half),
        Stroke(((-0.5 * blade, -leg), (-0.2 * blade, half), (0.0, half), (blade, 0.45 * width)), half),
    )
    return (Part(material, union(spring, legs)),)


def coil(
    size: float, turns: tuple[int, int, int], width: float, squeeze: float = 0.8, material: Material = "steel"
) -> tuple[Part, ...]:
    """Return a tangled embolisation coil: a Lissajous figure whose three frequencies are ``turns``."""
    points: list[Point] = []
    steps = 14 * max(turns)
    for k in range(steps):
        # Not quite closed, as the ends of a real coil do not meet.
        t = 2 * math.pi * k / steps * 0.94
        reach = size / 2 * (0.72 + 0.28 * math.cos(turns[2] * t + 0.7))
        points.append((reach * math.cos(turns[0] * t + 0.4), squeeze * reach * math.sin(turns[1] * t)))
    return (Part(material, Stroke(tuple(points), width / 2)),)


def sternal_wires(loops: tuple[Placed, ...], width: float, thickness: float, height: float) -> tuple[Part, ...]:
    """Return sternal wires: loops of ``width`` × ``height`` drawn with a wire, each with its twisted end in front."""
    x, y = width / 2, height / 2
    corners = (
        (0.0, y), (-0.9 * x, y), (-1.05 * x, 0.0), (-0.8 * x, -y), (0.7 * x, -1.05 * y), (1.05 * x, -0.1 * y),
        (0.9 * x, 0.95 * y), (0.0, y),
    )  # fmt: skip
    loop = Stroke(smooth(corners), thickness / 2)
    twist = Stroke(((0.0, y), (0.5 * thickness, y + 1.6 * thickness)), 0.75 * thickness)
    return (Part("steel", union(*(moved(union(loop, twist), x, y, math.radians(turn)) for x, y, turn in loops))),)


def staples(count: int, pitch: float, leg: float, width: float, bow: float = 30.0) -> tuple[Part, ...]:
    """Return a line of staples along an arc of ``bow`` degrees, each an open B."""
    radius = max(count - 1, 1) * pitch / math.radians(bow)
    x, y = 0.5 * leg, 0.45 * leg
    one = Stroke(((0.6 * x, y), (-x, 0.5 * leg), (-x, -0.5 * leg), (0.6 * x, -y)), width / 2)
    shapes: list[Shape] = []
    for k in range(count):
        turn = math.radians(bow * (k / max(count - 1, 1) - 0.5))
        shapes.append(moved(one, radius * math.sin(turn), radius * (math.cos(turn) - 1.0), turn=-turn))
    return (Part("titanium", union(*shapes)),)


def leads(dots: tuple[Point, ...], diameter: float, tip: tuple[Point, ...] = ()) -> tuple[Part, ...]:
    """Return pacemaker leads: dots where they pass through the slice, and a stretch that runs within it."""
    shapes: list[Shape] = [disc(x, y, diameter / 2) for x, y in dots]
    if tip:
        shapes.append(Stroke(tip, diameter / 2))
    return (Part("cocr", union(*shapes)),)


def pacemaker(width: float, thickness: float, lead: float = 0.0, face_on: bool = False) -> tuple[Part, ...]:
    """Return a generator, edge-on or along its face, with a lead of diameter ``lead`` coiled behind it (0 for none)."""
    height = 0.85 * width if face_on else thickness
    rounding = 0.42 * height
    can: Shape = rectangle(width, height, rounding)
    if face_on:  # battery and circuit leave the can half empty
        can = Difference(can, moved(rectangle(0.55 * width, 0.24 * width, 1.0), y=0.16 * height))
    parts = [Part("titanium", can)]
    if lead:
        y = -0.5 * height - 3.0 * lead
        path = (
            (-0.5 * width, y + lead), (-0.2 * width, y - 1.6 * lead), (0.15 * width, y + lead), (0.52 * width, y - lead)
        )  # fmt: skip
        parts.append(Part("cocr", union(Stroke(smooth(path), lead / 2), disc(0.2 * width, y - 4.0 * lead, 0.6 * lead))))
    return tuple(parts)


def port(width: float, height: float, wall: float) -> tuple[Part, ...]:
    """Return a venous port: a titanium chamber open to the skin above, on its base."""
    x, y = width / 2, height / 2
    outer = Polygon(((-x, -y), (x, -y), (0.72 * x, y), (-0.72 * x, y)), 0.4)
    bottom, top = 0.82 * x - wall, 0.7 * x - wall
    chamber = Polygon(((-bottom, wall - y), (bottom, wall - y), (top, 2 * y), (-top, 2 * y)))
    return (Part("titanium", Difference(outer, chamber)),)


def bullet(length: float, calibre: float, deformed: float = 0.0) -> tuple[Part, ...]:
    """Return a bullet along its axis: a cylinder with an ogive, or one whose nose has mushroomed by ``deformed``."""
    r = calibre / 2
    if not deformed:
        steps = (0.0, 0.3, 0.55, 0.75, 0.9, 1.0)
        nose = tuple(((0.45 + 0.55 * t) * length, r * math.sqrt(1.0 - t * t)) for t in steps)
        points = ((0.0, -r), *((x, -y) for x, y in nose[:-1]), *reversed(nose), (0.0, r))
        return (Part("steel", moved(Polygon(points), x=-length / 2)),)
    cap = moved(segment(calibre * (1.0 + deformed), 0.45 * length), turn=-math.pi / 2)
    base = moved(rectangle(0.6 * length, calibre, 0.15 * calibre), x=-0.25 * length, turn=math.radians(6.0))
    burr = moved(irregular(0.75 * calibre, seed=3), x=0.1 * length, y=0.5 * calibre)
    return (Part("steel", union(cap, base, burr)),)


def fragments(places: tuple[Placed, ...], size: float) -> tuple[Part, ...]:
    """Return shrapnel: ragged pieces; the third number of a place is the piece's size relative to ``size``."""
    pieces = [
        moved(irregular(size * grown, seed=k, roughness=0.35, corners=10), x, y)
        for k, (x, y, grown) in enumerate(places, start=1)
    ]
    return (Part("steel", union(*pieces)),)


def pellets(centres: tuple[Point, ...], diameter: float) -> tuple[Part, ...]:
    """Return shotgun pellets."""
    return (Part("steel", union(*(disc(x, y, diameter / 2) for x, y in centres))),)


def stent(diameter: float, strut: float, struts: int, squeeze: float = 1.0) -> tuple[Part, ...]:
    """Return a stent in cross-section: a circle of strut sections, or a closed ring where ``struts`` is 0."""
    if not struts:
        return (Part("steel", Arc(0.0, 0.0, diameter / 2, strut / 2)),)
    turns = [2 * math.pi * k / struts for k in range(struts)]
    x, y = diameter / 2, squeeze * diameter / 2
    return (Part("steel", union(*(disc(x * math.cos(t), y * math.sin(t), strut / 2) for t in turns))),)


def heart_valve(diameter: float, ring: float, leaflet: float) -> tuple[Part, ...]:
    """Return a mechanical valve: a ring and its two leaflets, half open."""
    reach = 0.36 * diameter
    flaps = union(
        Stroke(((-0.16 * diameter, -reach), (-0.1 * diameter, reach)), leaflet / 2),
        Stroke(((0.12 * diameter, -reach), (0.17 * diameter, reach)), leaflet / 2),
    )
    return Part("cocr", Arc(0.0, 0.0, (diameter - ring) / 2, ring / 2)), Part("titanium", flaps)


def anchor(length: float, diameter: float) -> tuple[Part, ...]:
    """Return a suture anchor: a short, coarse screw."""
    return (Part("titanium", screw((0.0, -length / 2), length, math.pi / 2, diameter)),)
