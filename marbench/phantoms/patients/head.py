"""Sections of the head, from the vertex (level 0) through ventricles and orbits to the maxillary sinuses (level 1)."""

from __future__ import annotations

import math

import numpy as np

from marbench.phantoms.patients.canvas import Canvas, Tissue
from marbench.phantoms.patients.person import Person
from marbench.phantoms.patients.tissues import GAS, fat, fluid, muscle, skin
from marbench.phantoms.patients.torso import frame_blob
from marbench.phantoms.shapes import Blob, Ellipse, Field, Point, Stroke, mirror

__all__ = ["air_cells", "outline", "paint"]

_CRANIUM: list[Point] = [
    (0, 9.0), (3.0, 8.5), (5.5, 6.4), (6.9, 2.6), (7.3, -1.5), (6.6, -5.2), (4.2, -8.2), (0, -9.3),
]  # fmt: skip
_FACE: list[Point] = [
    (0, 9.4), (1.3, 8.8), (3.6, 8.1), (5.8, 6.0), (6.8, 2.8), (7.1, -1.5), (6.6, -5.4), (4, -8.3), (0, -9.1),
]  # fmt: skip
_VAULT, _ORBITS = 0.58, 0.8  # levels where the section leaves the vault, and the orbits


def outline(person: Person) -> Blob:
    """Skin contour: the vault, wider downwards, then the face with the nose."""
    level = person.level
    if level < _VAULT:
        size = math.sqrt(1 - ((0.5 - min(level, 0.5)) / 0.64) ** 2)
        half = [(x * size, y * (0.15 + 0.85 * size)) for x, y in _CRANIUM]
        return frame_blob(person, half, "skull", 0.1)
    nose = max(0.0, (level - 0.72) / 0.28)
    half = [(x, y + (1.9 * nose if x == 0 and y > 0 else 0.5 * nose * (x == 1.3))) for x, y in _FACE]
    stream = person.stream("skull")
    points = [(s * x + stream.normal(0, 0.08), y) for x, y in half for s in ((-1, 1) if x else (1,))]
    return Blob(points, (0.0, 0.0), smooth=4, bulge=stream.bumps(0.08))


def paint(canvas: Canvas, person: Person, skin_contour: Blob) -> None:
    """Fill the skin contour."""
    _ears(canvas, person, skin_contour)
    stream = person.stream("scalp")
    canvas.body = outside = canvas.distance(skin_contour)
    canvas.fill(outside, skin(person))
    scalp = outside - np.float32(0.2)
    canvas.fill(scalp, fat(person, 20))
    depth = stream.uniform(0.4, 0.65) + 0.35 * person.fat
    if person.level < _VAULT:
        _temporalis(canvas, person, scalp)
        _vault(canvas, person, skin_contour.grown(-depth))
    else:
        _face(canvas, person, scalp)
        if person.level < _ORBITS:
            _orbits(canvas, person, scalp)
        else:
            _midface(canvas, person, scalp)
        _skull_base(canvas, person, scalp)


def air_cells(canvas: Canvas, person: Person, area: Ellipse, size: float, name: str) -> None:
    """Fill an area with gas cells between thin bony walls."""
    stream = person.stream(name)
    y = area.y - area.b
    while y < area.y + area.b:
        x = area.x - area.a
        while x < area.x + area.a:
            u, v = (x - area.x) / area.a, (y - area.y) / area.b
            if u * u + v * v < 1 and stream.chance(0.9):
                r = size * stream.uniform(0.25, 0.75)
                centre = x + stream.normal(0, 0.3 * size), y + stream.normal(0, 0.3 * size)
                cell = Ellipse(*centre, r, r * stream.uniform(0.5, 1.0), stream.normal(0, 1))
                canvas.paint(cell, Tissue(stream.uniform(-980, -600)), rough=0.15 * size)
            x += size
        y += size


def _vault(canvas: Canvas, person: Person, outer: Blob) -> None:
    """Skull vault in three layers, and the brain in it."""
    stream = person.stream("vault")
    # Near the vertex a section cuts the vault at a slant, and the bone looks thicker.
    steep = 1 + 0.9 * max(0.0, 0.35 - person.level) / 0.35
    # 72 values for 1024 directions, see Stream.bumps and Blob.
    thickness = np.interp(np.arange(1024), np.arange(0, 1024, 1024 / 72), stream.bumps(0.07, 9))
    thickness += stream.uniform(0.5, 0.85)
    angle = -math.pi + (np.arange(1024) + 0.5) * (2 * math.pi / 1024)
    thickness = thickness + 0.22 * np.exp(-(((np.abs(angle) - math.pi / 2) / 0.16) ** 2))
    inner = outer.grown(-np.maximum(thickness, 0.3) * steep)
    _tables(canvas, person, outer, inner)
    if person.level > 0.42 and stream.chance(0.6):
        for side in (-1, 1):
            sinus = Ellipse(side * 0.9, outer.bounds.top - 0.55, 1.0 * stream.uniform(0.5, 1.5), 0.3)
            canvas.line(sinus, 0.07, Tissue(1000 * person.density))
            canvas.paint(sinus, GAS, rough=0.05)
    _brain(canvas, person, inner)


def _tables(canvas: Canvas, person: Person, outer: Blob, inner: Blob) -> None:
    """Outer table, diploe, inner table."""
    stream = person.stream("tables")
    canvas.bone(outer, stream.uniform(0.16, 0.25), 1.08 * person.density, stream.uniform(300, 650), rough=0.02)
    table = Tissue(1250 * person.density, soft=80, fine=60)
    canvas.paint(inner.grown(stream.uniform(0.1, 0.18)), table, rough=0.03)


def _brain(canvas: Canvas, person: Person, inner: Blob) -> None:
    """Brain with ribbon of grey matter, sulci, falx and what of the ventricles the level shows."""
    level = person.level
    stream = person.stream("brain")
    inside = canvas.distance(inner, rough=0.04)
    canvas.fill(inside, fluid(12))
    depth = inside - np.float32(0.08 + 0.25 * person.age)
    ribbon = np.exp(-np.maximum(depth, 0) / np.float32(0.9))
    tissue = canvas.value(Tissue(30, soft=2.2, fine=1.2)) + np.float32(7) * ribbon
    sulci = np.clip(
        canvas.field("strands") * np.float32(2.2 + 2 * person.age) * np.clip(1.25 - depth / 2.2, 0, 1), 0, 1
    )
    canvas.blend(canvas.coverage(depth), tissue - sulci * np.float32(26))
    _, _, back, front = inner.bounds
    falx = Stroke(
        [(0.0, front), (stream.normal(0, 0.08), 0.55 * front), (stream.normal(0, 0.1), 2.2)], [0.25, 0.07, 0.05]
    )
    canvas.paint(falx, Tissue(58, soft=5), inside)
    sinus = Stroke([(0.0, back + 0.1), (0.0, back + 0.9), (0.0, 0.45 * back)], [0.5, 0.16, 0.06])
    canvas.paint(sinus, Tissue(60 + 0.6 * person.contrast), inside, rough=0.03)
    if level > 0.26:
        _ventricles(canvas, person, inside)
    for side in (-1, 1):
        if level > 0.4:
            sylvian = Stroke(
                mirror([(5.9, 1.2), (4.6, 1.0), (3.8, -0.6)], side), [0.12, 0.14 + 0.15 * person.age, 0.05]
            )
            canvas.paint(sylvian, fluid(8), inside, rough=0.1)
    if stream.chance(0.18):
        x, y, r = stream.uniform(-4, 4), stream.uniform(-4.5, 4.5), stream.uniform(0.5, 1.9)
        lesion = (
            Tissue(stream.uniform(55, 75), soft=4) if stream.chance(0.4) else Tissue(stream.uniform(14, 24), soft=3)
        )
        canvas.paint(Ellipse(x, y, r, 0.8 * r), lesion, inside, rough=0.15)
    if stream.chance(0.12):
        side = -1 if stream.chance(0.5) else 1
        clot = Stroke(mirror([(4.8, 5.4), (6.3, 1.0), (5.8, -4.4)], side), [0.1, stream.uniform(0.5, 1.0), 0.1])
        canvas.paint(clot, Tissue(stream.uniform(25, 72), soft=4), inside, rough=0.06)


def _ventricles(canvas: Canvas, person: Person, inside: Field) -> None:
    level = person.level
    stream = person.stream("ventricles")
    wide = stream.uniform(0.7, 1.1) * (0.75 + 0.8 * person.age)
    liquor = fluid(7)
    for side in (-1, 1):
        nuclei = Ellipse(side * 2.4, 0.4, 1.1, 2.2, 0.35 * side)
        if level > 0.4:
            canvas.paint(nuclei, Tissue(37, soft=2), inside, rough=0.12)
        low = level > 0.42
        horn = [(1.0, 3.6), (0.7, 2.0), (0.55 if low else 1.2, 0.6)]
        canvas.paint(Stroke(mirror(horn, side), [0.35 * wide, 0.42 * wide, 0.16 * wide]), liquor, inside, rough=0.06)
        if low:
            trigone = [(2.2, -2.2), (2.7, -3.4), (2.3, -5.2)]
            canvas.paint(
                Stroke(mirror(trigone, side), [0.3 * wide, 0.5 * wide, 0.2 * wide]), liquor, inside, rough=0.06
            )
            if person.age > 0.3 and stream.chance(0.7):
                canvas.paint(
                    Ellipse(side * 2.4, -2.9, 0.25, 0.4), Tissue(stream.uniform(90, 500), fine=100), inside, rough=0.1
                )
        else:
            body = [(1.2, 0.6), (1.5, -1.6), (2.0, -3.2)]
            canvas.paint(Stroke(mirror(body, side), [0.3 * wide, 0.5 * wide, 0.35 * wide]), liquor, inside, rough=0.06)
    if level > 0.42:
        canvas.paint(Stroke([(0, 1.2), (0, -1.3)], 0.14 * wide), liquor, inside)
        if person.age > 0.25:
            canvas.paint(Ellipse(0.0, -2.2, 0.3, 0.22), Tissue(stream.uniform(80, 600), fine=90), inside, rough=0.08)


def _temporalis(canvas: Canvas, person: Person, scalp: Field) -> None:
    if person.level < 0.34:
        return
    thick = 0.25 + 1.6 * (person.level - 0.34)
    for side in (-1, 1):
        path = mirror([(6.0, 4.8), (7.0, 1.6), (7.1, -1.2)], side)
        canvas.paint(Stroke(path, [thick, 1.2 * thick, 0.5 * thick]), muscle(person), scalp, rough=0.06)


def _face(canvas: Canvas, person: Person, scalp: Field) -> None:
    """Back of the skull with cerebellum and temporal lobes; muscles at the sides."""
    level = person.level
    stream = person.stream("base")
    for side in (-1, 1):
        temporal = Stroke(mirror([(5.4, 4.4), (6.3, 2.0), (6.3, -0.4)], side), [0.8, 0.95, 0.5])
        canvas.paint(temporal, muscle(person), scalp, rough=0.08)
    low = max(0.0, (level - _ORBITS) / (1 - _ORBITS))
    half = [
        (0, 1.0), (2.6, 1.2), (5.0, 2.6 - 3 * low), (6.2 - 0.6 * low, 0.2 - 2 * low), (6.5 - 0.8 * low, -2.5),
        (5.9 - low, -5.6), (3.8, -7.8), (0, -8.5),
    ]  # fmt: skip
    points = [(s * x, y + stream.normal(0, 0.05)) for x, y in half for s in ((-1, 1) if x else (1,))]
    outer = Blob(points, (0.0, -3.0), smooth=5, bulge=stream.bumps(0.1))
    inner = outer.grown(-stream.uniform(0.5, 0.7))
    _tables(canvas, person, outer, inner)
    inside = canvas.distance(inner, rough=0.05)
    canvas.fill(inside, Tissue(33, soft=2.5, fine=2.5))
    cistern = Stroke([(-2.0, -1.2), (0.0, -0.8), (2.0, -1.2)], [0.2, 0.5, 0.2])
    canvas.paint(cistern, fluid(9), inside, rough=0.12)
    canvas.paint(Ellipse(0.0, -2.4, 1.6, 1.3), Tissue(32, soft=2), inside, rough=0.06)
    canvas.paint(Ellipse(0.0, -3.9, 0.9, 0.35), fluid(8), inside, rough=0.05)
    canvas.paint(Stroke([(0, -8.2), (0, -7.0)], [0.6, 0.1]), Tissue(58 + 0.5 * person.contrast), inside)


def _skull_base(canvas: Canvas, person: Person, scalp: Field) -> None:
    """Petrous bones with mastoid cells and inner ear, sphenoid with its sinus."""
    stream = person.stream("petrous")
    dense = 1.15 * person.density
    for side in (-1, 1):
        petrous = Stroke(mirror([(1.6, 0.2), (3.6, -1.4), (6.0, -2.9)], side), [0.55, 0.85, 1.25])
        canvas.bone(petrous, 0.2, dense, 620, scalp, rough=0.14)
        if stream.chance(0.85):
            air_cells(canvas, person, Ellipse(side * 5.5, -3.3, 1.1, 1.5, 0.5 * side), 0.36, f"mastoid {side}")
        if abs(person.level - 0.82) < 0.1:
            canal = Stroke(mirror([(7.6, -1.0), (6.2, -1.3), (4.6, -1.7)], side), [0.35, 0.26, 0.34])
            canvas.paint(canal, GAS, rough=0.06)
        canvas.paint(Ellipse(side * 3.5, -1.6, 0.3, 0.14, 0.5 * side), Tissue(60))
    body = Ellipse(0.0, 1.4, 2.0, 1.2)
    canvas.bone(body, 0.12, person.density, 350)
    for side in (-1, 1):
        if stream.chance(0.85):
            canvas.paint(Ellipse(side * 0.75, 1.7, 0.68, 0.85 * stream.uniform(0.6, 1.1)), GAS, rough=0.06)


def _orbits(canvas: Canvas, person: Person, scalp: Field) -> None:
    """Globes, optic nerves and muscles in fat; ethmoid cells between them."""
    stream = person.stream("orbits")
    for side in (-1, 1):
        rim = mirror([(1.7, 7.6), (5.0, 7.4), (4.9, 5.6), (2.2, 2.4), (1.5, 4.5), (3.4, 8.2)], side)
        cone = Blob(rim, (3.0 * side, 6.0), smooth=6)
        canvas.bone(cone.grown(0.22), 0.2, person.density, 700, scalp - np.float32(0.4))
        canvas.paint(cone, Tissue(-75, soft=8), scalp)
        wing = Stroke(mirror([(5.3, 6.6), (4.4, 4.4), (5.6, 2.6)], side), [0.5, 0.32, 0.5])
        canvas.bone(wing, 0.15, person.density, 300, rough=0.06)
        for path in ([(1.9, 6.8), (1.7, 4.8), (2.1, 3.0)], [(4.7, 6.6), (4.0, 4.6), (2.5, 2.9)]):
            canvas.paint(Stroke(mirror(path, side), [0.12, 0.24, 0.1]), Tissue(50), scalp)
        canvas.paint(Stroke(mirror([(3.2, 6.0), (2.6, 4.2), (2.0, 2.4)], side), 0.2), Tissue(38), scalp)
        canvas.paint(Ellipse(3.25 * side, 7.1, 1.24, 1.24), Tissue(45), scalp + np.float32(0.15))
        canvas.paint(Ellipse(3.25 * side, 7.1, 1.08, 1.08), fluid(10), scalp + np.float32(0.1))
        canvas.paint(Ellipse(3.25 * side, 7.95, 0.45, 0.2), Tissue(85), scalp + np.float32(0.1))
    ethmoid = Stroke([(0.0, 8.0), (0.0, 3.2)], [0.8, 1.35])
    canvas.bone(ethmoid, 0.1, 0.8 * person.density, 450, scalp)
    for side in (-1, 1):
        y = 7.9
        while y > 2.8:
            deep = stream.uniform(0.3, 0.62)
            cell = Ellipse(
                side * (0.62 + 0.07 * (8 - y)), y - deep, 0.42 + 0.06 * (8 - y), deep + 0.04, stream.normal(0, 0.25)
            )
            canvas.paint(cell, GAS if stream.chance(0.88) else Tissue(25), scalp, rough=0.12)
            y -= 2 * deep
    plate = Stroke([(0.0, 8.4), (stream.normal(0, 0.08), 6.0), (0.0, 3.4)], 0.07)
    canvas.paint(plate, Tissue(650, fine=100), scalp, rough=0.04)


def _midface(canvas: Canvas, person: Person, scalp: Field) -> None:
    """Maxillary sinuses, nasal cavity with septum and turbinates, zygomatic arches, mandible below the joint."""
    stream = person.stream("midface")
    canvas.paint(Ellipse(0.0, 3.6, 6.2, 4.6), Tissue(10, soft=40, fine=15), scalp, rough=0.2)
    for side in (-1, 1):
        arch = Stroke(mirror([(4.6, 6.0), (6.3, 3.8), (6.6, 0.6)], side), [0.45, 0.22, 0.25])
        jaw = Stroke(mirror([(5.0, 1.6), (5.3, -0.6)], side), [0.28, 0.5])
        plate = Stroke(mirror([(1.7, 2.4), (2.4, 0.9)], side), [0.2, 0.12])
        for muscle_path, r in (
            ([(4.4, 2.4), (4.5, -0.2)], 0.75),
            ([(5.9, 2.8), (6.2, 0.0)], 0.6),
            ([(3.0, 1.2), (3.6, -0.6)], 0.7),
        ):
            canvas.paint(Stroke(mirror(muscle_path, side), r), muscle(person), scalp, rough=0.1)
        wide, tall = stream.uniform(0.75, 1.08), stream.uniform(0.8, 1.08)
        corners = [(1.5, 6.2), (2.6, 7.0), (4.0, 6.6), (4.5, 5.6), (3.4, 3.6), (2.3, 2.6), (1.7, 3.4), (1.4, 5.0)]
        ring = [(2.9 + wide * (x - 2.9), 4.8 + tall * (y - 4.8)) for x, y in corners]
        sinus = Blob(mirror(ring, side), (2.7 * side, 4.9), smooth=4, bulge=stream.bumps(0.12, 8))
        canvas.bone(sinus.grown(0.14), 0.3, 0.85 * person.density, 700, scalp)
        canvas.paint(sinus, Tissue(30, soft=8))
        canvas.paint(sinus.grown(-stream.uniform(0.02, 0.2)), GAS, rough=0.05)
        if stream.chance(0.2):
            level = canvas.distance(sinus)
            canvas.paint(sinus, fluid(20), np.minimum(level, np.float32(stream.uniform(3.0, 5.0)) - canvas.y))
        for bone in (arch, jaw, plate):
            canvas.bone(bone, 0.14, person.density, 300, rough=0.04)
    canvas.paint(Stroke([(0, 9.6), (0, 6.6), (0, 2.2)], [0.5, 1.15, 1.25]), GAS, scalp - np.float32(0.15), rough=0.08)
    for side in (-1, 1):
        turbinate = Stroke(mirror([(0.75, 6.2), (0.85, 4.6), (0.75, 2.8)], side), [0.25, 0.38, 0.28])
        canvas.paint(turbinate, Tissue(50 + 0.3 * person.contrast, soft=10), rough=0.07)
        canvas.paint(Stroke(turbinate.points, 0.06), Tissue(350, fine=100), rough=0.05)
        nasal_bone = Stroke(mirror([(0.35, 9.9), (1.0, 8.4), (1.4, 6.8)], side), [0.12, 0.12, 0.2])
        canvas.paint(nasal_bone, Tissue(700 * person.density), scalp)
    septum = Stroke([(0, 9.8), (stream.normal(0, 0.12), 6.0), (0, 2.0)], [0.1, 0.11, 0.1])
    canvas.paint(septum, Tissue(230, fine=80), scalp, rough=0.03)
    canvas.paint(Ellipse(0.0, 0.6, 1.5, 0.7), GAS, rough=0.1)


def _ears(canvas: Canvas, person: Person, contour: Blob) -> None:
    """Auricles, where the level meets them."""
    if not 0.6 < person.level < 0.99:
        return
    stream = person.stream("ears")
    for side in (-1, 1):
        x, y = contour.at(math.pi / 2 - side * (math.pi / 2 + 0.3), 0.1)
        path = [
            (x, y), (x + 0.7 * side, y - 0.9), (x + 1.1 * side, y - 1.9 + stream.normal(0, 0.2)),
            (x + 0.7 * side, y - 2.3),
        ]  # fmt: skip
        canvas.paint(Stroke(path, [0.3, 0.2, 0.18, 0.1]), Tissue(0, soft=15), rough=0.03)
