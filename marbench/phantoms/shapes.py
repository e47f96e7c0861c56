"""Plane shapes, known by their signed distance: what patients and implants are drawn with.

``distance(x, y)`` is positive inside. Lengths are in the drawing's own unit (cm in patients, about a millimetre in
implants), x points to the right of the picture, y up (towards the chest), angles are in radians, counter-clockwise.
Distances come in the precision of the points. Two kinds of shape are told apart:

* *Bounds of the distance* (Arc, Polygon, Screw, a Stroke of one width, and what is made of them): never longer
  than the true distance to the outline, so that a disc of that radius about a point is wholly inside or wholly outside.
  A raster of samples needs to look closer only where the outline may pass.
* *First-order distances* (Ellipse, Blob, a tapered Stroke, a filleted Union): exact on the outline and nearly so beside
  it, hence good for the share of a pixel that is covered and for what lies along the outline, as the cortex of a bone.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache, reduce
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Arc",
    "Blob",
    "Bounds",
    "Difference",
    "Ellipse",
    "Field",
    "Moved",
    "Point",
    "Polygon",
    "Screw",
    "Shape",
    "Stroke",
    "Union",
    "arc",
    "disc",
    "members",
    "mirror",
    "moved",
    "ring",
    "union",
]

Field = NDArray[np.floating[Any]]
Point = tuple[float, float]


class Bounds(NamedTuple):
    """A box that holds a shape."""

    left: float
    right: float
    bottom: float
    top: float


class Shape(ABC):
    """A region of the plane."""

    @property
    @abstractmethod
    def bounds(self) -> Bounds:
        """A box that holds the shape."""

    @property
    def inradius(self) -> float:
        """Radius of the largest disc inside, or a little more; infinite where nobody asks how thin the shape is."""
        return math.inf

    @abstractmethod
    def distance(self, x: Field, y: Field) -> Field:
        """Return the distance of points to the outline, positive inside."""


@dataclass(frozen=True)
class Ellipse(Shape):
    """An ellipse of half axes ``a`` and ``b``, turned by ``angle``."""

    x: float
    y: float
    a: float
    b: float
    angle: float = 0.0

    @property
    def bounds(self) -> Bounds:
        """Extent of the turned ellipse."""
        c, s = math.cos(self.angle), math.sin(self.angle)
        w, h = math.hypot(self.a * c, self.b * s), math.hypot(self.a * s, self.b * c)
        return Bounds(self.x - w, self.x + w, self.y - h, self.y + h)

    @property
    def inradius(self) -> float:
        """Smaller half axis."""
        return min(self.a, self.b)

    def distance(self, x: Field, y: Field) -> Field:
        """Return the first-order distance (1 − q)/|∇q| of the quadratic form q = (u/a)² + (v/b)²."""
        c, s = math.cos(self.angle), math.sin(self.angle)
        dx, dy = x - self.x, y - self.y
        u = dx * (c / self.a) + dy * (s / self.a)
        v = dy * (c / self.b) - dx * (s / self.b)
        u2, v2 = u * u, v * v
        # The gradient vanishes in the centre, where the distance would grow without bound.
        half_gradient = np.sqrt(u2 * self.a**-2 + v2 * self.b**-2) + 1e-6
        d: Field = (1 - u2 - v2) / (2 * half_gradient)
        return np.minimum(d, self.inradius, out=d)


class Blob(Shape):
    """A smooth closed contour that is star-shaped about its centre.

    Parameters
    ----------
    points : sequence of (x, y)
        Where the contour passes, in any order.
    centre : (x, y), optional
        The mean of the points when left out.
    smooth : float
        Corners are rounded with this standard deviation, in degrees seen from the centre.
    bulge : array, optional
        Added to the radius, one value for each equal step of angle from −π on: bumps and dents.

    Attributes
    ----------
    angles, radius : array
        The contour as a table: direction and distance from the centre.
    """

    def __init__(
        self,
        points: Sequence[Point],
        centre: Point | None = None,
        smooth: float = 8.0,
        bulge: NDArray[np.float64] | None = None,
    ) -> None:
        px, py = np.asarray(points, float).T
        self.centre = (float(px.mean()), float(py.mean())) if centre is None else centre
        px, py = px - self.centre[0], py - self.centre[1]
        reach = np.hypot(px, py)
        # A power of two, see `distance`; 1024 directions are half a millimetre apart on a trunk.
        self.angles, self._directions = _turn(256 if reach.max() < 4 else 1024)
        angle = np.arctan2(py, px)
        order = np.argsort(angle)
        radius = _interpolate(self.angles, angle[order], reach[order])
        if bulge is not None:
            radius += _interpolate(self.angles, np.linspace(-math.pi, math.pi, len(bulge), False), bulge)
        # A Gaussian on the circle is a factor exp(−(kσ)²/2) on the k-th term of the Fourier series.
        spectrum = np.fft.rfft(radius)
        number = np.arange(len(spectrum))
        spectrum *= np.exp(-0.5 * (number * math.radians(smooth)) ** 2)
        slope = np.fft.irfft(1j * number * spectrum, len(self.angles))
        self.radius = np.maximum(np.fft.irfft(spectrum, len(self.angles)), 0.05)
        # The contour's normal leans from the ray by an angle whose tangent is r′/r.
        self._cosine = (self.radius / np.hypot(self.radius, slope)).astype(np.float32)

    @property
    def bounds(self) -> Bounds:
        """Extent of the contour."""
        x, y = self.radius * self._directions
        cx, cy = self.centre
        return Bounds(cx + float(x.min()), cx + float(x.max()), cy + float(y.min()), cy + float(y.max()))

    @property
    def inradius(self) -> float:
        """Shortest radius."""
        return float(self.radius.min())

    def at(self, angle: float, inset: float = 0.0) -> Point:
        """Return the point of the contour in a direction, moved inwards by ``inset``."""
        radius = float(np.interp(angle, self.angles, self.radius, period=2 * math.pi)) - inset
        return self.centre[0] + radius * math.cos(angle), self.centre[1] + radius * math.sin(angle)

    def grown(self, by: NDArray[np.float64] | float) -> Blob:
        """Return the contour moved outwards by a number, or by one value per entry of ``angles``."""
        other = Blob.__new__(Blob)
        other.__dict__.update(self.__dict__)
        other.radius = np.maximum(self.radius + by, 0.05)
        return other

    def distance(self, x: Field, y: Field) -> Field:
        """Return the radial distance times the cosine of the contour's slant."""
        dx, dy = x - self.centre[0], y - self.centre[1]
        size = len(self.angles)
        index = ((np.arctan2(dy, dx) + math.pi) * (size / (2 * math.pi))).astype(np.int32)
        index &= size - 1  # the angle π belongs to the first entry; `size` is a power of two
        d: Field = self.radius.astype(x.dtype).take(index)
        d -= np.sqrt(dx * dx + dy * dy)
        d *= self._cosine.take(index)
        return d


@dataclass(frozen=True)
class Stroke(Shape):
    """A polyline drawn with a round pen; one point makes a dot, two a capsule.

    ``radii`` is the pen's half-width, one for all or one for every point, between which it changes linearly.
    """

    points: Sequence[Point]
    radii: float | Sequence[float]

    @property
    def bounds(self) -> Bounds:
        """Extent of the points, widened by the largest half-width."""
        return _around_points(self.points, self.inradius)

    @property
    def inradius(self) -> float:
        """Largest half-width."""
        return self.radii if isinstance(self.radii, (int, float)) else max(self.radii)

    def distance(self, x: Field, y: Field) -> Field:
        """Return the greatest, over the segments, of half-width minus distance to the centre line."""
        points = tuple(self.points)
        segments = zip(points, points[1:] or points, strict=False)
        away_along = (_from_segment(x, y, start, end) for start, end in segments)
        if isinstance(self.radii, (int, float)):
            distance: Field = self.radii - np.sqrt(reduce(np.minimum, (away2 for away2, _ in away_along)))
            return distance
        pens = zip(self.radii, self.radii[1:] or self.radii, away_along, strict=False)
        return reduce(np.maximum, (r0 + along * (r1 - r0) - np.sqrt(away2) for r0, r1, (away2, along) in pens))


@dataclass(frozen=True)
class Arc(Shape):
    """A circular arc about ``(x, y)`` from ``start`` counter-clockwise over ``sweep``, drawn with a round pen.

    A sweep of 2π makes a ring. ``radius`` is that of the pen's path, ``pen`` the pen's half-width.
    """

    x: float
    y: float
    radius: float
    pen: float
    start: float = 0.0
    sweep: float = 2 * math.pi

    @property
    def bounds(self) -> Bounds:
        """A box about the ends and where the path turns."""
        stop, quarter = self.start + self.sweep, math.pi / 2
        turns = [quarter * k for k in range(math.ceil(self.start / quarter), math.floor(stop / quarter) + 1)]
        path = [(self.radius * math.cos(t), self.radius * math.sin(t)) for t in (self.start, *turns, stop)]
        return _around_points([(self.x + x, self.y + y) for x, y in path], self.pen)

    def distance(self, x: Field, y: Field) -> Field:
        """Return the exact distance."""
        # In the frame whose x axis halves the arc, the arc is mirror-symmetric: |angle| ≤ sweep/2.
        middle, half = self.start + self.sweep / 2, self.sweep / 2
        dx, dy = x - self.x, y - self.y
        along = dx * math.cos(middle) + dy * math.sin(middle)
        across = np.abs(dy * math.cos(middle) - dx * math.sin(middle))
        to_circle = np.abs(np.sqrt(dx * dx + dy * dy) - self.radius)
        end_x, end_y = self.radius * math.cos(half), self.radius * math.sin(half)
        to_end = np.sqrt((along - end_x) ** 2 + (across - end_y) ** 2)
        beside = np.arctan2(across, along) <= half
        return self.pen - np.where(beside, to_circle, to_end)


@dataclass(frozen=True)
class Polygon(Shape):
    """A simple polygon, its outline moved outwards by ``rounding`` so that its corners are round."""

    points: tuple[Point, ...]
    rounding: float = 0.0

    @property
    def bounds(self) -> Bounds:
        """A box about the corners."""
        return _around_points(self.points, self.rounding)

    def distance(self, x: Field, y: Field) -> Field:
        """Return the exact distance; inside a rounded polygon, that to the sharp one and the rounding."""
        sides = list(zip(self.points, self.points[1:] + self.points[:1], strict=True))
        nearest = np.sqrt(reduce(np.minimum, (_from_segment(x, y, start, end)[0] for start, end in sides)))
        inside = np.zeros(x.shape, dtype=bool)
        for start, end in sides:
            if start[1] != end[1]:  # even-odd rule along the ray to the right
                spans = (start[1] > y) != (end[1] > y)
                inside ^= spans & (x < start[0] + (y - start[1]) * (end[0] - start[0]) / (end[1] - start[1]))
        distance: Field = np.where(inside, nearest, -nearest) + self.rounding
        return distance


@dataclass(frozen=True)
class Screw(Shape):
    """A threaded shank cut along its axis, from its blunt end at ``start`` to its tapered tip at ``tip``.

    ``diameter`` is the outer one of the thread, ``depth`` the thread's, ``pitch`` the distance of neighbouring threads.
    """

    start: Point
    tip: Point
    diameter: float
    depth: float
    pitch: float

    @property
    def bounds(self) -> Bounds:
        """A box about the axis, as wide as the thread."""
        return _around_points((self.start, self.tip), self.diameter / 2)

    def distance(self, x: Field, y: Field) -> Field:
        """Return a lower bound of the distance."""
        length = math.dist(self.start, self.tip)
        ux, uy = (self.tip[0] - self.start[0]) / length, (self.tip[1] - self.start[1]) / length
        along = (x - self.start[0]) * ux + (y - self.start[1]) * uy
        offset = (y - self.start[1]) * ux - (x - self.start[0]) * uy
        # The crests of the two sides are half a pitch apart, as a helix has them.
        phase = (along / self.pitch + np.where(offset > 0, 0.0, 0.5)) % 1.0
        thread = self.diameter / 2 - self.depth * np.abs(2 * phase - 1)
        taper = np.maximum(length - along, 0.0) * 0.5 + 0.2 * self.diameter
        sides = np.minimum(thread, taper) - np.abs(offset)
        # A height above a slope is longer than the way to it, by the root of 1 + slope².
        slope = max(2 * self.depth / self.pitch, 0.5)
        # Across the axis the phase jumps, so nothing inside may claim to be deeper than the core.
        sides = np.minimum(sides / math.hypot(1.0, slope), self.diameter / 2 - self.depth)
        distance: Field = np.minimum(sides, np.minimum(along, length - along))
        return distance


@dataclass(frozen=True)
class Difference(Shape):
    """``shape`` without ``hole``."""

    shape: Shape
    hole: Shape

    @property
    def bounds(self) -> Bounds:
        """Box of the whole shape."""
        return self.shape.bounds

    @property
    def inradius(self) -> float:
        """That of the whole shape, an upper bound."""
        return self.shape.inradius

    def distance(self, x: Field, y: Field) -> Field:
        """Return the smaller of the distance inside the shape and outside the hole."""
        return np.minimum(self.shape.distance(x, y), -self.hole.distance(x, y))


@dataclass(frozen=True)
class Union(Shape):
    """Shapes as one, their meeting filleted with a radius of ``fillet`` (0: not at all)."""

    shapes: Sequence[Shape]
    fillet: float = 0.0

    @property
    def bounds(self) -> Bounds:
        """Box around all parts."""
        left, right, bottom, top = zip(*(shape.bounds for shape in self.shapes), strict=True)
        return Bounds(min(left), max(right), min(bottom), max(top))

    @property
    def inradius(self) -> float:
        """Largest of the parts."""
        return max(shape.inradius for shape in self.shapes)

    def distance(self, x: Field, y: Field) -> Field:
        """Return the greatest distance, with the polynomial smooth maximum where two parts are equally near."""
        best = self.shapes[0].distance(x, y)
        for shape in self.shapes[1:]:
            d = shape.distance(x, y)
            if self.fillet:
                blend = np.maximum(self.fillet - np.abs(best - d), 0)
                best = np.maximum(best, d) + blend * blend * (0.25 / self.fillet)
            else:
                best = np.maximum(best, d)
        return best


@dataclass(frozen=True)
class Moved(Shape):
    """A shape mirrored left to right (if so told), then turned, then shifted."""

    shape: Shape
    x: float = 0.0
    y: float = 0.0
    turn: float = 0.0
    mirror: bool = False

    @property
    def bounds(self) -> Bounds:
        """A box about the moved corners of the shape's own box."""
        left, right, bottom, top = self.shape.bounds
        cos, sin = math.cos(self.turn), math.sin(self.turn)
        corners = [(-x if self.mirror else x, y) for x in (left, right) for y in (bottom, top)]
        return _around_points([(self.x + x * cos - y * sin, self.y + x * sin + y * cos) for x, y in corners], 0.0)

    def distance(self, x: Field, y: Field) -> Field:
        """Return the distance that the shape tells of the points, taken back to its own frame."""
        cos, sin = math.cos(self.turn), math.sin(self.turn)
        dx, dy = x - self.x, y - self.y
        own_x = dx * cos + dy * sin
        return self.shape.distance(-own_x if self.mirror else own_x, dy * cos - dx * sin)


def disc(x: float, y: float, radius: float) -> Stroke:
    """Return a disc about ``(x, y)``: the dot of a round pen."""
    return Stroke(((x, y),), radius)


def members(shape: Shape) -> tuple[Shape, ...]:
    """Return the shapes that make up a union without fillets; a shape of another kind is its own only member."""
    return tuple(shape.shapes) if isinstance(shape, Union) and not shape.fillet else (shape,)


def union(*shapes: Shape) -> Shape:
    """Return several shapes as one, unions taken apart."""
    parts = [member for shape in shapes for member in members(shape)]
    return parts[0] if len(parts) == 1 else Union(tuple(parts))


def moved(shape: Shape, x: float = 0.0, y: float = 0.0, turn: float = 0.0, mirror: bool = False) -> Shape:
    """Return a shape mirrored left to right (if so told), turned and shifted, in this order."""
    return union(*(Moved(member, x, y, turn, mirror) for member in members(shape)))


def mirror(points: Sequence[Point], side: float) -> list[Point]:
    """Return the points as they are for ``side`` = 1, reflected left to right for −1."""
    return [(side * x, y) for x, y in points]


def arc(centre: Point, radii: Point, start: float, stop: float, count: int = 6, turn: float = 0.0) -> list[Point]:
    """Return ``count`` points of an arc of an ellipse, which is turned as a whole."""
    (x, y), (a, b), c, s = centre, radii, math.cos(turn), math.sin(turn)
    along = [(a * math.cos(t), b * math.sin(t)) for t in np.linspace(start, stop, count)]
    return [(x + u * c - v * s, y + u * s + v * c) for u, v in along]


def ring(centre: Point = (0.0, 0.0), radii: Point = (1.0, 1.0), count: int = 24, turn: float = 0.0) -> list[Point]:
    """Return ``count`` points of an ellipse."""
    return arc(centre, radii, 0.0, 2 * math.pi, count + 1, turn)[:-1]


def _from_segment(x: Field, y: Field, start: Point, end: Point) -> tuple[Field, Field]:
    """Return the squared distance of points from a segment, and where along it the nearest point lies, 0 … 1."""
    ex, ey = end[0] - start[0], end[1] - start[1]
    length2 = ex * ex + ey * ey + 1e-9  # a dot is a segment, too
    dx, dy = x - start[0], y - start[1]
    along = dx * (ex / length2) + dy * (ey / length2)
    np.maximum(along, 0, out=along)
    np.minimum(along, 1, out=along)
    dx -= along * ex
    dy -= along * ey
    return dx * dx + dy * dy, along


def _around_points(points: Iterable[Point], margin: float) -> Bounds:
    xs, ys = zip(*points, strict=True)
    return Bounds(min(xs) - margin, max(xs) + margin, min(ys) - margin, max(ys) + margin)


@lru_cache(maxsize=4)
def _turn(size: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """``size`` directions from −π to π, and their cosines and sines; shared by all contours of that size."""
    angles = np.linspace(-math.pi, math.pi, 2 * size + 1)[1::2]
    return angles, np.stack([np.cos(angles), np.sin(angles)])


def _interpolate(
    at: NDArray[np.float64], angle: NDArray[np.float64], value: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Linear interpolation on the circle; ``angle`` increases within [−π, π]."""
    angle = np.concatenate([[angle[-1] - 2 * math.pi], angle, [angle[0] + 2 * math.pi]])
    around: NDArray[np.float64] = np.interp(at, angle, np.concatenate([[value[-1]], value, [value[0]]]))
    return around
