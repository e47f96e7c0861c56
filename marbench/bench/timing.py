"""How long methods take, apart from scoring: one after another, warmed up, synchronised, one case at a time."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import closing

import pandas as pd

from marbench.bench.outcome import Failure
from marbench.bench.producers import Producer
from marbench.bench.work import Session
from marbench.cases.case import Case
from marbench.machine.host import device_name
from marbench.machine.threads import threads
from marbench.results.rows import TimingRow
from marbench.spec import PROTOCOL

__all__ = ["time_method", "timed_already", "timing_cases"]

REPEATS = 5
# Of a method that takes minutes, one call per case has to do.
CASE_SECONDS = 20.0


def timing_cases(count: int) -> tuple[int, ...]:
    """Return which of a suite's cases are timed: the first, the middle and the last.

    >>> timing_cases(200), timing_cases(1)
    ((0, 100, 199), (0,))
    """
    return tuple(dict.fromkeys((0, count // 2, count - 1)))


def timed_already(timings: pd.DataFrame, host_id: str, device: str) -> set[tuple[str, str]]:
    """Return the (label, method_hash) that have timings on this machine and device."""
    # By the description of the machine: another torch or another number of threads is another machine.
    here = timings[(timings["host_id"] == host_id) & (timings["device"] == device)]
    return set(zip(here["method"].tolist(), here["method_hash"].tolist(), strict=True))


def time_method(label: str, cases: Sequence[Case], session: Session) -> list[TimingRow] | Failure:
    """Time a method on some cases; a failure on any of them ends it.

    Per case: one call to warm up, one to take the peak of memory, and up to five that are timed. The memory and the
    parameters are repeated in every row.
    """
    fitted = session.method(label)
    rows: list[TimingRow] = []
    # In the process that the method has in a run, so that what is timed is what was scored. It ends with the timing:
    # what it leaves running would take time from the next one.
    with threads(session.conditions.limits.threads), closing(session.producer(label)) as producer:
        producer.open()
        for case in cases:
            # Cases one after another and never in a batch: what a scanner would wait for.
            for repeat, outcome in enumerate(_calls(producer, case)):
                if isinstance(outcome, Failure):
                    return outcome
                seconds, peak_mb = outcome
                rows.append(
                    TimingRow(
                        spec_hash=session.spec_hash,
                        protocol=PROTOCOL,
                        method=label,
                        method_hash=fitted.hash,
                        preset=fitted.request.preset or "",
                        case_id=case.id,
                        repeat=repeat,
                        seconds=seconds,
                        peak_mb=peak_mb,
                        parameters=producer.parameters,
                        device=session.conditions.device,
                        device_name=device_name(session.device),
                        threads=session.conditions.limits.threads,
                        host_id=session.host_id,
                    )
                )
    return rows


def _calls(producer: Producer, case: Case) -> Iterator[tuple[float, float] | Failure]:
    """Yield (seconds, peak memory in MB) of every timed call, or the failure of one."""
    peak_mb = float("nan")
    start = time.perf_counter()
    for call in range(2 + REPEATS):
        # Memory that is free, but kept by allocators, would hide a peak.
        outcome = producer.produce(case, tidy=call == 1)
        if outcome.failure is not None:
            yield outcome.failure
            return
        if call == 1:
            peak_mb = outcome.peak_mb
        if call > 1:
            yield outcome.seconds, peak_mb
        if call >= 2 and time.perf_counter() - start > CASE_SECONDS:
            return
