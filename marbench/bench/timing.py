"""How long methods take, apart from scoring: one after another, warmed up, synchronised, one case at a time."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence

import pandas as pd
import torch
from torch import nn

from marbench.bench.calls import Failure, call_method
from marbench.bench.execute import Candidate, Conditions
from marbench.cases.case import Case
from marbench.machine.host import device_name
from marbench.machine.memory import release_free_memory
from marbench.method.contract import Method
from marbench.method.learned import LearnedMethod
from marbench.results.rows import TimingRow
from marbench.spec import PROTOCOL

__all__ = ["parameter_count", "time_method", "timed_already", "timing_cases"]

REPEATS = 5
# Of a method that takes minutes, one call per case has to do.
CASE_SECONDS = 20.0


def timing_cases(count: int) -> tuple[int, ...]:
    """Return which of a suite's cases are timed: the first, the middle and the last.

    >>> timing_cases(200), timing_cases(1)
    ((0, 100, 199), (0,))
    """
    return tuple(dict.fromkeys((0, count // 2, count - 1)))


def timed_already(timings: pd.DataFrame, host_id: str, device: torch.device) -> set[tuple[str, str]]:
    """Return the (label, method_hash) that have timings on this machine and device."""
    here = timings[(timings["host_id"] == host_id) & (timings["device"] == str(device))]
    return set(zip(here["method"].tolist(), here["method_hash"].tolist(), strict=True))


def time_method(candidate: Candidate, cases: Sequence[Case], conditions: Conditions) -> list[TimingRow] | Failure:
    """Time a loaded method on some cases; a failure on any of them ends it.

    Per case: one call to warm up, one to take the peak of memory, and up to five that are timed. The memory and the
    parameters are repeated in every row.
    """
    assert candidate.loaded is not None  # by the caller
    rows: list[TimingRow] = []
    for case in cases:
        for repeat, outcome in enumerate(_calls(candidate.loaded.method, case, conditions)):
            if isinstance(outcome, Failure):
                return outcome
            seconds, peak_mb = outcome
            rows.append(
                TimingRow(
                    spec_hash=conditions.spec_hash,
                    protocol=PROTOCOL,
                    method=candidate.label,
                    method_hash=candidate.version,
                    preset=candidate.request.preset or "",
                    case_id=case.id,
                    repeat=repeat,
                    seconds=seconds,
                    peak_mb=peak_mb,
                    parameters=parameter_count(candidate.loaded.method),
                    device=str(conditions.device),
                    device_name=device_name(conditions.device),
                    threads=torch.get_num_threads(),
                    host_id=conditions.host_id,
                )
            )
    return rows


def parameter_count(method: Method) -> int | None:
    """Return the number of network parameters among a method's attributes; None for a method without any.

    Of a method that learns only its networks count, not those that help in training.
    """
    if isinstance(method, LearnedMethod):
        modules = list(method.networks().values())
    else:
        modules = [module for value in vars(method).values() for module in _modules(value)]
    # By identity: networks may share weights.
    parameters = {id(parameter): parameter for module in modules for parameter in module.parameters()}
    return sum(parameter.numel() for parameter in parameters.values()) or None


def _calls(method: Method, case: Case, conditions: Conditions) -> Iterator[tuple[float, float] | Failure]:
    """Yield (seconds, peak memory in MB) of every timed call, or the failure of one."""
    peak_mb = float("nan")
    start = time.perf_counter()
    for call in range(2 + REPEATS):
        if call == 1:
            release_free_memory()
        outcome = call_method(method, case.scan, conditions.device, limit=conditions.timeout)
        if outcome.failure is not None:
            yield outcome.failure
            return
        if call == 1:
            peak_mb = outcome.peak_mb
        if call > 1:
            yield outcome.seconds, peak_mb
        if call >= 2 and time.perf_counter() - start > CASE_SECONDS:
            return


def _modules(value: object) -> list[nn.Module]:
    if isinstance(value, nn.Module):
        return [value]
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return [item for item in value if isinstance(item, nn.Module)]
    return []
