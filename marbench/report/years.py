"""Performance over the years: what the methods of each year reach on one benchmark."""

from __future__ import annotations

import math

from marbench.report.axes import at_widths, year_axis
from marbench.report.findings import Findings
from marbench.report.scatter import Point, Scatter, scatter
from marbench.report.standings import Standings

__all__ = ["year_charts", "year_points"]

# Of a card's year: cards come from anywhere.
_YEARS = range(1970, 2101)


def year_points(findings: Findings, board: Standings) -> tuple[Point, ...]:
    """Return the complete methods whose cards tell a year, of the variants of one method the best.

    Scores are means over all cases of the measure by which the board ranks.
    """
    best: dict[str, Point] = {}
    for method in board.ranked:
        entry, score = findings.entries[method], board.scores[method, board.measures[0].id][0].value
        # Ranked methods come best first.
        if entry.year is not None and entry.year in _YEARS and math.isfinite(score):
            point = Point(entry.title, float(entry.year), score, entry.learned, entry.baseline)
            best.setdefault(method.partition("[")[0], point)
    return tuple(best.values())


def year_charts(findings: Findings, board: Standings | None) -> dict[str, Scatter]:
    """Draw them for wide and for narrow windows, ``wide`` and ``narrow``; nothing where all are of one year."""
    points = year_points(findings, board) if board else ()
    if board is None or len({point.at for point in points}) < 2:
        return {}
    higher = board.measures[0].higher_is_better
    return at_widths(lambda width: scatter(points, year_axis, higher, width))
