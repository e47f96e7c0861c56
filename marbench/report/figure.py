"""Figures for papers: the panels of one case, metal in yellow, a region magnified, the scores below."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from marbench.bench.files import write_atomically
from marbench.bench.store import read_run
from marbench.errors import MethodError, StoreError, nearest
from marbench.report.benchmark import Benchmark, gather
from marbench.report.formats import number
from marbench.report.gallery_store import StoredCase, read_case, read_method, stored_cases
from marbench.report.pictures import windowed
from marbench.report.standings import standings
from marbench.report.tables import measures

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["FORMATS", "Panel", "figure_panels", "write_figure"]

FORMATS = ("png", "pdf", "svg")
_COLUMNS = 5
_PANEL_INCHES = 1.42  # five panels fill the width of a journal's page, 7.2 inches
_CAPTION_INCHES = 0.36
_INSET_PART, _INSET_SIZE = 0.18, 0.38
_BODY_HU = -500
# Nothing about the day or the software: the same run gives the same bytes.
_METADATA: dict[str, dict[str, Any]] = {
    "png": {"Software": None},
    "pdf": {"CreationDate": None, "Producer": None, "Creator": None},
    "svg": {"Date": None, "Creator": None},
}


@dataclass(frozen=True, eq=False)
class Panel:
    """One picture of a figure.

    Attributes
    ----------
    label : str
    image : int16 array ``(rows, columns)``
        HU.
    scores : str
        What stands below it.
    """

    label: str
    image: NDArray[np.int16]
    scores: str


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
        Centre of the magnified region. Default: the middle of the metal.

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
    centre = _middle(case.metal) if inset is None else inset
    if not (0 <= centre[0] < rows and 0 <= centre[1] < columns):
        raise StoreError(f"The inset's centre lies in an image of {rows} × {columns} pixels. Got {centre}.")
    write_atomically(out, _draw(panels, case, window or case.window, centre, kind))
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

    panels = [Panel("truth", case.truth, ""), Panel("uncorrected", case.uncorrected, scores("none"))]
    for method in methods or _ranked(benchmark, chosen):
        if method not in benchmark.methods:
            raise MethodError(f"The run has no results of {method!r}. {nearest(method, benchmark.methods)}")
        version = benchmark.rows.loc[benchmark.rows["method"] == method, "method_hash"].iloc[0]
        image = read_method(folders, method, str(version), case.truth.shape)
        if image is not None:
            panels.append(Panel(method, image, scores(method)))
        elif methods:
            raise MethodError(
                f"The run keeps no image of {method!r} for {case_id} (of the version in its tables). "
                "Run it again with: marbench run --images all"
            )
    return tuple(panels)


def _benchmark_of(run: Path, case_id: str) -> Benchmark:
    """Return the benchmark of a run that holds a case."""
    benchmarks = gather([read_run(run)])
    for benchmark in benchmarks:
        if case_id in set(benchmark.rows["case_id"]):
            return benchmark
    cases = {str(case) for benchmark in benchmarks for case in benchmark.rows["case_id"] if case}
    kept = sorted({case for benchmark in benchmarks for case in stored_cases(benchmark)})
    few = f" Cases with images: {', '.join(kept[:5])}{' …' if len(kept) > 5 else ''}." if kept else ""
    raise StoreError(f"{run} has no case {case_id!r}. {_closest(case_id, cases)}{few}")


def _stored(benchmark: Benchmark, case_id: str) -> StoredCase:
    kept = stored_cases(benchmark)
    case = read_case(kept.get(case_id, ()))
    if case is None:
        few = f"Cases with images: {', '.join(sorted(kept)[:5])}{' …' if len(kept) > 5 else ''}. " if kept else ""
        raise StoreError(
            f"The run keeps no images of {case_id}. {few}To keep those of all cases: marbench run --images all"
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


def _middle(metal: NDArray[np.bool_]) -> tuple[float, float]:
    """Return the metal pixel nearest to the middle of all metal; the middle of the image without any."""
    places = np.argwhere(metal)
    if not len(places):
        return metal.shape[0] / 2, metal.shape[1] / 2
    nearest_place = places[np.argmin(((places - places.mean(axis=0)) ** 2).sum(axis=1))]
    return float(nearest_place[0]), float(nearest_place[1])


def _draw(
    panels: Sequence[Panel],
    case: StoredCase,
    window: tuple[float, float],
    centre: tuple[float, float],
    kind: str,
) -> bytes:
    """Return the figure as a file."""
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    # A label is no mathematics, whatever signs it has; fonts stay text that an editor can change.
    style: Any = {
        "font.size": 7,
        "text.parse_math": False,
        "pdf.fonttype": 42,
        "svg.fonttype": "none",
        "svg.hashsalt": "marbench",
    }
    across = min(len(panels), _COLUMNS)
    down = math.ceil(len(panels) / across)
    aspect = case.truth.shape[0] / case.truth.shape[1]
    size = (across * _PANEL_INCHES, down * (_PANEL_INCHES * aspect + _CAPTION_INCHES))
    buffer = io.BytesIO()
    with mpl.rc_context(style):
        figure = Figure(figsize=size, dpi=300, facecolor="white")
        FigureCanvasAgg(figure)
        corner = _free_corner(case.truth, centre)
        for index, panel in enumerate(panels):
            row, column = divmod(index, across)
            height = _PANEL_INCHES * aspect / size[1]
            bottom = 1 - (row + 1) * height - row * _CAPTION_INCHES / size[1]
            gap = 0.012
            axes = figure.add_axes((column / across + gap / across, bottom, (1 - 2 * gap) / across, height * (1 - gap)))
            _caption(axes, panel, _letter(index))
            _picture(axes, windowed(panel.image, case.metal, window), centre, corner)
        figure.savefig(buffer, format=kind, metadata=_METADATA[kind])
    return buffer.getvalue()


def _caption(axes: Axes, panel: Panel, letter: str) -> None:
    text = f"({letter}) {panel.label}\n{panel.scores}"
    axes.text(0.5, -0.03, text, transform=axes.transAxes, ha="center", va="top", linespacing=1.3)


def _picture(axes: Axes, colours: NDArray[np.uint8], centre: tuple[float, float], corner: tuple[float, float]) -> None:
    from matplotlib.patches import Rectangle

    rows, columns = colours.shape[:2]
    axes.imshow(colours, interpolation="nearest")
    axes.set_axis_off()
    half = _INSET_PART * columns / 2
    row, column = centre
    axes.add_patch(
        Rectangle((column - half, row - half), 2 * half, 2 * half, edgecolor="white", facecolor="none", linewidth=0.7)
    )
    inset = axes.inset_axes((*corner, _INSET_SIZE, _INSET_SIZE * columns / rows))
    inset.imshow(colours, interpolation="nearest")
    inset.set_xlim(column - half, column + half)
    inset.set_ylim(row + half, row - half)
    inset.set_facecolor("black")
    inset.set_xticks([])
    inset.set_yticks([])
    for spine in inset.spines.values():
        spine.set_edgecolor("white")
        spine.set_linewidth(0.9)


def _free_corner(truth: NDArray[np.int16], centre: tuple[float, float]) -> tuple[float, float]:
    """Return the lower left end, in fractions from below left, of the inset that hides the least of the body."""
    rows, columns = truth.shape
    side, half = round(_INSET_SIZE * columns), _INSET_PART * columns / 2
    row, column = centre

    def hidden(left: bool, top: bool) -> float:
        part = truth[:side, :] if top else truth[rows - side :, :]
        part = part[:, :side] if left else part[:, columns - side :]
        over_row = row - half < side if top else row + half > rows - side
        over_column = column - half < side if left else column + half > columns - side
        return float((part > _BODY_HU).sum()) + (truth.size if over_row and over_column else 0)

    corners = [(left, top) for top in (False, True) for left in (False, True)]
    left, top = min(corners, key=lambda corner: hidden(*corner))
    height = _INSET_SIZE * columns / rows
    return 0.0 if left else 1 - _INSET_SIZE, 1 - height if top else 0.0


def _letter(index: int) -> str:
    return chr(ord("a") + index) if index < 26 else str(index + 1)
