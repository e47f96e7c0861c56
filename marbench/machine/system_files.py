"""Files in which Linux tells of the machine and of its processes."""

from __future__ import annotations

from pathlib import Path

__all__ = ["lines_of"]


def lines_of(path: Path) -> list[str]:
    """Return the lines of a file of the system; none where it has no such file.

    Names in it are of whoever runs the machine, in any encoding: what is no text is replaced.
    """
    try:
        return path.read_text(errors="replace").splitlines()
    except OSError:
        return []
