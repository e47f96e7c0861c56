"""How `fuzz.py` spoils what is valid: bytes, values, and files of TOML made from these."""

from __future__ import annotations

import json
import math
import random
import re
from collections.abc import Sequence
from typing import Any

NUMBERS = [0, -1, 1, 2, 255, 2**31, 2**63, -(2**63) - 1, 10**30, 0.5, -0.0, 1e308, -1e308, 5e-324, math.nan, math.inf]
TEXTS = [
    "", " ", "\0", "\x1b[31m", "\u202e", "é", "\ufeff", "\n", "'", '"', "\\", "<script>alert(1)</script>", "{{7*7}}",
    "..", "../../etc/passwd", "/", "/etc/passwd", "~", "~nouser/x", "a/b", ".", "CON", "all", "none", "nan", "1e999",
    "a" * 300, "a" * 70_000, "/".join("a" * 3000), "[red]", "%s%n", "x.py:X", "C:\\x", "file:///etc/passwd", "$HOME",
]  # fmt: skip


def odd_value(rng: random.Random) -> Any:
    """Return a number, text, list or table that nobody expects."""
    made = rng.randrange(9)
    if made < 3:
        return rng.choice(NUMBERS)
    if made < 6:
        return rng.choice(TEXTS)
    if made == 6:
        return rng.choice([None, True, False, [], {}, [[]], {"": ""}, [None], [1, "a", 2.5]])
    if made == 7:
        nested: Any = 1
        for _ in range(rng.choice([3, 30, 300])):
            nested = [nested] if rng.random() < 0.5 else {"a": nested}
        return nested
    return [rng.choice(NUMBERS) for _ in range(rng.choice([1, 5, 100]))]


def mutate_values(value: Any, rng: random.Random) -> Any:
    """Return JSON-like values with one to three places changed."""
    value = json.loads(json.dumps(value)) if isinstance(value, dict | list) else value
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        holder, key = _place(value, rng)
        if holder is None:
            return odd_value(rng)
        _change(holder, key, rng)
    return value


def _place(value: Any, rng: random.Random) -> tuple[Any, Any]:
    """Return a container somewhere in a value, and a key of it."""
    holder, key = None, None
    while isinstance(value, dict | list) and value:
        holder, key = value, rng.choice(list(value)) if isinstance(value, dict) else rng.randrange(len(value))
        value = holder[key]
        if rng.random() < 0.3:
            break
    return holder, key


def _change(holder: Any, key: Any, rng: random.Random) -> None:
    made = rng.randrange(8)
    if made == 0:
        del holder[key]
    elif made == 1 and isinstance(holder, dict):
        holder[rng.choice([*TEXTS, f"{key}x", str(key).upper()])] = holder.pop(key)
    elif made == 2 and isinstance(holder, dict):
        holder[rng.choice(TEXTS)] = odd_value(rng)
    elif made == 3:
        holder[key] = [holder[key]]
    elif made == 4:
        holder[key] = str(holder[key])
    elif made == 5 and isinstance(holder[key], int | float):
        holder[key] = holder[key] * rng.choice([-1, 0, 10, 1e10, 1e-10, 0.999]) if math.isfinite(holder[key]) else 0
    else:
        holder[key] = odd_value(rng)


def mutate_bytes(data: bytes, others: Sequence[bytes], rng: random.Random) -> bytes:
    """Return bytes with one to eight places changed."""
    for _ in range(rng.choice([1, 1, 2, 4, 8])):
        size = len(data)
        start, length = rng.randrange(size + 1), rng.choice([1, 1, 2, 8, 64, 1000])
        end = min(size, start + length)
        made = rng.randrange(9)
        if made == 0 and size:
            changed = bytearray(data)
            changed[min(start, size - 1)] ^= 1 << rng.randrange(8)
            data = bytes(changed)
        elif made == 1:
            data = data[:start] + data[end:]
        elif made == 2:
            data = data[:start] + data[start:end] * rng.choice([2, 3, 100]) + data[end:]
        elif made == 3:
            data = data[:start] + rng.randbytes(length) + data[start:]
        elif made == 4:
            data = data[:start]
        elif made == 5:
            other = rng.choice(others)
            cut = rng.randrange(len(other) + 1)
            data = data[:start] + other[cut : cut + length] + data[end:]
        elif made == 6:
            data = data[:start] + rng.choice(TEXTS).encode(errors="surrogatepass") + data[end:]
        elif made == 7:
            data = _replace_number(data, rng)
        else:
            data = (
                data[:start]
                + rng.choice([b"\0", b"\xff\xfe", b"[" * 2000, b"{" * 500, b"\r", b"9" * 5000])
                + data[start:]
            )
    return data


def _replace_number(data: bytes, rng: random.Random) -> bytes:
    found = list(re.finditer(rb"-?\d+(?:\.\d+)?", data))
    if not found:
        return data
    place = rng.choice(found)
    return data[: place.start()] + str(rng.choice(NUMBERS)).encode() + data[place.end() :]


def to_toml(value: Any) -> str:
    """Return values as TOML; what TOML has no word for becomes something near."""
    lines = [f"{_toml_key(key)} = {_toml(item)}" for key, item in value.items() if not isinstance(item, dict)]
    for key, item in value.items():
        if isinstance(item, dict):
            lines += [f"[{_toml_key(key)}]", *(f"{_toml_key(name)} = {_toml(each)}" for name, each in item.items())]
    return "\n".join(lines) + "\n"


def _toml_key(key: str) -> str:
    return key if re.fullmatch("[A-Za-z0-9_-]+", key) else _toml(key)


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_toml_key(key)} = {_toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, float):
        return repr(value)
    return json.dumps("" if value is None else value).replace("\\u0000", "\\u0001")


def as_table(value: Any) -> dict[str, Any]:
    """Return a table as it is, another value as the only one of a table."""
    return value if isinstance(value, dict) else {"value": value}
