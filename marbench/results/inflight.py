"""What a run is calling at this moment, on disk: whoever continues it knows during which call it ended.

``running/<token>.json`` of a results folder belongs to one process, which holds a lock on it as long as it lives, and
names the calls that have begun and not ended. A file without a lock is what a killed process left.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from collections import Counter
from collections.abc import Container
from pathlib import Path
from typing import IO

from marbench.machine.files import find_files, within
from marbench.results.rows import Key

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

__all__ = ["InFlight", "forget_unfinished", "unfinished"]

_SIZE_LIMIT = 1 << 20
_TRIES = 10


class InFlight:
    """The calls of this process that have begun.

    Parameters
    ----------
    folder : Path
        The results folder; it exists.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "running" / f"{os.getpid()}-{secrets.token_hex(4)}.json"
        self._file: IO[bytes] | None = None
        self._calls: dict[Key, None] = {}

    def __enter__(self) -> InFlight:
        within(self._path.parents[1], f"running/{self._path.name}")  # a link there would lead elsewhere
        with contextlib.suppress(OSError):  # a full disk is met, and told of, where rows are written
            any(self._open() for _ in range(_TRIES))
        return self

    def _open(self) -> bool:
        """Make the file; False where a run that ends at this moment removes the folder, or the file before its lock."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("wb", buffering=0)
        except (FileNotFoundError, FileExistsError):
            return False
        if fcntl is not None:
            fcntl.flock(self._file, fcntl.LOCK_EX)
        if self._path.exists():
            return True
        self._file.close()
        self._file = None
        return False

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()
            with contextlib.suppress(OSError):
                self._path.unlink()
                self._path.parent.rmdir()  # if it was the last one

    def begin(self, key: Key) -> None:
        """A call begins. No sync: what must survive is a kill of this process, not of the machine."""
        # A dictionary, not one key: several workers call at once.
        self._calls[key] = None
        self._write()

    def end(self, key: Key) -> None:
        """It has ended, and no end of the process is laid to it from now on."""
        if key in self._calls:
            del self._calls[key]
            self._write()

    def _write(self) -> None:
        if self._file is None:
            return
        content = json.dumps([[key.method, key.method_hash, key.case_id] for key in self._calls]).encode()
        with contextlib.suppress(OSError):
            os.pwrite(self._file.fileno(), content, 0)
            os.ftruncate(self._file.fileno(), len(content))


def unfinished(folder: Path) -> Counter[Key]:
    """Return how often a process has ended during each call, and take the files of calls that were told apart away.

    Files that cannot be read, or that are no lists of keys, are left alone.
    """
    found: Counter[Key] = Counter()
    for path in find_files(folder, "running/*.json").files:
        with contextlib.suppress(OSError), path.open("rb") as file:
            if _is_free(file):
                found.update(_keys(file))
    return found


def forget_unfinished(folder: Path, methods: Container[str], cases: Container[str]) -> None:
    """Remove the files of processes that have ended whose calls were all of these methods and cases: they have rows.

    Files without calls, or that cannot be read, tell nobody anything.
    """
    for path in find_files(folder, "running/*.json").files:
        with contextlib.suppress(OSError), path.open("rb") as file:
            if _is_free(file) and all(key.method in methods and key.case_id in cases for key in _keys(file)):
                path.unlink()


def _keys(file: IO[bytes]) -> set[Key]:
    """Return the keys that a file names; none where it is no list of keys."""
    try:
        return {Key(*map(str, names)) for names in json.loads(file.read(_SIZE_LIMIT)) if len(names) == 3}
    except (ValueError, TypeError, RecursionError):
        return set()


def _is_free(file: IO[bytes]) -> bool:
    """Tell whether the process that wrote a file has ended."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
