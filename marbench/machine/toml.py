"""TOML: parsed, held to a size as it may come from anyone, and written."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["dotted", "parse_toml", "toml_value"]

# `tomllib` keeps each table of a dotted key, and each beginning of it: of "a.a.a.…", 80 kB long, gigabytes.
_PARTS, _CHARACTERS = 10, 2**20
# A string of any kind, or a comment. One without an end takes what is left, so that nothing is read twice.
_TEXTS = re.compile(
    r'''"""(?:[^"\\]++|\\.|"(?!""))*+(?:"{3,5})?|"(?:[^"\\\n]++|\\.)*+"?|'''
    r"""'{3}(?:[^']++|'(?!''))*+(?:'{3,5})?|'[^'\n]*+'?|#[^\n]*+""",
    re.DOTALL,
)
_BARE_KEY = re.compile(r"[\w-]+", re.ASCII)
_LONG_KEY = re.compile(rf"(?<![\w-])(?:[\w-]++[ \t]*+\.[ \t]*+){{{_PARTS}}}")


def parse_toml(text: str) -> dict[str, Any]:
    """Return what a text in TOML says.

    Raises
    ------
    ValueError
        It is no TOML, has a key of more than 10 parts, or more than 2²⁰ characters beside its strings and comments.
    RecursionError
        Its arrays or inline tables are nested without end.
    """
    bare = _TEXTS.sub("_", text)
    if len(bare) > _CHARACTERS:
        raise ValueError(f"it has {len(bare):,} characters beside its strings, {_CHARACTERS:,} at most")
    if _LONG_KEY.search(bare):
        raise ValueError(f"a key has more than {_PARTS} parts")
    return tomllib.loads(text)


def toml_value(value: Any) -> str:
    """Return a value as TOML has it: text as in JSON, but no DEL; inf and nan; keys in quotes where they need some.

    >>> toml_value({"a": [1, 0.5, float("inf")], "b c": "d"})
    '{ a = [1, 0.5, inf], "b c" = "d" }'
    """
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_key(key)} = {toml_value(item)}" for key, item in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml_value, value)) + "]"
    if isinstance(value, float):
        return repr(value)
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def dotted(table: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Yield dotted key and value of what a table and the tables in it hold."""
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from dotted(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value


def _key(key: str) -> str:
    """Return a key as TOML has it."""
    return key if _BARE_KEY.fullmatch(key) else toml_value(key)
