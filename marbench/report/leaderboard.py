"""The leaderboard: PSNR, SSIM and RMSE by metal-size group, one table per convention."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marbench.metrics.conventions import CONVENTIONS
from marbench.report.axes import FULL_WIDTHS, at_widths
from marbench.report.benchmark import Benchmark
from marbench.report.entries import reference_device
from marbench.report.example import SHARE_FILE, write_example
from marbench.report.failures import reasons
from marbench.report.findings import Findings
from marbench.report.page import Output, Page
from marbench.report.rank_chart import RankChart, group_comparisons, rank_chart
from marbench.report.standings import Standings
from marbench.report.strata import strata
from marbench.report.submission import results_file
from marbench.report.tables import expected_cases

__all__ = ["PAGE", "group_headings"]

DATA_FILE = "results.parquet"


def group_headings(benchmark: Benchmark) -> list[dict[str, str]]:
    """Return the heading of every size group: number, which end of the range it is, the areas that it holds."""
    rows = benchmark.rows.dropna(subset=["metal_area_mm2", "size_group"])
    areas = rows.groupby("size_group")["metal_area_mm2"].agg(["min", "max"])
    headings = []
    for group in benchmark.groups:
        end = {1: "Large", len(benchmark.groups): "Small"}.get(group, "") if len(benchmark.groups) > 1 else ""
        ends = [f"{area:.0f}" for area in areas.loc[group]] if group in areas.index else []
        headings.append({"group": str(group), "end": end, "areas": "–".join(dict.fromkeys(ends))})
    return headings


def _board_data(board: Standings) -> dict[str, Any]:
    """Return what the page's script must know of a board: its measures, and which of them are looked at together."""
    return {
        "convention": board.convention,
        "measures": {
            measure.name: {
                "id": measure.id,
                "title": measure.title,
                "caption": measure.caption,
                "digits": measure.digits,
                "up": measure.higher_is_better,
            }
            for measure in board.measures
        },
        "views": {name: [measure.name for measure in seen] for name, seen in board.views.items()},
    }


def _charts(findings: Findings, board: Standings) -> dict[str, RankChart]:
    """Return the rank chart of a board for wide and for narrow windows."""
    compared = group_comparisons(findings.benchmark, board)
    return at_widths(lambda width: rank_chart(board, findings.entries, compared, width), FULL_WIDTHS)


def _columns(findings: Findings) -> list[tuple[str, str, bool]]:
    """Return the columns that a reader may hide: name, title, and whether it is there at first."""
    apart: dict[str, tuple[str, str, bool]] = {}
    for each in (each for board in findings.boards for each in board.apart):
        # By name alone: two conventions may title a measure of one column otherwise.
        apart.setdefault(each.name, (each.name, each.title, True))
    elsewhere = any(entry.evidence for entry in findings.entries.values())
    made = [("made", "Made", False)] if findings.benchmark.created.any() else []
    published = [("published", "Published", True)] if findings.published else []
    return [
        ("sizes", "Metal sizes", True),
        ("interval", "95 % CI", True),
        *apart.values(),
        ("time", "Time", True),
        ("parameters", "Params", True),
        ("cases", "Cases", True),
        *made,
        *published,
        ("evidence", "Evidence", elsewhere),
    ]


def _build(findings: Findings, output: Output) -> Mapping[str, Any]:
    benchmark, boards, methods = findings.benchmark, findings.boards, findings.entries
    columns = [measure.id for measure in benchmark.measures] if boards else []
    cells = strata(benchmark, columns) if columns else None
    told = {label: entry.evidence or "run here" for label, entry in methods.items()}
    if len(benchmark.rows):
        output.write(DATA_FILE, results_file(benchmark))
    return {
        "boards": boards,
        "charts_of": [_charts(findings, board) for board in boards],
        "definitions": CONVENTIONS,
        "reasons": [reasons(benchmark, board) for board in boards],
        "entries": methods,
        "headings": group_headings(benchmark),
        "device": reference_device(benchmark),
        "domains": sorted({entry.domain for entry in methods.values() if entry.domain}),
        "regions": sorted({cell[0] for cell in cells["strata"] if cell[0]}) if cells else [],
        "materials": sorted({name for cell in cells["strata"] for name in cell[1].split(",") if name}) if cells else [],
        "variants": len({entry.family for entry in methods.values()}) < len(methods),
        "columns": _columns(findings),
        "made": benchmark.days("method"),
        "published": findings.published,
        "evidence": told,
        "example": write_example(findings, output),
        "share_file": SHARE_FILE,
        "data_file": DATA_FILE if DATA_FILE in output.files else "",
        "data": {
            "methods": list(methods),
            "cells": cells,
            "boards": [_board_data(board) for board in boards],
            "cases": benchmark.cases,
            "expected": expected_cases(benchmark),
        },
    }


PAGE = Page("index", "Leaderboard", _build)
