"""Hand-made charts: how wide they are, where the ticks of an axis are, where values go, and what lines look like."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

__all__ = [
    "FULL_WIDTHS",
    "WIDTHS",
    "Axis",
    "ChartLine",
    "ChartPoint",
    "at_widths",
    "linear_axis",
    "log_axis",
    "look",
    "year_axis",
]

WIDTHS = {"wide": 760, "narrow": 350}
"""Of view boxes, for wide and for narrow windows. At its own width the text of a chart is 12 px high."""
FULL_WIDTHS = {"wide": 900, "narrow": 350}
"""Of charts that have the page to themselves."""

# As in the style sheet. With each stroke all colours come again.
_COLOURS, _STROKES = 8, 4

T = TypeVar("T")


@dataclass(frozen=True)
class ChartPoint:
    """A point of a line, as drawn.

    Attributes
    ----------
    x, y : float
    told : str
        What it stands for, in words.
    ends : (float, float) or None
        Coordinates of its 95 % interval; None where there is none.
    path : str
        Where it leads to; empty: nowhere.
    """

    x: float
    y: float
    told: str
    ends: tuple[float, float] | None = None
    path: str = ""


@dataclass(frozen=True)
class ChartLine:
    """A method: its points from left to right, and the path through them."""

    title: str
    colour: int
    stroke: int
    points: tuple[ChartPoint, ...]
    path: str
    label_y: float


def look(index: int) -> tuple[int, int]:
    """Return the colour and the stroke of a chart's line by its number: 32 lines can be told apart."""
    return index % _COLOURS, index // _COLOURS % _STROKES


def at_widths(draw: Callable[[int], T | None], widths: Mapping[str, int] = WIDTHS) -> dict[str, T]:
    """Return a drawing at every width, ``wide`` and ``narrow``; nothing where there is nothing to draw."""
    return {kind: chart for kind, width in widths.items() if (chart := draw(width)) is not None}


@dataclass(frozen=True)
class Axis:
    """A scale from values to coordinates.

    Attributes
    ----------
    low, high : float
        Ends of the range, in the scale's own terms (the decadic logarithm on a log axis).
    start, end : float
        Coordinates of the ends.
    ticks : tuple of float
        Values.
    log : bool
    """

    low: float
    high: float
    start: float
    end: float
    ticks: tuple[float, ...]
    log: bool = False

    def __call__(self, value: float) -> float:
        """Return the coordinate of a value, to a hundredth."""
        position = math.log10(value) if self.log else value
        return round(self.start + (position - self.low) / (self.high - self.low) * (self.end - self.start), 2)


def linear_axis(values: Sequence[float], start: float, end: float, count: int = 6, pad: float = 0.06) -> Axis:
    """Return a linear axis over finite values, with about ``count`` ticks at 1, 2 or 5 times a power of ten.

    >>> linear_axis([31.0, 34.0], 0, 100).ticks, linear_axis([0.0], 0, 100).ticks
    ((31.0, 32.0, 33.0, 34.0), (-1.0, -0.5, 0.0, 0.5, 1.0))
    """
    low, high = min(values), max(values)
    margin = pad * (high - low) or abs(high) * pad or 1.0
    low, high = low - margin, high + margin
    raw = (high - low) / count
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * 0.999)
    first, last = math.ceil(low / step), math.floor(high / step)
    ticks = tuple(float(f"{index * step:.12g}") for index in range(first, last + 1))
    return Axis(low, high, start, end, ticks)


def log_axis(values: Sequence[float], start: float, end: float) -> Axis:
    """Return a logarithmic axis over positive finite values; ticks at powers of ten, and at 2 and 5 on short axes."""
    low, high = math.log10(min(values)), math.log10(max(values))
    margin = max(0.08 * (high - low), 0.15)
    low, high = low - margin, high + margin
    factors = (1.0,) if high - low > 2.5 else (1.0, 2.0, 5.0)
    candidates = (factor * 10.0**power for power in range(math.floor(low), math.ceil(high) + 1) for factor in factors)
    ticks = tuple(float(f"{tick:.6g}") for tick in candidates if low <= math.log10(tick) <= high)
    return Axis(low, high, start, end, ticks, log=True)


def year_axis(values: Sequence[float], start: float, end: float) -> Axis:
    """Return a linear axis over years: between two of them there is no tick, and a single one has room."""
    years = [*values, min(values) - 1, max(values) + 1]
    axis = linear_axis(years, start, end, pad=0.02)
    return replace(axis, ticks=tuple(tick for tick in axis.ticks if tick == int(tick)))
