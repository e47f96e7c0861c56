"""The gallery: the pictures of chosen cases, all methods side by side, as 16-bit HU that a browser can window."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from marbench.machine.files import safe_name
from marbench.machine.text import clean_line
from marbench.report.benchmark import Benchmark
from marbench.report.commands import command_text, pasted_folder, report_command
from marbench.report.findings import Findings, ShownCase
from marbench.report.formats import handed
from marbench.report.gallery_regions import LOOKS, regions_script
from marbench.report.gallery_store import StoredCase
from marbench.report.packed import array_script
from marbench.report.page import Output, Page
from marbench.report.pictures import (
    body_frame,
    method_images,
    named_pictures,
    picture_key,
    write_panels,
    write_thumbnail,
)
from marbench.spec import Spec

__all__ = ["ERROR_RANGE_HU", "PAGE", "WINDOWS"]

ERROR_RANGE_HU = 250
"""Error maps of all cases, methods and benchmarks run from minus to plus this: they can be compared."""

MOST_WITH_SINOGRAMS = 60
"""Of more cases, only those that the rule names have their sinograms: these take a third of the room."""

WINDOWS = {"Soft tissue": (-160, 240), "Bone": (-500, 1300), "Lung": (-1350, 150), "Wide": (-1000, 2000)}
"""Display windows in HU."""


def _build(findings: Findings, output: Output) -> Mapping[str, Any] | None:
    if not findings.shown:
        return None
    benchmark, table, board = findings.benchmark, findings.cases, findings.board
    # The uncorrected image is there already, under a name of its own.
    methods = findings.corrections(findings.methods)
    raw = next((method for method in findings.methods if method in benchmark.uncorrected), None)
    keys = {method: "uncorrected" if method == raw else picture_key(method) for method in benchmark.methods}
    measures = [measure for measure in (board.measures if board else ()) if measure.convention]
    scores = {measure: table.scores(measure.id) for measure in measures}
    titles = {method: findings.entries[method].title for method in methods}
    panel_titles = {picture_key(method): title for method, title in titles.items()}
    days = benchmark.days("case_id")
    cases = []
    for case_id, chosen in findings.shown.items():
        images = method_images(findings, case_id, chosen.stored.truth.shape, methods)
        at = table.ids.index(case_id)
        facts = table.facts.iloc[at]
        pictures = named_pictures(chosen.stored, images)
        case = _case(case_id, chosen, pictures, output)
        scan = bool(chosen.reasons) or len(findings.shown) <= MOST_WITH_SINOGRAMS
        case["sinograms"] = scan and _write_sinograms(case, chosen.stored, benchmark.spec.geometry.shape, output)
        case["regions"] = _write_regions(case, chosen.stored, output)
        case |= {"has": [place for place, method in enumerate(methods) if method in images]}
        case |= {"group": int(facts["size_group"]), "region": facts["region"]}
        case |= {"materials": facts["materials"].split(","), "area": round(float(facts["metal_area_mm2"]), 1)}
        case["made"] = days[case_id][1] if case_id in days else ""
        case["scores"] = {
            keys[method]: [handed(float(scores[measure][row, at]), measure.digits) for measure in measures]
            for row, method in enumerate(benchmark.methods)
        }
        # For readers without scripts.
        panels = write_panels(case_id, chosen.stored, pictures, panel_titles, output) if chosen.reasons else ()
        cases.append(case | {"panels": panels})
    data = {
        "title": benchmark.spec.title,
        "cases": [{name: value for name, value in case.items() if name != "panels"} for case in cases],
        "methods": methods,
        "titles": titles,
        "convention": board.convention if board else "",
        "measures": [[measure.title, measure.unit, measure.digits] for measure in measures],
        "together": len(board.together) if board else 0,
        "windows": WINDOWS,
        "error": ERROR_RANGE_HU,
        "scan": _scan(benchmark.spec),
        "regions": [[name, *looks] for name, looks in LOOKS.items()] if any(case["regions"] for case in cases) else [],
    }
    judged = [findings.entries[method].title for method in findings.judged] if board else []
    return {
        "data": data,
        "cases": cases,
        "judged": judged,
        "judged_by": findings.judged_by,
        "board": board,
        "error_range": ERROR_RANGE_HU,
        "most_with_sinograms": MOST_WITH_SINOGRAMS,
        "all_cases": len(table.ids),
        "is_drawn": benchmark.spec.is_drawn,
        "more_commands": _commands(benchmark),
    }


def _commands(benchmark: Benchmark) -> tuple[str, ...]:
    """Return the commands after which every case has its pictures on this page, as far as methods ran here."""
    run = clean_line(pasted_folder(benchmark.folders[-1]))
    # The spec as the run keeps it: of any benchmark, and without a path of whoever made it. Where it has CT data of
    # files the run does not know where these are: its reader does.
    spec = shlex.quote(f"{run}/spec.toml") if benchmark.spec.is_drawn else "BENCHMARK.toml"
    out = shlex.quote(run)
    ran = benchmark.rows[benchmark.rows["evidence"] == "run here"].drop_duplicates("method")
    runs = []
    for preset, own in ran.groupby("preset", sort=False):
        asked = ("--preset", str(preset)) if preset else ()
        words = command_text("--methods", ",".join(own["method"]), *asked, "--images", "all")
        runs.append(f"marbench run --spec {spec} {words} --out {out}")
    return (*runs, report_command(benchmark.folders)) if runs else ()


def _scan(spec: Spec) -> dict[str, Any]:
    """Return the rays of the scan, for the line integrals of images: radians, cm, and µ of water in 1/cm."""
    fan = spec.geometry
    return {
        "beta": [round(float(angle), 7) for angle in fan.beta],
        "gamma": [round(float(angle), 7) for angle in fan.gamma],
        "distance": fan.source_distance,
        "pixel": spec.grid.pixel,
        "water": spec.physics.water_attenuation,
    }


def _case(
    case_id: str,
    shown: ShownCase,
    pictures: Mapping[str, NDArray[np.int16]],
    output: Output,
) -> dict[str, Any]:
    """Write the pictures of a case, and return what the page must know of it."""
    folder, stored = f"gallery/{safe_name(case_id)}", shown.stored
    output.write(f"{folder}/images.js", array_script(f"{case_id}/images", stored.metal, pictures))
    return {
        "id": case_id,
        "reasons": list(shown.reasons),
        "window": list(stored.window),
        "frame": _frame(stored),
        "size": list(stored.truth.shape),
        "folder": folder,
        "thumb": write_thumbnail(case_id, stored, output),
    }


def _write_sinograms(case: Mapping[str, Any], stored: StoredCase, rays: tuple[int, int], output: Output) -> bool:
    """Write the sidecar file with the sinograms of a case, if they are of the benchmark's scan."""
    measured, free, trace = stored.sinogram, stored.truth_sinogram, stored.metal_trace
    if measured.shape != rays:
        return False
    script = array_script(f"{case['id']}/sinograms", trace, {"metal-free": free, "measured": measured})
    output.write(f"{case['folder']}/sinograms.js", script)
    return True


def _write_regions(case: Mapping[str, Any], stored: StoredCase, output: Output) -> bool:
    """Write the sidecar file with the outlines of what a case was scored in, if the benchmark scores in regions."""
    if stored.regions:
        output.write(f"{case['folder']}/regions.js", regions_script(case["id"], stored.regions))
    return bool(stored.regions)


def _frame(stored: StoredCase) -> list[float]:
    """Return what holds the body, as fractions of the picture: left, top, width, height."""
    rows, columns = stored.truth.shape
    top, bottom, left, right = body_frame(stored)
    sides = (left / columns, top / rows, (right - left) / columns, (bottom - top) / rows)
    return [round(side, 4) for side in sides]


PAGE = Page("gallery", "Gallery", _build)
