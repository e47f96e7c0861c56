"""The results folder: written by runs, read by plans and pages.

::

    spec.toml             the benchmark, resolved
    results/*.parquet     one row per method and case (`Row`)
    timing/*.parquet      one row per timed call (`TimingRow`)
    hosts/<id>.json       the machines
    methods/<label>.json  the cards of the methods, so that pages need no plugin
    images/<case>/…       what the gallery shows
    commands.txt          the command lines that filled the folder
    slices.txt            what of the data's files and slices is not used, and why
    report/index.html     the page

Several processes may fill one folder at once. A folder may come from anyone: what stands in it is checked when it is
read, links in it are not followed, and what cannot be used is named and left alone.
"""

from __future__ import annotations

import contextlib
import shlex
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from marbench.errors import StoreError
from marbench.machine.files import holds, safe_name, within, writable_folder, write_atomically
from marbench.machine.locks import locked
from marbench.machine.text import clean, clean_line, counted, few
from marbench.results.admission import admit
from marbench.results.descriptions import COMMANDS, NOTICES, description, read_cards, read_hosts, read_lines
from marbench.results.part_file import Piece
from marbench.results.parts import MANY, Parts, merge_pieces, read_parts, write_part
from marbench.results.rows import PLAN_COLUMNS, PROOFS, Row, TimingRow, metric_names
from marbench.results.versions import best_rows, leading_versions
from marbench.spec import Spec
from marbench.spec_file import hold_to_spec, read_spec

__all__ = ["Run", "Store", "open_run", "read_run"]

# What a kill may cost. Rows that come faster share a part, which costs as much to write and read as a single row.
FLUSH_SECONDS = 5.0
_LOCK_SECONDS = 10.0

_FOLDERS = ("results", "timing", "hosts", "methods", "images", "running")
# Texts that came from a plugin or a data file, as far as they are shown.
_TEXTS = ("error_kind", "message", "trace", "region", "materials", "device", "device_name")


@dataclass(frozen=True, eq=False)
class Run:
    """Everything that a results folder tells.

    Attributes
    ----------
    folder : Path
    spec : Spec
    rows : DataFrame
        One row per (method, case_id): of the method as it was last run (see `Store.write_method`), a successful one
        before all, then what was run here, then the newest attempt. Columns as in `marbench.results.rows.Row`, and one
        float64 column per metric.
    timings : DataFrame
        As `marbench.results.rows.TimingRow`, of the same versions of the methods; of a method without rows, of the
        version on its card. On each device of each host those that were measured last.
    hosts : dict
        Host id → description.
    cards : dict
        Label → the method's card, its ``method_hash`` and ``preset``, and as ``trained`` the card of its weights.
    problems : list of str
        Files and rows that were left out, and why.
    commands : list of str
        The command lines that filled the folder, oldest first.
    notices : list of str
        What of the files and slices was passed over, left out or assumed.
    faults : DataFrame
        One row, of no method, per case that could not be made and has no result; columns as ``rows``.
    created : int array
        When each of ``rows`` was written, in ns since 1970; 0 where that is not known, as of a run that was sent in.
    """

    folder: Path
    spec: Spec
    rows: pd.DataFrame
    timings: pd.DataFrame
    hosts: dict[str, dict[str, Any]]
    cards: dict[str, dict[str, Any]]
    problems: list[str]
    commands: list[str]
    notices: list[str] = field(default_factory=list)
    faults: pd.DataFrame = field(default_factory=pd.DataFrame)
    created: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))

    @property
    def proof(self) -> int:
        """How well its best proven result is, by its place in `PROOFS`."""
        return max(map(PROOFS.index, self.rows["evidence"].unique()), default=0)

    def cards_of(self, versions: Mapping[str, str]) -> dict[str, dict[str, Any]]:
        """Return the cards but those of another version than that of their label; without one a card fits any."""
        return {
            label: card
            for label, card in self.cards.items()
            if card.get("method_hash") in (None, versions.get(label, card.get("method_hash")))
        }


class Store:
    """The writing side of a results folder. Rows wait in memory for others, but none that took more than some seconds.

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
        hold_to_spec(folder, spec, write=False)  # a run that has nothing to do claims no folder
        self.folder = folder
        self.spec = spec
        self._rows: list[Row] = []
        self._pieces: list[Piece] = []
        self._cards: dict[str, Mapping[str, Any]] = {}
        self._flushed = time.monotonic()
        self._command = ""

    def prepare(self) -> None:
        """Make the folder ready for rows, or raise `StoreError` before any work is done in vain."""
        hold_to_spec(self.folder, self.spec)
        for name in _FOLDERS:
            within(self.folder, f"{name}/file")  # a link there would lead rows elsewhere
        writable_folder(self.folder / "results")

    def stored(self) -> tuple[pd.DataFrame, list[str]]:
        """Return what a plan needs of all rows, of any version of any method, and what was left out.

        The columns are `PLAN_COLUMNS`, texts as categories. Merges small parts.
        """
        parts = read_parts(self.folder / "results", "results", self.spec.hash, merge=True, columns=PLAN_COLUMNS)
        rows, refused = admit(parts.table)
        return rows.reset_index(drop=True), [clean_line(text) for text in (*parts.problems, *refused)]

    def timings(self) -> pd.DataFrame:
        """Return all timed calls of the folder. Merges small parts."""
        return read_parts(self.folder / "timing", "timing", self.spec.hash, merge=True).table

    def run(self, asked: Mapping[str, str] | None = None) -> Run:
        """Write what is in memory, merge small parts, and return all that the folder tells.

        Whoever asks for methods, label → version, gets the rows of these, and none that are only reported.
        """
        self.flush()
        return _read(self.folder, merge=True, asked=asked)

    def add(self, row: Row) -> None:
        """Take a row; write it now if the last writing is some seconds ago, or the row has cost more than these."""
        if row.status != "unavailable" and row.method in self._cards:
            self.write_method(row.method, self._cards.pop(row.method))
        self._rows.append(row)
        if row.seconds > FLUSH_SECONDS or time.monotonic() - self._flushed > FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write the rows that are in memory. They stay there if that fails (`StoreError`)."""
        if self._rows:
            folder, records = self.folder / "results", [row.record() for row in self._rows]
            self._pieces.append(write_part(folder, "results", self.spec.hash, records))
            self._rows = []
            self._keep_command()
            if len(self._pieces) >= MANY:
                # A long run leaves thousands of parts, which are merged while they are still in memory.
                with contextlib.suppress(StoreError):
                    merge_pieces(folder, "results", self.spec.hash, self._pieces)
                self._pieces = []
        self._flushed = time.monotonic()

    def add_timings(self, timings: list[TimingRow]) -> None:
        """Write timed calls."""
        write_part(self.folder / "timing", "timing", self.spec.hash, [timing.record() for timing in timings])
        self._keep_command()

    def write_host(self, host_id: str, host: Mapping[str, Any]) -> None:
        """Keep the description of a machine."""
        _describe(self.folder, f"hosts/{host_id}.json", host)

    def write_method(self, label: str, card: Mapping[str, Any], with_rows: bool = False) -> None:
        """Keep the card of a method, at once or ``with_rows``: with the first one that tells of a call.

        Its ``method_hash`` decides which version's rows `open_run` returns, unless nothing of that version ran here.
        """
        if with_rows:
            self._cards[label] = card
            return
        _describe(self.folder, f"methods/{safe_name(label)}.json", {"label": label, **card})

    def write_command(self, command: str) -> None:
        """Keep the command line with the first rows or timings that it brings: one that brings none fills nothing."""
        self._command = command

    def write_notices(self, notices: Sequence[str]) -> None:
        """Keep what of the data is not used; the benchmark is of the slices that are, so it is the same each time."""
        told = [clean_line(notice) for notice in notices]
        if told and told != read_lines(self.folder, NOTICES, []):
            write_atomically(self.folder / NOTICES, "\n".join([*told, ""]).encode())

    def _keep_command(self) -> None:
        command, self._command = clean_line(self._command), ""
        if not command or command in read_lines(self.folder, COMMANDS, []):
            return
        with contextlib.ExitStack() as held:
            # Jobs of an array begin at once. Only where there are no locks one may write over the line of another.
            with contextlib.suppress(StoreError):
                held.enter_context(locked(self.folder / f".{COMMANDS}.lock", _LOCK_SECONDS))
            commands = dict.fromkeys([*read_lines(self.folder, COMMANDS, []), command])
            write_atomically(self.folder / COMMANDS, "\n".join([*commands, ""]).encode())


def read_run(folder: str | Path) -> pd.DataFrame:
    """Return the results of a folder that `marbench run` filled: one row per method and case.

    Of a method that was run more than once, the version that ran last counts, and of every case a successful
    attempt before all, then one that was run here, then the newest. What cannot be used is left out, and named in a
    warning.

    Parameters
    ----------
    folder : str or Path

    Returns
    -------
    DataFrame
        Columns, sorted by method and case:

        ``spec_hash protocol``
            The benchmark.
        ``method method_hash preset``
            The label, e.g. ``nmar[prior=raw]``; the hash of its code, weights and parameters; its preset.
        ``case_id patient_id slice_id metal_id size_group case_index case_digest``
            The case; size group 1 holds the largest metals. Its place in the benchmark, and a digest of its data.
        ``metal_area_px metal_area_mm2 region materials window_low window_high``
            Its properties; areas in pixels of the metal mask and mm², the display window in HU.
        ``status error_kind message trace``
            ``ok``, or what went wrong.
        ``seconds peak_mb device host_id attempt evidence``
            The call: s, MB; ``run here``, ``recomputed from images`` or ``reported``.
        ``rmse_hu psnr[…] ssim[…]``
            The scores: HU, dB, none; NaN where the status is not ok.

    Raises
    ------
    StoreError
        There is no run in the folder, or its ``spec.toml`` cannot be read.
    """
    run = open_run(folder)
    for problem in run.problems:
        warnings.warn(problem, stacklevel=2)
    return run.rows


def open_run(folder: str | Path) -> Run:
    """Read a results folder, all of it but the pictures.

    Raises
    ------
    StoreError
        There is no run in the folder, or its ``spec.toml`` cannot be read.
    """
    return _read(Path(folder), merge=False)


def _read(folder: Path, merge: bool, asked: Mapping[str, str] | None = None) -> Run:
    try:
        spec = read_spec(folder)
    except StoreError as error:
        raise StoreError(f"{folder} cannot be read: {error}") from error
    if spec is None:
        where = shlex.quote(str(folder))
        raise StoreError(f"{folder} holds no results (no spec.toml). Fill it with: marbench run --out {where}")
    results = read_parts(folder / "results", "results", spec.hash, merge=merge)
    timings = read_parts(folder / "timing", "timing", spec.hash, merge=merge)
    problems = [*results.problems, *timings.problems]
    hosts, cards = read_hosts(folder, problems), read_cards(folder, problems)
    commands, notices = (read_lines(folder, name, problems) for name in (COMMANDS, NOTICES))
    # Beside the rows, not among them: two runs of one benchmark have the same rows.
    rows, refused = admit(results.table.assign(created=results.created))
    columns = list(dict.fromkeys([*rows.columns, *metric_names(spec.metrics.conventions)]))
    rows = rows.reindex(columns=columns)
    # Rows without a method tell of cases that could not be made; once a case has results, nothing is left to tell.
    faults = _cleaned(best_rows(rows[rows["method"] == ""]))
    rows = rows[rows["method"] != ""]
    faults = faults[~faults["case_id"].isin(rows["case_id"])].drop(columns="created").reset_index(drop=True)
    # A method that was only timed has no rows to say which version counts; one with rows is judged by those.
    current = _named_versions(timings.table, cards) | _current_versions(rows, cards)
    if asked is not None:
        rows, current = rows[rows["evidence"] != "reported"], current | dict(asked)
    kept = _cleaned(best_rows(_of_versions(rows, current)))
    created = kept.pop("created").to_numpy(np.int64)
    return Run(
        folder=folder,
        spec=spec,
        rows=kept,
        created=created,
        faults=faults,
        timings=_cleaned(_of_versions(_measured_last(timings), current).reset_index(drop=True)),
        hosts=hosts,
        cards=cards,
        problems=[clean_line(problem) for problem in (*problems, *refused, *_told(faults))],
        commands=commands,
        notices=notices,
    )


def _current_versions(rows: pd.DataFrame, cards: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Return label → method_hash of the version that counts: as `_named_versions`, if anything of that one ran.

    A version of which nothing ran, as without its weights, hides no results: of others the one counts that would, were
    each row a run of its own.
    """
    named = _named_versions(rows, cards)
    ran = rows.loc[rows["status"] != "unavailable", ["method", "method_hash"]].drop_duplicates()
    idle = named.keys() - {label for label, version in ran.itertuples(index=False) if named[label] == version}
    good = rows.loc[rows["status"] == "ok", "method"].unique()
    # Among all rows: what is complete, the cases of all methods tell.
    leading = leading_versions(rows, range(len(rows))) if idle & set(good) else {}
    return named | {label: leading[label] for label in idle & set(good)}


def _named_versions(rows: pd.DataFrame, cards: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Return label → method_hash: the one on the method's card, or without rows of it the newest stored one."""
    versions: dict[str, str] = {}
    for label, hashes in rows.groupby("method", sort=False)["method_hash"]:
        named = cards.get(str(label), {}).get("method_hash")
        versions[str(label)] = str(named) if named in set(hashes) else str(hashes.iloc[-1])
    return versions


def _of_versions(rows: pd.DataFrame, versions: Mapping[str, str]) -> pd.DataFrame:
    return rows[rows["method_hash"] == rows["method"].map(versions)]


def _measured_last(timings: Parts) -> pd.DataFrame:
    """Keep the newest writing of every method, version, device and host: whoever measures anew has a reason to."""
    table = timings.table.assign(created=timings.created)
    newest = table.groupby(["method", "method_hash", "device", "host_id"])["created"].transform("max")
    return table[table["created"] == newest].drop(columns="created")


def _told(faults: pd.DataFrame) -> list[str]:
    """Return a line for each way in which cases could not be made."""
    return [
        f"{counted(len(cases), 'case')} could not be made, {few(cases, 3)}: {why}"
        for why, cases in faults.groupby("message")["case_id"].unique().items()
    ]


def _cleaned(rows: pd.DataFrame) -> pd.DataFrame:
    """Return rows whose texts can be shown and published, see `marbench.machine.text`."""
    for name in (name for name in _TEXTS if name in rows):
        changed = {text: cleaned for text in rows[name].unique() if (cleaned := clean(str(text))) != text}
        if changed:
            rows = rows.assign(**{name: rows[name].replace(changed)})
    return rows


def _describe(folder: Path, name: str, content: Mapping[str, Any]) -> None:
    path, data = within(folder, name), description(content)
    # A run that adds nothing changes no file: its folder can be compared, and may be read-only.
    if not holds(path, data):
        write_atomically(path, data)
