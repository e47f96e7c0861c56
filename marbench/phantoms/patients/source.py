"""Procedural patients as a source of slices."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from marbench.anatomy.slices import Slice, Split
from marbench.geometry import ImageGrid
from marbench.phantoms import FIELD_OF_VIEW_CM
from marbench.phantoms.patients import abdomen, dental, head, hip, pelvis, shoulder, thorax
from marbench.phantoms.patients.canvas import AIR, Canvas, Pose
from marbench.phantoms.patients.couch import paint_couch
from marbench.phantoms.patients.person import Person, Stream
from marbench.phantoms.patients.roster import Roster
from marbench.phantoms.patients.texture import atlas
from marbench.phantoms.patients.torso import arm_room
from marbench.phantoms.shapes import Blob

__all__ = ["REGIONS", "ProceduralPatients"]

_TOP = 3000.0
_GOLDEN = (math.sqrt(5) - 1) / 2


@dataclass(frozen=True)
class _Region:
    """How a body region is painted.

    ``outline`` gives the skin contour, ``paint`` fills it; ``length`` (cm) is the stretch of body between levels 0
    and 1, ``width`` the range of body widths in cm, ``windows`` the display windows in HU; ``arms`` says whether the
    section may show arms beside the body. Slices lie between two ``levels``: where joints are, which get prostheses.
    """

    outline: Callable[[Person], Blob]
    paint: Callable[[Canvas, Person, Blob], None]
    length: float
    width: tuple[float, float]
    windows: tuple[tuple[float, float], ...]
    arms: bool = False
    levels: tuple[float, float] = (0.0, 1.0)


_SOFT: tuple[tuple[float, float], ...] = ((-160.0, 240.0), (-175.0, 275.0))
_BONE = (-450.0, 1050.0)
_LUNG = (-1500.0, 500.0)

REGIONS: Mapping[str, _Region] = {
    "abdomen": _Region(abdomen.outline, abdomen.paint, 24.0, (26.0, 38.5), _SOFT, arms=True),
    "hip": _Region(hip.outline, hip.paint, 12.0, (30.0, 38.5), (*_SOFT, _BONE), levels=(0.37, 0.55)),
    "dental": _Region(dental.outline, dental.paint, 7.0, (14.8, 19.0), (_SOFT[0], _BONE)),
    "thorax": _Region(thorax.outline, thorax.paint, 18.0, (27.0, 38.5), (*_SOFT, _LUNG), arms=True),
    "shoulder": _Region(shoulder.outline, shoulder.paint, 6.0, (33.0, 38.5), (*_SOFT, _BONE), levels=(0.12, 0.8)),
    "head": _Region(head.outline, head.paint, 12.0, (15.4, 19.5), (_SOFT[0], _BONE)),
    "pelvis": _Region(pelvis.outline, pelvis.paint, 12.0, (28.0, 38.5), (*_SOFT, _BONE)),
}


class ProceduralPatients:
    """Patients drawn at random: axial slices of seven body regions, the same on any grid.

    Parameters
    ----------
    seed : int
        Non-negative. With the split and the number of the patient it determines everything.
    counts : mapping of split to (patients, slices)
        How many patients and, spread evenly over them, how many slices a split has.
    field_of_view_cm : float
        Width of the picture in which bodies have their true size; 40 or more shows them whole. A grid with another
        field of view shows the same picture scaled to it, as benchmarks built on resampled clinical slices do.
    regions : sequence of str, optional
        Of `REGIONS`, which take turns over the patients; by default all.

    Notes
    -----
    A slice is a function of (seed, patient, slice, grid) alone. Regions take turns over the patients of a split.
    """

    def __init__(
        self,
        seed: int,
        counts: Mapping[Split, tuple[int, int]],
        field_of_view_cm: float = FIELD_OF_VIEW_CM,
        regions: Sequence[str] | None = None,
    ) -> None:
        self._roster = Roster(seed, counts, "p")
        self._width = field_of_view_cm
        self._regions = tuple(REGIONS if regions is None else regions)

    def patients(self, split: Split) -> Mapping[str, tuple[str, ...]]:
        """Return the slice ids of every patient of a split, e.g. ``{"test-p000": ("test-p000-s0", …)}``."""
        return self._roster.patients(split)

    def region(self, patient_id: str, slice_id: str) -> str:
        """Return the body region of a slice, one of `REGIONS`."""
        return self._regions[self._roster.find(patient_id, slice_id)[1] % len(self._regions)]

    def load(self, patient_id: str, slice_id: str, grid: ImageGrid) -> Slice:
        """Return a slice on a grid.

        Raises
        ------
        DataError
            The ids are not those that `patients` returns.
        """
        split, patient, number = self._roster.find(patient_id, slice_id)
        turn, name = patient // len(self._regions), self.region(patient_id, slice_id)
        region = REGIONS[name]
        entropy, own = self._roster.entropy(split, patient), self._roster.slices(split, patient)
        person = _person(entropy, turn, number, own, region)
        image = _render(person, region, grid, self._width, self._roster.texture_seed(split))
        window = region.windows[person.stream("window").count(0, len(region.windows) - 1)]
        return Slice(image, window, patient_id, slice_id, name)


def _person(entropy: tuple[int, ...], turn: int, number: int, slices: int, region: _Region) -> Person:
    """The patient at the table position of slice ``number``; patients of one region start at well-spread levels."""
    stream = Stream((*entropy, 0), 0.0)
    low, high = region.levels
    length = region.length * (high - low)
    spacing = min(stream.uniform(0.8, 2.5), 0.8 * length / max(slices - 1, 1))
    span = spacing * (slices - 1) / length
    # Steps by the golden ratio fill the region evenly, however many patients of it there are.
    start = (stream.uniform(0, 0.25) + entropy[0] * _GOLDEN + turn * _GOLDEN) % 1.0 * (1 - span)
    level = low + (high - low) * (start + number * spacing / length)
    return Person(entropy, number, number * spacing, level)


def _render(person: Person, region: _Region, grid: ImageGrid, width: float, texture_seed: int) -> NDArray[np.float32]:
    """Pose the person in the field of view, paint table and body, clip."""
    skin = region.outline(person)
    pose, table_top = _pose(person, skin, region, width * grid.rows / grid.columns)
    shift = person.stream("texture").uniform(0, 41), person.stream("texture", fresh=True).uniform(0, 41)
    canvas = Canvas(grid.shape, width, pose, atlas(texture_seed, round(width / grid.columns, 6)), shift)
    paint_couch(canvas, person, table_top)
    region.paint(canvas, person, skin)
    return np.clip(canvas.image, AIR, _TOP, out=canvas.image)


def _pose(person: Person, skin: Blob, region: _Region, height: float) -> tuple[Pose, float]:
    """Stretch, turn and shift that put the whole body into the field of view; and where the table top then is."""
    stream = person.stream("pose")
    left, right, bottom, top = skin.bounds
    scale = stream.uniform(0.93, 1.07)
    sx, sy = scale * stream.uniform(0.96, 1.02), scale * stream.uniform(0.99, 1.12)
    wanted = min(max((right - left) * sx, region.width[0]), region.width[1])
    arms = arm_room(person, skin) if region.arms else 0.0
    # The table takes the lowest fifth of the picture, and nothing may touch its border.
    fit = min(wanted / ((right - left) * sx), 0.78 * height / ((top - bottom) * sy))
    fit = min(fit, 39.4 / ((right - left + 2 * arms) * sx))
    sx, sy = sx * fit, sy * fit
    angle = stream.normal(0, 0.035)
    room_x, room_y = 19.9 - (0.5 * (right - left) + arms) * sx, 15.8 - 0.5 * (top - bottom) * sy
    x = -0.5 * (left + right) * sx + stream.uniform(-0.5, 0.5) * min(max(room_x, 0), 2.0)
    y = -0.5 * (bottom + top) * sy + 1.2 + stream.uniform(-0.5, 0.3) * min(max(room_y, 0), 3.0)
    waves = tuple(
        (
            stream.uniform(0.05, 0.2),
            stream.uniform(0.12, 0.4) * (1 if stream.chance(0.5) else -1),
            stream.uniform(0.12, 0.4),
            stream.uniform(0, 2 * math.pi) + 0.15 * person.z,
            stream.uniform(0, 2 * math.pi) + 0.15 * person.z,
        )
        for _ in range(3)
    )
    return Pose((x, y), angle, (sx, sy), waves), y + bottom * sy - stream.uniform(0.1, 0.5)
