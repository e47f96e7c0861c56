"""Sections of the chest, from above the aortic arch (level 0) to the base of the heart's left ventricle (level 1)."""

from __future__ import annotations

import math

import numpy as np

from marbench.phantoms.patients.canvas import Canvas, Tissue
from marbench.phantoms.patients.person import Person, Stream
from marbench.phantoms.patients.spine import THORACIC, vertebra
from marbench.phantoms.patients.tissues import GAS, blood, fat, fluid, muscle
from marbench.phantoms.patients.torso import arms, back_muscles, frame_blob, padded, ribs, shell, vessel
from marbench.phantoms.shapes import Blob, Difference, Ellipse, Field, Point, Stroke, mirror, ring

__all__ = ["lung_tissue", "outline", "paint"]

_FRAME: list[Point] = [
    (0, 8.0), (4, 8.5), (8.5, 7.6), (12, 4.8), (13.7, 0.5), (13.1, -4), (10.2, -7.4), (5, -8.9), (0, -8.4)
]  # fmt: skip
_PLEURA: list[Point] = [
    (0, 6.3), (4, 7.0), (8, 6.0), (11.0, 3.3), (12.2, -0.5), (11.5, -4.3), (8.6, -6.9), (4.6, -7.1), (0, -5.6)
]  # fmt: skip
_LUNG: list[Point] = [
    (1.2, 6.4), (5, 7.4), (9, 6.6), (12, 3.3), (13, -0.6), (12.2, -4.6),
    (8.8, -7.6), (4.6, -7.9), (2.5, -5.4), (2.2, -2.5), (2.3, 1.5),
]  # fmt: skip
_SPINE: Point = (0.0, -3.7)


def outline(person: Person) -> Blob:
    """Skin contour; women's breasts lie flattened to the sides."""
    fat = person.fat
    skin = padded(person, frame_blob(person, _FRAME, "frame"), 0.5 + 1.4 * fat, 0.5 + 1.9 * fat, 0.6 + 1.6 * fat)
    stream = person.stream("breast")
    size = (stream.uniform(0.6, 2.4) + 1.4 * fat) * (1 if person.female else 0.25)
    # Seen from its middle level up and down a breast gets smaller.
    size *= max(0.0, 1 - ((person.level - 0.6) / 0.55) ** 2)
    angle = (np.arange(1024) + 0.5) * (2 * math.pi / 1024) - math.pi / 2
    off = np.abs((angle + math.pi) % (2 * math.pi) - math.pi)
    return skin.grown(size * np.exp(-(((off - math.pi + 0.86) / 0.3) ** 2)))


def paint(canvas: Canvas, person: Person, skin: Blob) -> None:
    """Fill the skin contour."""
    arms(canvas, person, skin)
    frame = frame_blob(person, _FRAME, "frame")
    inside = shell(canvas, person, skin, frame)
    if person.female:
        _glands(canvas, person, skin, inside)
    pleura = frame_blob(person, _PLEURA, "frame")
    _chest_wall(canvas, person, pleura, inside)
    cavity = canvas.distance(pleura)
    canvas.fill(cavity, fat(person, 8))
    _lungs(canvas, person, cavity)
    _mediastinum(canvas, person, cavity)
    _effusion(canvas, person, cavity)
    back_muscles(canvas, person, -7.0, 1.9, 1.5, inside)
    _costovertebral(canvas, person)
    vertebra(canvas, person, _SPINE, THORACIC)
    ribs(canvas, person, pleura, 6, (0.55, 2.75), -0.5)
    _scapulae(canvas, person, inside)
    _sternum(canvas, person)


def lung_tissue(person: Person) -> Tissue:
    """Aerated lung with its vessels."""
    stream = person.stream("lung")
    return Tissue(stream.uniform(-890, -800), soft=22, fine=14, vessels=stream.uniform(450, 750))


def _glands(canvas: Canvas, person: Person, skin: Blob, inside: Field) -> None:
    """Fibroglandular tissue in the breasts, less with age."""
    share = 1 - 0.7 * person.age
    outer = canvas.distance(skin)
    room = np.minimum(outer - np.float32(0.7), -inside - np.float32(0.2))
    for side in (-1, 1):
        x, y = skin.at(math.pi / 2 - side * 0.86, 1.8)
        gland = Ellipse(x, y, 2.6 * share, 1.4 * share, -0.8 * side)
        canvas.paint(gland, Tissue(5, soft=30, strands=40, fine=15), room, rough=0.25)


def _chest_wall(canvas: Canvas, person: Person, pleura: Blob, inside: Field) -> None:
    """Fat planes between intercostal layer, serratus, latissimus and the pectoral muscles."""
    plane = fat(person, 12)
    lateral = np.minimum(inside, np.abs(canvas.x) - np.float32(4.0))
    canvas.line(pleura.grown(1.12), 0.12 + 0.15 * person.fat, plane, lateral)
    low, high = (0.6, 0.25) if person.level > 0.5 else (0.15, 0.1)
    for side in (-1, 1):
        front = Stroke(mirror([(11.8, 6.4), (10.0, 5.6), (12.6, 1.5)], side), [0.2 + low, 0.9 * low, 0.15 + high])
        canvas.paint(front, plane, inside, rough=0.15)
        lattice = Stroke(mirror([(13.6, -1.6), (12.9, -3.6), (11.2, -6.6)], side), [0.3, 0.22, 0.16])
        canvas.paint(lattice, plane, inside - np.float32(0.1), rough=0.12)
        if person.level < 0.55:
            split = Stroke(mirror([(2.4, 7.6), (6.5, 7.5), (10.4, 5.9)], side), [0.06, 0.12, 0.2])
            canvas.paint(split, plane, inside, rough=0.06)


def _lungs(canvas: Canvas, person: Person, cavity: Field) -> None:
    stream = person.stream("lungs")
    between = stream.uniform
    tissue = lung_tissue(person)
    emphysema = person.age > 0.6 and stream.chance(0.35)
    for side in (-1, 1):
        wide = 1.0 if person.level > 0.2 else 0.82 + 0.9 * person.level
        points = [(side * (x * (wide if x > 6 else 1)) + stream.normal(0, 0.15), y * wide) for x, y in _LUNG]
        lung = Blob(points, (side * 6.8, -0.8), smooth=6, bulge=stream.bumps(0.15))
        box = canvas.box(lung.bounds)
        d = np.minimum(canvas.distance(lung, box, 0.03), cavity[box])
        slope = np.float32(-6) * canvas.y[box]  # the dependent lung is denser
        canvas.blend(canvas.coverage(d), canvas.value(tissue, box) + slope, box)
        within = np.full(canvas.image.shape, -1, np.float32)
        within[box] = d
        _bronchovascular_tree(canvas, person, side, within)
        height = stream.drift(-4.0, 3.0)
        fissure = Stroke(
            [(side * 2.8, height), (side * 7, height - 0.6), (side * 12, height - stream.uniform(0, 2.5))], 0.055
        )
        canvas.paint(fissure, Tissue(-640, fine=40), within, rough=0.03)
        if emphysema:
            for _ in range(6):
                bulla = Ellipse(side * between(4, 11), between(-5, 5), between(0.3, 1), between(0.3, 0.9))
                canvas.paint(bulla, Tissue(-970), within, rough=0.12)
        if stream.chance(0.2):
            nodule = Ellipse(side * between(5, 10.5), between(-5, 5), between(0.2, 1.2), between(0.2, 1.0))
            canvas.paint(nodule, Tissue(30, soft=15), within, rough=0.12)
        if stream.chance(0.25):
            patch = Ellipse(side * between(6, 10), between(-6.5, -3), between(1, 3), between(0.5, 1.5))
            canvas.paint(patch, Tissue(stream.uniform(-600, -250), soft=120, fine=90), within, rough=0.4)


def _bronchovascular_tree(canvas: Canvas, person: Person, side: int, within: Field) -> None:
    """Arteries and bronchi that leave the hilum and divide."""
    stream = person.stream(f"hilum {side}")
    vessel_tissue = Tissue(30 + 0.8 * person.contrast, soft=8)
    weight = 1 - abs(person.level - 0.5)
    for k in range(7):
        angle = -1.35 + 2.7 * (k + stream.uniform(0, 1)) / 7 + 0.06 * person.z
        start = (side * (2.6 + stream.uniform(0, 1)), -0.4 + stream.normal(0, 0.7))
        _branch(canvas, stream, start, side, angle, stream.uniform(0.22, 0.5) * weight, vessel_tissue, within)
        if k % 2:
            x, y = start[0] + 1.3 * side * math.cos(angle), start[1] + 1.3 * math.sin(angle) + 0.5
            canvas.paint(Ellipse(x, y, 0.3, 0.25, angle), Tissue(-50), within)
            canvas.paint(Ellipse(x, y, 0.21, 0.16, angle), GAS, within)


def _branch(
    canvas: Canvas, stream: Stream, start: Point, side: int, angle: float, radius: float, tissue: Tissue, within: Field
) -> None:
    """A vessel that bends, leaves the plane now and then, and divides until it is thin."""
    if radius < 0.05:
        return
    bend, reach = angle + stream.normal(0, 0.3), stream.uniform(2.0, 4.5) * radius + 0.7
    middle = (start[0] + side * 0.5 * reach * math.cos(angle), start[1] + 0.5 * reach * math.sin(angle))
    end = (middle[0] + side * 0.5 * reach * math.cos(bend), middle[1] + 0.5 * reach * math.sin(bend))
    if stream.chance(0.8):
        canvas.paint(Stroke([start, middle, end], [radius, 0.9 * radius, 0.75 * radius]), tissue, within, rough=0.03)
    for split in (-1, 1):
        turn, thinner = bend + split * stream.uniform(0.2, 0.75), radius * stream.uniform(0.4, 0.78)
        if stream.chance(0.9):
            _branch(canvas, stream, end, side, turn, thinner, tissue, within)


def _mediastinum(canvas: Canvas, person: Person, cavity: Field) -> None:
    level = person.level
    bulk = 0.9 + 0.5 * person.fat
    fatty = fat(person, 10)
    column = Stroke([(0.0, 6.6), (0.4, 2.0), (0.3, -2.6), (0.2, -5.6)], [1.6 * bulk, 2.9, 2.4, 2.2])
    canvas.paint(column, fatty, cavity, rough=0.12)
    if level > 0.4:
        _heart(canvas, person, cavity)
    if level < 0.14:
        for k, (x, y, r) in enumerate(((-1.6, 1.6, 0.75), (0.3, 1.4, 0.5), (1.9, 0.2, 0.6))):
            vessel(canvas, person, x, y, r, f"arch branch {k}")
        for x, y, r in ((-2.6, 2.8, 0.95), (1.6, 3.2, 0.75)):
            vessel(canvas, person, x, y, r, f"brachiocephalic {x}", vein=True)
    elif level < 0.26:
        arch = Stroke([(-1.2, 3.0), (0.8, 1.6), (2.3, -2.4)], [1.4, 1.3, 1.2])
        canvas.paint(arch, blood(person), rough=0.05)
        vessel(canvas, person, -2.7, 2.2, 0.95, "superior vena cava", vein=True)
    else:
        vessel(canvas, person, 2.1, -3.3, 1.25, "descending aorta")
        if level < 0.62:
            vessel(canvas, person, -1.4, 2.5, 1.65, "ascending aorta")
            vessel(canvas, person, -3.2, 1.6, 0.9, "superior vena cava", vein=True, flat=1.2)
        if level < 0.46:
            trunk = Stroke([(1.4, 3.6), (2.6, 1.6), (3.4, 0.0)], [1.4, 1.35, 0.8])
            branch = Stroke([(1.6, 1.4), (-0.8, 0.4), (-3.2, -0.4)], [0.9, 0.85, 0.75])
            for artery in (trunk, branch):
                canvas.paint(artery, Tissue(42 + 0.9 * person.contrast, soft=3), rough=0.04)
    if level < 0.34:
        _airway(canvas, (0.0, -1.2), 0.95)
    elif level < 0.58:
        for side in (-1, 1):
            _airway(canvas, (side * (1.2 + 5 * (level - 0.34)), -1.5), 0.7)
    gullet = person.stream("oesophagus")
    canvas.paint(Ellipse(0.7, -2.5, 0.9, 0.55), Tissue(40, soft=8), rough=0.06)
    if gullet.chance(0.45):
        canvas.paint(Ellipse(0.7, -2.45, 0.35, 0.2), GAS, rough=0.04)
    for _ in range(gullet.count(1, 5)):
        node = Ellipse(gullet.normal(0, 2), gullet.uniform(-2, 3), gullet.uniform(0.25, 0.5), 0.28)
        canvas.paint(node, Tissue(45, soft=8), cavity, rough=0.05)
    if person.age > 0.5 and gullet.chance(0.3):
        canvas.paint(
            Ellipse(gullet.normal(0, 2), -0.3, 0.3, 0.2), Tissue(gullet.uniform(300, 900), fine=150), rough=0.08
        )


def _airway(canvas: Canvas, centre: Point, radius: float) -> None:
    canvas.paint(Ellipse(*centre, radius + 0.16, radius + 0.2), Tissue(45, fine=25))
    canvas.paint(Ellipse(*centre, radius, 1.05 * radius), GAS, rough=0.02)


def _heart(canvas: Canvas, person: Person, cavity: Field) -> None:
    """Pericardial fat, muscle, and the blood of the chambers, brighter on the left when contrast was given."""
    stream = person.stream("heart")
    grow = min(1.0, 0.72 + 0.9 * (person.level - 0.4)) * stream.uniform(0.92, 1.14)
    cx, cy, turn = 1.9 + stream.normal(0, 0.3), 1.5 + stream.normal(0, 0.3), -0.55 + stream.normal(0, 0.12)
    a, b = 5.7 * grow, 4.4 * grow
    c, s = math.cos(turn), math.sin(turn)

    def place(u: float, v: float) -> Point:
        return cx + a * u * c - b * v * s, cy + a * u * s + b * v * c

    sac = Blob(ring((cx, cy), (a, b), 18, turn), (cx, cy), bulge=stream.bumps(0.2))
    canvas.paint(sac.grown(0.45 + 0.5 * person.fat), fat(person, 5), cavity, rough=0.12)
    canvas.line(sac.grown(0.3), 0.06, Tissue(20), cavity)
    myocardium = Tissue(42 + 0.35 * person.contrast, soft=5, fine=4)
    canvas.paint(sac, myocardium, cavity, rough=0.07)
    left = Tissue(42 + person.contrast, soft=4)
    right = Tissue(42 + 0.8 * person.contrast, soft=8)
    for u, v, ra, rb, tissue in (
        (0.42, -0.12, 0.36, 0.36, left),
        (0.2, 0.52, 0.5, 0.24, right),
        (-0.58, 0.25, 0.3, 0.42, right),
        (-0.35, -0.5, 0.42, 0.3, left),
    ):
        x, y = place(u, v)
        chamber = Ellipse(x, y, a * ra * stream.uniform(0.85, 1.1), b * rb * stream.uniform(0.85, 1.15), turn)
        canvas.paint(chamber, tissue, rough=0.12)
    groove = Stroke([place(0.05, 1.02), place(-0.05, 0.75)], [0.35, 0.1])
    canvas.paint(groove, fat(person, 15), rough=0.1)
    if person.age > 0.55 and stream.chance(0.5):
        for _ in range(stream.count(1, 4)):
            x, y = place(stream.uniform(-0.3, 0.5), stream.uniform(0.5, 0.9))
            end = x + stream.normal(0, 0.5), y + stream.normal(0, 0.4)
            calcium = Stroke([(x, y), end], stream.uniform(0.06, 0.15))
            canvas.paint(calcium, Tissue(stream.uniform(350, 1000), fine=100))


def _effusion(canvas: Canvas, person: Person, cavity: Field) -> None:
    """Fluid that settles behind the lungs, with collapsed lung above it."""
    stream = person.stream("effusion")
    for side in (-1, 1):
        if not stream.chance(0.12):
            continue
        depth = stream.uniform(0.6, 2.6)
        path = mirror([(3.6, -6.8), (7.5, -7.2), (11.0, -5.0), (12.2, -2.0)], side)
        collapsed = Stroke(path, [0.3 + 0.6 * depth, depth + 0.4, depth, 0.2])
        canvas.paint(collapsed, Tissue(50 + 0.3 * person.contrast, soft=30), cavity, rough=0.15)
        canvas.paint(Stroke(path, [0.6 * depth, depth, 0.8 * depth, 0.1]), fluid(10), cavity, rough=0.1)


def _costovertebral(canvas: Canvas, person: Person) -> None:
    """Heads and necks of the ribs beside the vertebra, when the section meets them."""
    phase = (person.stream("vertebra").uniform(0, 1) + person.z / 3.4) % 1.0
    if phase > 0.5:
        return
    for side in (-1, 1):
        neck = Stroke(mirror([(1.8, -4.9), (3.3, -6.0), (5.4, -7.4)], side), [0.5, 0.36, 0.45])
        canvas.bone(neck, 0.13, person.density, 140)


def _scapulae(canvas: Canvas, person: Person, inside: Field) -> None:
    """Blades of the scapulae behind the ribs, with subscapularis and infraspinatus."""
    if person.level > 0.55:
        return
    stream = person.stream("scapulae")
    length = 1 - person.level / 0.7
    for side in (-1, 1):
        path = mirror([(12.8 - 0.2, -4.6), (11.0, -6.7), (9.2 + 1.5 * (1 - length), -7.9)], side)
        canvas.paint(Stroke(path, [1.2, 1.1, 0.6]), muscle(person), inside, rough=0.08)
        canvas.bone(
            Stroke(path, [0.5 * length + 0.2, 0.22, 0.35]), 0.14, person.density * stream.uniform(0.9, 1.1), 130
        )


def _sternum(canvas: Canvas, person: Person) -> None:
    stream = person.stream("sternum")
    half = 2.6 - 1.3 * min(1.0, person.level * 1.6)
    board = Ellipse(stream.normal(0, 0.1), 7.15, half, 0.62)
    canvas.bone(Difference(board, Ellipse(0, 8.0, 0.7, 0.35)), 0.1, 0.85 * person.density, 130)
    for side in (-1, 1):
        if stream.chance(0.7):
            cartilage = Stroke(mirror([(half + 0.4, 7.1), (half + 2.6, 6.9)], side), [0.55, 0.5])
            canvas.paint(cartilage, Tissue(stream.uniform(70, 120), fine=30 + 120 * person.age), rough=0.05)
