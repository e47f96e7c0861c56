"""The timing page: how long, how much memory, how many parameters, on what machine, and what accuracy it buys."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from marbench.report.axes import at_widths, log_axis
from marbench.report.benchmark import DEVICE, Benchmark, case_seconds, natural_key
from marbench.report.entries import Entry
from marbench.report.findings import Findings
from marbench.report.formats import duration, tick_time
from marbench.report.page import Output, Page
from marbench.report.scatter import Point, Scatter, scatter
from marbench.report.standings import Standings

__all__ = ["PAGE", "timing_table"]


def timing_table(benchmark: Benchmark) -> pd.DataFrame:
    """Return one row per device and method: quartiles over the cases, range of the seconds, peak memory, parameters.

    Columns: ``device_name device threads method median lower upper fastest slowest calls peak_mb parameters``.
    """
    by = [*DEVICE, "method"]
    grouped = benchmark.timings.groupby(by)
    seconds, cases = grouped["seconds"], case_seconds(benchmark.timings, by)
    table = pd.DataFrame(
        {
            "median": cases.median(),
            "lower": cases.quantile(0.25),
            "upper": cases.quantile(0.75),
            "fastest": seconds.min(),
            "slowest": seconds.max(),
            "calls": seconds.count(),
            "peak_mb": grouped["peak_mb"].max(),
            "parameters": grouped["parameters"].max(),
        }
    )
    return table.reset_index()


def _build(findings: Findings, output: Output) -> Mapping[str, Any] | None:
    benchmark, methods, board = findings.benchmark, findings.entries, findings.board
    if benchmark.timings.empty:
        return None
    devices: list[dict[str, Any]] = []
    for (name, device, threads), rows in timing_table(benchmark).groupby(DEVICE):
        records = rows.sort_values("median", kind="stable").to_dict("records")
        charts = _charts(records, methods, board) if board else {}
        devices.append({"name": name, "device": device, "threads": threads, "rows": records, "charts": charts})
    devices.sort(key=lambda entry: (-len(entry["rows"]), natural_key(str(entry["name"])), entry["device"]))
    return {"devices": devices, "entries": methods, "board": board, "tick": tick_time, "told": duration}


def _charts(rows: list[dict[Any, Any]], methods: Mapping[str, Entry], board: Standings) -> dict[str, Scatter]:
    """Draw the complete methods, for wide and for narrow windows: a mean over some cases is no score to compare."""
    measure = board.measures[0]
    points = []
    for row in rows:
        label = str(row["method"])
        score = board.scores[label, measure.id][0].value
        if label in board.ranked and row["median"] > 0 and math.isfinite(row["median"]) and math.isfinite(score):
            entry = methods[label]
            points.append(Point(entry.title, float(row["median"]), score, entry.learned, entry.baseline))
    return at_widths(lambda width: scatter(points, log_axis, measure.higher_is_better, width))


PAGE = Page("timing", "Timing", _build)
