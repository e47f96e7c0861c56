"""Joint replacements: hip, knee, shoulder, elbow. Lateral is to the right, anterior up; arguments in mm and degrees."""

from __future__ import annotations

import math

from marbench.phantoms.implants.metal import Material, Part
from marbench.phantoms.implants.outlines import arranged, ellipse, rectangle, screw, segment, smooth
from marbench.phantoms.shapes import Arc, Difference, Polygon, Shape, Stroke, disc, moved, union

__all__ = [
    "hip_head",
    "hip_joint",
    "hip_stem",
    "knee_femoral",
    "knee_hinge",
    "knee_tibial_keel",
    "knee_tibial_tray",
    "resurfacing",
    "reverse_shoulder",
    "shoulder_head",
]


def hip_head(
    head: float,
    neck: float,
    neck_width: float,
    stem: tuple[float, float] = (0.0, 0.0),
    anteversion: float = 14.0,
    head_material: Material = "cocr",
    stem_material: Material = "titanium",
) -> tuple[Part, ...]:
    """Return a femoral head of diameter ``head`` on a neck that runs laterally and backwards into the stem.

    ``stem`` is the stem's (width, depth), (0, 0) where the slice lies above it.
    """
    turn = math.radians(-anteversion)
    x, y = neck * math.cos(turn), neck * math.sin(turn)
    near, far, rounding = 0.35 * neck_width, 0.45 * neck_width, 0.15 * neck_width
    shaft = Polygon(((0.0, -near), (neck, -far), (neck, far), (0.0, near)), rounding)
    shapes = [moved(shaft, turn=turn)]
    if stem[0]:
        shapes.append(moved(ellipse(*stem), x, y, turn=turn + math.radians(20.0)))
    return Part(stem_material, union(*shapes)), Part(head_material, disc(0.0, 0.0, head / 2))


def hip_joint(
    head: float,
    cup: float,
    shell: float,
    neck: float = 42.0,
    neck_width: float = 12.0,
    stem: tuple[float, float] = (0.0, 0.0),
    opening: float = 150.0,
    cup_screw: float = 0.0,
    head_material: Material = "cocr",
    cup_material: Material = "titanium",
    stem_material: Material = "titanium",
) -> tuple[Part, ...]:
    """Return a total hip: a head in a shell of outer diameter ``cup`` and thickness ``shell``, plastic between them.

    ``opening`` is the part of the circle, in degrees, that the shell leaves free for the neck; ``cup_screw`` is the
    length of a screw through the shell into the pelvis, 0 for none.
    """
    middle = (cup - shell) / 2
    # The neck leaves to the right, a little backwards; the shell is open there.
    start, sweep = math.radians(opening / 2 - 10.0), math.radians(360.0 - opening)
    shells: list[Shape] = [Arc(0.0, 0.0, middle, shell / 2, start, sweep)]
    if cup_screw:
        # Into the pelvis: to the patient's middle, which is on the left, and a little forwards.
        hole = (middle * math.cos(math.radians(150.0)), middle * math.sin(math.radians(150.0)))
        shells.append(screw(hole, cup_screw, math.radians(158.0), 6.5))
    femur = hip_head(head, neck, neck_width, stem, head_material=head_material, stem_material=stem_material)
    return (Part(cup_material, union(*shells)), *femur)


def hip_stem(width: float, depth: float, form: str = "oval", material: Material = "titanium") -> tuple[Part, ...]:
    """Return the cross-section of a femoral stem: "oval", "wedge" (broad laterally) or "grooved"."""
    shape: Shape = ellipse(width, depth)
    if form == "wedge":
        x, narrow, broad = 0.5 * width, 0.24 * depth, 0.42 * depth
        shape = Polygon(((-x, -narrow), (x, -broad), (x, broad), (-x, narrow)), 0.08 * depth)
    elif form == "grooved":
        grooves = union(disc(0.0, depth / 2, 0.16 * depth), disc(0.0, -depth / 2, 0.16 * depth))
        shape = Difference(rectangle(width, depth, 0.3 * depth), grooves)
    return (Part(material, shape),)


def resurfacing(diameter: float, wall: float, pin: float) -> tuple[Part, ...]:
    """Return a hip resurfacing: a cobalt-chromium cap on the femoral head, its pin, and the shell that it moves in."""
    cap = Arc(0.0, 0.0, diameter / 2 - wall / 2, wall / 2, math.radians(60.0), math.radians(240.0))
    shell = Arc(0.0, 0.0, diameter / 2 + 0.8 * wall, 0.45 * wall, math.radians(70.0), math.radians(200.0))
    stem = Stroke(((-diameter / 2 + wall, 0.0), (pin, 0.0)), 0.07 * diameter)
    return (Part("cocr", union(shell, cap, stem)),)


def knee_femoral(width: float, depth: float, thickness: float, peg: float = 0.0) -> tuple[Part, ...]:
    """Return a femoral component: the flange in front with its groove, and two condyles running backwards."""
    x, y = width / 2, depth / 2
    path = (
        (-0.62 * x, -y), (-0.96 * x, -0.6 * y), (-x, 0.1 * y), (-0.86 * x, 0.75 * y), (-0.44 * x, 1.1 * y),
        (0.05 * x, 0.6 * y), (0.5 * x, 1.08 * y), (0.88 * x, 0.68 * y), (x, 0.0), (0.94 * x, -0.65 * y), (0.52 * x, -y),
    )  # fmt: skip
    shapes: list[Shape] = [Stroke(smooth(path), thickness / 2)]
    if peg:
        shapes += [disc(-0.5 * x, -0.1 * y, peg / 2), disc(0.5 * x, -0.15 * y, peg / 2)]
    return (Part("cocr", union(*shapes)),)


def knee_tibial_tray(
    width: float, depth: float, material: Material = "titanium", pegs: bool = False
) -> tuple[Part, ...]:
    """Return a tibial base plate cut along its plane: a kidney with a notch behind."""
    tray = Difference(ellipse(width, depth), moved(ellipse(0.34 * width, 0.5 * depth), y=-0.58 * depth))
    if pegs:
        x, y, radius = 0.28 * width, 0.1 * depth, 0.07 * width
        tray = Difference(tray, union(disc(-x, y, radius), disc(x, y, radius)))
    return (Part(material, tray),)


def knee_tibial_keel(span: float, thickness: float, post: float, material: Material = "titanium") -> tuple[Part, ...]:
    """Return a tibial stem below its tray: a round post and two wings swept backwards."""
    wings = Stroke(((-span / 2, -0.28 * span), (0.0, 0.0), (span / 2, -0.24 * span)), thickness / 2)
    return (Part(material, union(wings, disc(0.0, 0.0, post / 2))),)


def knee_hinge(width: float, axle: float, stem: float) -> tuple[Part, ...]:
    """Return a hinged knee: two cheeks and an axle of cobalt-chromium about a titanium stem."""
    cheek = rectangle(0.2 * width, 0.75 * width, 0.06 * width)
    hinge = union(
        moved(cheek, -0.4 * width, turn=math.radians(4.0)),
        moved(cheek, 0.4 * width, turn=math.radians(-3.0)),
        Stroke(((-0.45 * width, -0.12 * width), (0.45 * width, -0.12 * width)), axle / 2),
    )
    return Part("cocr", hinge), Part("titanium", disc(0.0, 0.16 * width, stem / 2))


def shoulder_head(
    head: float, height: float, stem: tuple[float, float], retroversion: float = 30.0
) -> tuple[Part, ...]:
    """Return an anatomical shoulder: a cobalt-chromium dome facing the glenoid (left), on the titanium stem's body."""
    dome = moved(segment(head, height), turn=math.pi / 2)
    body = union(moved(ellipse(*stem), x=0.42 * stem[0] + 4.0), Stroke(((0.0, 0.0), (0.42 * stem[0] + 4.0, 0.0)), 4.5))
    return arranged((Part("titanium", body), Part("cocr", dome)), turn=math.radians(-retroversion))


def reverse_shoulder(sphere: float, screws: float, cup: float) -> tuple[Part, ...]:
    """Return a reverse shoulder: a glenosphere screwed to the scapula (left), and the cup of the humerus (right)."""
    base = union(
        rectangle(5.0, 0.72 * sphere, 1.0),
        screw((0.0, 3.0), screws, math.radians(174.0), 5.5),
        screw((0.0, -7.0), 0.8 * screws, math.radians(188.0), 4.5),
    )
    ball = moved(segment(sphere, 0.62 * sphere), x=1.5, turn=-math.pi / 2)
    shell = Arc(0.3 * sphere, 0.0, cup / 2, 2.5, math.radians(-62.0), math.radians(124.0))
    stem = moved(ellipse(17.0, 13.0), x=0.3 * sphere + 0.5 * cup + 10.0, y=-3.0)
    neck = Stroke(((0.3 * sphere + 0.5 * cup, 0.0), (0.3 * sphere + 0.5 * cup + 10.0, -3.0)), 4.5)
    return Part("titanium", union(base, shell, neck, stem)), Part("cocr", ball)
