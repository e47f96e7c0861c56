"""A run from beginning to end: plan, do, store, time. The command line only adds arguments and printing."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import pandas as pd
import torch

from marbench.bench.executors import DaskCluster, Executor, LocalWorkers, ThisProcess, default_workers
from marbench.bench.limits import NO_LIMITS, Limits
from marbench.bench.outcome import Failure
from marbench.bench.plan import Shard, Stored, Unit, cases_of, plan
from marbench.bench.producers import Isolation
from marbench.bench.timing import time_method, timed_already, timing_cases
from marbench.bench.work import Began, Conditions, HostSeen, Result, Session, Work
from marbench.bench.worker import UnitDone
from marbench.cases.digest import digests_agree
from marbench.cases.suite import CaseKey, Suite
from marbench.errors import MarbenchError, MethodError, StoreError, nearest
from marbench.machine.devices import device_of
from marbench.machine.host import describe_host, host_id
from marbench.machine.interrupts import Interrupts
from marbench.method.request import FittedMethod, MethodRequest
from marbench.results.images import Gallery, ImageChoice, gallery_cases
from marbench.results.inflight import InFlight, forget_unfinished, unfinished
from marbench.results.representative import telling_of_run
from marbench.results.rows import Key, Row
from marbench.results.store import Store, read_run
from marbench.spec import PROTOCOL, Spec

__all__ = ["Progress", "RunOptions", "RunSummary", "Stopwatch", "run_benchmark", "time_benchmark"]

_ENDINGS = 3
"""How often a run may end during one call until the call is given up."""


class Progress(Protocol):
    """Whom a run tells how far it is."""

    def begin(self, what: str, total: int) -> None:
        """A stretch of work begins."""

    def advance(self, row: Row | None = None) -> None:
        """One piece of it is done."""

    def note(self, text: str) -> None:
        """Something worth a line."""


@dataclass(frozen=True)
class RunOptions:
    """How to run.

    Attributes
    ----------
    limit : int, optional
        Only the first cases.
    limits : Limits
        What one call of a method may use.
    isolation : str
        ``auto``, ``process`` or ``inline``, see `marbench.bench.producers.producer_of`.
    retry_failed : bool
        Try everything again that is not ok.
    force : tuple of str
        Labels of methods to run again, whatever is stored.
    workers : int, optional
        Processes that share the work; by default as many as pay.
    dask : str
        Address of a Dask scheduler that has the workers; empty for this machine.
    timing : bool
        Time the methods that were not timed on this machine.
    command : str
        The command line, kept in the folder.
    """

    device: str = "cpu"
    limit: int | None = None
    images: ImageChoice = "gallery"
    limits: Limits = NO_LIMITS
    isolation: Isolation = "auto"
    retry_failed: bool = False
    force: tuple[str, ...] = ()
    shard: Shard | None = None
    workers: int | None = None
    dask: str = ""
    timing: bool = True
    command: str = ""


@dataclass
class Stopwatch:
    """Where the time of a run went. Several workers spend more seconds than pass."""

    spent: Counter[str] = field(default_factory=Counter)
    start: float = field(default_factory=time.perf_counter)

    @contextmanager
    def of(self, what: str) -> Iterator[None]:
        """Add the time of a block to one of the sums."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.spent[what] += time.perf_counter() - start  # type: ignore[assignment]  # seconds, not counts

    def add(self, spent: Mapping[str, float]) -> None:
        """Add what a worker has spent."""
        for what, seconds in spent.items():
            self.spent[what] += seconds  # type: ignore[assignment]

    @property
    def total(self) -> float:
        """Seconds since the start."""
        return time.perf_counter() - self.start


@dataclass(frozen=True, eq=False)
class RunSummary:
    """What a run leaves.

    Attributes
    ----------
    rows : DataFrame
        The rows that were asked for, stored before or now; as `marbench.results.store.Run.rows`.
    faults : DataFrame
        Rows of the cases that could not be made, now.
    new : int
        How many results are new.
    workers : int
    stopwatch : Stopwatch
    """

    rows: pd.DataFrame
    faults: pd.DataFrame
    new: int
    workers: int
    stopwatch: Stopwatch


def run_benchmark(
    spec: Spec,
    requests: Sequence[MethodRequest],
    folder: Path,
    options: RunOptions,
    progress: Progress,
    interrupts: Interrupts,
) -> RunSummary:
    """Run methods on a benchmark; what the folder holds already is not done again.

    Raises
    ------
    MarbenchError
        Before the work begins: the folder holds another benchmark or cannot be written, the device or the data are
        missing. `StoreError` at any moment: the disk is full, or the folder holds results of other data; everything
        before is stored.
    Interrupted
        After everything that was finished has been stored.
    """
    stopwatch = Stopwatch()
    bench = _prepare(spec, requests, folder, options)
    table, problems = bench.store.stored()
    for problem in problems:
        progress.note(problem)
    stored, digests = Stored(table), _digests(table)
    units = _pending(bench, stored)
    _register(bench, new_rows=bool(units))
    with InFlight(folder) as calls, _executor(options, bench.conditions, len(units), progress) as executor:
        keeper = _Keeper(bench, stored, digests, calls, stopwatch, progress, interrupts)
        suspects = _given_up(bench, units, keeper)
        units = [unit for unit in (_without(unit, keeper.done) for unit in units) if unit.tasks]
        progress.begin("Running", sum(unit.results for unit in units))
        keeper.keep(executor, [Work(bench.conditions, unit, suspects) for unit in units])
        rows = _rows(bench)
        if options.images == "gallery" and options.shard is None:
            bench = _with_telling_cases(bench, rows)
            drawn = _pending_pictures(bench, rows)
            if drawn:
                progress.begin("Pictures", sum(unit.results for unit in drawn))
            keeper.draw(executor, [Work(bench.conditions, unit, suspects) for unit in drawn])
        forget_unfinished(folder)
        workers = executor.count if isinstance(executor, LocalWorkers) else 1
    # Shards would disturb each other's timing, and each of them would time everything.
    if options.timing and options.shard is None:
        with stopwatch.of("timing"):
            _time_the_untimed(bench, rows, progress, interrupts)
    return RunSummary(rows, pd.DataFrame([row.record() for row in keeper.faults]), keeper.new, workers, stopwatch)


def time_benchmark(
    spec: Spec,
    requests: Sequence[MethodRequest],
    folder: Path,
    options: RunOptions,
    progress: Progress,
    interrupts: Interrupts,
) -> None:
    """Time methods on this machine, whether or not they were timed before. Errors as in `run_benchmark`."""
    bench = _prepare(spec, requests, folder, options)
    _register(bench, new_rows=True)
    _time(list(bench.hashes), bench, progress, interrupts)


@dataclass(frozen=True, eq=False)
class _Bench:
    """What a run is about; nothing in it changes."""

    options: RunOptions
    store: Store
    suite: Suite
    keys: tuple[CaseKey, ...]
    hashes: Mapping[str, str]
    conditions: Conditions
    gallery: Gallery


def _prepare(spec: Spec, requests: Sequence[MethodRequest], folder: Path, options: RunOptions) -> _Bench:
    device = device_of(options.device)
    suite = Suite(spec, device=device)
    fitted = tuple(request.for_spec(suite.spec) for request in requests)
    hashes = {each.label: each.hash for each in fitted}
    for label in options.force:
        if label not in hashes:
            raise MethodError(f"--force takes methods of this run. Got {label!r}; {nearest(label, hashes)}")
    keys = suite.keys()[: options.limit]
    gallery = Gallery(folder / "images", _wanted_images(suite, keys, options.images))
    conditions = Conditions(suite.spec, fitted, str(device), options.limits, options.isolation, gallery.cases)
    return _Bench(options, Store(folder, suite.spec), suite, keys, hashes, conditions, gallery)


def _wanted_images(suite: Suite, keys: Sequence[CaseKey], choice: ImageChoice) -> frozenset[str]:
    if choice == "all":
        return frozenset(case.case_id for case in keys)
    return gallery_cases(suite.keys(), suite.spec.report.gallery_slices) if choice == "gallery" else frozenset()


def _pending(bench: _Bench, stored: Stored) -> list[Unit]:
    """Return what is still to do."""
    asked, labels = {case.case_id for case in bench.keys}, bench.hashes.items()
    good = (key for key in stored.good() if key.case_id in asked and (key.method, key.method_hash) in labels)
    options = bench.options
    return list(
        plan(
            bench.keys,
            bench.hashes,
            stored,
            retry_failed=options.retry_failed,
            force=options.force,
            without_image=bench.gallery.missing(good),
            shard=options.shard,
        )
    )


def _with_telling_cases(bench: _Bench, rows: pd.DataFrame) -> _Bench:
    """Return the bench with the cases that tell most, by their scores, among those whose pictures are wanted."""
    telling = telling_of_run(rows, bench.keys, f"psnr[{bench.suite.spec.metrics.conventions[0]}]")
    gallery = replace(bench.gallery, cases=bench.gallery.cases | telling)
    return replace(bench, gallery=gallery, conditions=replace(bench.conditions, pictures=gallery.cases))


def _pending_pictures(bench: _Bench, rows: pd.DataFrame) -> list[Unit]:
    """Return what is to be done once more for pictures that are not there."""
    stored = Stored(rows)
    good = list(stored.good())
    methods = {key.method: key.method_hash for key in good}
    missing = bench.gallery.missing(good)
    units = (_only_good(unit, missing, methods) for unit in plan(bench.keys, methods, stored, without_image=missing))
    return [unit for unit in units if unit.tasks]


def _only_good(unit: Unit, missing: frozenset[Key], methods: Mapping[str, str]) -> Unit:
    """Return a unit without what has no good result: it has no picture to draw."""
    tasks = []
    for task in unit.tasks:
        left = {
            label: each
            for label, each in task.attempts.items()
            if Key(label, methods[label], task.case.case_id) in missing
        }
        if left:
            tasks.append(replace(task, attempts=left))
    return replace(unit, tasks=tuple(tasks))


def _without(unit: Unit, done: frozenset[tuple[str, str]]) -> Unit:
    """Return a unit without what has its row by now, as (label, case id)."""
    tasks = []
    for task in unit.tasks:
        left = {label: each for label, each in task.attempts.items() if (label, task.case.case_id) not in done}
        if left:
            tasks.append(replace(task, attempts=left))
    return replace(unit, tasks=tuple(tasks))


def _register(bench: _Bench, new_rows: bool) -> None:
    """Write who runs what, where; first see whether rows can be written, if there will be any."""
    if new_rows:
        bench.store.prepare()
    host = describe_host()
    bench.store.write_host(host_id(host), host)
    for fitted in bench.conditions.methods:
        bench.store.write_method(fitted.label, _card(fitted))
    if bench.options.command:
        bench.store.write_command(bench.options.command)


def _card(fitted: FittedMethod) -> dict[str, object]:
    request, file = fitted.request, fitted.found.file
    card: dict[str, object] = request.entry.card.model_dump(mode="json", exclude={"python"})
    card |= {"method_hash": fitted.hash, "preset": request.preset or "", "values": request.values()}
    if file is not None:
        card["trained"] = file.card.model_dump(mode="json")
    return card


def _executor(options: RunOptions, conditions: Conditions, units: int, progress: Progress) -> Executor:
    """Return who does the work."""
    if options.dask:
        return DaskCluster(options.dask)
    count = options.workers or default_workers(conditions, units)
    if count > 1 and not conditions.device.startswith("cpu"):
        progress.note(f"{count} workers share the device {conditions.device}.")
    return LocalWorkers(count) if count > 1 else ThisProcess()


def _digests(table: pd.DataFrame) -> dict[str, str]:
    """Return the digest under which each case is stored."""
    known = table.loc[table["case_digest"] != "", ["case_id", "case_digest"]].drop_duplicates("case_id")
    return dict(zip(known["case_id"].tolist(), known["case_digest"].tolist(), strict=True))


class _Keeper:
    """Keeps what comes of the work: in the store, on disk what is in flight, and on the terminal."""

    def __init__(
        self,
        bench: _Bench,
        stored: Stored,
        digests: dict[str, str],
        calls: InFlight,
        stopwatch: Stopwatch,
        progress: Progress,
        interrupts: Interrupts,
    ) -> None:
        self._bench, self._stored, self._digests = bench, stored, digests
        self._calls, self._stopwatch, self._progress, self._interrupts = calls, stopwatch, progress, interrupts
        self.new = 0
        self.faults: list[Row] = []
        self.done: frozenset[tuple[str, str]] = frozenset()

    def keep(self, executor: Executor, work: Sequence[Work]) -> None:
        """Do the work and store its rows. Whatever ends it, what is finished is stored."""
        try:
            for event in executor.run(work):
                self._interrupts.check()
                if isinstance(event, Began):
                    self._calls.begin(event.key)
                elif isinstance(event, HostSeen):
                    self._bench.store.write_host(event.id, event.description)
                elif isinstance(event, Result):
                    self._stopwatch.add(event.spent)
                    self.take(event)
                elif isinstance(event, UnitDone):
                    with self._stopwatch.of("storing"), self._interrupts.shield():
                        self._bench.store.flush()
        finally:
            with self._interrupts.shield():
                self._bench.store.flush()
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
        self._hold_to_data(row)
        self._write_pictures(result)
        if not row.method:
            self.faults.append(row)
        if not self._says_nothing_new(row):
            with self._stopwatch.of("storing"), self._interrupts.shield():
                self._bench.store.add(row)
            self.new += 1
        self._calls.end(Key(row.method, row.method_hash, row.case_id))
        self._progress.advance(row)

    def _write_pictures(self, result: Result) -> None:
        with self._stopwatch.of("storing"), self._interrupts.shield():
            self._bench.gallery.write(result.files)

    def _hold_to_data(self, row: Row) -> None:
        """Refuse to add results to those of other data."""
        if not row.case_digest:
            return
        known = self._digests.setdefault(row.case_id, row.case_digest)
        if not digests_agree(known, row.case_digest):
            raise StoreError(
                f"{self._bench.store.folder} holds results of the case {row.case_id} made from other data, or by "
                f"another version of the simulation (digest {known[:16]}…, here {row.case_digest[:16]}…). "
                "Choose another --out."
            )

    def _says_nothing_new(self, row: Row) -> bool:
        """Tell whether a row is as it was before: runs without news add no rows."""
        known = self._stored.get(Key(row.method, row.method_hash, row.case_id))
        if known is None or known.status != row.status:
            return False
        return not row.method or (row.status == "unavailable" and row.message == known.message)


def _given_up(bench: _Bench, units: Sequence[Unit], keeper: _Keeper) -> frozenset[str]:
    """Return the methods during whose calls earlier runs have ended; give up calls during which they did so often.

    A run may have been killed for reasons of its own, so such a call is repeated, in a process of its own.
    """
    endings = unfinished(bench.store.folder)
    often = {(key.method, key.case_id) for key, count in endings.items() if count >= _ENDINGS and key.case_id}
    pending = {
        (label, task.case.case_id): (task, label) for unit in units for task in unit.tasks for label in task.attempts
    }
    host = host_id(describe_host())
    for method_and_case in sorted(often & set(pending)):
        task, label = pending[method_and_case]
        message = f"the whole run ended {_ENDINGS} times during this call"
        keeper.take(Result(_crashed(bench, task.index, task.case, label, task.attempts[label], message, host)))
    keeper.done = frozenset(often)
    return frozenset(key.method for key in endings if bench.hashes.get(key.method) == key.method_hash)


def _crashed(bench: _Bench, index: int, case: CaseKey, label: str, attempt: int, message: str, host: str) -> Row:
    request = next(each.request for each in bench.conditions.methods if each.label == label)
    return Row(
        spec_hash=bench.suite.spec.hash,
        protocol=PROTOCOL,
        method=label,
        method_hash=bench.hashes[label],
        preset=request.preset or "",
        case_id=case.case_id,
        patient_id=case.patient_id,
        slice_id=case.slice_id,
        metal_id=case.metal_id,
        size_group=case.size_group,
        case_index=index,
        status="crashed",
        error_kind="Run",
        message=message,
        device=bench.conditions.device,
        host_id=host,
        attempt=attempt,
    )


def _rows(bench: _Bench) -> pd.DataFrame:
    """Return the rows that were asked for."""
    rows = read_run(bench.store.folder).rows
    cases = {case.case_id for case in cases_of(bench.keys, bench.options.shard)}
    return rows[rows["method"].isin(bench.hashes) & rows["case_id"].isin(cases)].reset_index(drop=True)


def _time_the_untimed(bench: _Bench, rows: pd.DataFrame, progress: Progress, interrupts: Interrupts) -> None:
    done = timed_already(bench.store.timings(), host_id(describe_host()), bench.conditions.device)
    good = set(rows.loc[rows["status"] == "ok", "method"])
    labels = [label for label, version in bench.hashes.items() if label in good and (label, version) not in done]
    _time(labels, bench, progress, interrupts)


def _time(labels: Sequence[str], bench: _Bench, progress: Progress, interrupts: Interrupts) -> None:
    if not labels:
        return
    progress.begin("Timing", len(labels))
    # All threads of the machine: here nobody else computes, and no score depends on it.
    limits = replace(bench.options.limits, threads=torch.get_num_threads())
    session = Session(replace(bench.conditions, limits=limits))
    try:
        cases = [bench.suite[index] for index in timing_cases(len(bench.keys))]
    except MarbenchError as error:
        progress.note(f"Nothing could be timed: {error}")
        return
    try:
        for label in labels:
            timings = time_method(label, cases, session)
            interrupts.check()
            if isinstance(timings, Failure):
                progress.note(f"{label} could not be timed: {timings.message}")
            else:
                with interrupts.shield():
                    bench.store.add_timings(timings)
            progress.advance()
    finally:
        session.close()
