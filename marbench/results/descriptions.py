"""The small files of a results folder that describe its rows: machines, methods, commands. Read with distrust."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from marbench.machine.files import find_files, read_file
from marbench.machine.text import clean, clean_line, said_by
from marbench.method.card import MethodCard
from marbench.results.rows import LARGEST_INTEGER

__all__ = ["COMMANDS", "HOST_KEYS", "NOTICES", "description", "plain_json", "read_cards", "read_hosts", "read_lines"]

COMMANDS, NOTICES = "commands.txt", "slices.txt"

_HARDWARE = ("cpu", "cores", "usable_cores", "memory_gb", "gpus", "cuda", "system", "architecture")
HOST_KEYS = frozenset({*_HARDWARE, "python", "packages", "threads"})
"""What a machine is described by, see `marbench.machine.host`. Other keys are left out: they might name somebody."""

# What the pages show of a method: its ``method.toml``, and what the run adds.
_CARD_KEYS = frozenset({*MethodCard.model_fields, "authors", "label", "method_hash", "values", "preset", "trained"})
_FILE_BYTES, _TEXT, _ITEMS, _DEPTH = 2**22, 20_000, 1_000, 8
_LINES, _LINE = 1_000, 4_000
_HOST_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


def plain_json(value: Any, depth: int = _DEPTH) -> Any:
    """Return a JSON value as it may be shown and published: clean text, finite numbers, of bounded size and depth."""
    if isinstance(value, str):
        return clean(value, _TEXT)
    if isinstance(value, int):  # booleans included
        return value if abs(value) <= LARGEST_INTEGER else None
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping) and depth:
        items = list(value.items())[:_ITEMS]
        return {clean_line(str(key), 200): plain_json(item, depth - 1) for key, item in items}
    if isinstance(value, list | tuple) and depth:
        return [plain_json(item, depth - 1) for item in value[:_ITEMS]]
    return None


def description(content: Mapping[str, Any]) -> bytes:
    """Return the content of a file that describes a machine or a method: JSON of what `plain_json` leaves."""
    told = plain_json(content)
    # By its label a card is found, and rows have it as it is.
    if isinstance(label := content.get("label"), str) and label.isprintable():
        told["label"] = label
    # NaN, as of a network that was not validated, is no JSON: a file that held it would be skipped.
    text = json.dumps(told, indent=1, ensure_ascii=False, sort_keys=True, allow_nan=False)
    return f"{text}\n".encode()


def read_hosts(folder: Path, problems: list[str]) -> dict[str, dict[str, Any]]:
    """Return host id → description, of the known keys. Files that are none are added to the problems."""
    hosts = {}
    for path, content in _objects(folder, "hosts/*.json", problems):
        if _HOST_ID.fullmatch(path.stem):
            hosts[path.stem] = {key: plain_json(value) for key, value in content.items() if key in HOST_KEYS}
        else:
            problems.append(f"hosts/{path.name} is skipped: expected the id of a host as its name")
    return hosts


def read_cards(folder: Path, problems: list[str]) -> dict[str, dict[str, Any]]:
    """Return label → card of a method, of the known keys; ``method_hash`` is a text where there is one."""
    cards = {}
    for path, content in _objects(folder, "methods/*.json", problems):
        label, version = content.get("label"), content.get("method_hash", "")
        if not (isinstance(label, str) and 0 < len(label) < _ITEMS and isinstance(version, str)):
            problems.append(f"methods/{path.name} is skipped: expected a label and a method_hash, both of text")
            continue
        # What the card has beyond the known keys may be anything, a path of its author's machine included.
        card = {key: plain_json(value) for key, value in content.items() if key in _CARD_KEYS}
        cards[label] = card | ({"label": label, "method_hash": version} if version else {"label": label})
    return cards


def read_lines(folder: Path, name: str, problems: list[str]) -> list[str]:
    """Return the lines of a text of the folder; none where there is no such file."""
    path = folder / name
    try:
        text = read_file(path, _FILE_BYTES).decode("utf-8", errors="replace")
    except FileNotFoundError:
        return []
    except OSError as error:
        problems.append(f"{name} is skipped: {said_by(error)}")
        return []
    # Not splitlines(): a form feed or a line separator inside a command ends no line.
    lines = (clean_line(line, _LINE) for line in text.split("\n")[:_LINES])
    return [line for line in lines if line]


def _objects(folder: Path, pattern: str, problems: list[str]) -> list[tuple[Path, dict[str, Any]]]:
    """Return the files that hold JSON objects, and their content."""
    found, contents = find_files(folder, pattern), []
    problems += [f"{path.parent.name}/{path.name} is skipped: {why}" for path, why in found.strange.items()]
    for path in found.files:
        try:
            content = json.loads(read_file(path, _FILE_BYTES), parse_constant=_refuse_constant)
            if not isinstance(content, dict):
                raise ValueError("expected a JSON object")
        except (OSError, ValueError, RecursionError) as error:
            problems.append(f"{path.parent.name}/{path.name} is skipped: {said_by(error)}")
        else:
            contents.append((path, content))
    return contents


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")
