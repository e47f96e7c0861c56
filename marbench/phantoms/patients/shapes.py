"""Plane shapes known by their distance to the border, from which coverage of a pixel and bone cortex follow.

Every shape returns a distance in cm, positive inside, exact or first-order correct near its border.
Coordinates are the patient's: x to the right of the picture, y towards the chest.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["Blob", "Bounds", "Difference", "Ellipse", "Field", "Point", "Shape", "Stroke", "Union", "arc", "mirror"]

Field = NDArray[np.float32]
Point = tuple[float, float]
Bounds = tuple[float, float, float, float]  # left, right, bottom, top in cm
_TINY = np.float32(1e-6)


class Shape(Protocol):
    """A region of the plane."""

    @property
    def bounds(self) -> Bounds:
        """A box that contains the region."""
        ...

    @property
    def inradius(self) -> float:
        """Greatest distance that occurs, cm."""
        ...

    def distance(self, x: Field, y: Field) -> Field:
        """Distance to the border in cm, positive inside."""
        ...


@dataclass(frozen=True)
class Ellipse:
    """An ellipse of half axes ``a`` and ``b`` (cm) turned by ``angle`` (radians)."""

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
        return self.x - w, self.x + w, self.y - h, self.y + h

    @property
    def inradius(self) -> float:
        """Smaller half axis."""
        return min(self.a, self.b)

    def distance(self, x: Field, y: Field) -> Field:
        """First-order distance (1 − q)/|∇q| of the quadratic form q."""
        c, s = math.cos(self.angle), math.sin(self.angle)
        dx, dy = x - np.float32(self.x), y - np.float32(self.y)
        u = dx * np.float32(c / self.a) + dy * np.float32(s / self.a)
        v = dy * np.float32(c / self.b) - dx * np.float32(s / self.b)
        u2, v2 = u * u, v * v
        gradient = np.sqrt(u2 * np.float32(self.a**-2) + v2 * np.float32(self.b**-2)) + _TINY
        d: Field = (1 - u2 - v2) / (2 * gradient)
        return np.minimum(d, np.float32(min(self.a, self.b)), out=d)


class Blob:
    """A smooth closed contour that is star-shaped about its centre.

    Parameters
    ----------
    points : sequence of (x, y)
        Where the contour passes, in any order, in cm.
    centre : (x, y), optional
        The mean of the points when left out.
    smooth : float
        Corners are rounded with this standard deviation, in degrees seen from the centre.
    bulge : array, optional
        Added to the radius (cm), one value for each equal step of angle from −π on: bumps and dents.

    Attributes
    ----------
    angles, radius : array
        The contour as a table: direction in radians and distance from the centre in cm.
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
        self.angles, self._directions = _turn(256 if reach.max() < 4 else 1024)
        angle = np.arctan2(py, px)
        order = np.argsort(angle)
        radius = _around(self.angles, angle[order], reach[order])
        if bulge is not None:
            radius += _around(self.angles, np.linspace(-math.pi, math.pi, len(bulge), False), bulge)
        spectrum = np.fft.rfft(radius)
        number = np.arange(len(spectrum))
        spectrum *= np.exp(-0.5 * (number * math.radians(smooth)) ** 2)
        slope = np.fft.irfft(1j * number * spectrum, len(self.angles))
        self.radius = np.maximum(np.fft.irfft(spectrum, len(self.angles)), 0.05)
        self._cosine = (self.radius / np.hypot(self.radius, slope)).astype(np.float32)

    @property
    def bounds(self) -> Bounds:
        """Extent of the contour."""
        x, y = self.radius * self._directions
        cx, cy = self.centre
        return cx + float(x.min()), cx + float(x.max()), cy + float(y.min()), cy + float(y.max())

    @property
    def inradius(self) -> float:
        """Shortest radius."""
        return float(self.radius.min())

    def at(self, angle: float, inset: float = 0.0) -> Point:
        """Point of the contour in a direction (radians), moved inwards by ``inset`` cm."""
        radius = float(np.interp(angle, self.angles, self.radius, period=2 * math.pi)) - inset
        return self.centre[0] + radius * math.cos(angle), self.centre[1] + radius * math.sin(angle)

    def grown(self, by: NDArray[np.float64] | float) -> Blob:
        """Return the contour moved outwards by ``by`` cm, a number or one value per entry of ``angles``."""
        other = Blob.__new__(Blob)
        other.__dict__.update(self.__dict__)
        other.radius = np.maximum(self.radius + by, 0.05)
        return other

    def distance(self, x: Field, y: Field) -> Field:
        """Radial distance times the cosine of the contour's slant."""
        dx, dy = x - np.float32(self.centre[0]), y - np.float32(self.centre[1])
        size = len(self.angles)
        index = ((np.arctan2(dy, dx) + np.float32(math.pi)) * np.float32(size / (2 * math.pi))).astype(np.int32)
        index &= size - 1
        d: Field = self.radius.astype(np.float32).take(index)
        d -= np.sqrt(dx * dx + dy * dy)
        d *= self._cosine.take(index)
        return d


@lru_cache(maxsize=4)
def _turn(size: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """``size`` directions from −π to π, and their cosines and sines; shared by all contours of that size."""
    angles = np.linspace(-math.pi, math.pi, 2 * size + 1)[1::2]
    return angles, np.stack([np.cos(angles), np.sin(angles)])


def _around(at: NDArray[np.float64], angle: NDArray[np.float64], value: NDArray[np.float64]) -> NDArray[np.float64]:
    """Linear interpolation on the circle; ``angle`` increases within [−π, π]."""
    angle = np.concatenate([[angle[-1] - 2 * math.pi], angle, [angle[0] + 2 * math.pi]])
    around: NDArray[np.float64] = np.interp(at, angle, np.concatenate([[value[-1]], value, [value[0]]]))
    return around


class Stroke:
    """A chain of segments with a half-width that changes linearly along each: ribs, processes, vessels.

    Parameters
    ----------
    points : sequence of (x, y)
        The centre line, cm.
    radii : float or sequence of float
        Half-width at every point, cm.
    """

    def __init__(self, points: Sequence[Point], radii: float | Sequence[float]) -> None:
        self.points = list(points)
        self.radii = [radii] * len(self.points) if isinstance(radii, (int, float)) else list(radii)

    @property
    def bounds(self) -> Bounds:
        """Extent of the points, widened by the largest half-width."""
        xs, ys = [p[0] for p in self.points], [p[1] for p in self.points]
        r = max(self.radii)
        return min(xs) - r, max(xs) + r, min(ys) - r, max(ys) + r

    @property
    def inradius(self) -> float:
        """Largest half-width."""
        return max(self.radii)

    def distance(self, x: Field, y: Field) -> Field:
        """Greatest, over the segments, of half-width minus distance to the centre line."""
        best: Field | None = None
        for (x0, y0), (x1, y1), r0, r1 in zip(self.points, self.points[1:], self.radii, self.radii[1:], strict=False):
            ex, ey = x1 - x0, y1 - y0
            length2 = ex * ex + ey * ey + 1e-9
            dx, dy = x - np.float32(x0), y - np.float32(y0)
            t = dx * np.float32(ex / length2) + dy * np.float32(ey / length2)
            np.maximum(t, 0, out=t)
            np.minimum(t, 1, out=t)
            dx -= t * np.float32(ex)
            dy -= t * np.float32(ey)
            d = np.float32(r0) + t * np.float32(r1 - r0) - np.sqrt(dx * dx + dy * dy)
            best = d if best is None else np.maximum(best, d, out=best)
        assert best is not None
        return best


class Union:
    """Shapes grown together, their meeting filleted with a radius of ``fillet`` cm."""

    def __init__(self, shapes: Sequence[Shape], fillet: float = 0.0) -> None:
        self.shapes = list(shapes)
        self.fillet = fillet

    @property
    def bounds(self) -> Bounds:
        """Box around all parts."""
        left, right, bottom, top = zip(*(s.bounds for s in self.shapes), strict=True)
        return min(left), max(right), min(bottom), max(top)

    @property
    def inradius(self) -> float:
        """Largest of the parts."""
        return max(shape.inradius for shape in self.shapes)

    def distance(self, x: Field, y: Field) -> Field:
        """Greatest distance, with the polynomial smooth maximum where two parts are equally near."""
        best = self.shapes[0].distance(x, y)
        for shape in self.shapes[1:]:
            d = shape.distance(x, y)
            if self.fillet:
                blend = np.maximum(np.float32(self.fillet) - np.abs(best - d), 0)
                best = np.maximum(best, d) + blend * blend * np.float32(0.25 / self.fillet)
            else:
                best = np.maximum(best, d)
        return best


class Difference:
    """``shape`` without ``hole``."""

    def __init__(self, shape: Shape, hole: Shape) -> None:
        self.shape, self.hole = shape, hole

    @property
    def bounds(self) -> Bounds:
        """Box of the whole shape."""
        return self.shape.bounds

    @property
    def inradius(self) -> float:
        """That of the whole shape, an upper bound."""
        return self.shape.inradius

    def distance(self, x: Field, y: Field) -> Field:
        """Smaller of the distance inside the shape and outside the hole."""
        return np.minimum(self.shape.distance(x, y), -self.hole.distance(x, y))


def mirror(points: Sequence[Point], side: float) -> list[Point]:
    """Return the points as they are for ``side`` = 1, reflected left to right for −1."""
    return [(side * x, y) for x, y in points]


def arc(centre: Point, radii: Point, start: float, stop: float, count: int = 6) -> list[Point]:
    """Return ``count`` points of an elliptical arc; angles in radians."""
    angles = np.linspace(start, stop, count)
    return [(centre[0] + radii[0] * math.cos(t), centre[1] + radii[1] * math.sin(t)) for t in angles]
