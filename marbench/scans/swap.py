"""A folder that holds one whole result: the files of a call take the place of the earlier ones when all are written."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from marbench.errors import StoreError
from marbench.machine.files import within, writable_folder
from marbench.machine.locks import locked_where_possible
from marbench.machine.text import said_by
from marbench.report.page import MANIFEST, Output, is_as_written, remove

__all__ = ["replacing"]

_PAGE, _FIGURES = "index.html", "measures.json"
"""What every result has."""

_STAGING, _LOCK = ".marbench-unfinished", ".marbench-lock"
"""Names that nobody else has: both are removed."""
_PATIENCE = 5.0
"""Seconds; who works in the folder will go on for minutes."""


@contextmanager
def replacing(out: Path) -> Iterator[Output]:
    """Yield where the files of a call go: a hidden folder, out of which they are moved when the block ends.

    Whatever ends the block otherwise, a kill too, leaves an earlier result as it is. Files of two calls, which may be
    of two patients, never lie side by side: the earlier ones are removed, then the new ones moved in. In that moment
    there is no page, and the manifest names what is there, so that the next call can remove it.

    Raises
    ------
    StoreError
        The folder, or one in it with earlier files, cannot be written, another process works in it, or files of
        somebody else are in the way.
    """
    staging, new = within(out, f"{_STAGING}/{MANIFEST}").parent, not out.exists()
    writable_folder(out)
    try:
        with locked_where_possible(out / _LOCK, _PATIENCE):
            earlier = Output(out).earlier
            # Now, and not when all is done.
            _refuse_others(out, (_PAGE, _FIGURES), earlier)
            _refuse_fixed(out, earlier or {})
            shutil.rmtree(staging, ignore_errors=True)  # of a call that was killed
            try:
                output = Output(staging)
                yield output
                output.close()
                _swap(staging, out, output.files, earlier)
            finally:
                shutil.rmtree(staging, ignore_errors=True)
    finally:
        if new:
            with contextlib.suppress(OSError):  # there are results in it
                out.rmdir()


def _refuse_others(out: Path, names: Collection[str], earlier: Mapping[str, str] | None) -> None:
    """Raise StoreError where a file of somebody else, or a folder, is in the place of one to be written."""
    for name in names:
        path = within(out, name)
        if path.is_dir() or (earlier is None and os.path.lexists(path)):
            raise StoreError(f"{path} was not written by marbench. Choose another --out, or remove it.")


def _refuse_fixed(out: Path, names: Iterable[str]) -> None:
    """Raise StoreError where earlier files lie in a folder out of which they cannot be removed."""
    for folder in sorted({(out / name).parent for name in names}):
        if folder.is_dir() and not os.access(folder, os.W_OK | os.X_OK):
            raise StoreError(
                f"{folder} cannot be written, and files of an earlier result are in it. Choose another --out, or "
                "mend its permissions."
            )


def _swap(staging: Path, out: Path, names: Collection[str], earlier: Mapping[str, str] | None) -> None:
    """Put the files of a call in the place of the earlier ones; the page goes first and comes last."""
    _refuse_others(out, names, earlier)
    _refuse_fixed(out, earlier or {})
    old = [name for name, digest in (earlier or {}).items() if is_as_written(out, name, digest)]
    moved: list[str] = []
    try:
        for name in names:
            (out / name).parent.mkdir(parents=True, exist_ok=True)
        for name in sorted(old, key=lambda name: name != _PAGE):
            (out / name).unlink()
        for name in sorted(names, key=lambda name: (name != MANIFEST, name == _PAGE)):
            (staging / name).replace(out / name)
            moved.append(name)
    except BaseException as error:  # an interrupt, too: a part of a series must not be filed
        _remove(out, moved)
        if isinstance(error, OSError):
            said = f"{out} cannot be written: {said_by(error)}. Run the same command again."
            raise StoreError(said) from error
        raise
    _remove(out, set(old) - set(names))


def _remove(out: Path, names: Iterable[str]) -> None:
    with contextlib.suppress(OSError):
        for name in names:
            remove(out, name)
