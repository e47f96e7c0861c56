"""A run from beginning to end: plan, do, store, time. The command line only adds arguments and printing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
import torch

from marbench.bench.campaign import (
    Campaign,
    changed_methods,
    pending,
    pending_pictures,
    prepare,
    register,
    rows_of,
    with_telling_cases,
)
from marbench.bench.cluster import DaskCluster
from marbench.bench.executors import Executor, LocalWorkers, ThisProcess, default_workers
from marbench.bench.keeper import Keeper, given_up, hold_to_patients
from marbench.bench.options import Progress, RunOptions
from marbench.bench.outcome import Failure
from marbench.bench.plan import Stored, cases_of
from marbench.bench.stopwatch import Stopwatch
from marbench.bench.timing import time_method, timed_already, timing_cases
from marbench.bench.work import Conditions, Session, Work
from marbench.errors import DataError, MarbenchError
from marbench.machine.cores import usable_cores
from marbench.machine.host import describe_host, host_id
from marbench.machine.interrupts import Interrupts
from marbench.method.request import MethodRequest
from marbench.results.inflight import InFlight, forget_unfinished
from marbench.results.part_file import table_of
from marbench.results.rows import TimingRow
from marbench.spec import Spec

__all__ = ["RunSummary", "run_benchmark", "time_benchmark"]


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
    campaign = prepare(spec, requests, folder, options)
    table, problems = campaign.store.stored()
    for problem in (*campaign.suite.notices, *problems):
        progress.note(problem)
    # What is only reported decides nothing about what is run here: not what is left to do, nor which data a case has.
    own = table[table["evidence"] != "reported"]
    hold_to_patients(folder, campaign.suite.case_keys, own)
    stored = Stored(own)
    units = pending(campaign, stored)
    # A shard may have nothing to do, before any other has begun the folder.
    register(campaign, bool(units) or options.shard is not None, table)
    # Workers stay between rows and pictures: simulated slices and loaded methods are there already.
    with InFlight(folder) as calls, _executor(options, campaign.conditions, len(units), progress) as executor:
        keeper = Keeper(campaign, own, stored, calls, stopwatch, progress, interrupts)
        suspects = given_up(campaign, units, keeper)
        left = (unit.only(lambda task, label: (label, task.case.case_id) not in keeper.done) for unit in units)
        units = [unit for unit in left if unit.tasks]
        progress.begin("Running", sum(unit.results for unit in units))
        keeper.keep(executor, [Work(campaign.conditions, unit, suspects) for unit in units])
        # Which cases tell most is known once all rows are there, those of earlier runs included.
        rows = rows_of(campaign)
        if options.images == "gallery" and options.shard is None:
            campaign = with_telling_cases(campaign, rows)
            drawn = pending_pictures(campaign, rows)
            if drawn:
                progress.begin("Pictures", sum(unit.results for unit in drawn))
            keeper.draw(executor, [Work(campaign.conditions, unit, suspects) for unit in drawn])
        # Of other cases, as of other shards, nothing is known here; and all shards load a method.
        cases = {case.case_id for case in cases_of(campaign.keys, options.shard)}
        forget_unfinished(folder, campaign.hashes, cases if options.shard else cases | {""})
        workers = executor.count
    # Shards would disturb each other's timing, and each of them would time everything; and the machine that a user of a
    # cluster sits at is not the one whose timing is of interest.
    if options.timing and options.shard is None and not options.dask:
        with stopwatch.of("timing"):
            _time_the_untimed(campaign, rows, progress, interrupts)
    if keeper.new:
        for label in changed_methods(campaign):
            progress.note(
                f"The files of {label} have changed during this run: the same command runs it anew. "
                "A plugin writes to tempfile.gettempdir(), not into its own folder."
            )
    return RunSummary(rows, pd.DataFrame([row.record() for row in keeper.faults]), keeper.new, workers, stopwatch)


def time_benchmark(
    spec: Spec,
    requests: Sequence[MethodRequest],
    folder: Path,
    options: RunOptions,
    progress: Progress,
    interrupts: Interrupts,
) -> pd.DataFrame:
    """Time methods on this machine, whether or not they were timed before. Errors as in `run_benchmark`.

    Returns the calls that were timed now, as of `marbench.results.rows.TimingRow`: of a method that fails, none.
    """
    campaign = prepare(spec, requests, folder, options)
    register(campaign, True, campaign.store.stored()[0])
    timed = _time(list(campaign.hashes), campaign, progress, interrupts)
    timings: pd.DataFrame = table_of("timing", [timing.record() for timing in timed]).to_pandas()
    return timings


def _executor(options: RunOptions, conditions: Conditions, units: int, progress: Progress) -> Executor:
    """Return who does the work."""
    if options.dask:
        if options.workers:
            raise MarbenchError("--workers are of this machine, --dask has its own. Give one of them.")
        cluster = DaskCluster(options.dask, progress.note)
        if units:
            cluster.connect()  # or fail before anything has begun
        return cluster
    # A worker is a process as well, in which no debugger is.
    count = options.workers or (1 if options.isolation == "inline" else default_workers(conditions, units))
    if count > 1 and not conditions.device.startswith("cpu"):
        progress.note(f"{count} workers share the device {conditions.device}.")
    return LocalWorkers(count) if count > 1 else ThisProcess()


def _time_the_untimed(campaign: Campaign, rows: pd.DataFrame, progress: Progress, interrupts: Interrupts) -> None:
    # Only what works: the time until a method fails is of no use.
    done = timed_already(campaign.store.timings(), host_id(describe_host()), campaign.conditions.device)
    good = set(rows.loc[rows["status"] == "ok", "method"])
    labels = [label for label, version in campaign.hashes.items() if label in good and (label, version) not in done]
    try:
        _time(labels, campaign, progress, interrupts)
    except DataError as error:
        progress.note(f"Nothing could be timed: {error}")


def _time(labels: Sequence[str], campaign: Campaign, progress: Progress, interrupts: Interrupts) -> list[TimingRow]:
    if not labels:
        return []
    progress.begin("Timing", len(labels))
    # All cores that this process may use: here nobody else computes, and no score depends on it.
    # And what was kept for scoring is let go of before: a time is not to depend on what ran before.
    limits = replace(campaign.options.limits, threads=min(torch.get_num_threads(), usable_cores()))
    session = Session(replace(campaign.conditions, limits=limits))
    cases = [campaign.suite[campaign.positions[index]] for index in timing_cases(len(campaign.keys))]
    timed: list[TimingRow] = []
    try:
        for label in labels:
            timings = time_method(label, cases, session)
            interrupts.check()
            if isinstance(timings, Failure):
                progress.note(f"{label} could not be timed: {timings.message}")
            else:
                with interrupts.shield():
                    campaign.store.add_timings(timings)
                timed += timings
            progress.advance()
    finally:
        session.close()
    return timed
