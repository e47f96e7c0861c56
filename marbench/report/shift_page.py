"""The page of a shift: a chart and a table for each axis, beside the pages of the runs."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from marbench.bench.shift import ShiftRun
from marbench.report.axes import at_widths
from marbench.report.page import Output
from marbench.report.pages import render, write_assets
from marbench.report.shift import shift_csv, shift_tables
from marbench.report.shift_chart import shift_chart
from marbench.report.templates import render_template

__all__ = ["render_shift"]

_CSV = "shift.csv"


def render_shift(shift: ShiftRun, out: Path) -> Path:
    """Write the pages of all runs and, in ``out``, the one that compares them; return that one's path.

    Raises
    ------
    StoreError
        The pages cannot be written.
    """
    for run in shift.runs:
        render(run.folder)
    tables, output = shift_tables(shift), Output(out)
    write_assets(output)
    output.write(_CSV, shift_csv(tables))
    charts = {table.axis.name: at_widths(partial(shift_chart, tables, table)) for table in tables.axes}
    output.write("index.html", render_template("shift.html", tables=tables, charts=charts, csv=_CSV, root=""))
    output.close()
    return out / "index.html"
