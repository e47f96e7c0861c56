"""Command lines on pages: they name no folder of a machine, and work when they are pasted where a run was made."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from marbench.machine.text import clean_line

__all__ = ["command_text", "pasted_folder", "report_command"]


def pasted_folder(folder: Path) -> str:
    """Return how a page names a results folder: ``runs/NAME`` where it lies in one called ``runs``, else its name.

    ``runs`` is where `marbench run` puts them by default, so a command with that name works in the folder in which the
    run was started. All else of a path says where somebody keeps things, and is left out.

    >>> pasted_folder(Path("/home/jane/ct/runs/mini")), pasted_folder(Path("/data/doe/first-try"))
    ('runs/mini', 'first-try')
    """
    return f"runs/{folder.name}" if folder.parent.name == "runs" else folder.name or "."


def command_text(*words: str) -> str:
    """Return a command line as text.

    >>> command_text("marbench", "report", "runs/my run")
    "marbench report 'runs/my run'"
    """
    # Word by word, and not as a whole, which would take the folder for a path to be shortened.
    return shlex.join(word if word.startswith("runs/") else clean_line(word) for word in words)


def report_command(folders: Sequence[Path]) -> str:
    """Return the command that makes the pages of some results folders; those of several have no place of their own.

    >>> report_command([Path("runs/a"), Path("runs/b")])
    'marbench report runs/a runs/b --out report'
    """
    elsewhere = ("--out", "report") if len(folders) > 1 else ()
    return command_text("marbench", "report", *map(pasted_folder, folders), *elsewhere)
