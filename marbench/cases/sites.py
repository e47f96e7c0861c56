"""Where in a slice the places of implants are looked for: a table, in the terms of an axial picture.

Lengths are in reference pixels, about millimetres; x to the right of the picture (the patient's left), y to the front.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from marbench.phantoms.implants.dental import place
from marbench.phantoms.implants.metal import Place

__all__ = ["REACH", "SITES", "Disc", "Face", "Site", "Sought"]

Sought = Literal["solid", "dense", "bone", "hard", "soft", "blood"]
"""What a disc may be of."""


class Disc(NamedTuple):
    """What is expected about a point at (x, y) from the place: the mean of a tissue within a radius, with a weight."""

    tissue: Sought
    radius: float
    x: float = 0.0
    y: float = 0.0
    weight: float = 1.0


class Face(NamedTuple):
    """A surface on which the place lies, ``depth`` below it, and where it is to face."""

    of: Literal["skin", "solid", "dense", "vault"]
    depth: float = 0.0
    x: float = 0.0
    y: float = 0.0


@dataclass(frozen=True)
class Site:
    """How a place is told from a picture.

    Attributes
    ----------
    x, y : (low, high)
        Where in the body: from the middle (0) to its sides (±1), and from its back (0) to its front (1).
    discs, face
        What lies about it.
    paired : bool
        Whether the mirror image of the place is one, too.
    turn : float
        By how many degrees an implant may be turned to either side: from upright, or on a face from standing on it.
    upright : bool
        Whether implants stand upright even on a face.
    offset : (x, y)
        From what is found to where the implant's anchor goes.
    """

    x: tuple[float, float]
    y: tuple[float, float]
    discs: tuple[Disc, ...] = ()
    face: Face | None = None
    paired: bool = True
    turn: float = 6.0
    upright: bool = False
    offset: tuple[float, float] = (0.0, 0.0)


_HIP = Site((0.3, 0.85), (0.25, 0.75), (Disc("dense", 24, weight=8),))
_HUMERUS = Site((0.6, 1.0), (0.25, 0.85), (Disc("dense", 21, weight=4),))
# Behind the body the canal, which is hollow, and the arch.
_VERTEBRA = Site(
    (-0.1, 0.1), (0.08, 0.48),
    (Disc("dense", 15, weight=5), Disc("bone", 17), Disc("dense", 5, 0, -24, -3), Disc("bone", 14, 0, -38, 3)), turn=4,
)  # fmt: skip
# A shaft stands alone.
_SHAFT = (Disc("dense", 11, weight=3), Disc("dense", 27, weight=-3))
_OUTERMOST = (Disc("dense", 16, 20, 0, -2),)
_OF_A_SHAFT = (*_OUTERMOST, Disc("dense", 10, -11, 0, 3), Disc("dense", 27, -11, 0, -3))
_ROW = tuple(Disc("hard", 5, *place(sign * tooth)[:2]) for sign in (-1, 1) for tooth in range(1, 8))
_FREE = 180.0


def _vessel(radius: float, x: float, y: float) -> tuple[Disc, ...]:
    """Return what lies about a vessel whose place as seen from the vertebra is (x, y)."""
    spine = (Disc(one.tissue, one.radius, one.x - x, one.y - y, one.weight) for one in _VERTEBRA.discs)
    return (Disc("blood", radius, weight=4), Disc("blood", 2 * radius, weight=-1), *spine)


SITES: Mapping[Place, Site] = {
    "hip-joint": _HIP,
    "trochanter": replace(_HIP, offset=(38, -10)),
    "both-hips": Site((-0.1, 0.1), (0.3, 0.75), (Disc("dense", 22, 90), Disc("dense", 22, -90)), turn=4),
    "femur": Site((0.6, 0.95), (0.25, 0.75), _SHAFT),
    "femur-side": Site((0.64, 1.0), (0.25, 0.75), _OF_A_SHAFT, Face("dense", 0, 1, 0.1)),
    "groin": Site((0.3, 0.55), (0.65, 0.92), (Disc("soft", 4),), turn=_FREE),
    "sacrum": Site((-0.1, 0.1), (0.05, 0.38), (Disc("dense", 15, weight=3),), turn=4),
    "sacroiliac": Site((0.3, 0.75), (0.1, 0.5), _OUTERMOST, Face("solid", 0, 1, -0.3), upright=True, turn=25),
    "ilium": Site((0.35, 0.9), (0.2, 0.8), _OUTERMOST, face=Face("solid", 0, 1, -0.3)),
    "iliac-vessels": Site(
        (-0.12, 0.12), (0.42, 0.75), (Disc("blood", 10, weight=2), Disc("dense", 14, 0, -34)), turn=15,
    ),
    "pelvic-organ": Site((-0.2, 0.2), (0.42, 0.65), (Disc("soft", 12, weight=2),), turn=30),
    "pelvic-wall": Site((0.2, 0.5), (0.4, 0.6), (Disc("soft", 5),), turn=_FREE),
    "vertebra": _VERTEBRA,
    "vertebra-front": replace(_VERTEBRA, offset=(0, 17)),
    "pedicles": replace(_VERTEBRA, offset=(0, -35)),
    "pedicle": replace(_VERTEBRA, offset=(20, -35)),
    "laminae": replace(_VERTEBRA, offset=(0, -39)),
    "skull": Site((-1, 1), (0.25, 1), face=Face("vault", 2)),
    "scalp": Site((0.5, 1), (0.2, 0.7), face=Face("vault", -2)),
    "brain-base": Site((-0.3, 0.3), (0.4, 0.7), (Disc("soft", 10),), turn=_FREE),
    "deep-brain": Site((-0.08, 0.08), (0.42, 0.6), (Disc("soft", 14),), turn=10),
    "teeth": Site((-0.12, 0.12), (0.45, 1), _ROW, turn=3),
    "jaw": Site((0, 0.75), (0.7, 1), face=Face("solid", 0, 0.3, 1)),
    "humerus": _HUMERUS,
    "glenoid": replace(_HUMERUS, offset=(-34, 0)),
    "humerus-side": Site((0.6, 1), (0.25, 0.85), (*_OUTERMOST, Disc("dense", 16, -18, 0, 3)), Face("dense", 0, 1, 0.1)),
    "clavicle": Site((0.15, 0.55), (0.6, 1), (Disc("dense", 9, 0, -8, 3),), Face("solid", 4, 0.1, 1), turn=12),
    "heart": Site((-0.15, 0.4), (0.35, 0.75), (Disc("soft", 20),), paired=False, turn=_FREE),
    "heart-apex": Site((0.08, 0.6), (0.4, 0.85), (Disc("soft", 28, weight=2),), paired=False, turn=30),
    "aorta": Site((-0.05, 0.25), (0.2, 0.65), _vessel(10, 7, 33), paired=False),
    "descending-aorta": Site((0.0, 0.3), (0.15, 0.6), _vessel(11, 28, 6), paired=False),
    "cava": Site((-0.3, 0.02), (0.2, 0.65), _vessel(9, -18, 32), paired=False),
    "sternum": Site((-0.15, 0.15), (0.75, 1), face=Face("solid", 1, 0, 1)),
    "chest-pocket": Site((0.3, 0.7), (0.65, 1), face=Face("skin", 14)),
    "chest-skin": Site((0, 0.5), (0.7, 1), face=Face("skin", 6)),
    "belly": Site((-0.75, 0.75), (0.4, 0.85), (Disc("soft", 8),), turn=_FREE),
    "belly-pocket": Site((0.2, 0.7), (0.55, 1), face=Face("skin", 20)),
    "belly-skin": Site((-0.25, 0.25), (0.7, 1), face=Face("skin", 6)),
    "back-pocket": Site((0.2, 0.65), (0, 0.35), face=Face("skin", 15)),
    "skin": Site((-1, 1), (0, 1), face=Face("skin", 6)),
    "muscle": Site((0.2, 0.95), (0.1, 0.9), (Disc("soft", 7),), turn=_FREE),
    "knee": Site((-1, 1), (0, 1), (Disc("dense", 26),)),
    "long-bone": Site((-1, 1), (0, 1), _SHAFT, turn=_FREE),
    "long-bone-side": Site((-1, 1), (0, 1), face=Face("solid")),
}  # fmt: skip

REACH = max(math.hypot(disc.x, disc.y) + disc.radius for site in SITES.values() for disc in site.discs)
"""How far from a place something is asked about, reference pixels."""
