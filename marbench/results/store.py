"""The results folder: written by runs, read by plans and pages.

::

    spec.toml             the benchmark, resolved
    results/*.parquet     one row per method and case (`Row`)
    timing/*.parquet      one row per timed call (`TimingRow`)
    hosts/<id>.json       the machines
    methods/<label>.json  the cards of the methods, so that pages need no plugin
    images/<case>/…       what the gallery shows
    commands.txt          the command lines that filled the folder
    report/index.html     the page

Nothing in it is ever rewritten or deleted but whole small files; several processes may fill one folder at once.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from marbench.errors import MarbenchError, StoreError
from marbench.machine.files import safe_name, writable_folder, write_atomically
from marbench.results.parts import read_parts, write_part
from marbench.results.rows import Row, TimingRow, metric_names
from marbench.spec import Spec, load_spec
from marbench.spec_file import hold_to_spec

__all__ = ["Run", "Store", "read_run"]

FLUSH_SECONDS = 5.0


@dataclass(frozen=True, eq=False)
class Run:
    """Everything that a results folder tells.

    Attributes
    ----------
    folder : Path
    spec : Spec
    rows : DataFrame
        One row per (method, case_id): of the method as it was last run (see `Store.write_method`), the newest attempt,
        a successful one preferred. Columns as in `marbench.results.rows.Row`, and one float64 column per metric.
    timings : DataFrame
        As `marbench.results.rows.TimingRow`, of the same versions of the methods.
    hosts : dict
        Host id → description.
    cards : dict
        Label → the method's card, its ``method_hash`` and ``preset``, and as ``trained`` the card of its weights.
    problems : list of str
        Files that were skipped, and why.
    commands : list of str
        The command lines that filled the folder, oldest first.
    """

    folder: Path
    spec: Spec
    rows: pd.DataFrame
    timings: pd.DataFrame
    hosts: dict[str, dict[str, Any]]
    cards: dict[str, dict[str, Any]]
    problems: list[str]
    commands: list[str]


class Store:
    """The writing side of a results folder. Rows are kept in memory for some seconds at most.

    Parameters
    ----------
    folder : Path
    spec : Spec

    Raises
    ------
    StoreError
        The folder holds another benchmark, or is a file.
    """

    def __init__(self, folder: Path, spec: Spec) -> None:
        hold_to_spec(folder, spec, write=False)
        self.folder = folder
        self.spec = spec
        self._rows: list[Row] = []
        self._flushed = time.monotonic()

    def prepare(self) -> None:
        """Make the folder ready for rows, or raise `StoreError` before any work is done in vain."""
        hold_to_spec(self.folder, self.spec)
        writable_folder(self.folder / "results")

    def stored(self) -> tuple[pd.DataFrame, list[str]]:
        """Return all rows of the folder, of any version of any method, and the files that were skipped."""
        parts = read_parts(self.folder / "results", "results", self.spec.hash)
        return parts.table, parts.problems

    def timings(self) -> pd.DataFrame:
        """Return all timed calls of the folder."""
        return read_parts(self.folder / "timing", "timing", self.spec.hash).table

    def add(self, row: Row) -> None:
        """Take a row; write it now if the last writing is some seconds ago."""
        self._rows.append(row)
        if time.monotonic() - self._flushed > FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write the rows that are in memory. They stay there if that fails (`StoreError`)."""
        if self._rows:
            write_part(self.folder / "results", "results", self.spec.hash, [row.record() for row in self._rows])
            self._rows = []
        self._flushed = time.monotonic()

    def add_timings(self, timings: list[TimingRow]) -> None:
        """Write timed calls."""
        write_part(self.folder / "timing", "timing", self.spec.hash, [timing.record() for timing in timings])

    def write_host(self, host_id: str, host: Mapping[str, Any]) -> None:
        """Keep the description of a machine."""
        _write_json(self.folder / "hosts" / f"{host_id}.json", host)

    def write_method(self, label: str, card: Mapping[str, Any]) -> None:
        """Keep the card of a method. Its ``method_hash`` decides which version's rows `read_run` returns."""
        _write_json(self.folder / "methods" / f"{safe_name(label)}.json", {"label": label, **card})

    def write_command(self, command: str) -> None:
        """Keep the command line that fills the folder."""
        commands = _read_commands(self.folder)
        if command not in commands:
            write_atomically(self.folder / "commands.txt", "\n".join([*commands, command, ""]).encode())


def read_run(folder: str | Path) -> Run:
    """Read a results folder.

    Raises
    ------
    StoreError
        There is no run in the folder, or its ``spec.toml`` cannot be read.
    """
    folder = Path(folder)
    if not (folder / "spec.toml").is_file():
        raise StoreError(f"{folder} holds no results (no spec.toml). Fill it with: marbench run --out {folder}")
    try:
        spec = load_spec(folder / "spec.toml")
    except MarbenchError as error:
        raise StoreError(f"{folder} cannot be read: {error}") from error
    results = read_parts(folder / "results", "results", spec.hash)
    timings = read_parts(folder / "timing", "timing", spec.hash)
    problems = [*results.problems, *timings.problems]
    hosts = _read_json_folder(folder / "hosts", problems)
    methods = _read_json_folder(folder / "methods", problems)
    cards = {card["label"]: card for card in methods.values() if "label" in card}
    rows = results.table.reindex(
        columns=list(dict.fromkeys([*results.table.columns, *metric_names(spec.metrics.conventions)]))
    )
    current = _current_versions(rows, cards)
    return Run(
        folder=folder,
        spec=spec,
        rows=_one_per_case(_of_versions(rows, current)),
        timings=_of_versions(timings.table, current).reset_index(drop=True),
        hosts=hosts,
        cards=cards,
        problems=problems,
        commands=_read_commands(folder),
    )


def _current_versions(rows: pd.DataFrame, cards: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Return label → method_hash: the one on the method's card, or without rows of it the newest stored one."""
    versions: dict[str, str] = {}
    for label, hashes in rows.groupby("method", sort=False)["method_hash"]:
        named = cards.get(str(label), {}).get("method_hash")
        versions[str(label)] = str(named) if named in set(hashes) else str(hashes.iloc[-1])
    return versions


def _of_versions(rows: pd.DataFrame, versions: Mapping[str, str]) -> pd.DataFrame:
    return rows[rows["method_hash"] == rows["method"].map(versions)]


def _one_per_case(rows: pd.DataFrame) -> pd.DataFrame:
    """Keep the newest attempt of every method and case, a successful one preferred. Order: method, case."""
    ranked = rows.assign(_ok=rows["status"] == "ok")
    # A stable sort: rows of equal attempt stay in the order in which they were written.
    ranked = ranked.sort_values(["method", "case_id", "_ok", "attempt"], kind="stable").drop(columns="_ok")
    return ranked.drop_duplicates(["method", "case_id"], keep="last").reset_index(drop=True)


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    data = json.dumps(content, indent=1, ensure_ascii=False, sort_keys=True).encode() + b"\n"
    if not (path.is_file() and path.read_bytes() == data):
        write_atomically(path, data)


def _read_json_folder(folder: Path, problems: list[str]) -> dict[str, dict[str, Any]]:
    """Return file stem → content; files that are no JSON objects are added to the problems."""
    contents = {}
    for path in sorted(folder.glob("*.json")):
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            if not isinstance(content, dict):
                raise ValueError("expected a JSON object")
        except (OSError, ValueError) as error:
            problems.append(f"{folder.name}/{path.name} is skipped: {error}")
        else:
            contents[path.stem] = content
    return contents


def _read_commands(folder: Path) -> list[str]:
    path = folder / "commands.txt"
    return path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
