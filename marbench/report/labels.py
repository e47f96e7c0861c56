"""Names beside the marks of hand-made charts: the room that they take, what of them fits into one, and their places."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence
from itertools import accumulate

__all__ = ["CHARACTER", "apart", "beside", "cut", "text_width"]

CHARACTER = 7.2
"""Room of a narrow character of 12 px, on average."""


def text_width(text: str) -> int:
    """Return the width of a text in narrow characters; a wide one, as of Chinese or Korean, takes the room of two.

    >>> text_width("NMAR"), text_width("降伪影")
    (4, 6)
    """
    return sum(map(_width, text))


def cut(text: str, longest: int) -> str:
    """Return a text that is at most so wide, in narrow characters.

    >>> cut("NMAR", 4), cut("DuDoNet", 4), cut("降伪影", 4)
    ('NMAR', 'DuD…', '降…')
    """
    if text_width(text) <= longest:
        return text
    ends = accumulate(map(_width, text))
    return "".join(sign for sign, end in zip(text, ends, strict=True) if end < longest) + "…"


def beside(titles: Sequence[str], width: float, gap: float) -> tuple[list[str], float]:
    """Return titles as they fit beside a plot, in four tenths of the width with their gap, and its right end."""
    names = [cut(title, int((0.4 * width - gap) / CHARACTER)) for title in titles]
    return names, round(width - gap - CHARACTER * max(map(text_width, names)), 1)


def apart(wanted: Sequence[float], row: float, lowest: float) -> list[float]:
    """Return the heights of labels that stand near where they should, a row apart and none below the lowest.

    >>> apart([100.0, 20.0, 98.0], 15, 110)
    [110, 20.0, 95]
    """
    order = sorted(range(len(wanted)), key=lambda index: wanted[index])
    heights = [0.0] * len(wanted)
    free = -math.inf
    for index in order:
        heights[index] = free = max(wanted[index], free + row)
    limit = lowest
    for index in reversed(order):
        heights[index] = min(heights[index], limit)
        limit = heights[index] - row
    return [round(height, 1) for height in heights]


def _width(sign: str) -> int:
    return 2 if unicodedata.east_asian_width(sign) in "WF" else 1
