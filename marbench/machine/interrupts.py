"""Ctrl-C, SIGTERM and time limits: exceptions that even a careless plugin cannot turn into a result."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from marbench.errors import MarbenchError

__all__ = ["CallTimeout", "Interrupted", "Interrupts", "check_time_limit", "time_limit"]


class Interrupted(KeyboardInterrupt):
    """The user (SIGINT) or the system (SIGTERM) asked to stop. ``exit_code`` is the shell's: 130 or 143."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(signal.Signals(signal_number).name)
        self.exit_code = 128 + signal_number


class CallTimeout(BaseException):
    """A call took longer than its limit. No `Exception`, so that ``except Exception`` in a plugin lets it pass."""


class Interrupts:
    """While entered, SIGINT and SIGTERM raise `Interrupted` — but never in the middle of a shielded block."""

    def __init__(self) -> None:
        self._pending: int | None = None
        self._shields = 0
        self._previous: dict[int, signal._HANDLER] = {}

    def __enter__(self) -> Interrupts:
        # Only the main thread may set handlers; in another one the application has its own.
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous[number] = signal.signal(number, self._receive)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    @property
    def pending(self) -> int | None:
        """The number of a signal that came."""
        return self._pending

    def check(self) -> None:
        """Raise `Interrupted` if a signal came, even if someone caught what it raised then."""
        if self._pending is not None:
            raise Interrupted(self._pending)

    @contextmanager
    def shield(self) -> Iterator[None]:
        """Put off signals until the block is done."""
        self._shields += 1
        try:
            yield
        finally:
            self._shields -= 1

    def _receive(self, number: int, _: FrameType | None) -> None:
        self._pending = number
        if not self._shields:
            raise Interrupted(number)


def check_time_limit(seconds: float | None) -> None:
    """Raise `MarbenchError` if calls cannot be limited here, or not so."""
    if seconds is None:
        return
    if seconds <= 0:
        raise MarbenchError(f"The time limit of a call must be positive. Got {seconds:g} s.")
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        raise MarbenchError("Calls have time limits only in the main thread on Linux and macOS. Leave out --timeout.")


@contextmanager
def time_limit(seconds: float | None) -> Iterator[None]:
    """Raise `CallTimeout` in the block once it took longer, and every second from then on until it ends.

    A block that stays inside one long foreign call is stopped when that call returns.
    """
    if seconds is None:
        yield
        return

    def expire(_number: int, _frame: FrameType | None) -> None:
        raise CallTimeout

    previous = signal.signal(signal.SIGALRM, expire)
    try:
        signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
