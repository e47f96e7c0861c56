"""What a page is, and where its files go.

One page is one module of this package with a `Page` named ``PAGE`` and one template of the same name in
``reports/templates``. A module turns `Findings` into what its template shows; sidecar files go through `Output`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from marbench.errors import StoreError
from marbench.machine.files import write_atomically
from marbench.report.findings import Findings

__all__ = ["Output", "Page"]

_MANIFEST = "files.json"


@dataclass
class Output:
    """A folder of pages that remembers what it wrote, and removes what only an earlier rendering wrote."""

    folder: Path
    files: set[str] = field(default_factory=set)

    def write(self, name: str, content: str | bytes) -> str:
        """Write a file by its path below the folder, with ``/``; return that path."""
        data = content.encode() if isinstance(content, str) else content
        path = self.folder / name
        if not (path.is_file() and path.read_bytes() == data):
            write_atomically(path, data)
        self.files.add(name)
        return name

    def close(self) -> None:
        """Remove the files of an earlier rendering that are no longer part of the report."""
        manifest = self.folder / _MANIFEST
        for name in _earlier(manifest) - self.files:
            path = self.folder / name
            path.unlink(missing_ok=True)
            for parent in path.relative_to(self.folder).parents[:-1]:
                if (empty := self.folder / parent).is_dir() and not any(empty.iterdir()):
                    empty.rmdir()
        self.write(_MANIFEST, json.dumps(sorted(self.files), indent=0) + "\n")


def _earlier(manifest: Path) -> set[str]:
    """Return what an earlier rendering wrote. A manifest that names files outside its folder is not ours."""
    if not manifest.is_file():
        return set()
    try:
        names = json.loads(manifest.read_text(encoding="utf-8"))
        paths = [PurePosixPath(name) for name in names]
    except (ValueError, TypeError):
        names, paths = None, []
    if names is None or any(path.is_absolute() or ".." in path.parts for path in paths):
        raise StoreError(f"{manifest} was not written by marbench. Choose another folder for the report.")
    return set(map(str, paths))


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
