"""Parquet parts: files that processes add to a folder, none ever changing another's.

Many small parts cost more to read than their rows. So a reader that may write merges them: it writes one part with all
rows, which lists the pieces that it was made of, and then removes the files that it read. Whoever reads takes every
piece once, by its name, in whatever files it lies. Hence a kill between writing and removing doubles nothing; nor do
two processes that merge at once, each of which removes only what it has itself written anew; and what others add
meanwhile is in no list, and stays.
"""

from __future__ import annotations

import contextlib
import re
import secrets
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from marbench.errors import StoreError
from marbench.machine.files import Found, find_files, read_file, within, write_atomically
from marbench.machine.text import said_by
from marbench.results.checks import faulty_rows
from marbench.results.part_file import Kind, Piece, encode, join, read_pieces, reduced, table_of

__all__ = ["MANY", "Parts", "merge_pieces", "read_parts", "time_after", "usable_pieces", "write_part"]

MANY = 64
"""More files than this are merged."""

# Others may add and merge while a folder is read; what is read once is not read again.
_ROUNDS = 50
# The year 2116: foreign parts that say a later time leave no room for one after it.
_LATEST = 2**62
# What reading a part may raise.
_UNREADABLE = (OSError, ValueError, KeyError, TypeError, MemoryError, RecursionError, pa.ArrowException)


@dataclass(frozen=True, eq=False)
class Parts:
    """What a folder of parts holds: all rows, oldest first, and what was left out, and why.

    Attributes
    ----------
    table : DataFrame
    problems : list of str
    created : int array
        When each row was written, in ns since 1970.
    """

    table: pd.DataFrame
    problems: list[str]
    created: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class _Held:
    """The pieces of a folder, file by file; the files that are none; and how many rows cannot be used, and why."""

    files: dict[str, list[Piece]] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    faults: Counter[str] = field(default_factory=Counter)

    def pieces(self) -> list[Piece]:
        """Return every piece once, the oldest first."""
        # A piece may lie in several files: in its own, and in those that others have merged meanwhile.
        unique = {piece.name: piece for name in sorted(self.files) for piece in self.files[name]}
        return sorted(unique.values(), key=lambda piece: (piece.created, piece.name))


def time_after(times: Iterable[int]) -> int:
    """Return the time in ns since 1970, after that of every part: a clock that goes back ages no rows."""
    return max([time.time_ns(), *(each + 1 for each in times if each < _LATEST)])


def write_part(folder: Path, kind: Kind, spec_hash: str, records: Sequence[Mapping[str, Any]]) -> Piece:
    """Write rows, column → value, as one new part, and return them as its piece.

    Raises
    ------
    StoreError
        The folder cannot be written, or the disk is full.
    """
    created, table = _now(folder), table_of(kind, records)
    path = _new_path(folder, created)
    write_atomically(path, encode(kind, spec_hash, created, table))
    return Piece(path.name, created, table)


def merge_pieces(folder: Path, kind: Kind, spec_hash: str, pieces: Sequence[Piece], files: Iterable[str] = ()) -> None:
    """Write pieces as one part, and remove the files in which they lie: their own ones, and ``files``.

    Raises
    ------
    StoreError
        The part could not be written; nothing was removed.
    """
    created = _now(folder)
    content = encode(kind, spec_hash, created, join(pieces, kind), pieces)
    path = _new_path(folder, created)
    write_atomically(path, content)
    # What is removed may be the only copy: see first that the new one is what it should be.
    try:
        if read_file(path, len(content)) != content or not _same(read_pieces(path, kind, spec_hash), pieces):
            raise ValueError("it holds something else")
    except _UNREADABLE as error:
        with contextlib.suppress(OSError):  # or every reader would leave another
            path.unlink()
        raise StoreError(f"{path} was not written as it should be: {error}.") from error
    for name in {*files, *(piece.name for piece in pieces)}:
        with contextlib.suppress(OSError):  # another process may have removed it
            (folder / name).unlink()


def read_parts(folder: Path, kind: Kind, spec_hash: str, *, merge: bool = False, columns: Sequence[str] = ()) -> Parts:
    """Read all parts of a folder. What cannot be used, files or rows, is named among the problems, and left alone.

    Parameters
    ----------
    merge : bool
        Whether to merge the parts, if they are more than `MANY`. The rows are the same before and after.
    columns : sequence of str
        Keep only these, texts as categories: a small part of the memory. Rows are checked in all columns all the same.
    """
    # To merge files all of their rows are needed at once. Otherwise one file after the other is reduced to the columns.
    merging = merge and len(_find(folder).files) > MANY
    held = _read(folder, kind, spec_hash, () if merging else columns)
    pieces = held.pieces()
    if merging:
        # A full or read-only disk is no reason not to read.
        with contextlib.suppress(StoreError):
            merge_pieces(folder, kind, spec_hash, pieces, held.files)
    if merging or not columns:
        pieces = _usable(pieces, kind, spec_hash, columns, held.faults)
    table = join(pieces, kind, columns).to_pandas()
    problems = [
        f"{folder.name}/{name} is skipped, its rows count as missing: {why}" for name, why in held.problems.items()
    ]
    problems += [
        f"{folder.name}: {count} of {len(table) + held.faults.total()} rows are left out and count as missing, {why}"
        for why, count in held.faults.items()
    ]
    created = np.repeat([piece.created for piece in pieces], [piece.table.num_rows for piece in pieces])
    return Parts(table, problems, created.astype(np.int64))


def usable_pieces(folder: Path, kind: Kind, spec_hash: str) -> list[Piece]:
    """Return the pieces of a folder with their usable rows, the oldest first; `read_parts` tells what is left out."""
    held = _read(folder, kind, spec_hash, ())
    return _usable(held.pieces(), kind, spec_hash, (), held.faults)


def _read(folder: Path, kind: Kind, spec_hash: str, columns: Sequence[str]) -> _Held:
    """Return the pieces of a folder; with columns, their usable rows in these columns."""
    held = _Held()
    for attempt in range(_ROUNDS):
        # Two listings at least: one that runs while another process merges may miss old and new parts alike.
        found = _find(folder)
        new = [path for path in found.files if path.name not in held.files and path.name not in held.problems]
        if attempt and not new:
            break
        for path in new:
            try:
                pieces = read_pieces(path, kind, spec_hash)
            except FileNotFoundError:
                continue  # merged into another: the next listing has that one
            except _UNREADABLE as error:
                held.problems[path.name] = said_by(error)
                continue
            if columns:
                pieces = _usable(pieces, kind, spec_hash, columns, held.faults)
            held.files[path.name] = pieces
    held.problems.update({path.name: why for path, why in found.strange.items()})
    return held


def _usable(
    pieces: Sequence[Piece], kind: Kind, spec_hash: str, columns: Sequence[str], faults: Counter[str]
) -> list[Piece]:
    """Return the rows of pieces that can be used; count the others in ``faults``."""
    # All rows at once: checking thousands of small tables would take seconds.
    whole = join(pieces, kind)
    good, reasons = faulty_rows(whole, kind, spec_hash)
    if columns:
        whole = reduced(whole, columns)
    elif not reasons:
        return list(pieces)
    faults.update(reasons)
    usable, start = [], 0
    for piece in pieces:
        rows = piece.table.num_rows
        table = whole.slice(start, rows)
        usable.append(replace(piece, table=table.filter(good.slice(start, rows)) if reasons else table))
        start += rows
    return usable


def _find(folder: Path) -> Found:
    return find_files(folder.parent, f"{folder.name}/*.parquet")


def _now(folder: Path) -> int:
    named = (re.match(r"(\d{1,19})-", path.name) for path in _find(folder).files)
    return time_after(int(match[1]) for match in named if match)


def _new_path(folder: Path, created: int) -> Path:
    return within(folder.parent, f"{folder.name}/{created}-{secrets.token_hex(4)}.parquet")


def _same(some: Sequence[Piece], others: Sequence[Piece]) -> bool:
    return len(some) == len(others) and all(
        (one.name, one.created, one.table.num_rows) == (other.name, other.created, other.table.num_rows)
        for one, other in zip(some, others, strict=True)
    )
