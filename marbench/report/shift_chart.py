"""How methods fare along an axis of a shift, as a drawing: the difference of the mean from the base, point by point."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from marbench.metrics.measure import Measure
from marbench.report.axes import WIDTHS, Axis, ChartLine, ChartPoint, linear_axis, look
from marbench.report.formats import signed
from marbench.report.labels import CHARACTER, apart, cut, text_width
from marbench.report.shift import AxisTable, Change, ShiftTables

__all__ = ["ShiftChart", "shift_chart"]

_LEFT, _TOP, _BOTTOM, _ROW = 46, 14, 42, 15
_LEAST_HEIGHT = 230
_LONGEST = {WIDTHS["wide"]: 38, WIDTHS["narrow"]: 12}


@dataclass(frozen=True)
class ShiftChart:
    """A drawing in units of its own view box.

    Attributes
    ----------
    columns : tuple of (x, y, label)
        Labels of the points, on two lines in turn where they would touch.
    """

    width: int
    height: int
    right: float
    y: Axis
    columns: tuple[tuple[float, float, str], ...]
    lines: tuple[ChartLine, ...]


def shift_chart(tables: ShiftTables, table: AxisTable, width: int) -> ShiftChart | None:
    """Draw an axis; None where no method has two points.

    Parameters
    ----------
    width : int
        Of the view box, one of `WIDTHS`.
    """
    drawn = {
        method: [cell.changes[0] if cell.changes and math.isfinite(cell.changes[0].mean) else None for cell in cells]
        for method, cells in table.cells.items()
    }
    drawn = {method: changes for method, changes in drawn.items() if sum(change is not None for change in changes) > 1}
    if not drawn:
        return None
    titles = {method: cut(tables.base.entries[method].title, _LONGEST[width]) for method in drawn}
    right = width - min(0.4 * width, CHARACTER * max(map(text_width, titles.values())) + 24)
    step = (right - _LEFT - 40) / max(1, len(table.points) - 1)
    names = [point.label for point, _, _ in table.points]
    # Labels that would touch stand on two lines in turn.
    second = _ROW if any(CHARACTER * (text_width(a) + text_width(b)) / 2 > step for a, b in pairwise(names)) else 0
    bottom = _TOP + max(_LEAST_HEIGHT, _ROW * len(drawn))
    y = linear_axis([value for changes in drawn.values() for value in _extent(changes)], bottom, _TOP)
    places = [round(_LEFT + 20 + index * step, 1) for index in range(len(table.points))]
    lasts = [next(change for change in reversed(changes) if change) for changes in drawn.values()]
    labels = apart([y(change.mean) for change in lasts], _ROW, bottom)
    lines = [
        replace(_line(tables, table, method, changes, places, y, label), title=titles[method])
        for (method, changes), label in zip(drawn.items(), labels, strict=True)
    ]
    columns = [
        (x, bottom + 18 + second * (at % 2), name) for at, (x, name) in enumerate(zip(places, names, strict=True))
    ]
    return ShiftChart(width, bottom + _BOTTOM + second, right, y, tuple(columns), tuple(lines))


def _line(
    tables: ShiftTables,
    table: AxisTable,
    method: str,
    changes: Sequence[Change | None],
    places: Sequence[float],
    y: Axis,
    label: float,
) -> ChartLine:
    entry, index = tables.base.entries[method], tables.methods.index(method)
    points, path, pen = [], "", "M"
    for x, (point, _, _), change in zip(places, table.points, changes, strict=True):
        if change is None:  # a gap
            pen = "M"
            continue
        ends = None if change.ends is None else (y(change.ends[0]), y(change.ends[1]))
        told = f"{entry.title}, {table.axis.named(point)}: {_told(change, change.measure)}"
        points.append(ChartPoint(x, y(change.mean), told, ends))
        path += f"{pen}{x} {y(change.mean)}"
        pen = "L"
    return ChartLine(entry.title, *look(index), tuple(points), path, label)


def _told(change: Change, measure: Measure) -> str:
    ends = change.ends
    interval = f" (95 % interval {' to '.join(signed(end, measure.digits) for end in ends)})" if ends else ""
    return f"{signed(change.mean, measure.digits)} {measure.unit}".rstrip() + interval


def _extent(changes: Sequence[Change | None]) -> list[float]:
    """Return the values that a line takes, with the ends of its bars."""
    return [value for change in changes if change for value in (0.0, change.mean, *(change.ends or ()))]
