"""How far a run is: a bar on a terminal, a line every few seconds elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeVar

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from marbench.cli import options
from marbench.errors import MarbenchError
from marbench.machine.interrupts import Interrupted, Interrupts

if TYPE_CHECKING:
    from marbench.results.rows import Row

__all__ = ["TerminalProgress", "watched"]

LINE_SECONDS = 5.0
T = TypeVar("T")


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
        self._console.print(options.with_spec(text), markup=False, highlight=False, soft_wrap=True)

    def _tell(self, row: Row) -> None:
        kind = (row.method, row.status, row.error_kind)
        if kind not in self._told:
            self._told.add(kind)
            self.note(f"{row.method} on {row.case_id}: {row.status}: {row.message}")


def watched(folder: Path, work: Callable[[TerminalProgress, Interrupts], T]) -> T:
    """Do work that fills a folder, with a bar; a full disk, a lost cluster or an interrupt ends the program.

    Raises
    ------
    SystemExit
        It was interrupted, or failed after it had begun; what to do has been said.
    MarbenchError
        It could not begin.
    """
    progress = TerminalProgress()
    try:
        with Interrupts() as interrupts, progress:
            return work(progress, interrupts)
    except Interrupted as interrupt:
        # Which of the stored results a force has made nobody can tell.
        forced = click.get_current_context().params.get("force")
        click.echo(
            f"Interrupted. What was finished is in {options.shown(folder)}; the same command goes on from there"
            f"{', and begins anew with what --force names' if forced else ''}.",
            err=True,
        )
        raise SystemExit(interrupt.exit_code) from None
    except MarbenchError as error:
        if not progress.begun:
            raise
        click.echo(f"Error: {error}", err=True)
        raise SystemExit(1) from error
