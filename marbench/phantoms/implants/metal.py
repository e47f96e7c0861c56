"""What a metal is: named parts of known material, and a declared size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from marbench.phantoms.shapes import Shape

__all__ = ["CENTRE", "MATERIALS", "Material", "Metal", "Part", "Place", "Site"]

Material = Literal["titanium", "steel", "cocr", "amalgam", "gold"]
Site = Literal["bone", "teeth", "soft", "any"]
Place = Literal[
    "aorta", "back-pocket", "belly", "belly-pocket", "belly-skin", "both-hips", "brain-base", "cava", "chest-pocket",
    "chest-skin", "clavicle", "deep-brain", "descending-aorta", "femur", "femur-side", "glenoid", "groin", "heart",
    "heart-apex", "hip-joint", "humerus", "humerus-side", "iliac-vessels", "ilium", "jaw", "knee", "laminae",
    "long-bone", "long-bone-side", "muscle", "pedicle", "pedicles", "pelvic-organ", "pelvic-wall", "sacroiliac",
    "sacrum", "scalp", "skin", "skull", "sternum", "teeth", "trochanter", "vertebra", "vertebra-front",
]  # fmt: skip

MATERIALS: tuple[Material, ...] = ("titanium", "steel", "cocr", "amalgam", "gold")

# A mirror-symmetric drawing centred between pixels would gain its pixels in pairs, and miss half of all sizes.
CENTRE = (0.19, 0.34)
"""Where the origin of a drawing lies from the metal's centre, in reference pixels."""


@dataclass(frozen=True)
class Part:
    """A shape made of one material."""

    material: Material
    shape: Shape


@dataclass(frozen=True)
class Metal:
    """An implant.

    Attributes
    ----------
    id : str
        Unique name, e.g. ``"test-03-hip-head"``.
    title : str
        What it is, for people.
    kind : str
        Family of implants, e.g. ``"plate"``.
    site : {"bone", "teeth", "soft", "any"}
        The tissue that it is found in.
    area_px : int
        Pixels of its mask on the reference grid.
    parts : tuple of Part
        What it is made of; where parts overlap, the later one is seen.
    unit : float
        Reference pixels per unit of the drawing (about a millimetre), such that the mask has exactly ``area_px``.
    place : str, optional
        Where surgeons put it in its region of the body; None in a set for any slice.
    anchor : (x, y)
        The point of the drawing that comes to lie in that place.
    """

    id: str
    title: str
    kind: str
    site: Site
    area_px: int
    parts: tuple[Part, ...]
    unit: float = 1.0
    place: Place | None = None
    anchor: tuple[float, float] = (0.0, 0.0)

    @property
    def materials(self) -> tuple[Material, ...]:
        """Materials of the parts, each once, in the order of `MATERIALS`."""
        used = {part.material for part in self.parts}
        return tuple(material for material in MATERIALS if material in used)
