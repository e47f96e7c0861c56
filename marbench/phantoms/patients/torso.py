"""What all sections of the trunk share: skin, fat, the muscular frame, ribs, back muscles, great vessels."""

from __future__ import annotations

import math

import numpy as np

from marbench.phantoms.patients.canvas import Canvas, Tissue
from marbench.phantoms.patients.person import Person
from marbench.phantoms.patients.tissues import blood, fat, muscle, skin
from marbench.phantoms.shapes import Blob, Ellipse, Field, Point, Stroke, mirror, ring

__all__ = ["arm_room", "arms", "back_muscles", "frame_blob", "padded", "ribs", "shell", "vessel"]

_LEFT_TO_RIGHT = -math.pi + (np.arange(1024) + 0.5) * (2 * math.pi / 1024)


def frame_blob(person: Person, half: list[Point], name: str, bump: float = 0.22) -> Blob:
    """Contour of the muscular frame from the points of its right half (x ≥ 0), a little different on each side."""
    stream = person.stream(name)
    points = [
        (side * x + stream.normal(0, 0.12), y + stream.normal(0, 0.12))
        for x, y in half
        for side in ((-1, 1) if x > 0 else (1,))
    ]
    return Blob(points, (0.0, 0.0), smooth=7, bulge=stream.bumps(bump))


def padded(person: Person, frame: Blob, front: float, side: float, back: float) -> Blob:
    """Skin contour: the frame under subcutaneous fat of given thickness (cm) in front, at the sides and behind."""
    stream = person.stream("padding")
    sine, cosine = np.sin(_LEFT_TO_RIGHT), np.cos(_LEFT_TO_RIGHT)
    # sin² + cos² = 1, so the layer goes smoothly from the front to the side and on to the back.
    thickness = side * cosine**2 + np.where(sine > 0, front, back) * sine**2
    flanks = 0.25 * side * np.exp(-(((np.abs(_LEFT_TO_RIGHT + math.pi / 2) - 0.95) / 0.35) ** 2))
    skew = 1 + stream.normal(0, 0.06) * cosine
    navel = -0.25 * front * np.exp(-(((_LEFT_TO_RIGHT - math.pi / 2) / 0.05) ** 2)) * stream.uniform(0, 1)
    furrow = -0.5 * back * np.exp(-(((_LEFT_TO_RIGHT + math.pi / 2) / 0.10) ** 2))
    return frame.grown((thickness + flanks) * skew + navel + furrow)


def shell(canvas: Canvas, person: Person, skin_contour: Blob, frame: Blob, wall: Tissue | None = None) -> Field:
    """Paint skin, subcutaneous fat and the muscular frame; return the distance field of the frame."""
    canvas.body = outside = canvas.distance(skin_contour)
    thickness = person.stream("skin thickness").uniform(0.12, 0.26)
    canvas.fill(outside, skin(person))
    canvas.fill(outside - np.float32(thickness), fat(person))
    inside: Field = np.minimum(canvas.distance(frame, rough=0.06), outside - np.float32(thickness))
    canvas.fill(inside, wall or muscle(person))
    return inside


def ribs(canvas: Canvas, person: Person, ring: Blob, count: int, spread: tuple[float, float], inset: float) -> None:
    """Paint sections of ribs along a contour, on both sides.

    Parameters
    ----------
    count : int
        Ribs on each side.
    spread : (first, last)
        Angles in radians from straight back (0) to straight front (π).
    inset : float
        Depth below the contour, cm.
    """
    stream = person.stream("ribs")
    phase = stream.uniform(0, 1) + person.z / 2.6
    for side in (-1, 1):
        for k in range(count):
            # Ribs slope, so from slice to slice each wanders along the contour, the neighbours out of step.
            share = (k + 0.5 + 0.32 * math.sin(2 * math.pi * (phase + 0.37 * k))) / count
            around = spread[0] + (spread[1] - spread[0]) * share
            half = stream.uniform(0.02, 0.14)
            thickness = stream.uniform(0.24, 0.42)
            tilt = stream.normal(0, 0.16)
            points = [
                ring.at(-math.pi / 2 + side * (around + t * half), inset + t * tilt + stream.normal(0, 0.04))
                for t in (-1.0, -0.3, 0.4, 1.0)
            ]
            calcified_front = around > 2.45
            if calcified_front:
                cartilage = Tissue(stream.uniform(70, 140), fine=40 + 120 * person.age)
                canvas.paint(Stroke(points, thickness * 1.1), cartilage)
                canvas.line(Stroke(points, thickness * 1.1), 0.05, Tissue(200 + 350 * person.age, fine=120))
            else:
                rib = Stroke(points, [0.8 * thickness, thickness, 0.9 * thickness, 0.7 * thickness])
                canvas.bone(rib, stream.uniform(0.07, 0.14), person.density, 110)


def back_muscles(canvas: Canvas, person: Person, y: float, a: float, b: float, within: Field) -> None:
    """Paint the erector spinae on both sides of the spinous processes, with the fat planes that part them."""
    stream = person.stream("back muscles")
    gap = Tissue(person.fat_hu + 20, soft=8)
    wasted = Tissue(person.muscle_hu - 12 * person.age, soft=8, fine=6, strands=-80 - 80 * person.age)
    for side in (-1, 1):
        centre = side * (a + 0.35)
        grown = stream.uniform(0.94, 1.06)
        outer = Ellipse(centre, y, grown * a, grown * b, side * 0.12)
        canvas.line(outer, 0.13, gap, within)
        canvas.paint(outer, wasted, within, rough=0.06)
        plane = Stroke(mirror([(abs(centre) + 0.1, y + b), (abs(centre) - 0.3, y - 0.9 * b)], side), [0.1, 0.05])
        canvas.paint(plane, gap, within, rough=0.08)


def vessel(
    canvas: Canvas, person: Person, x: float, y: float, radius: float, name: str, vein: bool = False, flat: float = 1.0
) -> None:
    """Paint a vessel across the section: wall, lumen and, in arteries of the old, plaques of calcium."""
    stream = person.stream(name)
    x, y = x + stream.drift(-0.2, 0.2), y + stream.drift(-0.15, 0.15)
    radius *= stream.uniform(0.88, 1.15)
    angle = stream.uniform(-0.4, 0.4)
    canvas.paint(Ellipse(x, y, radius, radius * flat, angle), Tissue(40, soft=4), rough=0.03)
    canvas.paint(Ellipse(x, y, radius - 0.1, radius * flat - 0.1, angle), blood(person, vein), rough=0.02)
    # Calcium lies in arteries, and in old ones.
    if vein or person.age < 0.45:
        return
    for _ in range(stream.count(0, 3)):
        start, extent = stream.uniform(0, 2 * math.pi), stream.uniform(0.1, 0.7)
        wall = [
            (
                x + (radius - 0.07) * math.cos(start + t * extent),
                y + (radius * flat - 0.07) * math.sin(start + t * extent),
            )
            for t in (0.0, 0.5, 1.0)
        ]
        canvas.paint(Stroke(wall, stream.uniform(0.05, 0.14)), Tissue(stream.uniform(400, 1100), fine=150))


def arm_room(person: Person, skin_contour: Blob) -> float:
    """Room on either side that arms beside the trunk need, cm: 0 for those who hold them up or are too wide."""
    return 6.2 if person.stream("arms beside").chance(0.2) and skin_contour.bounds.right < 14.6 else 0.0


def arms(canvas: Canvas, person: Person, skin_contour: Blob) -> None:
    """Paint forearms or upper arms beside the trunk, where there is room for them."""
    if not arm_room(person, skin_contour):
        return
    stream = person.stream("arms")
    x, y = skin_contour.bounds.right + stream.uniform(2.5, 2.9), stream.uniform(-4.0, -1.0)
    for side in (-1, 1):
        centre = (side * x + stream.normal(0, 0.08), y + stream.normal(0, 0.8))
        a, b = stream.uniform(2.3, 2.9), stream.uniform(2.8, 3.8)
        outline = Blob(ring(centre, (a, b)), centre, bulge=stream.bumps(0.12))
        canvas.paint(outline, skin(person))
        canvas.paint(outline.grown(-0.18), fat(person))
        canvas.paint(outline.grown(-0.3 - 0.9 * person.fat), muscle(person), rough=0.12)
        if stream.chance(0.5):
            canvas.bone(Ellipse(*centre, 1.05, 1.1), 0.36, person.density, 40)
        else:
            canvas.bone(Ellipse(centre[0], centre[1] + 0.9, 0.65, 0.75), 0.27, person.density, 60)
            canvas.bone(Ellipse(centre[0] + 0.4 * side, centre[1] - 1.1, 0.6, 0.7), 0.27, person.density, 60)
