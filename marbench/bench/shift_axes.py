"""What of a benchmark is changed, one thing at a time: the axes of `marbench shift`, and the benchmarks along them."""

from __future__ import annotations

import hashlib
import math
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from marbench.errors import SpecError, nearest
from marbench.spec import Spec
from marbench.spec_inputs import merge
from marbench.spec_table import NAME_LENGTH, said_of

__all__ = ["ShiftAxis", "ShiftPoint", "axes", "chosen_axes", "derive"]

_FILE = Path(__file__).with_name("shift_axes.toml")
_BEHIND = 2.0
"""Distance of a flat detector from the source, over that of the isocentre."""


@dataclass(frozen=True)
class ShiftPoint:
    """One value of an axis: keys of a benchmark that it sets, or takes away as "unset", and keys that it multiplies."""

    name: str
    label: str
    set: Mapping[str, Any] = field(default_factory=dict)
    times: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ShiftAxis:
    """One thing that may change, and how far."""

    name: str
    title: str
    about: str
    unit: str
    points: tuple[ShiftPoint, ...]

    def named(self, point: ShiftPoint) -> str:
        """Return a point with its unit, where it is a number."""
        return f"{point.label} {self.unit}".strip() if re.search(r"\d", point.label) else point.label


@cache
def axes() -> dict[str, ShiftAxis]:
    """Return all axes by name, in the order of the page."""
    content = tomllib.loads(_FILE.read_text(encoding="utf-8"))
    return {
        name: ShiftAxis(name, **{**table, "points": tuple(ShiftPoint(**point) for point in table["points"])})
        for name, table in content.items()
    }


def chosen_axes(names: str) -> tuple[ShiftAxis, ...]:
    """Return the axes that a user names, separated by commas, in the order of the page; ``all`` of them.

    Raises
    ------
    SpecError
        There is no such axis.
    """
    known = axes()
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    for name in wanted:
        if name != "all" and name not in known:
            raise SpecError(f"There is no axis {name!r}; {nearest(name, [*known, 'all'])}")
    if not wanted:
        raise SpecError(f"--axes names none. Known: {', '.join([*known, 'all'])}")
    return tuple(axis for name, axis in known.items() if name in wanted or "all" in wanted)


def derive(base: Spec, axis: ShiftAxis, point: ShiftPoint) -> Spec:
    """Return the benchmark at a point of an axis; the base itself where the point changes nothing of it.

    Raises
    ------
    SpecError
        There is no such benchmark: half of one view, a flat detector that does not see the image.
    """
    if base.metals.own and point.set.get("metals", {}).get("material", "own") != "own":
        raise SpecError(f"{base.name} has implants of its own, and they are of what their masks say")
    # As a file would say it, so that a point is checked as a file is.
    content = base.model_dump(mode="json", by_alias=True, exclude_none=True)
    content = _multiplied(merge(content, point.set), point.times)
    geometry = content["geometry"]
    # Of an arc only: of a flat detector the point changes nothing, and the base serves.
    if geometry["detector"] == "flat" and base.geometry_section.detector == "arc":
        content["geometry"] = _on_a_line(geometry)
    try:
        same = Spec.model_validate(content)
        if same.hash == base.hash:
            return base
        named = {"name": _name(base.name, f"{axis.name}-{point.name}"), "summary": ""}
        return Spec.model_validate({**content, **named, "title": f"{base.title}: {axis.title}, {axis.named(point)}"})
    except ValidationError as error:
        raise SpecError(f"{base.name} has no {axis.name} {point.name}: {said_of(error.errors()[0])}") from None


def _name(base: str, point: str) -> str:
    """Return the name of the benchmark at a point; of the base's a digest stands for what would make it too long.

    >>> _name("mini", "kvp-80")
    'mini-kvp-80'
    """
    if len(base) + 1 + len(point) > NAME_LENGTH:
        digest = hashlib.sha256(base.encode()).hexdigest()[:6]
        base = f"{base[: NAME_LENGTH - len(digest) - len(point) - 2]}-{digest}"
    return f"{base}-{point}"


def _on_a_line(geometry: Mapping[str, Any]) -> dict[str, Any]:
    """Return the geometry of an arc with its cells on a line: their pitch at the isocentre stays."""
    distance = geometry["source_distance_cm"] * _BEHIND
    pitch = math.radians(geometry["pitch_deg"]) * distance
    kept = {key: value for key, value in geometry.items() if key != "pitch_deg"}
    return {**kept, "pitch_cm": pitch, "detector_distance_cm": distance}


def _multiplied(table: Mapping[str, Any], factors: Mapping[str, Any]) -> dict[str, Any]:
    product = dict(table)
    for key, factor in factors.items():
        value = product[key]
        if isinstance(factor, Mapping):
            product[key] = _multiplied(value, factor)
        else:
            # Half of an odd number of views is no integer, and views are counted.
            product[key] = round(value * factor) if isinstance(value, int) else value * factor
    return product
