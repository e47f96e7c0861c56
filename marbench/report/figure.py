"""Figures for papers: the panels of one case, metal in yellow, a region magnified, the scores below."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.ndimage import uniform_filter

from marbench.errors import MethodError, StoreError, nearest
from marbench.machine.files import write_atomically
from marbench.report.benchmark import Benchmark, gather
from marbench.report.entries import entries
from marbench.report.figure_drawing import BODY_HU, INSET_PART, Panel, draw_panels
from marbench.report.formats import number
from marbench.report.gallery_store import StoredCase, read_case, read_method, stored_cases
from marbench.report.standings import standings
from marbench.report.tables import measures
from marbench.results.store import open_run

__all__ = ["FORMATS", "Panel", "figure_panels", "write_figure"]

FORMATS = ("png", "pdf", "svg")
# Of the inset: errors above the limit are equally bad; no more of it may be metal.
_ERROR_HU, _METAL_PART = 1000, 0.2


def write_figure(
    run: str | Path,
    case_id: str,
    out: str | Path,
    methods: Sequence[str] = (),
    window: tuple[float, float] | None = None,
    convention: str | None = None,
    inset: tuple[float, float] | None = None,
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
        Labels, in the order of the panels. Default: all whose image is stored, best mean PSNR first.
    window : (low, high), optional
        Display window in HU. Default: the case's own.
    convention : str, optional
        Of the PSNR and SSIM. Default: the first of the benchmark.
    inset : (row, column), optional
        Centre of the magnified region. Default: where the metal harms the tissue most, see `_harmed`.

    Raises
    ------
    StoreError
        There is no run, the case is unknown or has no images, or the file cannot be written.
    MethodError
        A method has no results, or no image of this case.
    """
    out = Path(out)
    kind = out.suffix.lower().lstrip(".")
    if kind not in FORMATS:
        raise StoreError(f"{out}: a figure is a file that ends in .png, .pdf or .svg. Got {out.suffix or 'no ending'}.")
    if window is not None and not window[0] < window[1]:
        raise StoreError(f"A display window goes from low to high HU. Got {window[0]:g} to {window[1]:g}.")
    benchmark = _benchmark_of(Path(run), case_id)
    case = _stored(benchmark, case_id)
    panels = figure_panels(benchmark, case_id, case, methods, convention)
    rows, columns = case.truth.shape
    centre = _harmed(case) if inset is None else inset
    if not (0 <= centre[0] < rows and 0 <= centre[1] < columns):
        raise StoreError(f"The inset's centre lies in an image of {rows} × {columns} pixels. Got {centre}.")
    write_atomically(out, draw_panels(panels, case, window or case.window, centre, kind))
    return out


def figure_panels(
    benchmark: Benchmark, case_id: str, case: StoredCase, methods: Sequence[str] = (), convention: str | None = None
) -> tuple[Panel, ...]:
    """Return the panels of a case: truth, uncorrected, then the methods."""
    chosen = _convention(benchmark, convention)
    rows = benchmark.rows[benchmark.rows["case_id"] == case_id].set_index("method")
    folders = stored_cases(benchmark)[case_id]

    def scores(method: str) -> str:
        if chosen is None or method not in rows.index:
            return ""
        psnr, ssim, _ = measures(chosen)
        values = rows.loc[[method], [psnr.column, ssim.column]].to_numpy(np.float64)[0]
        return f"{number(values[0], psnr.digits)} dB / {number(values[1], ssim.digits)}"

    titles = {label: entry.title for label, entry in entries(benchmark).items()}
    panels = [Panel("Truth", case.truth, ""), Panel("Uncorrected", case.uncorrected, scores("none"))]
    for method in methods or _ranked(benchmark, chosen):
        if method not in benchmark.methods:
            raise MethodError(f"The run has no results of {method!r}. {nearest(method, benchmark.methods)}")
        version = benchmark.rows.loc[benchmark.rows["method"] == method, "method_hash"].iloc[0]
        notes: list[str] = []
        image = read_method(folders, method, str(version), case.truth.shape, notes.append)
        if image is not None:
            panels.append(Panel(titles[method], image, scores(method)))
        elif methods:
            raise MethodError(
                f"The run keeps no image of {method!r} for {case_id} (of the version in its tables). "
                f"{' '.join([*notes, 'Run it again with: marbench run --images all'])}"
            )
    return tuple(panels)


def _benchmark_of(run: Path, case_id: str) -> Benchmark:
    """Return the benchmark of a run that holds a case."""
    benchmarks = gather([open_run(run)])
    for benchmark in benchmarks:
        if case_id in set(benchmark.rows["case_id"]):
            return benchmark
    cases = {str(case) for benchmark in benchmarks for case in benchmark.rows["case_id"] if case}
    kept = sorted({case for benchmark in benchmarks for case in stored_cases(benchmark)})
    few = f" Cases with images: {', '.join(kept[:5])}{' …' if len(kept) > 5 else ''}." if kept else ""
    raise StoreError(f"{run} has no case {case_id!r}. {_closest(case_id, cases)}{few}")


def _stored(benchmark: Benchmark, case_id: str) -> StoredCase:
    notes: list[str] = []
    kept = stored_cases(benchmark)
    case = read_case(kept.get(case_id, ()), notes.append)
    if case is None:
        few = f"Cases with images: {', '.join(sorted(kept)[:5])}{' …' if len(kept) > 5 else ''}. " if kept else ""
        raise StoreError(
            f"The run keeps no images of {case_id}. {' '.join([*notes, few])}"
            "To keep those of all cases: marbench run --images all"
        )
    return case


def _closest(name: str, names: set[str]) -> str:
    """Return a hint; thousands of case ids are no list of valid names."""
    from difflib import get_close_matches

    close = get_close_matches(name, sorted(names), n=1, cutoff=0.5)
    return f"Did you mean {close[0]!r}?" if close else f"It has {len(names)} others."


def _convention(benchmark: Benchmark, name: str | None) -> str | None:
    if name is None:
        return benchmark.conventions[0] if benchmark.conventions else None
    if name not in benchmark.conventions:
        raise StoreError(f"The run has no scores under {name!r}. {nearest(name, benchmark.conventions)}")
    return name


def _ranked(benchmark: Benchmark, convention: str | None) -> list[str]:
    """Return all methods but the uncorrected image, best first."""
    if convention is None:
        return [method for method in benchmark.methods if method != "none"]
    board = standings(benchmark, convention)
    return [method for method in (*board.ranked, *board.unranked) if method != "none"]


def _harmed(case: StoredCase) -> tuple[float, float]:
    """Return the centre of the region where the uncorrected image has the largest error in the body beside the metal.

    A region that is mostly metal would fill the inset with yellow. Without any error: the middle of the image.
    """
    error = np.abs(case.uncorrected.astype(np.float64) - case.truth)
    error[case.metal | (case.truth < BODY_HU)] = 0
    side = round(INSET_PART * case.truth.shape[1])
    smooth = uniform_filter(np.minimum(error, _ERROR_HU), side, mode="constant")
    smooth[uniform_filter(case.metal.astype(np.float64), side, mode="constant") > _METAL_PART] = 0
    if not smooth.any():
        return case.truth.shape[0] / 2, case.truth.shape[1] / 2
    row, column = np.unravel_index(np.argmax(smooth), smooth.shape)
    return float(row), float(column)
