"""What a spec file names by path: its CT data stay where they are; tables and masks travel in the spec.

A benchmark is what its numbers are, not where a file lay. So a spectrum or a mask is read when its file is named,
and is part of the spec from then on, and of ``spec.toml`` of every run.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from marbench.errors import DataError, SpecError
from marbench.machine.files import read_file
from marbench.machine.text import said_by
from marbench.mask_files import encode_mask, read_mask
from marbench.physics.spectrum import parse_spectrum

__all__ = ["UNSET", "files_named", "merge", "path_of", "resolve_paths", "shown"]

UNSET = "unset"
"""The value that takes an inherited key away."""

_TABLES = (".csv", ".txt")
_TABLE_BYTES = 2**20


def merge(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``base`` with the tables of ``changes`` merged in, key by key; "unset" takes a key away."""
    merged = dict(base)
    for key, value in changes.items():
        if value == UNSET:
            merged.pop(key, None)
        elif isinstance(value, Mapping):
            below = merged.get(key)
            merged[key] = merge(below if isinstance(below, dict) else {}, value)
        else:
            merged[key] = value
    return merged


def resolve_paths(content: dict[str, Any], path: Path) -> None:
    """Make paths absolute or put what the files hold in their place; they are meant relative to the file ``path``.

    Raises
    ------
    SpecError
        A file cannot be read, or holds something else; the message names the key.
    """
    for key, table, name in _data_paths(content):
        table[name] = str(_resolved(path, key, table[name]))
    for key, table, name in _spectra(content):
        table[name] = _spectrum(path, key, table[name])
    for key, metal, name in _masks(content):
        side = metal.get("pixel_cm") if isinstance(metal.get("pixel_cm"), int | float) else None
        try:
            mask = read_mask(_resolved(path, key, metal["masks"][name]), side)
            metal["masks"][name] = encode_mask(mask)
        except DataError as error:
            raise SpecError(f"{path}: {key}: {error}") from None


def files_named(content: dict[str, Any]) -> list[str]:
    """Return the keys of a spec file whose values `resolve_paths` would read files for."""
    return [key for key, _, _ in (*_spectra(content), *_masks(content))]


def path_of(text: str, base: Path) -> Path:
    """Return a path as a user wrote it; SpecError for what no file system takes: NUL, too long, ``~nobody``."""
    try:
        path = base / Path(text).expanduser()
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            path.stat()
    except (OSError, RuntimeError, ValueError) as error:
        raise SpecError(f"{shown(text)} cannot be a path: {said_by(error)}") from None
    return path


def shown(value: object) -> str:
    """Return a value as a message quotes it, shortened."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:60]}… ({len(text)} characters)"


# A place in a spec: its key for messages, the table that holds it, and its name there. Of a mask it is the whole metal,
# which has the size of its pixels, too, and the name of the material.
_Place = tuple[str, dict[str, Any], str]


def _data_paths(content: dict[str, Any]) -> list[_Place]:
    sections = ((name, content.get(name)) for name in ("anatomy", "recorded"))
    return [
        (f"{name}.path", table, "path")
        for name, table in sections
        if isinstance(table, dict) and isinstance(table.get("path"), str) and table["path"] not in ("", UNSET)
    ]


def _spectra(content: dict[str, Any]) -> list[_Place]:
    physics = content.get("physics")
    named = physics.get("spectrum") if isinstance(physics, dict) else None
    if isinstance(physics, dict) and isinstance(named, str) and named.lower().endswith(_TABLES):
        return [("physics.spectrum", physics, "spectrum")]
    return []


def _masks(content: dict[str, Any]) -> list[_Place]:
    metals = content.get("metals")
    own = metals.get("own") if isinstance(metals, dict) else None
    places: list[_Place] = []
    for number, metal in enumerate(own if isinstance(own, list) else []):
        masks = metal.get("masks") if isinstance(metal, dict) else None
        if isinstance(masks, dict):
            named = [name for name, mask in masks.items() if isinstance(mask, str) and not mask.startswith("data:")]
            places += [(f"metals.own.{number}.masks.{name}", metal, name) for name in named]
    return places


def _resolved(path: Path, key: str, text: str) -> Path:
    try:
        return path_of(text, path.parent).resolve()
    except SpecError as error:
        raise SpecError(f"{path}: {key}: {error}") from None


def _spectrum(path: Path, key: str, text: str) -> list[list[float]]:
    file = _resolved(path, key, text)
    try:
        return [list(pair) for pair in parse_spectrum(read_file(file, _TABLE_BYTES).decode("utf-8-sig"))]
    except OSError as error:
        raise SpecError(f"{path}: {key}: {file} cannot be read: {said_by(error)}") from None
    except UnicodeDecodeError:
        raise SpecError(f"{path}: {key}: {file} is no text, but something else") from None
    except DataError as error:
        raise SpecError(f"{path}: {key}: {file}: {error}") from None
