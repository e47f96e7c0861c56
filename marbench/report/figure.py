"""Figures for papers: the panels of one case, metal in yellow, a region magnified below each, the scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.ndimage import uniform_filter

from marbench.errors import MethodError, StoreError, nearest
from marbench.machine.files import write_atomically
from marbench.machine.text import few
from marbench.method.card import by_title
from marbench.metrics.measure import Measure
from marbench.report.benchmark import Benchmark, gather
from marbench.report.figure_drawing import REGION, Panel, draw_panels
from marbench.report.figure_file import figure_kind
from marbench.report.findings import Findings
from marbench.report.formats import quantity
from marbench.report.gallery import ERROR_RANGE_HU
from marbench.report.gallery_store import StoredCase, read_case, read_method, stored_cases
from marbench.report.pictures import BODY_HU, body_frame
from marbench.report.ranking import rank_methods
from marbench.results.store import open_run

__all__ = ["Panel", "figure_panels", "write_figure"]

# Of the magnified region: errors above the limit are equally bad; no more of it may be metal.
_ERROR_HU, _METAL_PART = 1000, 0.2
_UNCORRECTED = ("none", "uncorrected")
"""What the image without a correction is called: by the method's name and by its title and panel."""


def write_figure(
    run: str | Path,
    case_id: str,
    out: str | Path,
    methods: Sequence[str] = (),
    window: tuple[float, float] | None = None,
    convention: str | None = None,
    inset: tuple[float, float] | None = None,
    width: str = "double",
    field: str = "body",
    errors: bool = False,
) -> Path:
    """Write the panels of one case as PNG, PDF or SVG, and return the path.

    Parameters
    ----------
    run : path
        Results folder.
    case_id : str
        A case whose images the run kept.
    out : path
        The file; its ending decides the format.
    methods : sequence of str
        Labels or titles, in the order of the panels; truth and uncorrected image come before them in any case.
        Default: all whose image is stored, the best first.
    window : (low, high), optional
        Display window in HU. Default: the case's own.
    convention : str, optional
        Of the scores. Default: the first of the benchmark.
    inset : (row, column), optional
        Centre of the magnified region, in pixels of the whole image. Default: where the metal harms the tissue most,
        see `_harmed`.
    width : {"double", "single"}
        Of a journal's columns: the figure is exactly as wide, see `WIDTHS_INCHES`.
    field : {"body", "whole"}
        What of the image is shown.
    errors : bool
        Whether the errors of every image are drawn below it.

    Raises
    ------
    StoreError
        There is no run, the case is unknown or has no images, or the file cannot be written.
    MethodError
        A method has no results, or no image of this case.
    """
    out = Path(out)
    kind = figure_kind(out)
    if window is not None and not window[0] < window[1]:
        raise StoreError(f"A display window goes from low to high HU. Got {window[0]:g} to {window[1]:g}.")
    findings = Findings(_benchmark_of(Path(run), case_id))
    case = _stored(findings, case_id)
    panels = figure_panels(findings, case_id, case, methods, convention)
    rows, columns = case.truth.shape
    if inset is not None and not (0 <= inset[0] < rows and 0 <= inset[1] < columns):
        raise StoreError(f"The inset's centre lies in an image of {rows} × {columns} pixels. Got {inset}.")
    frame = body_frame(case) if field == "body" else (0, rows, 0, columns)
    panels, case = _cropped(panels, case, frame)
    centre = _harmed(case) if inset is None else (inset[0] - frame[0], inset[1] - frame[2])
    error_hu = ERROR_RANGE_HU if errors else None
    write_atomically(out, draw_panels(panels, case, window or case.window, centre, kind, width, error_hu))
    return out


def figure_panels(
    findings: Findings, case_id: str, case: StoredCase, methods: Sequence[str] = (), convention: str | None = None
) -> tuple[Panel, ...]:
    """Return the panels of a case: truth, uncorrected, then the methods. No picture is there twice."""
    benchmark = findings.benchmark
    measures = _measures(benchmark, convention)
    told = rank_methods(benchmark, measures).together if measures else ()
    rows = benchmark.rows[benchmark.rows["case_id"] == case_id].set_index("method")

    def scores(method: str) -> str:
        if method not in rows.index:
            return ""
        values = rows.loc[[method], [measure.id for measure in told]].to_numpy(np.float64)[0]
        return " / ".join(quantity(value, measure) for value, measure in zip(values, told, strict=True))

    raw = next((method for method in benchmark.methods if method in benchmark.uncorrected), "")
    # The truth has no scores: below it stands what those of the others are under.
    convention = measures[0].convention if measures else ""
    panels = [Panel("Truth", case.truth, convention), Panel("Uncorrected", case.uncorrected, scores(raw))]
    # The uncorrected image is there already, whether or not the run has rows of it.
    named = [_named(findings, name) for name in methods if name.casefold() not in _UNCORRECTED]
    asked = named if methods else _ranked(benchmark, measures)
    for method in findings.corrections(list(dict.fromkeys(asked))):
        notes: list[str] = []
        version = benchmark.versions[method]
        image = read_method(findings.pictures[case_id], method, version, case.truth.shape, notes.append)
        if image is not None:
            panels.append(Panel(findings.entries[method].title, image, scores(method)))
        elif methods:
            raise MethodError(
                f"The run keeps no image of {method!r} for {case_id} (of the version in its tables). "
                f"{' '.join([*notes, 'Give the command of the run again, with --images all.'])}"
            )
    return tuple(panels)


def _cropped(
    panels: Sequence[Panel], case: StoredCase, frame: tuple[int, int, int, int]
) -> tuple[tuple[Panel, ...], StoredCase]:
    """Return the panels and the case within a frame: top, bottom, left, right."""
    top, bottom, left, right = frame
    part = (slice(top, bottom), slice(left, right))
    images = {name: getattr(case, name)[part] for name in ("truth", "uncorrected", "metal")}
    shown = tuple(replace(panel, image=panel.image[part]) for panel in panels)
    return shown, replace(case, **images)


def _named(findings: Findings, name: str) -> str:
    """Return the label of a method by its label or by its title, in capitals or not."""
    label = by_title(name, {label: entry.title for label, entry in findings.entries.items()})
    if label is not None:
        return label
    raise MethodError(f"The run has no results of {name!r}; {nearest(name, findings.entries)}")


def _benchmark_of(run: Path, case_id: str) -> Benchmark:
    """Return the benchmark of a run that holds a case."""
    benchmarks = gather([open_run(run)])
    for benchmark in benchmarks:
        if case_id in set(benchmark.rows["case_id"]):
            return benchmark
    cases = {str(case) for benchmark in benchmarks for case in benchmark.rows["case_id"] if case}
    kept = sorted({case for benchmark in benchmarks for case in stored_cases(benchmark)})
    told = f" Cases with images: {few(kept, 5)}." if kept else ""
    raise StoreError(f"{run} has no case {case_id!r}; {nearest(case_id, cases)}.{told}")


def _stored(findings: Findings, case_id: str) -> StoredCase:
    notes: list[str] = []
    kept = findings.pictures
    case = read_case(kept.get(case_id, ()), notes.append)
    if case is None:
        told = f"Cases with images: {few(sorted(kept), 5)}. " if kept else ""
        raise StoreError(
            f"The run keeps no images of {case_id}. {' '.join([*notes, told])}"
            "To keep those of all cases give the command of the run again, with --images all."
        )
    return case


def _measures(benchmark: Benchmark, convention: str | None) -> tuple[Measure, ...]:
    """Return the measures of a convention; without one those of the benchmark's first, if it has scores at all."""
    if convention is not None and convention not in benchmark.conventions:
        raise StoreError(f"The run has no scores under {convention!r}; {nearest(convention, benchmark.conventions)}")
    chosen = convention or next(iter(benchmark.conventions), None)
    return tuple(measure for measure in benchmark.measures if measure.convention and measure.convention == chosen)


def _ranked(benchmark: Benchmark, measures: Sequence[Measure]) -> Sequence[str]:
    """Return all methods, best first."""
    return rank_methods(benchmark, measures).shown if measures else benchmark.methods


def _harmed(case: StoredCase) -> tuple[float, float]:
    """Return the centre of the region where the uncorrected image has the largest error in the body beside the metal.

    A region that is mostly metal would be mostly yellow. Without any error: the middle of the image.
    """
    error = np.abs(case.uncorrected.astype(np.float64) - case.truth)
    error[case.metal | (case.truth < BODY_HU)] = 0
    sides = [max(1, round(part * case.truth.shape[1])) for part in REGION]
    smooth = uniform_filter(np.minimum(error, _ERROR_HU), sides, mode="constant")
    smooth[uniform_filter(case.metal.astype(np.float64), sides, mode="constant") > _METAL_PART] = 0
    if not smooth.any():
        return case.truth.shape[0] / 2, case.truth.shape[1] / 2
    # A region that holds all of a small error may lie in many ways: the one in their middle.
    best = np.argwhere(smooth > smooth.max() * (1 - 1e-9))
    row, column = best[np.argmin(((best - best.mean(axis=0)) ** 2).sum(axis=1))]
    return float(row), float(column)
