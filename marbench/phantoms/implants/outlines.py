"""Outlines and arrangements that several kinds of implant share. Lengths in mm, angles in radians."""

from __future__ import annotations

import math
from itertools import pairwise

from marbench.phantoms.implants.metal import Part
from marbench.phantoms.shapes import Difference, Point, Polygon, Screw, Shape, Union, moved, union

__all__ = ["arranged", "centred", "ellipse", "irregular", "mirrored_pair", "rectangle", "screw", "segment", "smooth"]


def ellipse(width: float, height: float, corners: int = 40) -> Polygon:
    """Return an ellipse about the origin."""
    turns = [2 * math.pi * k / corners for k in range(corners)]
    return Polygon(tuple((width / 2 * math.cos(t), height / 2 * math.sin(t)) for t in turns))


def rectangle(width: float, height: float, rounding: float = 0.0) -> Polygon:
    """Return a rectangle about the origin, its corners rounded with the given radius."""
    x, y = width / 2 - rounding, height / 2 - rounding
    return Polygon(((-x, -y), (x, -y), (x, y), (-x, y)), rounding)


def irregular(size: float, seed: int, roughness: float = 0.25, corners: int = 14) -> Polygon:
    """Return a ragged blob about the origin, of a mean diameter ``size``; another ``seed``, another outline."""
    points = []
    for k in range(corners):
        t = 2 * math.pi * k / corners
        # The phases are incommensurate, so that no two seeds give the same outline.
        wave = math.cos(2 * t + 2.4 * seed) + 0.6 * math.cos(3 * t + 1.7 * seed) + 0.4 * math.cos(5 * t + 4.1 * seed)
        radius = size / 2 * (1 + roughness * wave / 1.4)
        points.append((radius * math.cos(t), radius * math.sin(t)))
    return Polygon(tuple(points))


def segment(diameter: float, height: float) -> Shape:
    """Return the part of a disc that lies above a chord: ``height`` tall, its chord on y = 0."""
    disc = moved(ellipse(diameter, diameter, 64), y=height - diameter / 2)
    below = Polygon(((-diameter, 0.0), (-diameter, -2 * diameter), (diameter, -2 * diameter), (diameter, 0.0)))
    return Difference(disc, below)


def smooth(points: tuple[Point, ...], rounds: int = 2) -> tuple[Point, ...]:
    """Return a polyline with its corners cut (Chaikin 1974), its ends kept."""
    for _ in range(rounds):
        cut = [points[0]]
        for (x0, y0), (x1, y1) in pairwise(points):
            cut += [(0.75 * x0 + 0.25 * x1, 0.75 * y0 + 0.25 * y1), (0.25 * x0 + 0.75 * x1, 0.25 * y0 + 0.75 * y1)]
        points = (*cut, points[-1])
    return points


def screw(start: Point, length: float, direction: float, diameter: float) -> Screw:
    """Return a bone screw that leaves ``start`` in a direction (from the x axis, counter-clockwise)."""
    tip = (start[0] + length * math.cos(direction), start[1] + length * math.sin(direction))
    return Screw(start, tip, diameter, depth=0.16 * diameter, pitch=0.45 * diameter)


def arranged(parts: tuple[Part, ...], x: float = 0.0, y: float = 0.0, turn: float = 0.0) -> tuple[Part, ...]:
    """Return parts turned about the origin, then shifted."""
    return tuple(Part(part.material, moved(part.shape, x, y, turn)) for part in parts)


def centred(parts: tuple[Part, ...]) -> tuple[tuple[Part, ...], Point]:
    """Return parts shifted so that the middle of the box about them is the origin, and where the old origin then is."""
    left, right, bottom, top = Union(tuple(part.shape for part in parts)).bounds
    x, y = -(left + right) / 2, -(bottom + top) / 2
    return arranged(parts, x, y), (x, y)


def mirrored_pair(parts: tuple[Part, ...], x: float, turn: float = 0.0) -> tuple[Part, ...]:
    """Return parts at ``x`` and their mirror images at ``−x``, which are turned by ``turn`` about their own origin.

    No two sides of a patient are alike; a small turn keeps the images from being so.
    """
    return tuple(
        Part(part.material, union(moved(part.shape, x), moved(part.shape, -x, turn=turn, mirror=True)))
        for part in parts
    )
