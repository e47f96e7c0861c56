"""How the scores of a benchmark's methods went from publication to publication, as a chart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from marbench.metrics.measure import Measure
from marbench.report.axes import FULL_WIDTHS, Axis, ChartLine, ChartPoint, at_widths, linear_axis, look
from marbench.report.formats import quantity
from marbench.report.labels import apart, beside
from marbench.report.site_state import PublishedEntry, Record

__all__ = ["HistoryChart", "history_charts"]

_LEFT, _TOP, _BOTTOM, _ROW, _TICK = 46, 12, 30, 15, 84


@dataclass(frozen=True)
class HistoryChart:
    """A drawing in units of its own view box. ``days`` are coordinate and text of the ticks in time."""

    width: int
    height: int
    right: float
    y: Axis
    days: tuple[tuple[float, str], ...]
    lines: tuple[ChartLine, ...]


def history_charts(records: Sequence[Record], measure: Measure, cases: int) -> dict[str, HistoryChart]:
    """Draw the complete entries of a benchmark's runs, for wide and for narrow windows; nothing without any.

    Parameters
    ----------
    records : sequence of Record
        Oldest first.
    measure : Measure
        The one that ranks.
    cases : int
        Of the benchmark: a mean over some of them is no score to compare.
    """
    found: dict[str, list[tuple[Record, PublishedEntry, float]]] = {}
    for record in records:
        for entry in record.entries:
            stored = entry.scores.get(measure.id)
            score = math.nan if stored is None else float(stored)
            if entry.good == cases and math.isfinite(score) and not math.isnan(_time(record)):
                found.setdefault(entry.method, []).append((record, entry, score))
    if not found:
        return {}
    return at_widths(lambda width: _chart(found, measure, width), FULL_WIDTHS)


def _chart(found: dict[str, list[tuple[Record, PublishedEntry, float]]], measure: Measure, width: int) -> HistoryChart:
    titles = {method: entries[-1][1].title or method for method, entries in found.items()}
    shown, right = beside(list(titles.values()), width, 16)
    names = dict(zip(titles, shown, strict=True))
    scores = [score for entries in found.values() for *_, score in entries]
    height = _TOP + _BOTTOM + max(220, _ROW * len(found))
    y = linear_axis(scores, height - _BOTTOM, _TOP)
    times = {record.published: _time(record) for entries in found.values() for record, *_ in entries}
    start, span = min(times.values()), (max(times.values()) - min(times.values())) or 1.0
    places = {day: round(_LEFT + 14 + (right - _LEFT - 28) * (time - start) / span, 1) for day, time in times.items()}
    # The best of today on top; labels that would touch move apart.
    order = sorted(found, key=lambda method: y(found[method][-1][2]))
    heights = apart([y(found[method][-1][2]) for method in order], _ROW, height - _BOTTOM)
    lines = []
    for index, (method, label_y) in enumerate(zip(order, heights, strict=True)):
        points = tuple(
            ChartPoint(
                places[record.published], y(score), _told(titles[method], record, score, measure), path=record.path
            )
            for record, _, score in found[method]
        )
        path = "M" + "L".join(f"{point.x} {point.y}" for point in points)
        lines.append(ChartLine(names[method], *look(index), points, path, label_y))
    return HistoryChart(width, height, right, y, _ticks(places), tuple(lines))


def _time(record: Record) -> float:
    """Return when a run was published, in seconds since 1970; NaN where that is no date."""
    try:
        moment = datetime.fromisoformat(record.published)
    except ValueError:
        return math.nan
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _told(title: str, record: Record, score: float, measure: Measure) -> str:
    return f"{title}, published {record.published[:10]}: {measure.title} {quantity(score, measure)}"


def _ticks(places: dict[str, float]) -> tuple[tuple[float, str], ...]:
    """Return the days whose names do not touch."""
    kept: list[tuple[float, str]] = []
    for day, x in sorted(places.items(), key=lambda place: place[1]):
        if not kept or x - kept[-1][0] >= _TICK:
            kept.append((x, day[:10]))
    return tuple(kept)
