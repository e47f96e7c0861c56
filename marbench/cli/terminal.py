"""Standard output and error that cannot end a command: a closed pipe, a full disk, an alphabet that lacks a letter."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["lenient_streams"]


@contextmanager
def lenient_streams() -> Iterator[None]:
    """While entered, what cannot be written to standard output or error is dropped, and the work goes on.

    Characters that the terminal's encoding lacks become question marks.
    """
    _open_standard_descriptors()
    kept = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = _lenient(sys.stdout), _lenient(sys.stderr)
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
        sys.stdout, sys.stderr = kept


def _open_standard_descriptors() -> None:
    """Open what the caller has closed of the descriptors 0, 1 and 2: whatever gets their numbers is overwritten."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free


class _Lenient(io.RawIOBase):
    """The bytes of a stream; from the first failure on they go nowhere."""

    def __init__(self, raw: io.FileIO) -> None:
        self._raw = raw
        self._broken = False

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int | None:
        if not self._broken:
            try:
                return self._raw.write(data)
            except OSError:
                self._broken = True
        return len(data)

    def fileno(self) -> int:
        return self._raw.fileno()

    def isatty(self) -> bool:
        return self._raw.isatty()


def _lenient(stream: Any) -> Any:
    if not isinstance(stream, io.TextIOWrapper):
        return stream
    errors = "replace" if stream.errors in ("strict", "surrogateescape") else stream.errors
    raw = getattr(stream.buffer, "raw", stream.buffer)
    if not isinstance(raw, io.FileIO):  # somebody collects what we say
        stream.reconfigure(errors=errors)
        return stream
    stream.flush()
    buffer = io.BufferedWriter(_Lenient(raw))
    return io.TextIOWrapper(buffer, encoding=stream.encoding, errors=errors, line_buffering=stream.line_buffering)
