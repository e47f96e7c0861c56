"""Some cases in place of all: as many slices, patients and implants as there can be among so few."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from marbench.cases.info import CaseKey

__all__ = ["spread"]

_GOLDEN = (math.sqrt(5) - 1) / 2


def spread(cases: Sequence[CaseKey], count: int) -> tuple[int, ...]:
    """Return the positions of so many cases, ascending; the first few are among any more.

    Every slice gives one case before any gives two, and slices that follow each other give other implants: of sizes in
    turn, where those of a slice are sorted by size.

    >>> keys = [CaseKey(f"{s}-{m}", "p", s, m, 1) for s in "abcd" for m in "xy"]
    >>> spread(keys, 4)
    (0, 3, 4, 7)
    """
    slices: dict[str, list[int]] = {}
    for position, case in enumerate(cases):
        slices.setdefault(case.slice_id, []).append(position)
    each = list(slices.values())
    order = [(place, each[place]) for place in _scattered(len(each))]
    rounds = max(map(len, each), default=0)
    chosen = [
        positions[(place + turn) % len(positions)]
        for number, turn in enumerate(_scattered(rounds))
        for place, positions in order
        if number < len(positions)
    ]
    return tuple(sorted(chosen[:count]))


def _scattered(count: int) -> Iterable[int]:
    """Return 0 … count − 1 so that the first few lie far apart: multiples of the golden ratio do on a circle."""
    return sorted(range(count), key=lambda number: number * _GOLDEN % 1)
