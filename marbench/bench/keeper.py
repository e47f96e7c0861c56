"""Keeping what comes of the work: rows and pictures in the store, what is in flight on disk."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from marbench.bench.campaign import Campaign
from marbench.bench.executors import Executor
from marbench.bench.options import Progress
from marbench.bench.outcome import Failure, Outcome
from marbench.bench.plan import Stored, Unit
from marbench.bench.stopwatch import Stopwatch
from marbench.bench.work import Began, Ended, HostSeen, Result, Work, row_of
from marbench.bench.worker import UnitDone
from marbench.cases.digest import digests_agree
from marbench.cases.info import CaseKey
from marbench.errors import StoreError
from marbench.machine.host import describe_host, host_id
from marbench.machine.interrupts import Interrupts
from marbench.results.inflight import InFlight, unfinished
from marbench.results.rows import Key, Row

__all__ = ["Keeper", "given_up", "hold_to_patients"]

_ENDINGS = 3
"""How often a run may end during one call until the call is given up."""


class Keeper:
    """Keeps what comes of the work: in the store, on disk what is in flight, and on the terminal."""

    def __init__(
        self,
        campaign: Campaign,
        table: pd.DataFrame,
        stored: Stored,
        calls: InFlight,
        stopwatch: Stopwatch,
        progress: Progress,
        interrupts: Interrupts,
    ) -> None:
        self._campaign, self._stored = campaign, stored
        known = table.loc[table["case_digest"] != "", ["case_id", "case_digest"]].drop_duplicates("case_id")
        self._digests = dict(zip(known["case_id"].tolist(), known["case_digest"].tolist(), strict=True))
        self._calls, self._stopwatch, self._progress, self._interrupts = calls, stopwatch, progress, interrupts
        self.new = 0
        self.faults: list[Row] = []
        self._told: set[str] = set()
        self.done: frozenset[tuple[str, str]] = frozenset()

    def keep(self, executor: Executor, work: Sequence[Work]) -> None:
        """Do the work and store its rows. Whatever ends it, what is finished is stored."""
        try:
            for event in executor.run(work):
                # A signal may have come inside a callback of a library, which swallowed what it raised.
                self._interrupts.check()
                if isinstance(event, Began):
                    self._calls.begin(event.key)
                elif isinstance(event, Ended):
                    self._calls.end(event.key)
                elif isinstance(event, HostSeen):
                    self._campaign.store.write_host(event.id, event.description)
                elif isinstance(event, Result):
                    self._stopwatch.add(event.spent)
                    self.take(event)
                elif isinstance(event, UnitDone):
                    # A unit is some seconds of work: that much is lost at most where a machine goes down.
                    with self._stopwatch.of("storing"), self._interrupts.shield():
                        self._campaign.store.flush()
        finally:
            with self._interrupts.shield():
                self._campaign.store.flush()
        self._interrupts.check()

    def draw(self, executor: Executor, work: Sequence[Work]) -> None:
        """Do the work for its pictures alone: its rows are stored already."""
        for event in executor.run(work):
            self._interrupts.check()
            if isinstance(event, Result):
                self._stopwatch.add(event.spent)
                self._write_pictures(event)
                self._progress.advance()

    def take(self, result: Result) -> None:
        """Store a row, and before it its pictures: whoever finds the row finds them."""
        row = result.row
        # Before anything is stored: a folder of mixed data would be refused as a whole later.
        self._hold_to_data(row)
        self._write_pictures(result)
        if not row.method:
            self.faults.append(row)
        if row.status == "unavailable" and row.method not in self._told:
            self._told.add(row.method)
            self._progress.note(f"{row.method} is unavailable: {row.message}")
        if not self._says_nothing_new(row):
            with self._stopwatch.of("storing"), self._interrupts.shield():
                self._campaign.store.add(row)
            self.new += 1
        # Only now: a kill between the end of a call and its row makes the call again, and loses nothing.
        self._calls.end(Key(row.method, row.method_hash, row.case_id))
        self._progress.advance(row)

    def _write_pictures(self, result: Result) -> None:
        with self._stopwatch.of("storing"), self._interrupts.shield():
            self._campaign.gallery.write(result.files)

    def _hold_to_data(self, row: Row) -> None:
        """Refuse to add results to those of other data."""
        if not row.case_digest:
            return
        # Equal up to rounding: rows of other processors are of the same case.
        known = self._digests.setdefault(row.case_id, row.case_digest)
        if not digests_agree(known, row.case_digest):
            raise StoreError(
                f"{self._campaign.store.folder} holds results of the case {row.case_id} made from other data, or by "
                f"another version of the simulation (digest {known[:16]}…, here {row.case_digest[:16]}…). "
                "Choose another --out."
            )

    def _says_nothing_new(self, row: Row) -> bool:
        """Tell whether a row is as it was before: runs without news add no rows."""
        # Else a benchmark with a method that lacks its weights would grow with every run.
        known = self._stored.get(Key(row.method, row.method_hash, row.case_id))
        if known is None or known.status != row.status:
            return False
        return not row.method or (row.status == "unavailable" and row.message == known.message)


def hold_to_patients(folder: Path, keys: Iterable[CaseKey], table: pd.DataFrame) -> None:
    """Raise StoreError where rows of a folder, of whichever cases, are of patients under other names than here."""
    # The statistics count patients: under two names one patient would be two.
    patients = {key.case_id: key.patient_id for key in keys}
    stored = table[["case_id", "patient_id"]].drop_duplicates()
    for case_id, patient in stored.itertuples(index=False):
        if patient != patients.get(case_id, patient):
            raise StoreError(
                f"{folder} names the patient of the case {case_id} {patient}, here it is "
                f"{patients[case_id]}: names are made with another salt. Set MARBENCH_SALT to the one of that run, or "
                "choose another --out."
            )


def given_up(campaign: Campaign, units: Sequence[Unit], keeper: Keeper) -> frozenset[str]:
    """Return the methods during whose calls earlier runs have ended; give up calls during which they did so often.

    A run may have been killed for reasons of its own, so such a call is repeated, in a process of its own.
    """
    # Of another version of a method nothing is known: what ended its call may be mended.
    endings = {
        key: count
        for key, count in unfinished(campaign.store.folder).items()
        if campaign.hashes.get(key.method) == key.method_hash
    }
    often = {(key.method, key.case_id) for key, count in endings.items() if count >= _ENDINGS and key.case_id}
    pending = {(label, task.case.case_id): task for unit in units for task in unit.tasks for label in task.attempts}
    # Without a call there is nobody else to say where it was: this machine goes on with the run.
    where = {"spec_hash": campaign.suite.spec.hash, "device": campaign.conditions.device}
    where["host"] = host_id(describe_host())
    methods = {fitted.label: fitted for fitted in campaign.conditions.methods}
    failure = Failure("crashed", "Run", f"the whole run ended {_ENDINGS} times during this call")
    for label, case_id in sorted(often & set(pending)):
        task = pending[label, case_id]
        place = campaign.suite.places[task.index]
        keeper.take(Result(row_of(task, place, methods[label], Outcome(failure=failure), **where)))
    keeper.done = frozenset(often)
    return frozenset(key.method for key in endings)
