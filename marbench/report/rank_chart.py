"""The rank of every method over the size of the metal, and how sure it is: what the leaderboard opens with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from marbench.metrics.measure import Measure
from marbench.report.axes import ChartLine, ChartPoint, look
from marbench.report.benchmark import Benchmark
from marbench.report.entries import Entry
from marbench.report.formats import quantity
from marbench.report.labels import beside
from marbench.report.standings import Standings
from marbench.report.stats import Comparison, bootstrap_means, compare
from marbench.report.tables import case_scores

__all__ = ["RankChart", "group_comparisons", "rank_chart"]

_ROW, _TOP, _BOTTOM = 30, 14, 40
_ROOM = 60


@dataclass(frozen=True)
class RankChart:
    """A drawing in units of its own view box."""

    width: int
    height: int
    right: float
    columns: tuple[tuple[float, str], ...]
    ranks: tuple[tuple[float, int], ...]
    lines: tuple[ChartLine, ...]
    sure: bool


def rank_chart(
    board: Standings,
    entries: Mapping[str, Entry],
    comparisons: Mapping[int, Comparison],
    width: int,
) -> RankChart | None:
    """Draw the ranked methods of a board; None for fewer than two, or without groups to compare.

    Parameters
    ----------
    comparisons : mapping
        From `group_comparisons`.
    width : int
        Of the view box. At its own width text is 12 px high.
    """
    methods, columns = board.ranked, [*sorted(comparisons), 0]
    if len(methods) < 2 or not comparisons:
        return None
    measure = board.measures[0]
    titles = [entries[method].title for method in methods]
    names, right = beside(titles, width, 14)
    left = 30.0
    # The marks of a column stand side by side, over at most six tenths of the way to the next one.
    step = (right - left - 24) / (len(columns) - 0.4)
    spread = min(5.0, 0.6 * step / len(methods))
    places = [left + 12 + 0.3 * step + index * step for index in range(len(columns))]

    def height_of(rank: float) -> float:
        return _TOP + _ROW * (rank - 0.5)

    results = [board.comparisons[measure.id] if group == 0 else comparisons[group] for group in columns]
    lines = []
    for index, (title, name) in enumerate(zip(titles, names, strict=True)):
        shift = spread * (index - (len(methods) - 1) / 2)
        points = []
        for x, group, result in zip(places, columns, results, strict=True):
            first, last = result.rank_interval[index]
            ends = (height_of(first), height_of(last)) if result.decides else None
            told = f"{title}, {_name(group)}: {_told(result, index, measure)}"
            points.append(ChartPoint(round(x + shift, 1), height_of(int(result.rank[index])), told, ends))
        path = "M" + "L".join(f"{point.x} {point.y}" for point in points)
        lines.append(ChartLine(name, *look(index), tuple(points), path, height_of(index + 1)))
    headings = [
        (x, str(group) if group else "All cases" if step > _ROOM else "All")
        for x, group in zip(places, columns, strict=True)
    ]
    ranks = tuple((height_of(rank), rank) for rank in range(1, len(methods) + 1))
    height = _TOP + _ROW * len(methods) + _BOTTOM
    return RankChart(
        width, height, right, tuple(headings), ranks, tuple(lines), any(line.points[-1].ends for line in lines)
    )


def group_comparisons(benchmark: Benchmark, board: Standings) -> dict[int, Comparison]:
    """Compare the ranked methods in every metal-size group that has numbers; group → `Comparison`."""
    if len(board.ranked) < 2:
        return {}
    measure = board.measures[0]
    values = case_scores(benchmark, board.ranked, measure)
    facts = benchmark.rows[benchmark.rows["method"] == board.ranked[0]]
    facts = facts[facts["case_id"] != ""]
    groups = facts["size_group"].to_numpy(np.int64)
    found = {}
    for group in np.unique(groups):
        own = groups == group
        if np.isnan(values[:, own]).all():
            continue
        patients = np.unique(facts["patient_id"].to_numpy(dtype=str)[own], return_inverse=True)[1]
        samples = bootstrap_means(values[:, own], patients)
        found[int(group)] = compare(values[:, own], patients, samples, measure.higher_is_better)
    return found


def _name(group: int) -> str:
    return f"metal-size group {group}" if group else "all cases"


def _told(result: Comparison, index: int, measure: Measure) -> str:
    low, high = result.rank_interval[index]
    interval = f" (95 % interval {low}–{high})" if result.decides else ""
    mean = quantity(float(result.mean[index]), measure)
    return f"rank {result.rank[index]}{interval}, {measure.title} {mean}"
