"""What a shift says: how every method's mean scores change at every point, how sure that is, and where it is worst."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlencode

import numpy as np
import pandas as pd

from marbench.bench.shift import ShiftRun, Station
from marbench.bench.shift_axes import ShiftAxis, ShiftPoint
from marbench.machine.text import counted
from marbench.metrics.measure import Measure, measures_of
from marbench.report.benchmark import Benchmark
from marbench.report.findings import Findings
from marbench.report.spreadsheet import csv_text
from marbench.report.stats import bootstrap_means, can_differ, interval
from marbench.results.descriptions import read_cards
from marbench.results.paired import differences, other_cases, worst_cases

__all__ = ["AxisTable", "Cell", "Change", "ShiftTables", "shift_csv", "shift_tables"]


@dataclass(frozen=True)
class Change:
    """How the mean of a measure over all cases differs from the base's.

    Attributes
    ----------
    measure : Measure
    base, mean : float
        In the base; the difference from it.
    ends : (low, high) or None
        95 % bootstrap interval of the difference over patients; None where they are too few for one.
    """

    measure: Measure
    base: float
    mean: float
    ends: tuple[float, float] | None


@dataclass(frozen=True)
class Cell:
    """A method at a point.

    Attributes
    ----------
    changes : tuple of Change
        Empty where there are none, and ``reason`` says why.
    worst : str
        The case on which it lost most; empty in the base.
    lost : float
        The difference of the first measure there.
    link : str
        The picture of that case, from the page; empty where none is kept.
    """

    changes: tuple[Change, ...] = ()
    reason: str = ""
    worst: str = ""
    lost: float = float("nan")
    link: str = ""


@dataclass(frozen=True)
class AxisTable:
    """An axis: its points, each with the page of its run, and the cells of every method, in the order of the points."""

    axis: ShiftAxis
    points: tuple[tuple[ShiftPoint, str, bool], ...]
    cells: dict[str, tuple[Cell, ...]]

    @property
    def reasons(self) -> dict[str, dict[tuple[str, ...], tuple[str, ...]]]:
        """Why there is no number → at which points → of which methods."""
        found: dict[str, dict[tuple[str, ...], tuple[str, ...]]] = {}
        for method, cells in self.cells.items():
            for reason in dict.fromkeys(cell.reason for cell in cells if cell.reason):
                told = zip(self.points, cells, strict=True)
                points = tuple(self.axis.named(point) for (point, _, _), cell in told if cell.reason == reason)
                where = found.setdefault(reason, {})
                where[points] = (*where.get(points, ()), method)
        return found


@dataclass(frozen=True)
class ShiftTables:
    """All that the page shows.

    Attributes
    ----------
    base : Findings
        Titles and order of the methods are those of the base.
    measures : tuple of Measure
        The first ranks.
    methods : tuple of str
    axes : tuple of AxisTable
    patients : int
    sure : bool
        Whether there are patients enough for intervals.
    others : dict
        Title of a benchmark → the cases that are not those of the base.
    """

    base: Findings
    measures: tuple[Measure, ...]
    methods: tuple[str, ...]
    axes: tuple[AxisTable, ...]
    patients: int
    sure: bool
    others: dict[str, tuple[str, ...]]


def shift_tables(shift: ShiftRun) -> ShiftTables:
    """Compare every point with the base, case by case."""
    base = shift.base
    findings = Findings(Benchmark.of_rows(base.spec, base.rows, read_cards(base.folder, [])))
    measures = measures_of(base.spec.metrics.conventions)
    shown = (measures[0], *(measure for measure in measures if not measure.convention))
    columns = {run.folder: _column(base, run, findings.methods, shown) for run in shift.runs}
    return ShiftTables(
        base=findings,
        measures=shown,
        methods=findings.methods,
        axes=tuple(_table(shift, axis, columns, findings.methods) for axis in shift.axes),
        patients=findings.benchmark.patients,
        sure=can_differ(findings.benchmark.patients, 1),
        others=_others(shift),
    )


def _table(
    shift: ShiftRun, axis: ShiftAxis, columns: Mapping[Path, Mapping[str, Cell]], methods: Sequence[str]
) -> AxisTable:
    points: list[tuple[ShiftPoint, str, bool]] = []
    found: list[Mapping[str, Cell]] = []
    for point in axis.points:
        run = shift.at(axis, point)
        if isinstance(run, Station):
            points.append((point, f"{quote(run.folder.name)}/report/index.html", run is shift.base))
            found.append(columns[run.folder])
        else:
            points.append((point, "", False))
            found.append({method: Cell(reason=run) for method in methods})
    return AxisTable(axis, tuple(points), {method: tuple(column[method] for column in found) for method in methods})


def _others(shift: ShiftRun) -> dict[str, tuple[str, ...]]:
    found = {}
    base = shift.base.spec
    for run in shift.runs[1:]:
        changed = {"materials"} if run.spec.metals.material != base.metals.material else set()
        if run.spec.anatomy.scale != base.anatomy.scale:
            # An implant lies elsewhere among its pixels.
            changed |= {"metal_area_px", "metal_area_mm2"}
        if others := other_cases(shift.base.rows, run.rows, changed):
            found[run.spec.title] = others
    return found


def _column(base: Station, station: Station, methods: Sequence[str], measures: Sequence[Measure]) -> dict[str, Cell]:
    """Return the cells of all methods at one point."""
    total = base.rows["case_id"].nunique()
    worst = worst_cases(base.rows, station.rows, measures[0]) if station is not base else {}
    cells = {}
    for method in methods:
        scored = pd.DataFrame({each.id: differences(base.rows, station.rows, method, each) for each in measures})
        if len(scored.dropna()) < total:
            reasons = (_why_not(each.rows, method) or _unmade(each) for each in (station, base))
            cells[method] = Cell(reason=next(filter(None, reasons), "some case has no number"))
            continue
        case = worst.get(method, "")
        lost = float(scored[measures[0].id][case]) if case else float("nan")
        cells[method] = Cell(_changes(base, method, scored, measures), "", case, lost, _link(station, case))
    return cells


def _changes(base: Station, method: str, scored: pd.DataFrame, measures: Sequence[Measure]) -> tuple[Change, ...]:
    own = base.rows[base.rows["method"] == method].set_index("case_id").loc[scored.index]
    patients = np.unique(own["patient_id"].to_numpy(dtype=str), return_inverse=True)[1]
    values = scored.to_numpy(np.float64).T
    ends = interval(bootstrap_means(values, patients)) if can_differ(int(patients.max()) + 1, 1) else None
    return tuple(
        Change(
            each,
            float(own[each.id].mean()),
            float(values[at].mean()),
            None if ends is None else (float(ends[at][0]), float(ends[at][1])),
        )
        for at, each in enumerate(measures)
    )


def _why_not(rows: pd.DataFrame, method: str) -> str:
    """Return why a method has not scored every case; empty where it has."""
    own = rows[rows["method"] == method]
    failed = own[own["status"] != "ok"]
    if failed.empty:
        return ""
    first = failed.iloc[0]
    count = "" if len(failed) == len(own) else f"{len(failed)} of {len(own)} cases: "
    return f"{count}{first['status']}: {first['message']}"


def _unmade(station: Station) -> str:
    """Return how many cases could not be made at a point, and why the first one; empty where all were."""
    if station.faults.empty:
        return ""
    return f"{counted(len(station.faults), 'case')} could not be made: {station.faults.iloc[0]['message']}"


def _link(station: Station, case: str) -> str:
    if not case or not (station.folder / "images" / case).is_dir():
        return ""
    return f"{quote(station.folder.name)}/report/gallery.html#{urlencode({'case': case})}"


_COLUMNS = (
    *("axis", "point", "label", "method", "measure", "base", "difference", "low", "high", "patients"),
    *("worst_case", "worst_difference", "reason"),
)


def shift_csv(tables: ShiftTables) -> str:
    """Return all numbers of the page, one line per point, method and measure."""
    return csv_text(_COLUMNS, _lines(tables))


def _lines(tables: ShiftTables) -> Iterator[list[object]]:
    for table in tables.axes:
        for method, cells in table.cells.items():
            for (point, _, _), cell in zip(table.points, cells, strict=True):
                start = [table.axis.name, point.name, table.axis.named(point), method]
                if not cell.changes:
                    yield [*start, *[""] * 5, tables.patients, "", "", cell.reason]
                for change in cell.changes:
                    # What was lost most is told of the measure that ranks.
                    ranks = cell.worst and change.measure == tables.measures[0]
                    worst = [cell.worst, cell.lost] if ranks else ["", ""]
                    ends = change.ends or ("", "")
                    yield [*start, change.measure.id, change.base, change.mean, *ends, tables.patients, *worst, ""]
