"""Ctrl-C, SIGTERM, a closed terminal, a limit of time: exceptions that no careless plugin can turn into a result."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from marbench.errors import MarbenchError

__all__ = ["Interrupted", "Interrupts", "Overdue", "signal_name", "time_limit"]


# Windows has no SIGHUP.
_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


class Interrupted(KeyboardInterrupt):
    """The user (SIGINT), the system (SIGTERM) or a terminal that is gone (SIGHUP) asked to stop.

    ``exit_code`` is the shell's: 130, 143 or 129.
    """

    def __init__(self, signal_number: int) -> None:
        super().__init__(signal.Signals(signal_number).name)
        self.exit_code = 128 + signal_number


def signal_name(number: int) -> str:
    """Return what a signal is called, e.g. ``SIGKILL``."""
    try:
        return signal.Signals(number).name
    except ValueError:  # those of real time
        return f"signal {number}"


class Overdue(BaseException):
    """Something took longer than it may."""


@contextmanager
def time_limit(seconds: float | None) -> Iterator[None]:
    """Raise `Overdue` in a block that takes longer; one that waits within a library's own code ends after that.

    Raises
    ------
    MarbenchError
        A limit cannot be set here: outside of the main thread, or on Windows.
    """
    if seconds is None:
        yield
        return
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        raise MarbenchError(
            "A function of this process can be given a limit of time in the main thread alone, and not on Windows: "
            "name it as file.py:NAME, and it gets a process of its own."
        )
    previous = signal.signal(signal.SIGALRM, _overdue)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


def _overdue(_number: int, _frame: FrameType | None) -> None:
    raise Overdue


class Interrupts:
    """While entered, signals that ask to stop raise `Interrupted` — but never in the middle of a shielded block."""

    def __init__(self) -> None:
        self._pending: int | None = None
        self._shields = 0
        self._previous: dict[int, signal._HANDLER] = {}

    def __enter__(self) -> Interrupts:
        # Only the main thread may set handlers; in another one the application has its own.
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                # Ignored by nohup or a shell's background, or handled by a program around Python.
                if signal.getsignal(number) in (signal.SIG_IGN, None):
                    continue
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
