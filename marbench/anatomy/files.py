"""Which files lie below a folder: through links, without hidden ones, and what was passed over."""

from __future__ import annotations

import fnmatch
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from glob import has_magic
from pathlib import Path, PurePosixPath

from marbench.errors import DataError
from marbench.machine.text import said_by

__all__ = ["Files", "files_below", "matching"]

_OF_THE_SYSTEM = frozenset({"lost+found", "system volume information", "$recycle.bin"})
"""Folders at the root of a disk, in lower case, that a user may not read or has thrown away."""


@dataclass(frozen=True)
class Files:
    """The files below a folder, sorted, and how many others there are, by reason."""

    found: tuple[Path, ...]
    skipped: Counter[str] = field(default_factory=Counter)


def files_below(folder: Path, pattern: str | None = None) -> Files:
    """Return the files below a folder.

    Links are followed, and what several lead to counts once. Hidden files (``._scan.nii.gz``, which macOS leaves beside
    each file on foreign disks) and hidden folders are passed over.

    Parameters
    ----------
    folder : Path
    pattern : str, optional
        Which files: ``*/ct.nii.gz`` relative to the folder. ``*``, ``?`` and ``[...]`` stay within one name, ``**``
        stands for any number of folders.

    Returns
    -------
    Files
        Broken links, folders that cannot be read and files that do not match are counted.
    """
    skipped: Counter[str] = Counter()
    found = []
    seen = set()
    for path in sorted(_walk(folder, skipped)):
        if pattern is not None and not _matches(path.relative_to(folder).parts, PurePosixPath(pattern).parts):
            skipped["files that anatomy.pattern leaves out"] += 1
        elif not path.exists():
            skipped["broken links"] += 1
        elif path.is_file():
            real = os.path.realpath(path)
            if real in seen:
                skipped["links to a file that is there already"] += 1
            else:
                found.append(path)
            seen.add(real)
    return Files(tuple(found), skipped)


def matching(folder: Path, pattern: str) -> list[Path]:
    """Return what lies below a folder and matches a pattern, as `Path.glob`, which passes over what it cannot read.

    Links are followed. Names that begin with a dot are passed over where the pattern does not write the dot out, and
    so are folders that a system keeps at the root of a disk.

    Parameters
    ----------
    folder : Path
    pattern : str
        Relative to the folder: ``test/*.npz``. ``*``, ``?`` and ``[...]`` stay within one name.

    Raises
    ------
    DataError
        A folder in which files may lie cannot be read, or is a link that leads nowhere.
    """
    paths = [folder]
    try:
        for part in pattern.split("/"):
            paths = [path / name for path in paths for name in _names(path, part)]
    except OSError as error:
        raise DataError(
            f"{error.filename} cannot be read: {said_by(error)}. Mend its permissions, or take it out of the folder."
        ) from error
    return sorted(paths)


def _names(folder: Path, part: str) -> list[str]:
    if folder.is_symlink():
        folder.stat()  # raises an error for a link that leads nowhere
    if not has_magic(part):
        return [part] if (folder / part).exists() else []
    try:
        names = [path.name for path in folder.iterdir() if path.name.lower() not in _OF_THE_SYSTEM]
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [name for name in names if fnmatch.fnmatchcase(name, part) and name.startswith(".") <= part.startswith(".")]


def _walk(folder: Path, skipped: Counter[str]) -> Iterator[Path]:
    """Yield everything below a folder that is no folder; what is hidden or unreadable is counted."""

    def unreadable(_: OSError) -> None:
        skipped["folders that cannot be read"] += 1

    entered = {os.path.realpath(folder)}
    for place, folders, names in os.walk(folder, followlinks=True, onerror=unreadable):
        wanted = []
        for name in sorted(folders):
            real = os.path.realpath(Path(place, name))
            # A link may lead to a folder above, or to one that is there already.
            if not name.startswith(".") and real not in entered:
                wanted.append(name)
                entered.add(real)
        folders[:] = wanted
        hidden = sum(name.startswith(".") for name in names)
        if hidden:
            skipped["hidden files"] += hidden
        yield from (Path(place, name) for name in names if not name.startswith("."))


def _matches(names: tuple[str, ...], pattern: tuple[str, ...]) -> bool:
    """Say whether a path matches a pattern, part by part.

    >>> _matches(("s1", "ct.nii.gz"), ("*", "ct.nii.gz")), _matches(("ct.nii.gz",), ("**", "*.nii.gz"))
    (True, True)
    >>> _matches(("s1", "masks", "ct.nii.gz"), ("*", "ct.nii.gz"))
    False
    """
    if not pattern:
        return not names
    first, rest = pattern[0], pattern[1:]
    if first == "**":
        return any(_matches(names[start:], rest) for start in range(len(names) + 1))
    return bool(names) and fnmatch.fnmatchcase(names[0], first) and _matches(names[1:], rest)
