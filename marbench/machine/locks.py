"""A folder for one process at a time. The system lets go of the lock of a process that dies."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from marbench.errors import StoreError
from marbench.machine.text import said_by

__all__ = ["locked", "locked_where_possible"]

_POLL_SECONDS = 0.05
# A lock is another's (on Windows EACCES), or its file was removed meanwhile.
_BUSY = frozenset({errno.EAGAIN, errno.EACCES, errno.ENOENT, errno.ESTALE})


@contextmanager
def locked(path: Path, seconds: float = 600.0) -> Iterator[None]:
    """Hold a lock file while the block runs; wait for whoever holds it. It is gone afterwards.

    Raises
    ------
    StoreError
        Another process held the lock for so long, the file cannot be made, or there are no locks in its folder.
    """
    deadline = time.monotonic() + seconds
    while (descriptor := _take(path)) is None:
        if time.monotonic() > deadline:
            raise StoreError(f"Another process has been working in {path.parent} for {seconds:g} s. Try again later.")
        time.sleep(_POLL_SECONDS)
    try:
        yield
    finally:
        # Removed while it is held: who waits for it sees that it has become another file, and tries again.
        with contextlib.suppress(OSError):
            path.unlink()
        os.close(descriptor)


@contextmanager
def locked_where_possible(path: Path, seconds: float = 600.0) -> Iterator[None]:
    """Hold a lock file as `locked` does; where the file system has no locks, the block runs without.

    Raises
    ------
    StoreError
        Another process held the lock for so long, or the file cannot be made.
    """
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(locked(path, seconds))
        except _NoLocks:
            with contextlib.suppress(OSError):
                path.unlink()
        yield


class _NoLocks(StoreError):
    """The file system has no locks."""


def _take(path: Path) -> int | None:
    """Return the descriptor of a lock file that is ours now, or None while it is another's."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o644)
    except OSError as error:
        if sys.platform == "win32" and isinstance(error, PermissionError):
            return None  # being removed
        raise StoreError(f"{path} cannot be written: {said_by(error)}.") from error
    try:
        _lock(descriptor)
        own, there = os.fstat(descriptor), path.stat()
    except OSError as error:
        os.close(descriptor)
        if error.errno in _BUSY:
            return None
        raise _NoLocks(
            f"{path} cannot be locked: {said_by(error)}. "
            "Choose a folder on a disk of this machine, or where the file system has locks."
        ) from error
    if (own.st_dev, own.st_ino) != (there.st_dev, there.st_ino):
        os.close(descriptor)
        return None
    return descriptor


def _lock(descriptor: int) -> None:
    """Lock a file, or raise OSError if another process has."""
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
