"""The statistics page: how sure the order of the methods is, measure by measure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from marbench.report.axes import Axis, linear_axis
from marbench.report.benchmark import Benchmark
from marbench.report.entries import entries
from marbench.report.page import Output, Page
from marbench.report.standings import Standings, standings
from marbench.report.stats import LEVEL, RESAMPLES, Comparison
from marbench.report.tables import Measure

__all__ = ["PAGE"]

_WIDTH = 260


@dataclass(frozen=True, eq=False)
class _Ladder:
    """One measure: the methods in the order of their means, and the axis of their differences."""

    convention: str
    measure: Measure
    methods: tuple[str, ...]
    order: tuple[int, ...]
    comparison: Comparison
    axis: Axis | None


def _ladder(board: Standings, measure: Measure) -> _Ladder:
    comparison = board.comparisons[measure.column]
    order = sorted(range(len(board.ranked)), key=lambda index: (comparison.rank[index], index))
    ends = np.concatenate([[0.0], comparison.difference_interval.ravel(), comparison.difference])
    finite = [float(value) for value in ends if np.isfinite(value)]
    axis = linear_axis(finite, 4, _WIDTH - 4, count=4, pad=0.03) if board.patients > 1 else None
    return _Ladder(board.convention, measure, board.ranked, tuple(order), comparison, axis)


def _build(benchmark: Benchmark, output: Output) -> Mapping[str, Any] | None:
    boards = [board for name in benchmark.conventions if (board := standings(benchmark, name)).ranked]
    if not boards:
        return None
    # The RMSE is the same under every convention.
    chosen = [(board, measure) for board in boards for measure in board.measures[: 3 if board is boards[0] else 2]]
    return {
        "ladders": [_ladder(board, measure) for board, measure in chosen],
        "entries": entries(benchmark),
        "patients": boards[0].patients,
        "unranked": boards[0].unranked,
        "resamples": RESAMPLES,
        "level": LEVEL,
        "width": _WIDTH,
    }


PAGE = Page("statistics", "Statistics", _build)
