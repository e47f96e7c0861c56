"""Where the image of a case comes from: a method in this process, or one in a process of its own.

A producer never raises, whatever the method does. A method of somebody else has a process of its own: nothing that it
does to that process reaches another method, the scoring or the results, and a truth never gets there.
"""

from __future__ import annotations

import math
import os
import signal
import tempfile
import time
from collections.abc import Callable, Mapping
from typing import Any, Literal, Protocol, get_args

import numpy as np
import torch

from marbench.bench.calls import call_method, own_state, seed_of
from marbench.bench.child import FIELDS, describe_load, fitted_message
from marbench.bench.environments import interpreter_of
from marbench.bench.limits import Limits
from marbench.bench.outcome import MESSAGE_LIMIT, TRACE_LIMIT, Failure, Outcome, describe
from marbench.bench.parameters import believable_count, parameter_count
from marbench.cases.case import Case
from marbench.errors import MarbenchError, MethodError
from marbench.machine.channel import ChannelClosed, ChannelError, ChannelTimeout
from marbench.machine.defaults import standard_process
from marbench.machine.forkserver import Child, ForkServer
from marbench.machine.interrupts import Interrupted, Overdue, signal_name, time_limit
from marbench.machine.memory import release_free_memory
from marbench.machine.text import clean
from marbench.method.fingerprint import code_digest
from marbench.method.images import check_image
from marbench.method.request import FittedMethod, LoadedMethod, load_method
from marbench.results.rows import Status
from marbench.spec import PLACES, Spec

__all__ = ["InlineProducer", "Isolation", "ProcessProducer", "Producer", "producer_of"]

Isolation = Literal["auto", "process", "inline"]
"""``auto`` as `producer_of` says; ``inline`` and ``process`` for all methods."""

_TARGET = "marbench.bench.child:serve"
# A clock that a plugin has changed is not believed: what it reports may miss this much of what passed here.
_CLOCK_SLACK = 0.05
_FAILURES: tuple[Status, ...] = tuple(each for each in get_args(Status) if each != "ok")
# Endings that come from outside: by the system, or by another method's process.
_FROM_OUTSIDE = ("Lost", "SIGKILL")


class Producer(Protocol):
    """Where the image of a case comes from.

    Attributes
    ----------
    failure : Failure or None
        Why the method could not be opened.
    parameters : int or None
        Of its networks, once it is open.
    """

    failure: Failure | None
    parameters: int | None

    @property
    def is_open(self) -> bool:
        """Whether the method is loaded, or cannot be."""

    def open(self) -> None:
        """Load the method, untimed. What goes wrong is the `failure`."""

    def produce(self, case: Case, tidy: bool = False) -> Outcome:
        """Return the image of a case in HU, or why there is none. Raises nothing but `Interrupted`.

        ``tidy`` gives free memory back to the system first, so that the peak is the call's own.
        """

    def close(self) -> None:
        """Let go of what the method holds."""


class InlineProducer:
    """A method in this process, for those that ship with marbench and for debugging.

    Parameters
    ----------
    loaded : LoadedMethod, optional
        The method, where it is there already.
    seconds : float, optional
        Limit of a call, as far as `time_limit` holds it.
    """

    def __init__(
        self,
        fitted: FittedMethod,
        spec: Spec,
        device: torch.device,
        loaded: LoadedMethod | None = None,
        seconds: float | None = None,
    ) -> None:
        self._fitted, self._spec, self._device = fitted, spec, device
        self._loaded, self._given, self._seconds = loaded, loaded, seconds
        self._was_open = False
        self._code = ""
        self.failure: Failure | None = None
        self.parameters: int | None = None

    @property
    def is_open(self) -> bool:
        """See `Producer`."""
        # As of a process: what could be loaded once, and was closed for another's sake, may be loaded again.
        return self._loaded is not None or (self.failure is not None and not self._was_open)

    def open(self) -> None:
        """See `Producer`."""
        if self.is_open:
            return
        self.failure = None
        try:
            self._code = _held_code(self._fitted, self._code)
            with own_state(seed_of(self._fitted.label, "")):
                self._loaded = load_method(self._fitted, self._spec, self._device)
            self.parameters = believable_count(parameter_count(self._loaded.method))
            self._was_open = True
        except Interrupted:
            raise
        except BaseException as error:  # a plugin may even call sys.exit() while it is imported
            self.failure = describe_load(error, self._fitted)

    def produce(self, case: Case, tidy: bool = False) -> Outcome:
        """See `Producer`."""
        self.open()
        if self._loaded is None:
            return Outcome(failure=self.failure)
        if tidy:
            release_free_memory()
        seed, home = seed_of(self._fitted.label, case.id), self._fitted.request.entry.home
        try:
            with time_limit(self._seconds), standard_process():
                return call_method(self._loaded.method, case.scan, self._device, seed, home)
        except Overdue:
            return Outcome(failure=_overdue("reduce", self._seconds), seconds=self._seconds or math.nan)

    def close(self) -> None:
        """See `Producer`. What was there already stays: whoever has it holds it anyway."""
        self._loaded = self._given


class ProcessProducer:
    """A method in a process of its own, which is killed at the limit and started again after it has ended.

    Parameters
    ----------
    fitted : FittedMethod
    spec : Spec
    device : torch.device
    limits : Limits
    start : callable
        Starts the process; may raise `MarbenchError` where there is no interpreter for the method.
    """

    def __init__(
        self, fitted: FittedMethod, spec: Spec, device: torch.device, limits: Limits, start: Callable[[], Child]
    ) -> None:
        self._fitted, self._device, self._limits, self._start = fitted, device, limits, start
        self._opening = {
            "method": fitted_message(fitted),
            # Where the data of the benchmark lie, truths among them, is none of a method's business.
            "spec": spec.model_dump(mode="json", by_alias=True, exclude=PLACES),
            "device": str(device),
            "threads": limits.threads,
            "memory_gb": limits.memory_gb,
        }
        self._child: Child | None = None
        # What the process leaves there when it is killed, a patient's slices for one, goes with it.
        self._scratch: tempfile.TemporaryDirectory[str] | None = None
        self._calls = 0
        self._was_open = False
        self._code = ""
        self.failure: Failure | None = None
        self.parameters: int | None = None

    @property
    def is_open(self) -> bool:
        """See `Producer`."""
        # What could be loaded once is loaded anew for each case: a failure to do so is one of that case alone.
        return self._child is not None or (self.failure is not None and not self._was_open)

    def open(self) -> None:
        """See `Producer`. A method whose process was ended from outside is loaded once more."""
        if self.is_open:
            return
        self._open()
        if _from_outside(self.failure):
            self._open()
        self._was_open = self._was_open or self.failure is None

    def _open(self) -> None:
        self.failure = None
        try:
            self._code = _held_code(self._fitted, self._code)
            self._child = self._start()
        except Exception as error:  # whatever the system or a tool of others raises ends this method, not the run
            said = describe(error)
            self.failure = Failure("unavailable", said.error_kind, said.message, said.trace)
            return
        self._scratch = tempfile.TemporaryDirectory(prefix="marbench-", ignore_cleanup_errors=True)
        deadline = self._deadline()
        try:
            # Import and load count together: both run the plugin's code.
            self._child.channel.send({**self._opening, "scratch": self._scratch.name}, deadline=deadline)
            answer, _ = self._child.channel.receive(limit=0, deadline=deadline)
            self.failure = _failure_of(answer.get("failure"))
            self.parameters = believable_count(answer.get("parameters"))
        except ChannelError as error:
            self.failure = self._ended("load", error)
        if self.failure is not None:
            self.close()

    def produce(self, case: Case, tidy: bool = False) -> Outcome:
        """See `Producer`. A call whose process was ended from outside is made once more."""
        if self._child is not None and not self._child.is_idle():
            self.close()  # something has ended or spoiled it between two calls
        outcome = self._produce(case, tidy)
        if self.failure is None and _from_outside(outcome.failure):  # else it was the loading, which was tried twice
            outcome = self._produce(case, tidy)
        return outcome

    def _produce(self, case: Case, tidy: bool) -> Outcome:
        self.open()
        child = self._child
        if child is None:
            return Outcome(failure=self.failure)
        scan = case.scan
        # The scan alone; what it is scored against stays here.
        arrays = {name: getattr(scan, name).cpu().numpy() for name in FIELDS}
        self._calls += 1
        call = {"call": self._calls, "seed": seed_of(self._fitted.label, case.id), "tidy": tidy}
        began, deadline = time.perf_counter(), self._deadline()
        try:
            child.channel.send(call, arrays, deadline)
            answer, images = child.channel.receive(scan.image.nbytes, deadline)
            if answer.get("call") != self._calls:
                raise ChannelError("the answer belongs to another call")
            passed = time.perf_counter() - began
            outcome = _outcome_of(answer, images, tuple(scan.image.shape[1:]), passed)
        except ChannelError as error:
            passed = time.perf_counter() - began
            outcome = Outcome(None, self._ended("reduce", error), passed)
            self._forget()  # the next case starts it again
            return outcome
        except BaseException:
            self.close()  # interrupted: an answer that comes later would belong to no call
            raise
        if outcome.failure is not None and outcome.failure.status == "oom":
            self.close()  # what fills its memory may be what earlier calls have left, and would fail all later ones
        return outcome

    def close(self) -> None:
        """See `Producer`."""
        if self._child is not None:
            self._child.kill()
        self._forget()

    def _forget(self) -> None:
        self._child = None
        scratch, self._scratch = self._scratch, None
        if scratch is not None:
            scratch.cleanup()

    def _deadline(self) -> float | None:
        return None if self._limits.seconds is None else time.monotonic() + self._limits.seconds

    def _ended(self, what: str, error: ChannelError) -> Failure:
        """Return what became of the process, and see that nothing is left of it."""
        assert self._child is not None  # by the callers
        child = self._child
        if isinstance(error, ChannelTimeout):
            child.kill()
            return _overdue(what, self._limits.seconds)
        # A channel is closed a moment before its process has ended: how it ended is worth waiting for.
        status = child.end() if isinstance(error, ChannelClosed) else child.kill()
        trace = clean(child.output(), TRACE_LIMIT)
        if not isinstance(error, ChannelClosed):
            return Failure("crashed", "ChannelError", f"its process was spoiled during {what}: {error}", trace)
        how, kind = _ending(status)
        if kind == "SIGKILL":
            return Failure("oom", kind, f"its process was killed by the system during {what}: out of memory", trace)
        if what == "load" and kind.startswith("exit code") and self._fitted.request.entry.card.own_interpreter:
            # One that lacks what marbench needs ends so, and all that it can say is what it has printed.
            said = next((line for line in reversed(trace.splitlines()) if line.strip()), "it said nothing")
            how = clean(f"its interpreter ended during {what}: {how}: {said}", MESSAGE_LIMIT)
            return Failure("unavailable", kind, how, trace)
        return Failure("crashed", kind, f"its process ended during {what}: {how}", trace)


def producer_of(
    fitted: FittedMethod, spec: Spec, device: torch.device, limits: Limits, isolation: Isolation, server: ForkServer
) -> Producer:
    """Return the producer that suits a method.

    Parameters
    ----------
    isolation : str
        ``auto``: a process for each method of somebody else, whatever its card asks for, and for all where a limit is
        set.
    server : ForkServer
        Starts the processes.
    """
    # A process costs some milliseconds a case, which shipped methods, being our own code, need not pay.
    entry = fitted.request.entry
    card = entry.card
    wanted = isolation
    if wanted == "auto":
        # The truth is in this process: who lets a method of somebody else in is the user, not its card. Nor does a card
        # take a limit off its method: within this process nobody could hold it to one.
        asked = entry.origin == "shipped" and card.isolation in ("auto", "inline")
        wanted = "inline" if asked and not limits.need_processes else "process"
    if card.own_interpreter:
        # Another interpreter is never in this process, whatever was asked for.
        return ProcessProducer(
            fitted, spec, device, limits, lambda: server.fork(_TARGET, interpreter_of(fitted.request))
        )
    if wanted == "inline" or not hasattr(os, "fork"):
        return InlineProducer(fitted, spec, device, seconds=limits.seconds)
    return ProcessProducer(fitted, spec, device, limits, lambda: server.fork(_TARGET))


def _held_code(fitted: FittedMethod, known: str) -> str:
    """Return the digest of a method's code; refuse another one than ``known``, whose results would count as its own."""
    entry = fitted.request.entry
    code = code_digest(entry.module, entry.folder) if entry.module.is_file() else ""
    if known and code != known:
        again = "The same command runs the new version."
        raise MethodError(f"{fitted.label}: its code was changed during this run. {again}")
    return code


def _outcome_of(
    answer: Mapping[str, Any], images: Mapping[str, np.ndarray[Any, Any]], shape: tuple[int, ...], passed: float
) -> Outcome:
    """Return a call's outcome as another process tells it, believing nothing that can be checked."""
    # The process's own clock leaves out the way of the scan there and of the image back; ours bounds it.
    reported = _number(answer.get("seconds"))
    seconds = reported if passed - _CLOCK_SLACK <= reported <= passed else passed
    failure = _failure_of(answer.get("failure"))
    if failure is not None:
        return Outcome(None, failure, seconds)
    try:
        # Checked there already, by code that the plugin may have changed since.
        return Outcome(check_image(images.get("image"), shape), None, seconds, _number(answer.get("peak_mb")))
    except MarbenchError as error:
        return Outcome(None, describe(error), seconds)


def _failure_of(told: Any) -> Failure | None:
    """Return a failure as another process tells it; of what it says nothing is believed but that it failed."""
    if told is None:
        return None
    told = told if isinstance(told, dict) else {}
    status: Status = next((each for each in _FAILURES if each == told.get("status")), "error")
    kind, message, trace = (str(told.get(name, "")) for name in ("error_kind", "message", "trace"))
    # What a child of ours sends is shorter than that.
    kind, message, trace = kind[:200], message[:MESSAGE_LIMIT], trace[-TRACE_LIMIT:]
    return Failure(status, clean(kind), clean(message), clean(trace))


def _from_outside(failure: Failure | None) -> bool:
    return failure is not None and failure.error_kind in _FROM_OUTSIDE


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) and 0 <= value < 1e9 else math.nan


def _overdue(what: str, seconds: float | None) -> Failure:
    return Failure("timeout", "Timeout", f"{what} took longer than {seconds:g} s")


def _ending(status: int | None) -> tuple[str, str]:
    """Return how a process ended, from its wait status, in words and in a word."""
    if status is None:
        return "it was lost, or has closed its channel", "Lost"
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        name = signal_name(number)
        return f"{name} ({signal.strsignal(number) or 'unknown signal'})", name
    code = os.WEXITSTATUS(status)
    return f"it left with exit code {code}", f"exit code {code}"
