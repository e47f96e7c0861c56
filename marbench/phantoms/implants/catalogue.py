"""The implants as data: implants.toml, read, checked and drawn."""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, validate_call

from marbench.errors import DataError, nearest
from marbench.phantoms.implants import dental, joints, soft, spine, trauma
from marbench.phantoms.implants.metal import Metal, Part, Place, Site
from marbench.phantoms.implants.outlines import arranged, centred, mirrored_pair

__all__ = ["Implant", "Region", "implants", "metals", "read", "regional"]

Region = Literal["hip", "pelvis", "spine", "head", "dental", "shoulder", "thorax", "abdomen", "extremity"]
"""The parts of the body that have implants of their own."""

STRETCH = 1.25
"""How much larger or smaller than drawn an implant to train or validate with may be."""

_FILE = Path(__file__).with_name("implants.toml")
_DRAWINGS: dict[str, Callable[..., tuple[Part, ...]]] = {
    f"{module.__name__.rpartition('.')[2]}.{name}": getattr(module, name)
    for module in (dental, joints, soft, spine, trauma)
    for name in module.__all__
    if name != "place"
}


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class _Pair(_Table):
    x: float
    turn: float = 0.0


class _Piece(_Table):
    draw: str
    arguments: Annotated[dict[str, Any], Field(alias="with")]
    x: float = 0.0
    y: float = 0.0
    turn: float = 0.0
    pair: _Pair | None = None


class _Facts(_Table):
    title: str
    kind: str
    site: Site
    area: Annotated[int, Field(gt=0)]
    unit: Annotated[float, Field(gt=0)]
    tilt: float = 0.0
    at: Mapping[Region, Place] = {}


class Implant(_Table):
    """A table of implants.toml; the head of the file says what the keys mean."""

    facts: Annotated[_Facts, Field(alias="is")]
    parts: Annotated[tuple[_Piece, ...], Field(min_length=1)]

    def metal(self, name: str) -> Metal:
        """Return the implant as it is drawn.

        Raises
        ------
        DataError
            A drawing is unknown, or cannot be drawn with these arguments.
        """
        facts = self.facts
        with _told_of(name):
            parts = tuple(part for piece in self.parts for part in _drawn(piece))
        parts, anchor = centred(arranged(parts, turn=math.radians(facts.tilt)))
        return Metal(name, facts.title, facts.kind, facts.site, facts.area, parts, facts.unit, anchor=anchor)

    def in_region(self, name: str, region: Region, area: int) -> Metal:
        """Return the implant where surgeons put it in a region, drawn to about ``area`` pixels."""
        metal = self.metal(name)
        unit = metal.unit * math.sqrt(area / metal.area_px)
        return replace(metal, area_px=area, unit=unit, place=self.facts.at[region])


def metals(split: str) -> tuple[Metal, ...]:
    """Return the metals of the set for any slice, whose names are a split and a number, in the order of the file."""
    return tuple(one.metal(name) for name, one in implants().items() if re.match(rf"{split}-\d\d-", name))


def regional(split: str, region: Region, sizes: Sequence[int]) -> tuple[Metal, ...]:
    """Return a metal of a region for every size (pixels, any order): of its implants of the split, the nearest in size.

    Those to test with have exactly these sizes and come each once. The others are drawn larger or smaller, by
    `STRETCH` at most.
    """
    own = {n: one for n, one in implants().items() if n.startswith(f"{split}-") and region in one.facts.at}
    if split == "test":
        chosen = sorted(own, key=lambda name: -own[name].facts.area)
        areas = [own[name].facts.area for name in chosen]
    else:
        chosen = [min(own, key=lambda name: abs(math.log(own[name].facts.area / size))) for size in sizes]
        limits = [(own[name].facts.area / STRETCH**2, own[name].facts.area * STRETCH**2) for name in chosen]
        areas = [round(min(max(size, low), high)) for size, (low, high) in zip(sizes, limits, strict=True)]
    found = []
    for number, (name, area) in enumerate(zip(chosen, areas, strict=True), start=1):
        word = re.sub(rf"^{split}-(\d\d-)?", "", name)
        found.append(replace(own[name].in_region(name, region, area), id=f"{split}-{region}-{number:02d}-{word}"))
    return tuple(found)


@cache
def implants() -> dict[str, Implant]:
    """Return all implants by name."""
    return read(_FILE.read_text(encoding="utf-8"))


def read(text: str) -> dict[str, Implant]:
    """Return the implants that a text in the format of implants.toml describes.

    Raises
    ------
    DataError
        The text is no TOML, or a key is missing, unknown or of the wrong kind.
    """
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise DataError(f"{_FILE.name}: {error}") from None
    found = {}
    for name, table in tables.items():
        with _told_of(name):
            found[name] = Implant.model_validate(table)
    return found


def _drawn(piece: _Piece) -> tuple[Part, ...]:
    if piece.draw not in _DRAWINGS:
        raise DataError(f"there is no drawing {piece.draw!r}; {nearest(piece.draw, _DRAWINGS)}")
    parts = _function(piece.draw)(**piece.arguments)
    if piece.x or piece.y or piece.turn:
        parts = arranged(parts, piece.x, piece.y, math.radians(piece.turn))
    return mirrored_pair(parts, piece.pair.x, math.radians(piece.pair.turn)) if piece.pair else parts


@cache
def _function(drawing: str) -> Callable[..., tuple[Part, ...]]:
    """Return a drawing that holds its arguments to its annotations; TOML's arrays become (hashable) tuples."""
    return validate_call(_DRAWINGS[drawing])


@contextmanager
def _told_of(name: str) -> Iterator[None]:
    """Say which implant is at fault."""
    try:
        yield
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
        raise DataError(f"{_FILE.name}: [{name}] {error.title}: {faults}") from None
    except DataError as error:
        raise DataError(f"{_FILE.name}: [{name}] {error}") from None
