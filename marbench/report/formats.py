"""Numbers as readers of a table expect them: fixed digits, a true minus, a dash for what is missing."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

__all__ = [
    "MISSING",
    "byte_size",
    "compact",
    "count",
    "data_script",
    "duration",
    "finite_json",
    "number",
    "p_value",
    "plain",
    "signed",
    "stored_number",
    "tick_time",
]

MISSING = "–"


def number(value: float | None, digits: int = 2) -> str:
    """Return a number with fixed digits.

    >>> number(33.514), number(float("nan")), number(float("inf")), number(-0.5, 1)
    ('33.51', '–', '∞', '−0.5')
    """
    if value is None or math.isnan(value):
        return MISSING
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    return f"{value:.{digits}f}".replace("-", "−")


def signed(value: float | None, digits: int = 2) -> str:
    """Return a number that always carries its sign; a difference.

    >>> signed(0.5), signed(-0.25), signed(None)
    ('+0.50', '−0.25', '–')
    """
    text = number(value, digits)
    return text if text == MISSING or text.startswith("−") else f"+{text}"


def duration(seconds: float | None) -> str:
    """Return a time with three significant digits.

    >>> duration(0.0832), duration(1.5), duration(0.00042), duration(75)
    ('83.2 ms', '1.50 s', '420 µs', '75.0 s')
    """
    if seconds is None or not math.isfinite(seconds):
        return number(seconds)
    if seconds >= 1:
        return f"{_significant(seconds)} s"
    if seconds >= 0.001:
        return f"{_significant(seconds * 1e3)} ms"
    return f"{_significant(seconds * 1e6)} µs"


def tick_time(seconds: float) -> str:
    """Return a round time, for an axis.

    >>> tick_time(0.02), tick_time(0.0005), tick_time(10.0)
    ('20 ms', '0.5 ms', '10 s')
    """
    return f"{seconds:g} s" if seconds >= 1 else f"{float(f'{seconds * 1e3:.6g}'):g} ms"


def byte_size(megabytes: float | None) -> str:
    """Return a size of memory.

    >>> byte_size(80.4), byte_size(2048.0), byte_size(0.0041)
    ('80.4 MB', '2.05 GB', '4.10 kB')
    """
    if megabytes is None or not math.isfinite(megabytes):
        return number(megabytes)
    if megabytes >= 1000:
        return f"{_significant(megabytes / 1e3)} GB"
    return f"{_significant(megabytes)} MB" if megabytes >= 1 else f"{_significant(megabytes * 1e3)} kB"


def count(value: float | None) -> str:
    """Return a whole number with thousands set apart.

    >>> count(25834251), count(None)
    ('25,834,251', '–')
    """
    return MISSING if value is None or not math.isfinite(value) else f"{round(value):,}"


def compact(value: float | None) -> str:
    """Return a large number with three significant digits.

    >>> compact(25834251), compact(28929), compact(12)
    ('25.8 M', '28.9 k', '12')
    """
    if value is None or not math.isfinite(value) or value < 1000:
        return count(value)
    return f"{_significant(value / 1e6)} M" if value >= 999_500 else f"{_significant(value / 1e3)} k"


def plain(value: float | None) -> str:
    """Return a number as scripts read it, in full precision; empty where there is none.

    >>> plain(33.5), plain(float("inf")), plain(float("nan"))
    ('33.5', 'Infinity', '')
    """
    if value is None or math.isnan(value):
        return ""
    return repr(float(value)).replace("inf", "Infinity")


def p_value(value: float) -> str:
    """Return a p-value.

    >>> p_value(0.03), p_value(0.0002)
    ('0.030', '< 0.001')
    """
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def finite_json(value: Any) -> Any:
    """Return a value that strict JSON can carry: NaN becomes null, infinities the texts "inf" and "-inf"."""
    if isinstance(value, float):
        if math.isnan(value):
            return None
        return value if math.isfinite(value) else ("inf" if value > 0 else "-inf")
    if isinstance(value, Mapping):
        return {str(key): finite_json(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [finite_json(item) for item in value]
    return value


def stored_number(value: float | str | None, digits: int = 2) -> str:
    """Return a number as `number` does, of a value that came through `finite_json`.

    >>> stored_number("inf"), stored_number(None), stored_number(1.25, 1)
    ('∞', '–', '1.2')
    """
    return number(None if value is None else float(value), digits)


def data_script(value: Any) -> Markup:
    r"""Return JSON that is safe inside a ``<script>`` element and inside a JavaScript file.

    >>> print(data_script({"a": "</script>"}))
    {"a":"\u003c/script\u003e"}
    """
    text = json.dumps(finite_json(value), ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return Markup(text.replace("&", r"\u0026").replace("<", r"\u003c").replace(">", r"\u003e"))


def _significant(value: float) -> str:
    digits = 2 - math.floor(math.log10(float(f"{value:.2e}"))) if value > 0 else 0
    return f"{value:.{max(0, digits)}f}"
