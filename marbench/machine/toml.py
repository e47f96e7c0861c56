"""TOML that may come from anyone, held to a size before it is parsed."""

from __future__ import annotations

import re
import tomllib
from typing import Any

__all__ = ["parse_toml"]

# `tomllib` keeps each table of a dotted key, and each beginning of it: of "a.a.a.…", 80 kB long, gigabytes.
_PARTS, _CHARACTERS = 10, 2**20
# A string of any kind, or a comment. One without an end takes what is left, so that nothing is read twice.
_TEXTS = re.compile(
    r'''"""(?:[^"\\]++|\\.|"(?!""))*+(?:"{3,5})?|"(?:[^"\\\n]++|\\.)*+"?|'''
    r"""'{3}(?:[^']++|'(?!''))*+(?:'{3,5})?|'[^'\n]*+'?|#[^\n]*+""",
    re.DOTALL,
)
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
