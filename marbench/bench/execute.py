"""Doing a unit: simulate each case once, run every method that still needs it, score, keep."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import torch

from marbench.bench.calls import Failure, Outcome, call_method, describe
from marbench.bench.plan import Task, Unit
from marbench.cases.case import Case
from marbench.cases.suite import Suite
from marbench.errors import MethodError
from marbench.machine.interrupts import Interrupted, Interrupts
from marbench.method.request import LoadedMethod, MethodRequest, load_method
from marbench.metrics.fidelity import Reference
from marbench.results.images import Gallery
from marbench.results.rows import Key, Row, properties
from marbench.spec import PROTOCOL, Spec

__all__ = ["Candidate", "Conditions", "Seconds", "load_candidates", "run_unit"]


@dataclass(frozen=True, eq=False)
class Candidate:
    """A method as asked for, and as it came out of loading: ready, or not and why."""

    request: MethodRequest
    version: str
    loaded: LoadedMethod | None = None
    failure: Failure | None = None

    @property
    def label(self) -> str:
        """See `MethodRequest.label`."""
        return self.request.label

    @property
    def home(self) -> Path | None:
        """The folder of the plugin; None for a method that comes from no file."""
        entry = self.request.entry
        return entry.folder or (entry.module.parent if entry.module.name else None)


@dataclass(frozen=True, eq=False)
class Conditions:
    """What methods are called on, where and how."""

    spec: Spec
    device: torch.device
    host_id: str = ""
    timeout: float | None = None
    gallery: Gallery | None = None

    @cached_property
    def spec_hash(self) -> str:
        """The identity of the benchmark, computed once."""
        return self.spec.hash


@dataclass
class Seconds:
    """Where the time of a run went."""

    simulation: float = 0.0
    methods: float = 0.0
    scoring: float = 0.0
    storing: float = 0.0
    timing: float = 0.0
    start: float = field(default_factory=time.perf_counter)

    @contextmanager
    def of(self, what: str) -> Iterator[None]:
        """Add the time of a block to one of the sums."""
        start = time.perf_counter()
        try:
            yield
        finally:
            setattr(self, what, getattr(self, what) + time.perf_counter() - start)

    @property
    def rest(self) -> float:
        """Seconds of the total that are in none of the sums."""
        return self.total - self.simulation - self.methods - self.scoring - self.storing - self.timing

    @property
    def total(self) -> float:
        """Seconds since the start."""
        return time.perf_counter() - self.start


def load_candidates(
    requests: Mapping[str, tuple[MethodRequest, str]], spec: Spec, device: torch.device
) -> dict[str, Candidate]:
    """Load methods, label → (request, version); one that cannot be loaded takes none of the others with it."""
    candidates = {}
    for label, (request, version) in requests.items():
        try:
            candidates[label] = Candidate(request, version, loaded=load_method(request, spec, device))
        except Interrupted:
            raise
        except BaseException as error:  # a plugin may even call sys.exit() while it is imported
            cause = error.__cause__ if isinstance(error, MethodError) and error.__cause__ else error
            said = describe(cause, Candidate(request, version).home)
            message = str(error) if isinstance(error, MethodError) else said.message
            failure = Failure("unavailable", type(cause).__name__, message, said.trace)
            candidates[label] = Candidate(request, version, failure=failure)
    return candidates


def run_unit(
    unit: Unit,
    suite: Suite,
    candidates: Mapping[str, Candidate],
    conditions: Conditions,
    seconds: Seconds,
    interrupts: Interrupts,
) -> Iterator[Row]:
    """Yield the rows of a unit, one after another, as they come about.

    Raises
    ------
    StoreError
        An image of the gallery cannot be written.
    Interrupted
    """
    for task in unit.tasks:
        needed = [candidates[label] for label in task.attempts]
        for candidate in needed:
            if candidate.failure is not None:
                yield _row(task, candidate, conditions, Outcome(failure=candidate.failure))
        ready = [candidate for candidate in needed if candidate.loaded is not None]
        if ready:
            yield from _run_case(task, ready, suite, conditions, seconds, interrupts)


def _run_case(
    task: Task,
    candidates: Sequence[Candidate],
    suite: Suite,
    conditions: Conditions,
    seconds: Seconds,
    interrupts: Interrupts,
) -> Iterator[Row]:
    try:
        with seconds.of("simulation"):
            case = suite[task.index]
    except Exception as error:  # a damaged data file ends this case, not the run
        failure = replace(describe(error), status="error")
        for candidate in candidates:
            yield _row(task, candidate, conditions, Outcome(failure=failure))
        return
    gallery = conditions.gallery
    if gallery is not None:
        with seconds.of("storing"), interrupts.shield():
            gallery.write_case(case)
    with seconds.of("scoring"):
        reference = case.reference(conditions.spec.metrics.conventions)
    for candidate in candidates:
        interrupts.check()
        outcome, scores = _score_call(candidate, case, reference, conditions, seconds)
        interrupts.check()
        if gallery is not None and outcome.image is not None:
            # Before the row: whoever finds the row finds the image.
            with seconds.of("storing"), interrupts.shield():
                gallery.write_image(Key(candidate.label, candidate.version, case.id), outcome.image)
        row = _row(task, candidate, conditions, outcome)
        yield replace(row, **properties(case.info), scores=scores)


def _score_call(
    candidate: Candidate, case: Case, reference: Reference, conditions: Conditions, seconds: Seconds
) -> tuple[Outcome, dict[str, float]]:
    """Call a loaded method on a case, and score what comes."""
    assert candidate.loaded is not None  # by the caller
    with seconds.of("methods"):
        outcome = call_method(
            candidate.loaded.method,
            case.scan,
            conditions.device,
            seed=_seed(candidate.version, case.id),
            limit=conditions.timeout,
            home=candidate.home,
        )
    if outcome.image is None:
        return outcome, {}
    with seconds.of("scoring"):
        return outcome, reference.score(outcome.image)


def _row(task: Task, candidate: Candidate, conditions: Conditions, outcome: Outcome) -> Row:
    case, failure = task.case, outcome.failure
    row = Row(
        spec_hash=conditions.spec_hash,
        protocol=PROTOCOL,
        method=candidate.label,
        method_hash=candidate.version,
        preset=candidate.request.preset or "",
        case_id=case.case_id,
        patient_id=case.patient_id,
        slice_id=case.slice_id,
        metal_id=case.metal_id,
        size_group=case.size_group,
        seconds=outcome.seconds,
        peak_mb=outcome.peak_mb,
        device=str(conditions.device),
        host_id=conditions.host_id,
        attempt=task.attempts[candidate.label],
    )
    if failure is None:
        return row
    return replace(
        row, status=failure.status, error_kind=failure.error_kind, message=failure.message, trace=failure.trace
    )


def _seed(version: str, case_id: str) -> int:
    return int.from_bytes(hashlib.sha256(f"{version}\0{case_id}".encode()).digest()[:4], "big")
