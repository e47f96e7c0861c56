"""The implants as data: implants.toml, read, checked and drawn."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, validate_call

from marbench.errors import DataError, nearest
from marbench.phantoms.implants import dental, joints, soft, spine, trauma
from marbench.phantoms.implants.metal import Metal, Part, Site
from marbench.phantoms.implants.outlines import arranged, centred, mirrored_pair

__all__ = ["Implant", "implants", "metals", "read"]

_FILE = Path(__file__).with_name("implants.toml")
_DRAWINGS: dict[str, Callable[..., tuple[Part, ...]]] = {
    f"{module.__name__.rpartition('.')[2]}.{name}": getattr(module, name)
    for module in (dental, joints, soft, spine, trauma)
    for name in module.__all__
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
        parts = centred(arranged(parts, turn=math.radians(facts.tilt)))
        return Metal(name, facts.title, facts.kind, facts.site, facts.area, parts, facts.unit)


def metals(split: str) -> tuple[Metal, ...]:
    """Return the metals whose names begin with a split, in the order of the file."""
    return tuple(implant.metal(name) for name, implant in implants().items() if name.startswith(f"{split}-"))


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
