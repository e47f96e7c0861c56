"""Running benchmarks inside a test, without a word on the terminal."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from marbench.bench.limits import Limits
from marbench.bench.options import RunOptions
from marbench.bench.run import RunSummary, run_benchmark
from marbench.machine.interrupts import Interrupts
from marbench.method.request import parse_methods
from marbench.results.rows import Row
from marbench.spec import Spec

VOLATILE = ["seconds", "peak_mb", "attempt", "host_id"]


class Notes:
    """A progress that keeps what it is told."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.rows: list[Row] = []
        self.stretches: dict[str, int] = {}

    def begin(self, what: str, total: int) -> None:
        self.stretches[what] = total

    def advance(self, row: Row | None = None) -> None:
        if row is not None:
            self.rows.append(row)

    def note(self, text: str) -> None:
        self.notes.append(text)


def run(
    spec: Spec,
    folder: Path,
    methods: str = "none",
    plugins: Path | None = None,
    progress: Notes | None = None,
    timeout: float | None = None,
    memory: float | None = None,
    **options: object,
) -> RunSummary:
    limits = Limits(timeout, memory)
    asked = RunOptions(**{"timing": False, "images": "none", "workers": 1, "limits": limits, **options})  # type: ignore[arg-type]
    requests = parse_methods(methods, [plugins] if plugins else [])
    return run_benchmark(spec, requests, folder, asked, progress or Notes(), Interrupts())


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """Return rows without what differs between any two runs."""
    return rows.drop(columns=VOLATILE).sort_values(["method", "case_id"]).reset_index(drop=True)
