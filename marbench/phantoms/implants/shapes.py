"""Continuous shapes: plane figures as signed distances, from which area fractions are drawn on any grid.

``distance(x, y)`` is negative inside, and never longer than the true distance to the outline, so that a disc of
radius ``|distance|`` about a point is wholly inside or wholly outside: a raster needs to look closer only where the
outline may pass. Lengths are in the drawing's own unit, x points right, y up, angles are in degrees, counter-clockwise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Arc",
    "Box",
    "Cut",
    "Disc",
    "Moved",
    "Point",
    "Polygon",
    "Screw",
    "Shape",
    "Stroke",
    "Union",
    "moved",
    "union",
]

FloatArray = NDArray[np.float64]
Point = tuple[float, float]
Box = tuple[float, float, float, float]
"""``(x lowest, y lowest, x highest, y highest)``."""


class Shape(Protocol):
    """A plane figure."""

    @property
    def bounds(self) -> Box:
        """A box that holds the figure."""
        ...

    def distance(self, x: FloatArray, y: FloatArray) -> FloatArray:
        """Return the signed distance of the points, or one of the same sign closer to 0."""
        ...


@dataclass(frozen=True)
class Disc:
    """A disc about ``(x, y)``."""

    x: float
    y: float
    radius: float

    @property
    def bounds(self) -> Box:
        """A box that holds the figure."""
        return self.x - self.radius, self.y - self.radius, self.x + self.radius, self.y + self.radius

    def distance(self, x: FloatArray, y: FloatArray) -> FloatArray:
        """Return the signed distance of the points."""
        distance: FloatArray = np.sqrt((x - self.x) ** 2 + (y - self.y) ** 2) - self.radius
        return distance


@dataclass(frozen=True)
class Stroke:
    """A polyline drawn with a round pen; one point makes a dot, two a capsule."""

    points: tuple[Point, ...]
    width: float

    @property
    def bounds(self) -> Box:
        """A box that holds the figure."""
        return _box(self.points, self.width / 2)

    def distance(self, x: FloatArray, y: FloatArray) -> FloatArray:
        """Return the signed distance of the points."""
        nearest = np.full(x.shape, np.inf)
        for start, end in zip(self.points, self.points[1:] or self.points, strict=False):
            np.minimum(nearest, _squared_distance_to_segment(x, y, start, end), out=nearest)
        distance: FloatArray = np.sqrt(nearest) - self.width / 2
        return distance


@dataclass(frozen=True)
class Arc:
    """A circular arc about ``(x, y)`` from ``start`` counter-clockwise over ``sweep``, drawn with a round pen.

    A sweep of 360 makes a ring. ``radius`` is that of the pen's path.
    """

    x: float
    y: float
    radius: float
    width: float
    start: float = 0.0
    sweep: float = 360.0

    @property
    def bounds(self) -> Box:
        """A box that holds the figure."""
        stop = self.start + self.sweep
        quarters = [90.0 * k for k in range(math.ceil(self.start / 90.0), math.floor(stop / 90.0) + 1)]
        turns = [math.radians(angle) for angle in (self.start, *quarters, stop)]
        path = [(self.x + self.radius * math.cos(t), self.y + self.radius * math.sin(t)) for t in turns]
        return _box(path, self.width / 2)

    def distance(self, x: FloatArray, y: FloatArray) -> FloatArray:
        """Return the signed distance of the points."""
        # In the frame whose x axis halves the arc, the arc is mirror-symmetric: |angle| ≤ sweep/2.
        middle = math.radians(self.start + self.sweep / 2)
        dx, dy = x - self.x, y - self.y
        along = dx * math.cos(middle) + dy * math.sin(middle)
        across = np.abs(dy * math.cos(middle) - dx * math.sin(middle))
        half = math.radians(self.sweep / 2)
        to_circle = np.abs(np.sqrt(dx * dx + dy * dy) - self.radius)
        end_x, end_y = self.radius * math.cos(half), self.radius * math.sin(half)
        to_end = np.sqrt((along - end_x) ** 2 + (across - end_y) ** 2)
        beside = np.arctan2(across, along) <= half
        return np.where(beside, to_circle, to_end) - self.width / 2


@dataclass(frozen=True)
class Polygon:
    """A simple polygon, its outline moved outwards by ``rounding`` so that its corners are round."""

    points: tuple[Point, ...]
    rounding: float = 0.0

    @property
    def bounds(self) -> Box:
        """A box that holds the figure."""
        return _box(self.points, self.rounding)

    def distance(self, x: FloatArray, y: FloatArray) -> FloatArray:
        """Return the signed distance of the points."""
        nearest = np.full(x.shape, np.inf)
        inside = np.zeros(x.shape, dtype=bool)
        for start, end in zip(self.points, self.points[1:] + self.points[:1], strict=True):
            np.minimum(nearest, _squared_distance_to_segment(x, y, start, end), out=nearest)
            if start[1] != end[1]:  # even-odd rule along the ray to the right
                spans = (start[1] > y) != (end[1] > y)
                inside ^= spans & (x < start[0] + (y - start[1]) * (end[0] - start[0]) / (end[1] - start[1]))
        np.sqrt(nearest, out=nearest)
        return np.where(inside, -nearest, nearest) - self.rounding


@dataclass(frozen=True)
class Screw:
    """A threaded shank cut along its axis, from its blunt end at ``start`` to its tapered tip at ``tip``.

    Parameters
    ----------
    start, tip : (x, y)
        Ends of the axis.
    diameter : float
        Outer diameter of the thread.
    depth : float
        Depth of the thread.
    pitch : float
        Distance of neighbouring threads.
    """

    start: Point
    tip: Point
    diameter: float
    depth: float
    pitch: float

    @property
    def bounds(self) -> Box:
        """A box that holds the figure."""
        return _box((self.start, self.tip), self.diameter / 2)

    def distance(self, x: FloatArray, y: FloatArray) -> FloatArray:
        """Return a lower bound of the signed distance of the points."""
        length = math.dist(self.start, self.tip)
        ux, uy = (self.tip[0] - self.start[0]) / length, (self.tip[1] - self.start[1]) / length
        along = (x - self.start[0]) * ux + (y - self.start[1]) * uy
        offset = (y - self.start[1]) * ux - (x - self.start[0]) * uy
        # The crests of the two sides are half a pitch apart, as a helix has them.
        phase = (along / self.pitch + np.where(offset > 0, 0.0, 0.5)) % 1.0
        thread = self.diameter / 2 - self.depth * np.abs(2 * phase - 1)
        taper = np.maximum(length - along, 0.0) * 0.5 + 0.2 * self.diameter
        sides = np.abs(offset) - np.minimum(thread, taper)
        slope = max(2 * self.depth / self.pitch, 0.5)
        # Across the axis the phase jumps, so nothing inside may claim to be deeper than the core.
        sides = np.maximum(sides / math.hypot(1.0, slope), self.depth - self.diameter / 2)
        distance: FloatArray = np.maximum(sides, np.maximum(-along, along - length))
        return distance


@dataclass(frozen=True)
class Cut:
    """What is left of a shape when another is taken away."""

    shape: Shape
    hole: Shape

    @property
    def bounds(self) -> Box:
        """A box that holds the figure."""
        return self.shape.bounds

    def distance(self, x: FloatArray, y: FloatArray) -> FloatArray:
        """Return a lower bound of the signed distance of the points."""
        return np.maximum(self.shape.distance(x, y), -self.hole.distance(x, y))


@dataclass(frozen=True)
class Union:
    """Several shapes as one."""

    shapes: tuple[Shape, ...]

    @property
    def bounds(self) -> Box:
        """A box that holds the figure."""
        boxes = np.array([shape.bounds for shape in self.shapes])
        low, high = boxes.min(axis=0), boxes.max(axis=0)
        return float(low[0]), float(low[1]), float(high[2]), float(high[3])

    def distance(self, x: FloatArray, y: FloatArray) -> FloatArray:
        """Return a lower bound of the signed distance of the points."""
        nearest = self.shapes[0].distance(x, y)
        for shape in self.shapes[1:]:
            np.minimum(nearest, shape.distance(x, y), out=nearest)
        return nearest


@dataclass(frozen=True)
class Moved:
    """A shape mirrored left to right (if so told), then turned, then shifted."""

    shape: Shape
    x: float = 0.0
    y: float = 0.0
    turn: float = 0.0
    mirror: bool = False

    @property
    def bounds(self) -> Box:
        """A box that holds the figure."""
        x0, y0, x1, y1 = self.shape.bounds
        cos, sin = math.cos(math.radians(self.turn)), math.sin(math.radians(self.turn))
        corners = [(-x if self.mirror else x, y) for x in (x0, x1) for y in (y0, y1)]
        return _box([(self.x + x * cos - y * sin, self.y + x * sin + y * cos) for x, y in corners], 0.0)

    def distance(self, x: FloatArray, y: FloatArray) -> FloatArray:
        """Return the distance that the shape tells of the points, taken back to its own frame."""
        cos, sin = math.cos(math.radians(self.turn)), math.sin(math.radians(self.turn))
        dx, dy = x - self.x, y - self.y
        own_x = dx * cos + dy * sin
        return self.shape.distance(-own_x if self.mirror else own_x, dy * cos - dx * sin)


def union(*shapes: Shape) -> Shape:
    """Return several shapes as one, unions taken apart."""
    members = [m for shape in shapes for m in (shape.shapes if isinstance(shape, Union) else (shape,))]
    return members[0] if len(members) == 1 else Union(tuple(members))


def moved(shape: Shape, x: float = 0.0, y: float = 0.0, turn: float = 0.0, mirror: bool = False) -> Shape:
    """Return a shape mirrored left to right (if so told), turned (degrees) and shifted, in this order."""
    members = shape.shapes if isinstance(shape, Union) else (shape,)
    return union(*(Moved(member, x, y, turn, mirror) for member in members))


def _box(points: tuple[Point, ...] | list[Point], margin: float) -> Box:
    xs, ys = [x for x, _ in points], [y for _, y in points]
    return min(xs) - margin, min(ys) - margin, max(xs) + margin, max(ys) + margin


def _squared_distance_to_segment(x: FloatArray, y: FloatArray, start: Point, end: Point) -> FloatArray:
    ex, ey = end[0] - start[0], end[1] - start[1]
    length2 = ex * ex + ey * ey
    dx, dy = x - start[0], y - start[1]
    if length2 == 0:
        return dx * dx + dy * dy
    t = np.clip((dx * ex + dy * ey) / length2, 0.0, 1.0)
    return (dx - t * ex) ** 2 + (dy - t * ey) ** 2
