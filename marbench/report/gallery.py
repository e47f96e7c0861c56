"""The gallery: the pictures of chosen cases, all methods side by side, as 16-bit HU that a browser can window."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from marbench.machine.files import safe_name
from marbench.report.benchmark import Benchmark
from marbench.report.explorer_cases import CaseTable, case_table, judged_methods
from marbench.report.formats import data_script
from marbench.report.gallery_choice import choose_cases
from marbench.report.gallery_store import Note, StoredCase, read_case, read_method, stored_cases
from marbench.report.page import Output, Page
from marbench.report.pictures import png, windowed
from marbench.report.standings import Standings, standings
from marbench.results.representative import difficulty

__all__ = ["ERROR_RANGE_HU", "PAGE", "WINDOWS", "shown_cases"]

ERROR_RANGE_HU = 250
"""Error maps of all cases, methods and benchmarks run from minus to plus this: they can be compared."""

WINDOWS = {"Soft tissue": (-160, 240), "Bone": (-500, 1300), "Lung": (-1350, 150), "Wide": (-1000, 2000)}
"""Display windows in HU."""


def shown_cases(benchmark: Benchmark) -> tuple[str, ...]:
    """Return the ids of the cases that the gallery shows."""
    return tuple(_chosen(benchmark, case_table(benchmark)))


def _chosen(benchmark: Benchmark, table: CaseTable, note: Note = lambda _: None) -> dict[str, tuple[str, ...]]:
    """Return the readable ones of the chosen cases, and why they were chosen."""
    folders, board = stored_cases(benchmark), _board(benchmark)
    if not folders:
        return {}
    judged = None
    if board:
        methods = judged_methods(board.ranked, benchmark.methods)
        scores = table.scores(board.measures[0].column)
        judged = difficulty(scores[[benchmark.methods.index(method) for method in methods]])
    chosen = choose_cases(table, judged, folders.keys(), benchmark.spec.report.gallery_slices)
    return {case: reasons for case, reasons in chosen.items() if read_case(folders[case], note) is not None}


def _board(benchmark: Benchmark) -> Standings | None:
    return standings(benchmark, benchmark.conventions[0]) if benchmark.conventions else None


def _build(benchmark: Benchmark, output: Output) -> Mapping[str, Any] | None:
    table, folders, board = case_table(benchmark), stored_cases(benchmark), _board(benchmark)
    methods = (*board.ranked, *board.unranked) if board else benchmark.methods
    measures = board.measures if board else ()
    scores = {measure.column: table.scores(measure.column) for measure in measures}
    versions = benchmark.rows.drop_duplicates("method").set_index("method")["method_hash"]
    cases = []
    for case_id, reasons in _chosen(benchmark, table, output.note).items():
        stored = read_case(folders[case_id])
        assert stored is not None  # by _chosen
        images = {}
        for method in methods:
            # The uncorrected image is there already.
            image = (
                None
                if method == "none"
                else read_method(folders[case_id], method, str(versions[method]), stored.truth.shape, output.note)
            )
            if image is not None:
                images[method] = image
        case = _case(case_id, stored, images, output)
        at = table.ids.index(case_id)
        facts = table.facts.iloc[at]
        case |= {"reasons": list(reasons), "group": int(facts["size_group"]), "region": facts["region"]}
        case |= {"materials": facts["materials"].split(","), "area": round(float(facts["metal_area_mm2"]), 1)}
        case["scores"] = {
            method: [float(f"{scores[measure.column][row, at]:.6g}") for measure in measures]
            for row, method in enumerate(benchmark.methods)
        }
        cases.append(case)
    if not cases:
        return None
    data = {
        "cases": [{name: value for name, value in case.items() if name != "panels"} for case in cases],
        "methods": [method for method in methods if method != "none"],
        "measures": [[measure.title, measure.unit, measure.digits] for measure in measures],
        "windows": WINDOWS,
        "error": ERROR_RANGE_HU,
    }
    judged = judged_methods(board.ranked, benchmark.methods) if board else []
    return {"data": data, "cases": cases, "judged": judged, "board": board, "range": ERROR_RANGE_HU}


def _case(case_id: str, stored: StoredCase, images: Mapping[str, NDArray[np.int16]], output: Output) -> dict[str, Any]:
    """Write the sidecar files of a case, and return what the page must know of it."""
    folder = f"gallery/{safe_name(case_id)}"
    base = {"truth": stored.truth, "uncorrected": stored.uncorrected, "metal": stored.metal}
    output.write(f"{folder}/_case.js", _script(case_id, base))
    for method, image in images.items():
        output.write(f"{folder}/{safe_name(method)}.js", _script(case_id, {f"method {method}": image}))
    sinograms = stored.sinogram is not None and stored.truth_sinogram is not None and stored.metal_trace is not None
    if sinograms:
        arrays = {"measured": stored.sinogram, "metal-free": stored.truth_sinogram, "trace": stored.metal_trace}
        output.write(f"{folder}/_sinograms.js", _script(case_id, arrays))
    panels = []
    for label, image in {"truth": stored.truth, "uncorrected": stored.uncorrected, **images}.items():
        name = f"pictures/{safe_name(case_id)}/{safe_name(label)}.png"
        panels.append((label, output.write(name, png(windowed(image, stored.metal, stored.window)))))
    return {
        "id": case_id,
        "window": list(stored.window),
        "size": list(stored.truth.shape),
        "files": {method: f"{folder}/{safe_name(method)}.js" for method in images},
        "case": f"{folder}/_case.js",
        "sinograms": f"{folder}/_sinograms.js" if sinograms else None,
        "panels": panels,
    }


def _script(case_id: str, arrays: Mapping[str, Any]) -> str:
    """Return a script that hands arrays to the gallery. Pages from disk may load scripts, and no other data."""
    lines = ["window.marbenchImages = window.marbenchImages || {};"]
    for name, array in arrays.items():
        packed = np.packbits(array) if array.dtype == np.bool_ else array.astype("<i2")
        entry = {
            "shape": list(array.shape),
            "kind": "bits" if array.dtype == np.bool_ else "int16",
            "data": base64.b64encode(packed.tobytes()).decode("ascii"),
        }
        lines.append(f"window.marbenchImages[{data_script(f'{case_id}/{name}')}] = {data_script(entry)};")
    return "\n".join([*lines, ""])


PAGE = Page("gallery", "Gallery", _build)
