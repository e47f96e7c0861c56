"""Random scenes: no anatomy at all, for training networks that must not lean on one.

Blobs, bones, gas and vessels of any shape and density lie at random in a random body on a random table.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from marbench.anatomy.slices import Slice, Split
from marbench.geometry import ImageGrid
from marbench.phantoms.patients.canvas import AIR, Canvas, Pose, Tissue
from marbench.phantoms.patients.couch import paint_couch
from marbench.phantoms.patients.person import Person, Stream
from marbench.phantoms.patients.roster import Roster
from marbench.phantoms.patients.texture import atlas
from marbench.phantoms.patients.tissues import GAS, fat, muscle
from marbench.phantoms.patients.torso import shell
from marbench.phantoms.shapes import Blob, Difference, Ellipse, Field, Point, Shape, Stroke, Union, ring

__all__ = ["RandomScenes"]

_TOP = 3000.0
_WINDOWS = ((-160.0, 240.0), (-175.0, 275.0), (-450.0, 1050.0))


class RandomScenes:
    """Slices of random shapes in the density range of CT, the same on any grid.

    Parameters
    ----------
    seed : int
        Non-negative.
    counts : mapping of split to (patients, slices)
        As in `ProceduralPatients`. The slices of one patient share the body and the table, not what is inside.
    field_of_view_cm : float
        Nominal width of the picture.
    """

    def __init__(self, seed: int, counts: Mapping[Split, tuple[int, int]], field_of_view_cm: float = 40.96) -> None:
        self._roster = Roster(seed, counts, "r")
        self._width = field_of_view_cm

    def patients(self, split: Split) -> Mapping[str, tuple[str, ...]]:
        """Return the slice ids of every patient of a split, e.g. ``{"train-r000": ("train-r000-s0", …)}``."""
        return self._roster.patients(split)

    def region(self, patient_id: str, slice_id: str) -> str:
        """Return "scene": no region of a body."""
        return "scene"

    def load(self, patient_id: str, slice_id: str, grid: ImageGrid) -> Slice:
        """Return a slice on a grid.

        Raises
        ------
        DataError
            The ids are not those that `patients` returns.
        """
        split, patient, number = self._roster.find(patient_id, slice_id)
        person = Person(self._roster.entropy(split, patient), number, float(number), 0.5)
        skin, pose = _body(person, self._width * grid.rows / grid.columns)
        shift = person.stream("texture", fresh=True).uniform(0, 41), person.stream("texture").uniform(0, 41)
        fields = atlas(self._roster.texture_seed(split), round(self._width / grid.columns, 6))
        canvas = Canvas(grid.shape, self._width, pose, fields, shift)
        paint_couch(canvas, person, pose.shift[1] + skin.bounds.bottom - person.stream("gap").uniform(0.2, 1.0))
        _fill(canvas, person, skin)
        image = np.clip(canvas.image, AIR, _TOP, out=canvas.image)
        window = _WINDOWS[person.stream("window").count(0, len(_WINDOWS) - 1)]
        return Slice(image, window, patient_id, slice_id, "scene")


def _body(person: Person, height: float) -> tuple[Blob, Pose]:
    stream = person.stream("body")
    a = stream.uniform(6.5, 18.0)
    b = min(a * stream.uniform(0.5, 1.1), 0.39 * height)
    power = stream.uniform(1.7, 3.5)
    outline = [(a * _power(c, 2 / power), b * _power(s, 2 / power)) for c, s in ring()]
    skin = Blob(outline, (0.0, 0.0), smooth=6, bulge=stream.bumps(0.035 * a, 8))
    room = max(0.0, 18.8 - a)
    shift = stream.uniform(-0.4, 0.4) * room, 1.0 + stream.uniform(-0.3, 0.3) * max(0.0, 14.5 - b)
    between, turn = stream.uniform, 2 * math.pi
    waves = tuple(
        (between(0.05, 0.35), between(-0.5, 0.5), between(0.1, 0.5), between(0, turn), between(0, turn))
        for _ in range(4)
    )
    return skin, Pose(shift, stream.normal(0, 0.1), (1.0, 1.0), waves)


def _power(value: float, exponent: float) -> float:
    return math.copysign(abs(value) ** exponent, value)


def _fill(canvas: Canvas, person: Person, skin: Blob) -> None:
    """Paint the body in layers, then everything in it in random order."""
    stream = person.stream("scene", fresh=True)
    frame = skin.grown(-stream.uniform(0.2, 3.5))
    inside = shell(canvas, person, skin, frame, muscle(person) if stream.chance(0.6) else fat(person))
    if stream.chance(0.7):
        cavity = Blob(
            [(stream.uniform(0.5, 0.9) * x, stream.uniform(0.5, 0.9) * y) for x, y in _outline(frame)], smooth=10
        )
        filling = fat(person) if stream.chance(0.6) else Tissue(stream.uniform(-880, -700), soft=25, vessels=500)
        canvas.paint(cavity, filling, inside, rough=0.15)
    left, right, bottom, top = frame.bounds
    reach = 0.5 * math.hypot(right - left, top - bottom) / 12

    def place() -> Point:
        # The root makes the places even over the area.
        angle, radius = stream.uniform(0, 2 * math.pi), math.sqrt(stream.uniform(0, 0.9))
        return 0.5 * (right - left) * radius * math.cos(angle), 0.5 * (top - bottom) * radius * math.sin(angle)

    painters = [_organ] * stream.count(2, 14) + [_bone] * stream.count(1, 12) + [_gas] * stream.count(0, 8)
    painters += [_vessel] * stream.count(0, 10) + [_chip] * stream.count(0, 5)
    for k in stream.shuffled(len(painters)):
        painters[k](canvas, person, stream, place(), reach, inside)


def _outline(frame: Blob) -> list[Point]:
    return [frame.at(angle) for angle in np.linspace(-math.pi, math.pi, 14, endpoint=False)]


def _shape(stream: Stream, centre: Point, size: float) -> Shape:
    """An ellipse, a lobed blob, a crescent, a bent rod or a union of rods."""
    x, y = centre
    kind = stream.count(0, 4)
    turn, long = stream.uniform(0, math.pi), size * stream.uniform(0.5, 1.2)
    wide = long * stream.uniform(0.35, 1.0)
    if kind == 0:
        return Ellipse(x, y, long, wide, turn)
    blob = Blob(ring(centre, (long, wide), turn=turn), centre, bulge=stream.bumps(0.2 * wide, 9))
    if kind == 1:
        return blob
    if kind == 2:
        return Difference(blob, Ellipse(x + 0.6 * wide, y + 0.4 * wide, long, 0.7 * wide, turn))
    rods: list[Shape] = []
    for _ in range(stream.count(1, 3) if kind == 4 else 1):
        heading, path = stream.uniform(0, 2 * math.pi), [centre]
        for _ in range(stream.count(1, 4)):
            heading += stream.normal(0, 0.6)
            step = 0.7 * long
            path.append((path[-1][0] + step * math.cos(heading), path[-1][1] + step * math.sin(heading)))
        rods.append(Stroke(path, [0.35 * wide * stream.uniform(0.5, 1.3) + 0.08 for _ in path]))
    return Union(rods, fillet=0.3)


def _organ(canvas: Canvas, person: Person, stream: Stream, at: Point, reach: float, inside: Field) -> None:
    shape = _shape(stream, at, reach * stream.uniform(0.8, 4.5))
    tissue = Tissue(stream.uniform(-120, 200), soft=stream.uniform(2, 15), fine=stream.uniform(0, 25), strands=-30)
    canvas.paint(shape, tissue, inside, rough=stream.uniform(0.02, 0.2))


def _bone(canvas: Canvas, person: Person, stream: Stream, at: Point, reach: float, inside: Field) -> None:
    shape = _shape(stream, at, reach * stream.uniform(0.4, 2.6))
    density, cortex = stream.uniform(0.6, 1.6), stream.uniform(0.05, 0.4)
    canvas.bone(shape, cortex, density, stream.uniform(40, 450), inside, rough=stream.uniform(0.02, 0.12))


def _gas(canvas: Canvas, person: Person, stream: Stream, at: Point, reach: float, inside: Field) -> None:
    shape = _shape(stream, at, reach * stream.uniform(0.15, 1.8))
    box = canvas.box(shape.bounds, 0.8)
    d = np.minimum(canvas.distance(shape, box, 0.08), inside[box])
    canvas.fill(d + np.float32(0.2), Tissue(45, soft=8), box)
    if stream.chance(0.5):  # a level, with fluid or contrast medium below it
        content = Tissue(stream.uniform(0, 60) if stream.chance(0.7) else stream.uniform(100, 500), soft=12, fine=15)
        canvas.fill(d, content, box)
        d = np.minimum(d, canvas.y[box] - np.float32(at[1] + stream.uniform(-0.5, 0.5) * reach))
    canvas.fill(d, GAS, box)


def _vessel(canvas: Canvas, person: Person, stream: Stream, at: Point, reach: float, inside: Field) -> None:
    radius = reach * stream.uniform(0.15, 0.9)
    disc = Ellipse(*at, radius, radius * stream.uniform(0.6, 1.0), stream.uniform(0, math.pi))
    canvas.paint(disc, Tissue(stream.uniform(30, 450), soft=4), inside, rough=0.03)


def _chip(canvas: Canvas, person: Person, stream: Stream, at: Point, reach: float, inside: Field) -> None:
    """A small dense thing: calcium, a tooth, a pill."""
    size = reach * stream.uniform(0.08, 0.45)
    chip = Ellipse(*at, size, size * stream.uniform(0.4, 1.0), stream.uniform(0, math.pi))
    canvas.paint(chip, Tissue(stream.uniform(300, 2700), fine=120), inside, rough=0.04)
