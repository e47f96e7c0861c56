"""The gallery: the pictures of chosen cases, all methods side by side, as 16-bit HU that a browser can window."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from marbench.machine.files import safe_name
from marbench.report.findings import Findings
from marbench.report.formats import data_script
from marbench.report.gallery_store import StoredCase
from marbench.report.page import Output, Page
from marbench.report.pictures import body_frame, method_images, write_panels

__all__ = ["ERROR_RANGE_HU", "PAGE", "WINDOWS"]

ERROR_RANGE_HU = 250
"""Error maps of all cases, methods and benchmarks run from minus to plus this: they can be compared."""

WINDOWS = {"Soft tissue": (-160, 240), "Bone": (-500, 1300), "Lung": (-1350, 150), "Wide": (-1000, 2000)}
"""Display windows in HU."""


def _build(findings: Findings, output: Output) -> Mapping[str, Any] | None:
    if not findings.shown:
        return None
    benchmark, table, board = findings.benchmark, findings.cases, findings.board
    # The uncorrected image is there already.
    methods = findings.corrections(findings.methods)
    measures = [measure for measure in (board.measures if board else ()) if measure.convention]
    scores = {measure: table.scores(measure.id) for measure in measures}
    titles = {method: findings.entries[method].title for method in methods}
    cases = []
    for case_id, chosen in findings.shown.items():
        images = method_images(findings, case_id, chosen.stored.truth.shape, methods)
        case = _case(case_id, chosen.stored, images, titles, output)
        at = table.ids.index(case_id)
        facts = table.facts.iloc[at]
        case |= {"reasons": list(chosen.reasons), "group": int(facts["size_group"]), "region": facts["region"]}
        case |= {"materials": facts["materials"].split(","), "area": round(float(facts["metal_area_mm2"]), 1)}
        case["scores"] = {
            method: [float(f"{scores[measure][row, at]:.6g}") for measure in measures]
            for row, method in enumerate(benchmark.methods)
        }
        cases.append(case)
    for case in cases:
        case["thumb"] = case["panels"][1][1]
    data = {
        "cases": [{name: value for name, value in case.items() if name != "panels"} for case in cases],
        "methods": methods,
        "titles": titles,
        "uncorrected": next((method for method in findings.methods if method in benchmark.uncorrected), None),
        "measures": [[measure.title, measure.unit, measure.digits] for measure in measures],
        "windows": WINDOWS,
        "error": ERROR_RANGE_HU,
    }
    judged = [findings.entries[method].title for method in findings.judged] if board else []
    return {"data": data, "cases": cases, "judged": judged, "board": board, "error_range": ERROR_RANGE_HU}


def _case(
    case_id: str,
    stored: StoredCase,
    images: Mapping[str, NDArray[np.int16]],
    titles: Mapping[str, str],
    output: Output,
) -> dict[str, Any]:
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
    all_images = {"truth": stored.truth, "uncorrected": stored.uncorrected, **images}
    return {
        "id": case_id,
        "window": list(stored.window),
        "frame": _frame(stored),
        "size": list(stored.truth.shape),
        "files": {method: f"{folder}/{safe_name(method)}.js" for method in images},
        "case": f"{folder}/_case.js",
        "sinograms": f"{folder}/_sinograms.js" if sinograms else None,
        "panels": write_panels(case_id, stored, all_images, titles, output),
    }


def _frame(stored: StoredCase) -> list[float]:
    """Return what holds the body, as fractions of the picture: left, top, width, height."""
    rows, columns = stored.truth.shape
    top, bottom, left, right = body_frame(stored)
    sides = (left / columns, top / rows, (right - left) / columns, (bottom - top) / rows)
    return [round(side, 4) for side in sides]


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
