"""The canvas: tissues are painted one over the other, each with its exact share of every pixel."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from marbench.phantoms.patients.texture import Atlas
from marbench.phantoms.shapes import Bounds, Field, Shape

__all__ = ["AIR", "EVERYWHERE", "Box", "Canvas", "Pose", "Tissue"]

AIR = -1000.0
Box = tuple[slice, slice]
EVERYWHERE: Box = (slice(None), slice(None))


@dataclass(frozen=True)
class Tissue:
    """Mean HU, and what the random fields of `Atlas` add to it (HU for one standard deviation or full strength)."""

    hu: float
    soft: float = 0.0
    fine: float = 0.0
    trabecular: float = 0.0
    strands: float = 0.0
    vessels: float = 0.0


@dataclass(frozen=True)
class Pose:
    """How the reference patient lies in the field of view.

    Attributes
    ----------
    shift : (x, y)
        Of the patient's origin, cm.
    angle : float
        Turn about the long axis, radians.
    scale : (sx, sy)
        Stretch of the reference anatomy.
    waves : tuple of (amplitude cm, wave number 1/cm in x, in y, phase, phase)
        Smooth displacement of everything.
    """

    shift: tuple[float, float] = (0.0, 0.0)
    angle: float = 0.0
    scale: tuple[float, float] = (1.0, 1.0)
    waves: tuple[tuple[float, float, float, float, float], ...] = ()


class Canvas:
    """An image in HU under construction.

    ``x``, ``y`` are every pixel's coordinates in the patient, ``table`` in the scanner, cm; ``body`` is the distance
    to the skin (positive inside) once the skin is painted, and then nothing is painted outside it but by `blend`.

    Parameters
    ----------
    shape : (rows, columns)
    width : float
        Nominal width of the field of view, cm.
    pose : Pose
    fields : Atlas
        For this pixel size.
    texture_shift : (x, y)
        Which part of the periodic fields the patient shows, cm.
    """

    def __init__(
        self,
        shape: tuple[int, int],
        width: float,
        pose: Pose,
        fields: Atlas,
        texture_shift: tuple[float, float],
    ) -> None:
        rows, columns = shape
        self.pixel = width / columns
        self._pose = pose
        self._shape = shape
        table_x = ((np.arange(columns) - (columns - 1) / 2) * self.pixel).astype(np.float32)[None, :]
        table_y = (((rows - 1) / 2 - np.arange(rows)) * self.pixel).astype(np.float32)[:, None]
        self.table = (np.broadcast_to(table_x, shape), np.broadcast_to(table_y, shape))
        self.x, self.y = _patient_coordinates(table_x, table_y, pose)
        c, s = math.cos(pose.angle), math.sin(pose.angle)
        # Columns of the matrix from patient to scanner; what the waves add to it is in the reach.
        self._to_table = (c * pose.scale[0], -s * pose.scale[1]), (s * pose.scale[0], c * pose.scale[1])
        self._reach = self.pixel + sum(abs(wave[0]) for wave in pose.waves)
        # Pixels to a cm of the patient, a mean of both axes: a distance does not tell its direction.
        self._ramp = np.float32(math.sqrt(pose.scale[0] * pose.scale[1]) / self.pixel)
        self._fields = fields
        self._index = Atlas.index(self.x, self.y, texture_shift)
        self._sampled: dict[str, Field] = {}
        self.image = np.full(shape, AIR, np.float32)
        self.body = np.full(shape, np.inf, np.float32)

    def field(self, name: str) -> Field:
        """Return a random field of the atlas on the whole image."""
        if name not in self._sampled:
            self._sampled[name] = getattr(self._fields, name).take(self._index)
        return self._sampled[name]

    def box(self, bounds: Bounds, margin: float = 0.3) -> Box:
        """Return the part of the image that shows everything within ``bounds`` (patient, cm)."""
        left, right, bottom, top = bounds
        (xx, xy), (yx, yy) = self._to_table
        middle_x, middle_y = 0.5 * (left + right), 0.5 * (bottom + top)
        half_x, half_y = 0.5 * (right - left), 0.5 * (top - bottom)
        x = xx * middle_x + xy * middle_y + self._pose.shift[0]
        y = yx * middle_x + yy * middle_y + self._pose.shift[1]
        pad = margin + self._reach
        wide, high = abs(xx) * half_x + abs(xy) * half_y + pad, abs(yx) * half_x + abs(yy) * half_y + pad
        rows, columns = self._shape
        c0, c1 = math.floor((x - wide) / self.pixel + columns / 2), math.ceil((x + wide) / self.pixel + columns / 2)
        # Rows are counted from the top, y from below.
        r0, r1 = math.floor(rows / 2 - (y + high) / self.pixel), math.ceil(rows / 2 - (y - high) / self.pixel)
        return slice(min(max(r0, 0), rows), max(r1, 0)), slice(min(max(c0, 0), columns), max(c1, 0))

    def distance(self, shape: Shape, box: Box = EVERYWHERE, rough: float = 0.0) -> Field:
        """Distance to a shape's border; ``rough`` (cm) makes the border uneven."""
        d: Field = shape.distance(self.x[box], self.y[box])
        if rough:
            d += np.float32(rough) * (self.field("soft")[box] + np.float32(0.35) * self.field("fine")[box])
        return d

    def coverage(self, distance: Field) -> Field:
        """Share of a pixel that lies inside, from the distance at its centre."""
        share: Field = distance * self._ramp
        share += np.float32(0.5)
        np.maximum(share, 0, out=share)
        return np.minimum(share, 1, out=share)

    def share(self, distance: Field, inradius: float) -> Field:
        """As `coverage`, of a shape of the given inradius (cm): right also where it is thinner than a pixel."""
        share = self.coverage(distance)
        # Across a thin shape the share rises at one border and falls at the other before it has reached 1.
        if 2 * inradius * self._ramp < 1:
            share -= self.coverage(distance - np.float32(2 * inradius))
        return share

    def value(self, tissue: Tissue, box: Box = EVERYWHERE) -> Field:
        """HU of a tissue with its texture."""
        total: Field = np.full((1, 1), tissue.hu, np.float32)
        for name in ("soft", "fine", "trabecular", "strands", "vessels"):
            amplitude = getattr(tissue, name)
            if amplitude:
                total = total + np.float32(amplitude) * self.field(name)[box]
        return total

    def blend(self, share: Field, value: Field, box: Box = EVERYWHERE) -> None:
        """Replace ``share`` of every pixel of the box by ``value`` (HU)."""
        target = self.image[box]
        target += share * (value - target)

    def fill(self, distance: Field, tissue: Tissue, box: Box = EVERYWHERE) -> None:
        """Paint the part of the box where a distance field is positive."""
        self.blend(self.coverage(distance), self.value(tissue, box), box)

    def paint(self, shape: Shape, tissue: Tissue, within: Field | None = None, rough: float = 0.0) -> None:
        """Paint a shape, no further than where the distance field ``within`` (whole image) is positive."""
        box = self.box(shape.bounds, 0.3 + 2.5 * rough)
        d = np.minimum(self.distance(shape, box, rough), self.body[box])
        if within is not None:
            np.minimum(d, within[box], out=d)
        self.blend(self.share(d, shape.inradius), self.value(tissue, box), box)

    def line(self, shape: Shape, half_width: float, tissue: Tissue, within: Field | None = None) -> None:
        """Paint the border of a shape as a line that fades in places; right also where thinner than a pixel."""
        box = self.box(shape.bounds, 0.3 + half_width)
        d = np.float32(half_width) - np.abs(self.distance(shape, box))
        share = self.share(d, half_width)
        share *= np.clip(self.field("soft")[box] + np.float32(1.5), 0, 1)
        if within is not None:
            share *= self.coverage(within[box])
        self.blend(share, self.value(tissue, box), box)

    def bone(
        self,
        shape: Shape,
        cortex: float = 0.13,
        density: float = 1.0,
        marrow: float = 160.0,
        within: Field | None = None,
        rough: float = 0.03,
    ) -> None:
        """Paint a bone: a cortical shell of ``cortex`` cm over trabecular bone of mean ``marrow`` HU (at density 1).

        The thicker the cortex, the denser it is; trabecular bone thickens towards it.
        """
        box = self.box(shape.bounds, 0.3 + 2.5 * rough)
        d = np.minimum(self.distance(shape, box, rough), self.body[box] - np.float32(0.3))
        if within is not None:
            np.minimum(d, within[box], out=d)
        fine, soft = self.field("fine")[box], self.field("soft")[box]
        uneven = np.float32(0.5) * self.field("broad")[box] + np.float32(0.25) * soft + np.float32(0.1) * fine
        thickness = np.float32(min(cortex, 0.4)) * np.clip(1 + uneven, np.float32(0.35), np.float32(2))
        shell = d - thickness
        solid = 600 + 2300 * np.minimum(thickness, np.float32(0.34))  # a thin cortex is porous
        compact = np.float32(density) * (solid + np.float32(60) * fine + np.float32(80) * soft)
        near = np.exp(np.minimum(shell * np.float32(-1 / 0.22), 0))
        struts = self.field("trabecular")[box] * (np.float32(32 * density) + np.float32(45 * density) * near)
        spongy = np.float32(marrow * density) + struts + np.float32(170 * density) * near + np.float32(40) * soft
        inner = self.coverage(shell)
        self.blend(self.share(d, shape.inradius), compact + inner * (spongy - compact), box)


def _patient_coordinates(table_x: Field, table_y: Field, pose: Pose) -> tuple[Field, Field]:
    """Where in the reference patient every pixel lies: shift, turn, stretch and smooth displacement undone."""
    c, s = np.float32(math.cos(pose.angle)), np.float32(math.sin(pose.angle))
    x, y = table_x - np.float32(pose.shift[0]), table_y - np.float32(pose.shift[1])
    qx = ((c * x + s * y) / pose.scale[0]).astype(np.float32, copy=False)
    qy = ((c * y - s * x) / pose.scale[1]).astype(np.float32, copy=False)
    dx, dy = np.zeros_like(qx), np.zeros_like(qy)
    for amplitude, kx, ky, phase_x, phase_y in pose.waves:
        argument = np.float32(kx) * qx + np.float32(ky) * qy
        dx += np.float32(amplitude) * np.sin(argument + np.float32(phase_x))
        dy += np.float32(amplitude) * np.sin(argument + np.float32(phase_y))
    qx += dx
    qy += dy
    return qx, qy
