"""The statistics page: how sure the order of the methods is, measure by measure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from marbench.metrics.measure import Measure
from marbench.report.axes import Axis, linear_axis
from marbench.report.findings import Findings
from marbench.report.page import Output, Page
from marbench.report.standings import Standings
from marbench.report.stats import EXACT_PATIENTS, LEVEL, RESAMPLES, Comparison

__all__ = ["PAGE"]

_WIDTH = 260


@dataclass(frozen=True, eq=False)
class _Ladder:
    """One measure: the methods in the order of their means, and the axis of their differences.

    ``order`` is empty where no case has a number.
    """

    measure: Measure
    methods: tuple[str, ...]
    order: tuple[int, ...]
    comparison: Comparison
    axis: Axis | None


def _ladder(board: Standings, measure: Measure) -> _Ladder:
    comparison = board.comparisons[measure.id]
    told = range(len(board.ranked)) if comparison.patients else ()
    order = sorted(told, key=lambda index: (comparison.rank[index], index))
    ends = np.concatenate([[0.0], comparison.difference_interval.ravel(), comparison.difference])
    finite = [float(value) for value in ends if np.isfinite(value)]
    # Of one method, or where none differs, there is nothing to draw.
    drawn = comparison.spreads and any(finite)
    axis = linear_axis(finite, 4, _WIDTH - 4, count=4, pad=0.03) if drawn else None
    return _Ladder(measure, board.ranked, tuple(order), comparison, axis)


def _build(findings: Findings, output: Output) -> Mapping[str, Any] | None:
    ladders = [_ladder(board, measure) for board, measure in findings.ladders if board.ranked]
    if not ladders:
        return None
    board = next(board for board in findings.boards if board.ranked)
    return {
        "ladders": ladders,
        "entries": findings.entries,
        "patients": board.patients,
        "decides": board.decides,
        "ranked": board.ranked,
        "unranked": board.unranked,
        "exact": board.patients <= EXACT_PATIENTS,
        "resamples": RESAMPLES,
        "level": LEVEL,
        "width": _WIDTH,
    }


PAGE = Page("statistics", "Statistics", _build)
