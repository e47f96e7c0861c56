"""Sections of the abdomen, from the dome of the liver (level 0) to the iliac crests (level 1)."""

from __future__ import annotations

import math

import numpy as np

from marbench.phantoms.patients.bowel import colon, hollow, loops
from marbench.phantoms.patients.canvas import Canvas, Tissue
from marbench.phantoms.patients.person import Person
from marbench.phantoms.patients.spine import LUMBAR, vertebra
from marbench.phantoms.patients.tissues import fluid, muscle
from marbench.phantoms.patients.torso import arms, back_muscles, frame_blob, padded, ribs, shell, vessel
from marbench.phantoms.shapes import Blob, Difference, Ellipse, Field, Point, Stroke, mirror, ring

__all__ = ["outline", "paint", "trunk_wall"]

_FRAME: list[Point] = [
    (0, 8.4), (5, 8.3), (9.6, 6.6), (12.5, 3.0), (13.2, -0.8), (12.0, -4.8), (8.5, -7.7), (4, -8.9), (0, -8.5)
]  # fmt: skip
_CAVITY: list[Point] = [
    (0, 7.3), (5, 7.2), (8.8, 5.6), (11.3, 2.4), (11.9, -0.9), (10.9, -4.2), (8.2, -6.3), (5.0, -5.2), (0, -4.5)
]  # fmt: skip
_SPINE: Point = (0.0, -3.1)

# The liver's contour high up and low down, point by point.
_LIVER_HIGH: list[Point] = [
    (-11.2, 0.8), (-10.6, -3.8), (-7.4, -6.0), (-3.4, -3.4), (-1.2, -0.4),
    (3.4, 1.6), (6.8, 4.2), (3.6, 6.2), (-3.8, 6.6), (-9.0, 4.6),
]  # fmt: skip
_LIVER_LOW: list[Point] = [
    (-11.4, 0.4), (-11.0, -2.6), (-9.4, -4.6), (-7.8, -3.6), (-7.0, -1.4),
    (-6.6, 0.8), (-6.6, 2.4), (-7.0, 3.8), (-8.2, 4.6), (-10.2, 3.6),
]  # fmt: skip


def outline(person: Person) -> Blob:
    """Skin contour: the frame under a layer of fat that is thickest in front of obese women."""
    fat, belly = person.fat, person.stream("outline").uniform(0.8, 1.25)
    frame = frame_blob(person, _stretched(person, _FRAME), "frame")
    return padded(person, frame, 0.6 + 3.0 * fat * belly, 0.5 + 2.6 * fat, 0.5 + 2.2 * fat)


def _stretched(person: Person, half: list[Point]) -> list[Point]:
    """Points as fat and a belly push them outwards."""
    fat, belly = person.fat, person.stream("outline").uniform(0.8, 1.25)
    return [(x * (1 + 0.05 * fat), y * (1 + 0.12 * fat * belly if y > 0 else 1)) for x, y in half]


def paint(canvas: Canvas, person: Person, skin: Blob) -> None:
    """Fill the skin contour."""
    level = person.level
    arms(canvas, person, skin)
    cavity, within = trunk_wall(canvas, person, skin, _CAVITY)
    _digestive(canvas, person, cavity, within)
    _solid_organs(canvas, person, within)
    _posterior_wall(canvas, person)
    _great_vessels(canvas, person)
    vertebra(canvas, person, _SPINE, LUMBAR)
    if level < 0.75:
        ring = frame_blob(person, _FRAME, "frame")
        count = max(2, round(5 - 4 * level))
        ribs(canvas, person, ring, count, (0.75, 2.0 - 0.5 * level), 0.75)


def trunk_wall(canvas: Canvas, person: Person, skin: Blob, cavity_half: list[Point]) -> tuple[Blob, Field]:
    """Paint skin, fat, layered abdominal wall and the fat of the cavity; return the cavity and its distance field."""
    frame = frame_blob(person, _stretched(person, _FRAME), "frame")
    inside = shell(canvas, person, skin, frame)
    plane = Tissue(person.fat_hu + 60, soft=8)
    lateral = np.abs(canvas.x) - np.float32(6.5)
    for depth in (0.42, 0.85):
        canvas.line(frame.grown(-depth), 0.05, plane, lateral)
    # The stream's name is the frame's, too, so that the cavity is as uneven as the wall around it.
    cavity = frame_blob(person, _stretched(person, cavity_half), "frame", bump=0.3)
    front = cavity.bounds.top
    for side in (-1, 0, 1):
        x = side * 6.4
        canvas.paint(
            Stroke([(x, front + 2.2 - 1.2 * abs(side)), (x, front - 0.6 - 1.4 * abs(side))], 0.16), plane, inside
        )
    within = np.minimum(canvas.distance(cavity, rough=0.1), inside - np.float32(0.6))
    mesentery = Tissue(person.fat_hu + 6, soft=7, fine=5, strands=40, vessels=110 + 0.3 * person.contrast)
    canvas.fill(within, mesentery)
    return cavity, within


def _digestive(canvas: Canvas, person: Person, cavity: Blob, within: Field) -> None:
    """Bowel, colon and stomach, where the level meets them."""
    level = person.level
    stream = person.stream("digestive")
    if level > 0.25:
        loops(
            canvas, person, cavity.grown(-1.0), np.minimum(within, canvas.y + np.float32(2.2)), 0.9 - 0.45 * person.fat
        )
    if 0.3 < level < 0.75:
        sag = 2.0 * (level - 0.3)
        colon(
            canvas,
            person,
            "transverse colon",
            [(-5.5, 4.6 - sag), (-2.4, 5.2 - sag), (0.8, 5.4 - sag), (4, 5.0 - sag)],
            1.6,
            within,
        )
    if level > 0.5:
        colon(canvas, person, "ascending colon", [(-9.2, 0.2)], 2.3, within)
    if level > 0.3:
        colon(canvas, person, "descending colon", [(9.7, -1.4 + stream.drift(-0.8, 0.8))], 1.7, within)
    if level < 0.5:
        shrink = 1 - 0.5 * level
        a, b = 3.6 * shrink * stream.uniform(0.7, 1.2), 3.0 * shrink * stream.uniform(0.8, 1.2)
        points = [(4.8 + a * c - 1.2 * s, 2.6 + b * s) for c, s in ring(count=20)]
        stomach = Blob(points, (4.8, 2.6), bulge=stream.bumps(0.35))
        content = Tissue(stream.uniform(10, 60), soft=10, fine=16)
        gas = stream.uniform(0.15, 0.75) if stream.chance(0.75) else 0.0
        hollow(canvas, person, stomach, content, gas, within, wall=0.42)


def _solid_organs(canvas: Canvas, person: Person, within: Field) -> None:
    """Liver, gall bladder, spleen, pancreas, kidneys, lung bases."""
    level = person.level
    stream = person.stream("organs")
    steatosis = stream.uniform(0, 50) if stream.chance(0.35) else 0.0
    liver_hu = 60 + 0.3 * person.contrast - steatosis + stream.normal(0, 4)
    spleen_hu = 50 + 0.38 * person.contrast
    if level < 0.16:
        _lung_bases(canvas, person, within)
    _pancreas(canvas, person, within)
    if 0.02 < level < 0.62:
        size = _section(level, 0.3, 0.36)
        turn = stream.normal(0, 0.15)
        spleen = Difference(
            Ellipse(8.6, -2.4, 3.4 * size, 4.3 * size, 0.5 + turn),
            Ellipse(5.8, -0.4, 2.5 * size, 3.6 * size, 0.6 + turn),
        )
        canvas.paint(spleen, Tissue(spleen_hu, soft=5, fine=3), within, rough=0.07)
    if level < 0.72:
        _liver(canvas, person, liver_hu, within)
    for side in (-1, 1):
        middle = 0.62 if side < 0 else 0.56
        if abs(level - middle) < 0.26:
            _kidney(canvas, person, side, _section(level, middle, 0.27), (level - middle) / 0.26, within)
        elif level < middle:
            limb = Stroke(mirror([(4.2, -1.6), (4.6, -2.6), (5.5, -3.3)], side), [0.25, 0.22, 0.12])
            canvas.paint(limb, Tissue(40 + 0.3 * person.contrast), within, rough=0.05)
    if stream.chance(0.12):
        _ascites(canvas, person, within)


def _liver(canvas: Canvas, person: Person, hu: float, within: Field) -> None:
    level = person.level
    stream = person.stream("liver")
    t = min(1.0, level / 0.6)
    shrink = 1.0 if level < 0.55 else math.sqrt(max(0.05, 1 - ((level - 0.55) / 0.18) ** 2))
    points = [
        ((1 - t) * h[0] + t * w[0], (1 - t) * h[1] + t * w[1]) for h, w in zip(_LIVER_HIGH, _LIVER_LOW, strict=True)
    ]
    cx, cy = -8.6 + 3.2 * (1 - t), 0.2 + 0.8 * (1 - t)
    points = [
        (cx + shrink * (x - cx) * stream.normal(1, 0.05), cy + shrink * (y - cy) * stream.normal(1, 0.05))
        for x, y in points
    ]
    contour = Blob(points, (cx, cy), smooth=5, bulge=stream.bumps(0.15))
    parenchyma = Tissue(hu, soft=4, fine=3)
    canvas.paint(contour, parenchyma, within, rough=0.05)
    inner = np.minimum(canvas.distance(contour), within)
    vein = Tissue(hu + (0.28 * person.contrast if person.contrast else -14), soft=2)
    root = (cx + 2.2 * (1 - t), cy - 0.8)
    for k in range(5):
        angle = stream.uniform(0, 2 * math.pi) + 0.08 * person.z
        reach = stream.uniform(1.5, 4.0)
        bend = angle + stream.normal(0, 0.5)
        mid = (root[0] + 0.5 * reach * math.cos(angle), root[1] + 0.5 * reach * math.sin(angle))
        end = (mid[0] + 0.5 * reach * math.cos(bend), mid[1] + 0.5 * reach * math.sin(bend))
        canvas.paint(
            Stroke([root if k < 3 else mid, mid, end], [0.4, 0.28, 0.1]), vein, inner - np.float32(0.4), rough=0.04
        )
    if stream.chance(0.3):
        for _ in range(stream.count(1, 4)):
            x, y, r = cx + stream.normal(0, 2.4), cy + stream.normal(0, 2), stream.uniform(0.3, 1.3)
            cyst = fluid(stream.uniform(0, 20)) if stream.chance(0.6) else Tissue(hu - 35, soft=10)
            canvas.paint(Ellipse(x, y, r, 0.9 * r), cyst, inner, rough=0.04)
    if 0.33 < level < 0.56 and stream.chance(0.8):
        bladder = Ellipse(
            -5.6, 2.7, 1.5 * stream.uniform(0.7, 1.2), 2.1 * stream.uniform(0.7, 1.2), stream.normal(0.4, 0.2)
        )
        canvas.paint(bladder, Tissue(38 + 0.2 * person.contrast), within, rough=0.04)
        canvas.paint(
            Ellipse(bladder.x, bladder.y, bladder.a - 0.18, bladder.b - 0.18, bladder.angle), fluid(10), within
        )
        if stream.chance(0.3):
            canvas.line(Ellipse(bladder.x, bladder.y - 1.0, 0.4, 0.35), 0.1, Tissue(stream.uniform(150, 700)))


def _pancreas(canvas: Canvas, person: Person, within: Field) -> None:
    if not 0.3 < person.level < 0.58:
        return
    stream = person.stream("pancreas")
    gland = Tissue(42 + 0.35 * person.contrast - 15 * person.age, soft=8, fine=10, strands=-60)
    dip = stream.normal(0, 0.4)
    path = [(-3.6, 0.6 + dip), (-1.2, 1.3 + dip), (1.4, 1.8), (4.2, 1.2), (6.8, -0.4)]
    canvas.paint(Stroke(path, [1.4, 0.9, 0.75, 0.75, 0.6]), gland, within, rough=0.16)
    canvas.paint(
        Stroke([(-0.8, 0.6), (1.5, 1.0), (4.5, 0.4), (7.0, -1.2)], 0.42), Tissue(person.vein_hu), within, rough=0.04
    )


def _kidney(canvas: Canvas, person: Person, side: int, size: float, height: float, within: Field) -> None:
    """A kidney; ``height`` −1 (upper pole) to 1 (lower pole); the sinus opens in the middle."""
    stream = person.stream(f"kidney {side}")
    x, y = side * (5.9 + 0.7 * height) + stream.normal(0, 0.25), -3.4 + stream.normal(0, 0.3)
    a, b = 2.5 * size * stream.uniform(0.9, 1.15), 2.9 * size * stream.uniform(0.9, 1.15)
    turn = side * stream.normal(0.45, 0.12)
    canvas.line(Ellipse(x + 0.3 * side, y, a + 1.3, b + 1.4, turn), 0.05, Tissue(-30, soft=20), within)
    kidney = Blob(ring((x, y), (a, b), 20, turn), (x, y), bulge=stream.bumps(0.1, 8))
    cortex_hu = 34 + 0.75 * person.contrast
    hilum = Ellipse(x - side * 0.95 * a, y + 0.6, 1.25 * size, 0.8 * size, -0.4 * side)
    organ = Difference(kidney, hilum) if abs(height) < 0.6 else kidney
    canvas.paint(organ, Tissue(cortex_hu, soft=4), within, rough=0.04)
    phase = stream.uniform(-0.5, 0.1)
    medulla = Tissue(34 + (0.75 + phase) * person.contrast, fine=0.12 * person.contrast)
    canvas.paint(kidney.grown(-0.62), medulla, within, rough=0.14)
    if abs(height) < 0.62:
        sinus = Ellipse(x - side * 0.3 * a, y + 0.2, 1.25 * size, 1.0 * size, -0.3 * side)
        canvas.paint(sinus, Tissue(person.fat_hu + 15, soft=10, fine=12), within, rough=0.18)
        pelvis = Stroke(mirror([(abs(x) - 0.2 * a, y + 0.1), (abs(x) - 0.9 * a, y + 0.5)], side), [0.5, 0.3])
        canvas.paint(pelvis, fluid(8), within, rough=0.1)
        renal = Stroke(mirror([(abs(x) - 0.5 * a, y + 0.6), (2.2, -1.2)], side), [0.28, 0.36])
        canvas.paint(renal, Tissue(person.vein_hu, soft=3), within, rough=0.05)
    if stream.chance(0.3):
        r = stream.uniform(0.4, 1.8)
        angle = stream.uniform(0, 2 * math.pi)
        canvas.paint(Ellipse(x + a * math.cos(angle), y + b * math.sin(angle), r, r), fluid(6), within)
    if stream.chance(0.1):
        canvas.paint(Ellipse(x - 0.3 * side, y - 0.4, 0.25, 0.2), Tissue(stream.uniform(400, 1300)), within, rough=0.03)


def _lung_bases(canvas: Canvas, person: Person, within: Field) -> None:
    """Posterior recesses of the lungs behind the diaphragm."""
    depth = 1 - person.level / 0.16
    lung = Tissue(-830, soft=25, vessels=500)
    for side in (-1, 1):
        path = mirror([(2.8, -5.4), (6.0, -6.6), (9.6, -4.6), (11.2, -1.5)], side)
        canvas.paint(
            Stroke(path, [0.2 + 1.0 * depth, 0.3 + 1.5 * depth, 0.3 + 1.2 * depth, 0.1]), lung, within + 0.4, rough=0.1
        )


def _ascites(canvas: Canvas, person: Person, within: Field) -> None:
    """Free fluid along the flanks, around liver and spleen."""
    stream = person.stream("ascites")
    for side in (-1, 1):
        path = mirror([(9.5, -4.2), (11.6, -0.5), (10.4, 3.2)], side)
        canvas.paint(
            Stroke(path, [0.4, stream.uniform(0.4, 1.6), 0.3]), fluid(stream.uniform(4, 22)), within, rough=0.15
        )


def _posterior_wall(canvas: Canvas, person: Person) -> None:
    """Psoas, quadratus lumborum, crura of the diaphragm, erector spinae."""
    level = person.level
    bulk = person.stream("muscles").uniform(0.8, 1.2)
    flesh = muscle(person)
    for side in (-1, 1):
        if level > 0.42:
            r = bulk * (0.7 + 1.4 * min(1.0, (level - 0.42) / 0.4))
            canvas.paint(Ellipse(side * (2.5 + 0.55 * r), -3.4, 0.85 * r, 1.15 * r, -0.3 * side), flesh, rough=0.08)
        if level > 0.35:
            quadratus = Ellipse(side * 5.6, -5.9, 2.0 * bulk, 0.8 * bulk, 0.35 * side)
            canvas.line(quadratus, 0.12, Tissue(person.fat_hu + 20))
            canvas.paint(quadratus, flesh, rough=0.06)
        if level < 0.6:
            crus = Stroke(mirror([(0.9, 0.2), (1.9, -1.2), (2.6, -3.0)], side), [0.25, 0.45 * bulk, 0.2])
            canvas.paint(crus, flesh, rough=0.08)
    back_muscles(canvas, person, -6.6, 2.4, 1.75, canvas.distance(Ellipse(0, -5, 9, 5.5)))


def _great_vessels(canvas: Canvas, person: Person) -> None:
    level = person.level
    if level < 0.9:
        vessel(canvas, person, 0.7 + 0.5 * (1 - level), -0.5 - 0.9 * (1 - level), 1.05 - 0.2 * level, "aorta")
        flat = person.stream("cava").uniform(0.55, 0.95)
        vessel(canvas, person, -1.9, -0.4, 1.15, "inferior vena cava", vein=True, flat=flat)
    else:
        for side in (-1, 1):
            vessel(canvas, person, 1.2 * side + 0.2, -0.3, 0.65, f"iliac artery {side}")
            vessel(canvas, person, 1.3 * side - 0.5, -1.3, 0.8, f"iliac vein {side}", vein=True, flat=0.7)
    if level > 0.33:
        for name, x, vein in (("mesenteric artery", 0.7, False), ("mesenteric vein", -0.9, True)):
            vessel(canvas, person, x, 1.4, 0.42 if not vein else 0.55, name, vein)


def _section(level: float, middle: float, half: float) -> float:
    """Relative radius of an ellipsoid cut at a level."""
    return math.sqrt(max(0.03, 1 - ((level - middle) / half) ** 2))
