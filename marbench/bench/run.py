"""A run from beginning to end: plan, execute, store, time. The command line only adds arguments and printing."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import pandas as pd

from marbench.bench.calls import Failure
from marbench.bench.execute import Candidate, Conditions, Seconds, load_candidates, run_unit
from marbench.bench.plan import Shard, Stored, Unit, cases_of, plan, stored_results
from marbench.bench.timing import time_method, timed_already, timing_cases
from marbench.cases.suite import Suite
from marbench.machine.devices import device_of
from marbench.machine.host import describe_host, host_id
from marbench.machine.interrupts import Interrupts, check_time_limit
from marbench.method.request import MethodRequest
from marbench.results.images import Gallery, ImageChoice, gallery_cases
from marbench.results.representative import telling_of_run
from marbench.results.rows import Key, Row
from marbench.results.store import Store, read_run
from marbench.spec import Spec

__all__ = ["Finished", "Progress", "Wishes", "run_benchmark", "time_benchmark"]


class Progress(Protocol):
    """Who wants to know how a run gets on."""

    def begin(self, what: str, total: int) -> None:
        """A stretch of work begins."""

    def advance(self, row: Row | None = None) -> None:
        """One piece of it is done."""

    def note(self, text: str) -> None:
        """Something worth a line."""


@dataclass(frozen=True)
class Wishes:
    """How to run.

    Attributes
    ----------
    limit : int, optional
        Only the first cases.
    timeout : float, optional
        Seconds that one call of a method may take.
    retry_failed : bool
        Try everything again that is not ok.
    timing : bool
        Time the methods that were not timed on this machine.
    command : str
        The command line, kept in the folder.
    """

    device: str = "cpu"
    limit: int | None = None
    images: ImageChoice = "gallery"
    timeout: float | None = None
    retry_failed: bool = False
    shard: Shard | None = None
    timing: bool = True
    command: str = ""


@dataclass(frozen=True, eq=False)
class Finished:
    """What a run leaves.

    Attributes
    ----------
    rows : DataFrame
        The rows that were asked for, stored before or now; as `marbench.results.store.Run.rows`.
    new : int
        How many of them are new.
    seconds : Seconds
    """

    rows: pd.DataFrame
    new: int
    seconds: Seconds


def run_benchmark(
    spec: Spec,
    requests: Sequence[MethodRequest],
    folder: Path,
    wishes: Wishes,
    progress: Progress,
    interrupts: Interrupts,
) -> Finished:
    """Run methods on a benchmark; what the folder holds already is not done again.

    Raises
    ------
    MarbenchError
        Before the work begins: the folder holds another benchmark or cannot be written, the device or the data are
        missing. `StoreError` at any moment: the disk is full; everything before is stored.
    Interrupted
        After everything that was finished has been stored.
    """
    seconds = Seconds()
    bench = _Bench(spec, requests, folder, wishes)
    table, problems = bench.store.stored()
    for problem in problems:
        progress.note(problem)
    stored = stored_results(table)
    units = bench.pending(stored)
    bench.register(new_rows=bool(units))
    candidates = bench.load({label for unit in units for task in unit.tasks for label in task.attempts}, progress)
    new = _execute(units, candidates, bench, stored, seconds, progress, interrupts)
    rows = bench.rows()
    if wishes.images == "gallery" and wishes.shard is None:
        units = bench.pending_images(rows)
        drawn = {label for unit in units for task in unit.tasks for label in task.attempts}
        candidates |= bench.load(drawn - set(candidates), progress)
        _draw(units, candidates, bench, seconds, progress, interrupts)
    # Shards would disturb each other's timing, and each of them would time everything.
    if wishes.timing and wishes.shard is None:
        done = timed_already(bench.store.timings(), bench.conditions.host_id, bench.device)
        good = set(rows.loc[rows["status"] == "ok", "method"])
        labels = [label for label, version in bench.hashes.items() if label in good and (label, version) not in done]
        candidates |= bench.load(set(labels) - set(candidates), progress)
        ready = [candidates[label] for label in labels if candidates[label].loaded]
        with seconds.of("timing"):
            _time(ready, bench, progress, interrupts)
    return Finished(rows, new, seconds)


def time_benchmark(
    spec: Spec,
    requests: Sequence[MethodRequest],
    folder: Path,
    wishes: Wishes,
    progress: Progress,
    interrupts: Interrupts,
) -> None:
    """Time methods on this machine, whether or not they were timed before. Errors as in `run_benchmark`."""
    bench = _Bench(spec, requests, folder, wishes)
    bench.register(new_rows=True)
    candidates = bench.load(set(bench.hashes), progress)
    _time([candidate for candidate in candidates.values() if candidate.loaded], bench, progress, interrupts)


class _Bench:
    """What the steps of a run share."""

    def __init__(self, spec: Spec, requests: Sequence[MethodRequest], folder: Path, wishes: Wishes) -> None:
        self.device = device_of(wishes.device)
        check_time_limit(wishes.timeout)
        self.wishes = wishes
        self.store = Store(folder, spec)
        self.suite = Suite(spec, device=self.device)
        self.keys = self.suite.keys()[: wishes.limit]
        fitted = [request.for_spec(spec) for request in requests]
        self.versions = {request.label: (request, request.hash()) for request in fitted}
        self.hashes = {label: version for label, (_, version) in self.versions.items()}
        self.host = describe_host()
        gallery = Gallery(folder / "images", self._wanted_images())
        self.conditions = Conditions(spec, self.device, host_id(self.host), wishes.timeout, gallery)

    def pending(self, stored: Mapping[Key, Stored]) -> list[Unit]:
        """Return what is still to do."""
        asked = (Key(label, version, case.case_id) for label, version in self.hashes.items() for case in self.keys)
        good = (key for key in asked if key in stored and stored[key].status == "ok")
        assert self.conditions.gallery is not None  # set above
        return list(
            plan(
                self.keys,
                self.hashes,
                stored,
                retry_failed=self.wishes.retry_failed,
                without_image=self.conditions.gallery.missing(good),
                shard=self.wishes.shard,
            )
        )

    def pending_images(self, rows: pd.DataFrame) -> list[Unit]:
        """Return what is to be done once more for the pictures of the cases that, by their scores, tell most."""
        gallery = self.conditions.gallery
        assert gallery is not None  # set above
        telling = telling_of_run(rows, self.keys, f"psnr[{self.conditions.spec.metrics.conventions[0]}]")
        gallery = replace(gallery, cases=gallery.cases | telling)
        self.conditions = replace(self.conditions, gallery=gallery)
        stored = stored_results(rows)
        good = [key for key, known in stored.items() if known.status == "ok"]
        methods = {key.method: key.method_hash for key in good}
        return list(plan(self.keys, methods, stored, without_image=gallery.missing(good)))

    def register(self, new_rows: bool) -> None:
        """Write who runs what, where; first see whether rows can be written, if there will be any."""
        if new_rows:
            self.store.prepare()
        self.store.write_host(self.conditions.host_id, self.host)
        for label, (request, version) in self.versions.items():
            card = request.entry.card.model_dump(mode="json")
            values = {"method_hash": version, "preset": request.preset or "", "values": request.values()}
            if request.found.file is not None:
                values["trained"] = request.found.file.card.model_dump(mode="json")
            self.store.write_method(label, {**card, **values})
        if self.wishes.command:
            self.store.write_command(self.wishes.command)

    def load(self, labels: Container[str], progress: Progress) -> dict[str, Candidate]:
        """Load methods, and tell of those that are unavailable."""
        wanted = {label: version for label, version in self.versions.items() if label in labels}
        candidates = load_candidates(wanted, self.conditions.spec, self.device)
        for candidate in candidates.values():
            if candidate.failure is not None:
                progress.note(f"{candidate.label} is unavailable: {candidate.failure.message}")
        return candidates

    def rows(self) -> pd.DataFrame:
        """Return the rows that were asked for."""
        rows = read_run(self.store.folder).rows
        cases = {case.case_id for case in cases_of(self.keys, self.wishes.shard)}
        return rows[rows["method"].isin(self.hashes) & rows["case_id"].isin(cases)].reset_index(drop=True)

    def _wanted_images(self) -> frozenset[str]:
        if self.wishes.images == "all":
            return frozenset(case.case_id for case in self.keys)
        if self.wishes.images == "none":
            return frozenset()
        return gallery_cases(self.suite.keys(), self.suite.spec.report.gallery_slices)


def _execute(
    units: Sequence[Unit],
    candidates: Mapping[str, Candidate],
    bench: _Bench,
    stored: Mapping[Key, Stored],
    seconds: Seconds,
    progress: Progress,
    interrupts: Interrupts,
) -> int:
    """Do the units and store their rows; return how many. Whatever ends it, what is finished is stored."""
    new = 0
    progress.begin("Running", sum(unit.results for unit in units))
    try:
        for unit in units:
            for row in run_unit(unit, bench.suite, candidates, bench.conditions, seconds, interrupts):
                if not _says_nothing_new(row, stored):
                    with seconds.of("storing"), interrupts.shield():
                        bench.store.add(row)
                    new += 1
                progress.advance(row)
            with seconds.of("storing"), interrupts.shield():
                bench.store.flush()
    finally:
        with interrupts.shield():
            bench.store.flush()
    interrupts.check()
    return new


def _draw(
    units: Sequence[Unit],
    candidates: Mapping[str, Candidate],
    bench: _Bench,
    seconds: Seconds,
    progress: Progress,
    interrupts: Interrupts,
) -> None:
    """Do the units for their images alone: their rows are stored already."""
    if units:
        progress.begin("Pictures", sum(unit.results for unit in units))
    for unit in units:
        for _ in run_unit(unit, bench.suite, candidates, bench.conditions, seconds, interrupts):
            progress.advance()
    interrupts.check()


def _says_nothing_new(row: Row, stored: Mapping[Key, Stored]) -> bool:
    """Tell whether a method is unavailable as it was before: runs without news add no rows."""
    known = stored.get(Key(row.method, row.method_hash, row.case_id))
    return known is not None and row.status == known.status == "unavailable" and row.message == known.message


def _time(candidates: Sequence[Candidate], bench: _Bench, progress: Progress, interrupts: Interrupts) -> None:
    cases = [bench.suite[index] for index in timing_cases(len(bench.keys))] if candidates else []
    progress.begin("Timing", len(candidates))
    for candidate in candidates:
        timings = time_method(candidate, cases, bench.conditions)
        interrupts.check()
        if isinstance(timings, Failure):
            progress.note(f"{candidate.label} could not be timed: {timings.message}")
        else:
            with interrupts.shield():
                bench.store.add_timings(timings)
        progress.advance()
