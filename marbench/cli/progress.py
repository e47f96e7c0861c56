"""How far a run is: a bar on a terminal, a line every few seconds elsewhere."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

if TYPE_CHECKING:
    from marbench.results.rows import Row

__all__ = ["TerminalProgress"]

LINE_SECONDS = 5.0


class TerminalProgress:
    """Shows the progress of a run on standard error; failures are told once per method and kind."""

    def __init__(self) -> None:
        self.begun = False
        self._console = Console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._bar = Bar(*columns, console=self._console) if self._console.is_terminal else None
        self._task: TaskID | None = None
        self._what, self._done, self._total = "", 0, 0
        self._start = self._last = time.monotonic()
        self._told: set[tuple[str, str, str]] = set()

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def begin(self, what: str, total: int) -> None:
        """Begin a stretch of work."""
        self.begun = True
        self._what, self._done, self._total = what, 0, total
        self._start = self._last = time.monotonic()
        if self._bar is not None and total:
            self._task = self._bar.add_task(what, total=total)

    def advance(self, row: Row | None = None) -> None:
        """Count one piece of it."""
        self._done += 1
        if row is not None and row.status not in ("ok", "unavailable"):
            self._tell(row)
        if self._bar is not None and self._task is not None:
            self._bar.advance(self._task)
        elif time.monotonic() - self._last > LINE_SECONDS:
            self._last = time.monotonic()
            left = (self._last - self._start) / self._done * (self._total - self._done)
            self.note(f"{self._what}: {self._done} of {self._total}, about {left:.0f} s left")

    def note(self, text: str) -> None:
        """Print a line."""
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def _tell(self, row: Row) -> None:
        kind = (row.method, row.status, row.error_kind)
        if kind not in self._told:
            self._told.add(kind)
            self.note(f"{row.method} on {row.case_id}: {row.status}: {row.message}")
