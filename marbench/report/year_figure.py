"""Performance over the years as a figure for a paper: the chart of the methods page, drawn with matplotlib."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from marbench.errors import StoreError, nearest
from marbench.machine.files import write_atomically
from marbench.metrics.measure import Measure
from marbench.report.benchmark import gather
from marbench.report.figure_file import WIDTHS_INCHES, figure_bytes, figure_kind
from marbench.report.findings import Findings
from marbench.report.scatter import Scatter
from marbench.report.years import year_charts
from marbench.results.store import open_run

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["write_year_figure"]

_CHARTS = {"double": "wide", "single": "narrow"}


def write_year_figure(run: str | Path, out: str | Path, convention: str | None = None, width: str = "double") -> Path:
    """Write the mean scores of a run's methods over the years of their papers as PNG, PDF or SVG; return the path.

    Parameters
    ----------
    run : path
        Results folder.
    out : path
        The file; its ending decides the format.
    convention : str, optional
        Of the scores. Default: the first of the benchmark.
    width : {"double", "single"}
        Of a journal's columns.

    Raises
    ------
    StoreError
        There is no run, no score under the convention, fewer than two years, or the file cannot be written.
    """
    out = Path(out)
    kind = figure_kind(out)
    # Of several benchmarks in one run, that of the newest rows.
    findings = Findings(gather([open_run(run)])[-1])
    known = {board.convention: board for board in findings.boards}
    if convention is not None and convention not in known:
        raise StoreError(f"The run has no scores under {convention!r}; {nearest(convention, known)}")
    board = known.get(convention or next(iter(known), ""))
    chart = year_charts(findings, board).get(_CHARTS[width])
    if board is None or chart is None:
        raise StoreError(
            f"{run}: fewer than two years. A method is drawn that did every case and whose card tells its year."
        )
    inches, measure = WIDTHS_INCHES[width], board.measures[0]
    write_atomically(
        out,
        figure_bytes(
            lambda figure: _draw(figure.add_axes((0, 0, 1, 1)), chart, measure),
            kind,
            inches,
            inches * chart.height / chart.width,
        ),
    )
    return out


def _draw(axes: Axes, chart: Scatter, measure: Measure) -> None:
    """Draw the chart in the units of its view box, y downwards."""
    axes.set(xlim=(0, chart.width), ylim=(chart.height, 0))
    axes.set_axis_off()
    x, y = chart.x, chart.y
    for tick in x.ticks:
        axes.plot([x(tick)] * 2, [y.start, y.end], color="0.88", linewidth=0.6)
        axes.text(x(tick), y.start + 8, f"{tick:.0f}", ha="center", va="top", color="0.3")
    for tick in y.ticks:
        axes.plot([x.start, x.end], [y(tick)] * 2, color="0.88", linewidth=0.6)
        axes.text(x.start - 8, y(tick), f"{tick:g}", ha="right", va="center", color="0.3")
    front = [mark for mark in chart.marks if mark.on_front]
    corners = [(front[0].x, chart.worse)]
    for mark in front:
        corners += [(mark.x, corners[-1][1]), (mark.x, mark.y)]
    axes.plot(*zip(*corners, (x.end, corners[-1][1]), strict=True), color="#0b5394", linewidth=0.9, alpha=0.65)
    for mark in chart.marks:
        if mark.leader:
            axes.plot(mark.leader[::2], mark.leader[1::2], color="0.5", linewidth=0.5, zorder=1)
        shape, fill = "o" if mark.point.learned else "s", "#0b5394" if mark.on_front else "white"
        axes.plot(mark.x, mark.y, shape, color=fill, markersize=4.5, markeredgecolor="black", markeredgewidth=0.8)
        anchor = {"start": "left", "middle": "center", "end": "right"}[mark.anchor]
        axes.text(mark.text_x, mark.text_y, mark.text, ha=anchor, va="baseline")
    axes.text((x.start + x.end) / 2, chart.height - 4, "year of the paper", ha="center", va="bottom")
    named = [
        f"mean {measure.title} {measure.convention}".rstrip(),
        measure.unit,
        "" if measure.higher_is_better else "lower is better",
    ]
    axes.text(4, (y.start + y.end) / 2, ", ".join(filter(None, named)), ha="left", va="center", rotation=90)
