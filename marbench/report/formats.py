"""Numbers as readers of a table expect them: fixed digits, a true minus, a dash for what is missing."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from marbench.metrics.measure import Measure

__all__ = [
    "MISSING",
    "byte_size",
    "compact",
    "count",
    "data_script",
    "duration",
    "finite_json",
    "handed",
    "handing_script",
    "number",
    "p_value",
    "plain",
    "quantity",
    "signed",
    "tick_time",
]

MISSING = "–"
# From here on digits would fill a table's column and say nothing.
_BEYOND = 1e7


def number(value: float | str | None, digits: int = 2) -> str:
    """Return a number with fixed digits; what rounds to zero has no sign, what is beyond reason is short.

    A text is what `finite_json` makes of an infinity.

    >>> number(33.514), number(float("nan")), number(float("inf")), number(-0.5, 1)
    ('33.51', '–', '∞', '−0.5')
    >>> number(-0.001), number(1e30, 1), number(-12345678.0)
    ('0.00', '1.0e30', '−1.2e7')
    >>> number("inf"), number(None), number(1.25, 1)
    ('∞', '–', '1.2')
    """
    value = math.nan if value is None else float(value)
    if math.isnan(value):
        return MISSING
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if abs(value) >= _BEYOND:
        mantissa, exponent = f"{value:.1e}".split("e")
        return f"{mantissa}e{int(exponent)}".replace("-", "−")
    text = f"{value:.{digits}f}"
    return text.replace("-", "−") if float(text) else text.lstrip("-")


def quantity(value: float | None, measure: Measure) -> str:
    """Return a number with the digits and the unit of its measure.

    >>> from marbench.metrics.measure import measure
    >>> quantity(33.514, measure("psnr[dudonet2019]")), quantity(0.9, measure("ssim[dudonet2019]"))
    ('33.51 dB', '0.9000')
    """
    return f"{number(value, measure.digits)} {measure.unit}".rstrip()


def signed(value: float | None, digits: int = 2) -> str:
    """Return a number that always carries its sign; a difference. What rounds to zero has none.

    >>> signed(0.5), signed(-0.25), signed(-0.001), signed(None)
    ('+0.50', '−0.25', '0.00', '–')
    """
    text = number(value, digits)
    is_positive = value is not None and value > 0 and text.strip("0.") != ""
    return f"+{text}" if is_positive else text


def duration(seconds: float | None) -> str:
    """Return a time with three significant digits.

    >>> duration(0.0832), duration(1.5), duration(0.00042), duration(75)
    ('83.2 ms', '1.50 s', '420 µs', '75.0 s')
    >>> duration(0.9996), duration(0.00099951)
    ('1.00 s', '1.00 ms')
    """
    return _scaled(seconds, ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")))


def tick_time(seconds: float) -> str:
    """Return a round time, for an axis.

    >>> tick_time(0.02), tick_time(0.0005), tick_time(10.0)
    ('20 ms', '0.5 ms', '10 s')
    """
    return f"{seconds:g} s" if seconds >= 1 else f"{float(f'{seconds * 1e3:.6g}'):g} ms"


def byte_size(megabytes: float | None) -> str:
    """Return a size of memory.

    >>> byte_size(80.4), byte_size(2048.0), byte_size(0.0041), byte_size(999.9)
    ('80.4 MB', '2.05 GB', '4.10 kB', '1.00 GB')
    """
    return _scaled(megabytes, ((1e3, "GB"), (1.0, "MB"), (1e-3, "kB")))


def count(value: float | None) -> str:
    """Return a whole number with thousands set apart.

    >>> count(25834251), count(None), count(1e30)
    ('25,834,251', '–', '1.0e30')
    """
    if value is None or not math.isfinite(value):
        return MISSING
    return f"{round(value):,}" if abs(value) < 1e15 else number(value)


def compact(value: float | None) -> str:
    """Return a large number with three significant digits.

    >>> compact(25834251), compact(28929), compact(12), compact(999_600)
    ('25.8 M', '28.9 k', '12', '1.00 M')
    """
    if value is None or not math.isfinite(value) or value < 1000:
        return count(value)
    return _scaled(value, ((1e6, "M"), (1e3, "k")))


def plain(value: float | str | None) -> str:
    """Return a number as scripts read it, in full precision; empty where there is none. A text is as of `number`.

    >>> plain(33.5), plain(float("inf")), plain(float("nan")), plain("-inf"), plain(None)
    ('33.5', 'Infinity', '', '-Infinity', '')
    """
    value = math.nan if value is None else float(value)
    return "" if math.isnan(value) else repr(value).replace("inf", "Infinity")


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


def handed(value: float, digits: int) -> float:
    """Return a number as it is handed to a page that prints so many digits of it: with four more.

    With fewer, what is rounded again for print would often be a tie, and end in another digit than elsewhere.

    >>> handed(36.124996, 2), handed(float("inf"), 2)
    (36.124996, inf)
    """
    return round(value, digits + 4)


def handing_script(register: str, name: str, value: Any) -> str:
    """Return a script that hands data to a page: pages from disk may load scripts, and no other data.

    >>> print(handing_script("cases", "a", [1]), end="")
    window.cases = window.cases || {};
    window.cases["a"] = [1];
    """
    register = f"window.{register}"
    return f"{register} = {register} || {{}};\n{register}[{data_script(name)}] = {data_script(value)};\n"


def data_script(value: Any) -> Markup:
    r"""Return JSON that is safe inside a ``<script>`` element and inside a JavaScript file.

    >>> print(data_script({"a": "</script>"}))
    {"a":"\u003c/script\u003e"}
    """
    text = json.dumps(finite_json(value), ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return Markup(text.replace("&", r"\u0026").replace("<", r"\u003c").replace(">", r"\u003e"))


def _scaled(value: float | None, units: Sequence[tuple[float, str]]) -> str:
    """Return a quantity with three significant digits, in the largest unit of which it is at least one."""
    if value is None or not math.isfinite(value):
        return number(value)
    # Rounded first: 0.9996 s is 1.00 s, not 1000 ms.
    rounded = float(f"{value:.2e}")
    size, unit = next((entry for entry in units if rounded >= entry[0]), units[-1])
    digits = 2 - math.floor(math.log10(rounded / size) + 1e-9) if rounded > 0 else 0
    return f"{number(rounded / size, max(0, digits))} {unit}"
