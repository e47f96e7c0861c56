"""A benchmark, and the same with one thing changed: ordinary runs side by side, of the same cases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd
import torch

from marbench.bench.options import Progress, RunOptions
from marbench.bench.run import run_benchmark
from marbench.bench.shift_axes import ShiftAxis, ShiftPoint, derive
from marbench.cases.measurement import Measurement
from marbench.errors import SpecError
from marbench.machine.interrupts import Interrupts
from marbench.method.availability import why_unavailable
from marbench.method.request import MethodRequest
from marbench.metrics.measure import measures_of
from marbench.results.paired import worst_cases
from marbench.results.rows import Row
from marbench.spec import Spec

__all__ = ["ShiftRun", "Station", "able", "run_shift"]


_FEW_CASES = 40
"""Of so many the images of all are kept: 0.5 MB a case of `mini` with fourteen methods."""


@dataclass(frozen=True, eq=False)
class Station:
    """A run of a shift.

    Attributes
    ----------
    spec : Spec
    folder : Path
        An ordinary results folder.
    rows : DataFrame
        What was asked for, see `marbench.bench.run.RunSummary`.
    faults : DataFrame
        Rows of the cases that could not be made.
    """

    spec: Spec
    folder: Path
    rows: pd.DataFrame
    faults: pd.DataFrame

    @property
    def failed(self) -> bool:
        """Whether a case could not be made, or a method that can run here failed on one."""
        return len(self.faults) > 0 or not self.rows["status"].isin(("ok", "unavailable")).all()


@dataclass(frozen=True, eq=False)
class ShiftRun:
    """What a shift leaves.

    Attributes
    ----------
    base : Station
    axes : tuple of ShiftAxis
    stations : dict
        (axis, point) by name → its run; that of the base where the point changes nothing, and in place of one that
        cannot be the reason.
    """

    base: Station
    axes: tuple[ShiftAxis, ...]
    stations: dict[tuple[str, str], Station | str] = field(default_factory=dict)

    @property
    def runs(self) -> tuple[Station, ...]:
        """All runs, the base first."""
        return (
            self.base,
            *(one for one in self.stations.values() if isinstance(one, Station) and one is not self.base),
        )

    def at(self, axis: ShiftAxis, point: ShiftPoint) -> Station | str:
        """Return the run of a point, or why there is none."""
        return self.stations[axis.name, point.name]


@dataclass(frozen=True)
class _Named:
    """A progress that says of which benchmark it tells."""

    name: str
    inner: Progress

    def begin(self, what: str, total: int) -> None:
        self.inner.begin(f"{self.name}: {what}", total)

    def advance(self, row: Row | None = None) -> None:
        self.inner.advance(row)

    def note(self, text: str) -> None:
        self.inner.note(text)


def able(requests: Sequence[MethodRequest], spec: Spec) -> list[MethodRequest]:
    """Return the methods that can run on a benchmark here."""
    return [request for request in requests if not why_unavailable(request, spec)]


def run_shift(
    base: Spec,
    chosen: Sequence[ShiftAxis],
    requests: Sequence[MethodRequest],
    out: Path,
    options: RunOptions,
    progress: Progress,
    interrupts: Interrupts,
) -> ShiftRun:
    """Run methods on a benchmark and at every point of the axes, each in a folder of its name below ``out``.

    Of every run the images of the cases are kept, too, on which a method lost most against the base; of few cases those
    of all. What the folders hold already is not done again. Errors as in `marbench.bench.run.run_benchmark`.
    """
    if base.recorded is not None:
        raise SpecError(f"{base.name}: its cases are recorded in files, and nothing of them can be changed.")

    if options.images == "gallery" and options.spread is not None and options.spread <= _FEW_CASES:
        # Which of them tell most is known at the end only, and to make their images again doubles the work.
        options = replace(options, images="all")

    def station(spec: Spec, **more: object) -> Station:
        folder, asked = out / spec.name, replace(options, **more)  # type: ignore[arg-type]
        told = _Named(spec.title, progress)
        finished = run_benchmark(spec, requests, folder, asked, told, interrupts)
        return Station(spec, folder, finished.rows, finished.faults)

    shift = ShiftRun(station(base), tuple(chosen))
    measure = measures_of(base.metrics.conventions)[0]
    for axis, point in [(one, point) for one in chosen for point in one.points]:
        # A point that a benchmark cannot have costs that point, not the night of the others.
        try:
            spec = derive(base, axis, point)
            Measurement(spec, torch.device("cpu"))  # refuses impossible physics
        except SpecError as error:
            shift.stations[axis.name, point.name] = str(error)
            continue
        found = shift.base if spec is base else station(spec)
        if found is not shift.base and options.images == "gallery":
            worst = frozenset(worst_cases(shift.base.rows, found.rows, measure).values())
            # A second pass over a finished folder: only these cases are made again, and only for their pictures.
            if not all((found.folder / "images" / case).is_dir() for case in worst):
                station(spec, pictures=worst, retry_failed=False)
        shift.stations[axis.name, point.name] = found
    return shift
