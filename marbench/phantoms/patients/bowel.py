"""Stomach and bowel: loops with wall, folds, fluid, stool, contrast medium and gas that rises to the front."""

from __future__ import annotations

import math

import numpy as np

from marbench.phantoms.patients.canvas import Canvas, Tissue
from marbench.phantoms.patients.person import Person, Stream
from marbench.phantoms.patients.tissues import GAS
from marbench.phantoms.shapes import Blob, Ellipse, Field, Point, Stroke, ring

__all__ = ["colon", "hollow", "loops"]


def hollow(
    canvas: Canvas,
    person: Person,
    outline: Blob,
    content: Tissue,
    gas: float,
    within: Field | None = None,
    wall: float = 0.25,
) -> None:
    """Paint a hollow organ whose front part, ``gas`` of its depth (0 to 1), is filled with gas above a level."""
    box = canvas.box(outline.bounds, 0.6)
    d = canvas.distance(outline, box, 0.05)
    if within is not None:
        d = np.minimum(d, within[box])
    canvas.fill(d, Tissue(42 + 0.35 * person.contrast, soft=8, fine=6), box)
    lumen = d - np.float32(wall)
    lumen += np.float32(0.03) * canvas.field("fine")[box]
    canvas.fill(lumen, content, box)
    if gas > 0.02:
        _, _, bottom, top = outline.bounds
        # Patients lie on their back: gas rises to the front.
        level = top - wall - gas * (top - bottom - 2 * wall)
        canvas.fill(np.minimum(lumen, canvas.y[box] - np.float32(level)), GAS, box)


def loops(canvas: Canvas, person: Person, area: Blob, within: Field, fill: float) -> None:
    """Fill an area with loops of small bowel; ``fill`` is the share of places taken."""
    stream = person.stream("small bowel", fresh=True)
    taste = person.stream("bowel contents")
    positive = taste.uniform(120, 380) if taste.chance(0.3) else None
    left, right, bottom, top = area.bounds
    step = 2.3
    row = 0
    y = bottom + 0.8
    while y < top:
        x = left + 0.6 + (0.5 * step if row % 2 else 0.0)
        while x < right:
            if stream.chance(fill):
                centre = (x + stream.uniform(-0.5, 0.5), y + stream.uniform(-0.5, 0.5))
                _loop(canvas, person, stream, centre, positive, within)
            x += step
        y += 0.85 * step
        row += 1


def _loop(canvas: Canvas, person: Person, stream: Stream, centre: Point, positive: float | None, within: Field) -> None:
    """One loop: cut across (round) or along (long)."""
    long = stream.uniform(1.0, 1.7) if stream.chance(0.7) else stream.uniform(1.7, 2.8)
    wide = stream.uniform(0.75, 1.35)
    turn = stream.uniform(0, math.pi)
    outline = Blob(ring(centre, (long, wide), 16, turn), centre, smooth=9, bulge=stream.bumps(0.14, 9))
    if stream.chance(0.2):
        content = Tissue(stream.uniform(30, 60), fine=14, soft=8)  # collapsed
    elif positive is not None and stream.chance(0.6):
        content = Tissue(positive * stream.uniform(0.6, 1.2), fine=40, soft=20)
    else:
        content = Tissue(stream.uniform(5, 35), fine=8, soft=6)
    gas = stream.uniform(0.2, 0.9) if stream.chance(0.16) else 0.0
    hollow(canvas, person, outline, content, gas, within, wall=stream.uniform(0.15, 0.3))
    if stream.chance(0.12):
        x, y = centre[0] + 0.4 * math.cos(turn), centre[1] + 0.4
        bubble = Ellipse(x, y, stream.uniform(0.1, 0.3), stream.uniform(0.1, 0.22))
        canvas.paint(bubble, GAS, within, rough=0.04)


def colon(canvas: Canvas, person: Person, name: str, path: list[Point], radius: float, within: Field) -> None:
    """Paint a stretch of colon along a path (one point: cut across), with haustra, stool and gas."""
    stream = person.stream(name, fresh=True)
    taste = person.stream(name)
    stool = taste.chance(0.6)
    gas = taste.uniform(0.3, 1.0) if taste.chance(0.55) else 0.0
    radius *= taste.uniform(0.75, 1.3)
    for k, (x, y) in enumerate(path):
        r = radius * stream.uniform(0.85, 1.1)
        outline = Blob(ring((x, y), (r, 0.92 * r), 16), (x, y), smooth=6, bulge=stream.bumps(0.22 * r, 8))
        hollow(canvas, person, outline, _stool(stream) if stool else Tissue(25, soft=10, fine=12), gas, within, 0.18)
        if stool and gas < 0.6:
            _bubbles(canvas, stream, x, y, r, within)
        if k and len(path) > 1 and gas:
            px, py = path[k - 1]
            fold = Stroke(
                [(0.5 * (x + px), 0.5 * (y + py) + r), (0.5 * (x + px), 0.5 * (y + py) + 0.2 * r)], [0.12, 0.07]
            )
            canvas.paint(fold, Tissue(45), within)


def _stool(stream: Stream) -> Tissue:
    return Tissue(stream.uniform(-60, 60), soft=50, fine=75)


def _bubbles(canvas: Canvas, stream: Stream, x: float, y: float, radius: float, within: Field) -> None:
    """Gas trapped in stool."""
    for _ in range(stream.count(2, 7)):
        distance, angle = radius * 0.75 * math.sqrt(stream.uniform(0, 1)), stream.uniform(0, 2 * math.pi)
        size = stream.uniform(0.08, 0.32)
        bubble = Ellipse(
            x + distance * math.cos(angle), y + distance * math.sin(angle), size, size * stream.uniform(0.5, 1.0), angle
        )
        canvas.paint(bubble, Tissue(stream.uniform(-980, -500)), within, rough=0.06)
