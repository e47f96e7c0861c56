"""The explorer: every case with the scores of all methods, and what their distributions say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from marbench.metrics.measure import Measure
from marbench.report.axes import at_widths
from marbench.report.benchmark import Benchmark
from marbench.report.commands import command_text, pasted_folder
from marbench.report.explorer_cases import CaseTable
from marbench.report.explorer_charts import against_area, distributions, duels
from marbench.report.failures import said
from marbench.report.findings import Findings
from marbench.report.formats import handed, handing_script
from marbench.report.page import Output, Page
from marbench.results.representative import Difficulty, difficulty

__all__ = ["PAGE"]

# As many as the script shows, so that nothing moves when it does.
_FIRST_ROWS = 25
_MESSAGE = 160


def _build(findings: Findings, output: Output) -> Mapping[str, Any] | None:
    board, benchmark = findings.board, findings.benchmark
    if board is None or not benchmark.cases:
        return None
    table, shown = findings.cases, findings.methods
    order = [benchmark.methods.index(method) for method in shown]
    measures = [measure for _, measure in findings.ladders]
    scores = {measure: table.scores(measure.id)[order] for measure in measures}
    judged_at = [shown.index(method) for method in findings.judged]
    pictures = tuple(findings.shown)
    data = _data(benchmark, table, shown, judged_at)
    data["titles"] = [findings.entries[method].title for method in shown]
    data["measures"] = [
        _write_scores(measure, index, scores[measure], output) for index, measure in enumerate(measures)
    ]
    output.write("explorer/cases.js", handing_script("marbenchCases", "cases", _cases(table, order, pictures)))
    main = measures[0]
    ranked_at = list(range(len(board.ranked))) or list(range(len(shown)))
    names = [shown[at] for at in ranked_at]
    titles = [findings.entries[name].title for name in names]
    values = scores[main][ranked_at]
    areas = table.facts["metal_area_mm2"].to_numpy(np.float64)
    groups = table.facts["size_group"].to_numpy(np.float64)
    hard = difficulty(scores[main][judged_at], main)
    return {
        "data": data,
        "entries": findings.entries,
        "methods": shown,
        "judged": findings.judged,
        "judged_by": findings.judged_by,
        "ranked": board.ranked,
        "unranked": board.unranked,
        "measure": main,
        "distributions": at_widths(lambda width: distributions(titles, values, width)),
        "area": against_area(titles, values, areas, groups),
        "names": names,
        "places": ranked_at,
        "duels": duels(values, main),
        "first": _first_rows(table, hard, scores[main]),
        **_drawing(findings, hard, pictures),
    }


def _drawing(findings: Findings, hard: Difficulty, pictures: tuple[str, ...]) -> dict[str, Any]:
    """Return how many cases have pictures in the gallery and on disk, and the command that draws another one.

    Of several runs each keeps images of its own; without any image there is no command.
    """
    stored, ids = findings.pictures, findings.cases.ids
    worst = [ids[at] for at in np.argsort(hard.ease, kind="stable") if ids[at] in stored]
    example = next((case for case in worst if case not in pictures), next(iter(worst), None))
    command = ""
    if example is not None:
        run = pasted_folder(stored[example][0].parent.parent)
        command = command_text("marbench", "figure", run, "--case", example, "--out", f"{example}.png")
    told = {"in_gallery": len(pictures), "stored": len(stored), "figure_command": command}
    return told | {"runs": len(findings.benchmark.folders)}


def _data(benchmark: Benchmark, table: CaseTable, methods: tuple[str, ...], judged: list[int]) -> dict[str, Any]:
    """Return what the page needs before any sidecar file: names, and what one may filter by."""
    materials = sorted({name for text in table.facts["materials"] for name in text.split(",") if name})
    return {
        "methods": list(methods),
        "judged": judged,
        "regions": sorted({region for region in table.facts["region"] if region}),
        "materials": materials,
        "groups": list(benchmark.groups),
        "statuses": sorted(set(table.status.ravel().tolist()) - {"ok"}),
        "cases": len(table.ids),
    }


def _cases(table: CaseTable, order: list[int], pictures: tuple[str, ...]) -> dict[str, Any]:
    """Return what the cases are, column by column, and the failures, which are few."""
    facts = table.facts
    regions, materials = sorted(set(facts["region"])), sorted(set(facts["materials"]))
    shown = set(pictures)
    failures = []
    messages = _messages(table)
    for method, case in zip(*np.nonzero(table.status[order] != "ok"), strict=True):
        status = str(table.status[order[method], case])
        failures.append([int(method), int(case), status, messages.get((order[method], int(case)), "")])
    return {
        "ids": table.ids,
        "patients": facts["patient_id"].fillna("").astype(str).tolist(),
        "regionNames": regions,
        "regions": [regions.index(name) for name in facts["region"]],
        "materialNames": materials,
        "materials": [materials.index(name) for name in facts["materials"]],
        "groups": [None if pd.isna(group) else int(group) for group in facts["size_group"]],
        "areas": [handed(area, 0) for area in facts["metal_area_mm2"].tolist()],
        "pictures": [index for index, case in enumerate(table.ids) if case in shown],
        "failures": failures,
    }


def _messages(table: CaseTable) -> dict[tuple[int, int], str]:
    """Return (method, case) → what went wrong, shortened."""
    bad = table.rows[table.rows["status"] != "ok"]
    columns = [bad["method_at"], bad["case_at"], bad["error_kind"].fillna(""), bad["message"].fillna("")]
    return {
        (int(method), int(case)): " ".join(said(str(kind), str(text)).split())[:_MESSAGE]
        for method, case, kind, text in zip(*columns, strict=True)
    }


def _write_scores(measure: Measure, index: int, scores: NDArray[np.float64], output: Output) -> dict[str, Any]:
    """Write the scores of a measure, method by method."""
    rounded = [[handed(value, measure.digits) for value in row] for row in scores.tolist()]
    return {
        "title": f"{measure.title} {measure.convention}".rstrip(),
        "unit": measure.unit,
        "digits": measure.digits,
        "up": measure.higher_is_better,
        "key": measure.id,
        "file": output.write(f"explorer/scores-{index}.js", handing_script("marbenchCases", measure.id, rounded)),
    }


def _first_rows(table: CaseTable, hard: Difficulty, scores: NDArray[np.float64]) -> list[dict[str, Any]]:
    """Return the worst cases, for readers without JavaScript."""
    known = np.flatnonzero(~np.isnan(hard.ease))
    worst = known[np.argsort(hard.ease[known], kind="stable")][:_FIRST_ROWS]
    rows = []
    for at in worst:
        facts = table.facts.iloc[at]
        row = {name: facts[name] for name in ("region", "materials", "size_group", "metal_area_mm2")}
        extremes = {"mean": float(hard.mean[at]), "spread": float(hard.spread[at])}
        rows.append({"id": table.ids[at], "scores": scores[:, at].tolist(), **extremes, **row})
    return rows


PAGE = Page("explorer", "Explorer", _build)
