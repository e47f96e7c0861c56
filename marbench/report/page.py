"""What a page is, and where its files go.

One page is one module of this package with a `Page` named ``PAGE`` and one template of the same name in
``reports/templates``. A module turns `Findings` into what its template shows; sidecar files go through `Output`.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from marbench.errors import StoreError
from marbench.machine.files import holds, read_file, within, write_atomically
from marbench.report.findings import Findings

__all__ = ["MANIFEST", "Output", "Page", "Place", "is_as_written", "remove"]

MANIFEST = "files.json"
"""What a folder of pages says of its files."""
_KIND = "marbench report 1"
_MANIFEST_BYTES = 2**26


@dataclass
class Output:
    """A folder of pages that remembers what it wrote, and removes what only an earlier rendering wrote.

    What an earlier rendering wrote stands in ``files.json``, with the SHA-256 of each file: one that has changed since
    is not ours any more. Without it no file that is there is replaced. No link below the folder is followed.

    Attributes
    ----------
    folder : Path
    earlier : dict or None
        What an earlier rendering wrote, name → SHA-256; None where there was none.
    files : dict
        Name → SHA-256 of what was written.
    notices : list of str
        What was met on the way and belongs to no page: pictures that cannot be used.

    Raises
    ------
    StoreError
        The folder has a ``files.json`` of another kind, or a file of the user's in the place of one to be written.
    """

    folder: Path
    files: dict[str, str] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.earlier = _read_manifest(self.folder / MANIFEST)
        self._written: list[str] = []

    def write(self, name: str, content: str | bytes) -> str:
        """Write a file by its path below the folder, with ``/``; return that path."""
        data = content.encode(errors="replace") if isinstance(content, str) else content
        path = within(self.folder, name)
        if not holds(path, data):
            if self.earlier is None and name not in self.files and name != MANIFEST:
                self._claim(path)
            write_atomically(path, data)
            self._written.append(name)
        self.files[name] = hashlib.sha256(data).hexdigest()
        return name

    def _claim(self, path: Path) -> None:
        """Leave a manifest, for a rendering that is cut short; but not where a file is in the way."""
        manifest = self.folder / MANIFEST
        if path.exists() and not path.is_symlink():
            for name in self._written:  # and no file of the user's that happens to be the same
                self.discard(name)
            manifest.unlink(missing_ok=True)
            raise StoreError(f"{path} was not written by marbench. Choose another folder, or remove it.")
        if not manifest.exists():
            write_atomically(manifest, json.dumps({"kind": _KIND, "files": {}}).encode())

    def discard(self, name: str) -> None:
        """Remove a file that was written, after all."""
        if is_as_written(self.folder, name, self.files.pop(name)):
            with contextlib.suppress(OSError):
                remove(self.folder, name)

    def note(self, text: str) -> None:
        """Take a notice, once."""
        if text not in self.notices:
            self.notices.append(text)

    def close(self) -> None:
        """Remove the files of an earlier rendering that are no longer part of the report."""
        for name, digest in (self.earlier or {}).items():
            if name not in self.files and is_as_written(self.folder, name, digest):
                with contextlib.suppress(OSError):
                    remove(self.folder, name)
        content = {"kind": _KIND, "files": dict(sorted(self.files.items()))}
        self.write(MANIFEST, json.dumps(content, indent=0) + "\n")


def _read_manifest(path: Path) -> dict[str, str] | None:
    """Return what an earlier rendering wrote, name → SHA-256; None where there was none."""
    try:
        content = json.loads(read_file(path, _MANIFEST_BYTES))
        files = dict(content["files"])
        names = [PurePosixPath(name) for name in files]
        if content["kind"] != _KIND or not all(isinstance(digest, str) for digest in files.values()):
            raise ValueError
        if any(name.is_absolute() or ".." in name.parts or not name.parts for name in names):
            raise ValueError
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        raise StoreError(
            f"{path} was not written by marbench. Choose another folder for the report, or remove it."
        ) from None
    return files


def is_as_written(folder: Path, name: str, digest: str) -> bool:
    """Tell whether a file is there as it was written: one that has changed since, or lies behind a link, is not ours.

    It is read in pieces: volumes are large.
    """
    try:
        path = within(folder, name)
        if path.is_symlink() or not path.is_file():
            return False
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == digest
    except (OSError, ValueError, StoreError):
        return False


def remove(folder: Path, name: str) -> None:
    """Remove a file, if it is there, and the folders that it leaves empty."""
    (folder / name).unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # other files are in them
        for parent in PurePosixPath(name).parents[:-1]:
            (folder / parent).rmdir()


@dataclass(frozen=True)
class Place:
    """Where the pages of a benchmark lie among others.

    Attributes
    ----------
    root : str
        Relative path to the folder that holds ``assets``.
    home : str
        Relative path to the page that lists several benchmarks, if there is one.
    address : str
        Where the folder will be on the web, as far as that is known: previews of links need whole addresses.
    """

    root: str = ""
    home: str = ""
    address: str = ""


@dataclass(frozen=True)
class Page:
    """One page of a report.

    Attributes
    ----------
    name : str
        The stem of the page's file and of its template.
    title : str
        What the navigation calls it.
    build : callable
        ``(Findings, Output) -> mapping`` for the template, or None where the page has nothing to show.
    """

    name: str
    title: str
    build: Callable[[Findings, Output], Mapping[str, Any] | None]

    @property
    def file(self) -> str:
        """The file of the page."""
        return f"{self.name}.html"
