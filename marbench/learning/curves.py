"""Learning curves: CSV files that grow with the run, and a picture of them."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import pandas as pd

from marbench.machine.files import write_atomically
from marbench.metrics.measure import Measure

__all__ = ["LearningCurves"]


class LearningCurves:
    """``losses.csv``, ``validation.csv`` and ``curves.png`` in the folder of a run."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def add(self, name: str, row: Mapping[str, float]) -> None:
        """Append a row to ``NAME.csv``. Columns may come later, or lack a value: there they are empty."""
        path = self._folder / f"{name}.csv"
        columns = next(_rows(path), [])
        if more := [column for column in row if column not in columns]:
            earlier = [[*each, *("" for _ in more)] for each in _rows(path)][1:]
            columns += more
            _write(path, [columns, *earlier])
        with path.open("a", newline="", encoding="utf-8") as file:
            csv.DictWriter(file, columns).writerow(row)

    def read(self, name: str) -> pd.DataFrame:
        """Return the rows of ``NAME.csv``; empty where there is none."""
        path = self._folder / f"{name}.csv"
        return pd.read_csv(path, on_bad_lines="skip") if self._has_rows(path) else pd.DataFrame()

    @staticmethod
    def _has_rows(path: Path) -> bool:
        # A disk that was full leaves a file without even its header.
        return path.is_file() and path.stat().st_size > 0

    def rewind(self, step: int) -> None:
        """Forget what was written after a step: the run goes on from there."""
        for path in (self._folder / "losses.csv", self._folder / "validation.csv"):
            header, *rows = [*_rows(path)] or [[]]
            if header:
                # The last row may have been cut off by a kill.
                whole = [row for row in rows if len(row) == len(header) and int(row[0]) <= step]
                _write(path, [header, *whole])

    def plot(self, measures: Sequence[Measure], baseline: Mapping[str, float]) -> None:
        """Draw the losses, and the validation scores beside those of linear interpolation (``baseline``)."""
        from matplotlib.figure import Figure

        losses, scores = self.read("losses"), self.read("validation")
        panels = 1 + len(measures)
        figure = Figure(figsize=(4 * panels, 3.6))
        # Fixed margins: finding them anew takes as long as drawing.
        margins = {"left": 0.2 / panels, "right": 1 - 0.03 / panels, "bottom": 0.15, "top": 0.91, "wspace": 0.25}
        axes = figure.subplots(1, panels, gridspec_kw=margins)
        for column in [name for name in losses if "/" in str(name)]:
            known = losses.dropna(subset=[column])
            axes[0].plot(known["samples"], known[column], lw=0.8, label=column)
        axes[0].set(yscale="log", title="training losses", xlabel="samples")
        if not losses.empty:
            axes[0].legend(fontsize=6)
        for axis, measure in zip(axes[1:], measures, strict=True):
            if not scores.empty:
                axis.plot(scores["samples"], scores[measure.id], "o-", ms=2.5)
            if measure.id in baseline:
                axis.axhline(baseline[measure.id], color="grey", ls="--", lw=0.8, label="LI")
                axis.legend(fontsize=6)
            unit = f" ({measure.unit})" if measure.unit else ""
            axis.set(title=f"validation {measure.id}{unit}", xlabel="samples")
        figure.savefig(self._folder / "curves.png", dpi=110)


def _rows(path: Path) -> Iterator[list[str]]:
    """Yield the rows of a file, the header first; none where there is no file."""
    if path.is_file():
        with path.open(newline="", encoding="utf-8") as file:
            yield from csv.reader(file)


def _write(path: Path, rows: Iterable[Sequence[str]]) -> None:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    write_atomically(path, text.getvalue().encode())
