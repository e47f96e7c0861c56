"""Checkpoints that a kill at any moment cannot spoil. They are read without unpickling arbitrary objects."""

from __future__ import annotations

import io
import pickle
import re
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from marbench.errors import MarbenchError
from marbench.machine.files import write_atomically

__all__ = ["has_checkpoint", "load_checkpoint", "remove_checkpoints", "save_checkpoint"]

KEPT = 2
# What readers of damaged files are known to raise.
_DAMAGED = (
    *(OSError, RuntimeError, EOFError, ValueError, LookupError, AttributeError),
    *(zipfile.BadZipFile, zlib.error, struct.error, pickle.UnpicklingError),
)


def save_checkpoint(folder: Path, step: int, state: dict[str, Any]) -> None:
    """Write the state of a run, and remove all checkpoints but the newest two.

    Those of later steps are of a course that was killed and not taken again, and go, too.

    Raises
    ------
    MarbenchError
        The state could not be read again: it holds something else than tensors and plain values.
    """
    buffer = io.BytesIO()
    torch.save(state, buffer)
    _see_that_it_can_be_read(buffer)
    written = folder / f"{step:010d}.pt"
    write_atomically(written, buffer.getvalue())
    paths = _newest_first(folder)
    newest = paths.index(written)
    for path in (*paths[:newest], *paths[newest + KEPT :]):
        path.unlink(missing_ok=True)


def has_checkpoint(folder: Path) -> bool:
    """Tell whether a folder has a checkpoint, whole or damaged."""
    return bool(_newest_first(folder))


def remove_checkpoints(folder: Path) -> None:
    """Remove all checkpoints in a folder; what else lies there stays."""
    for path in _newest_first(folder):
        path.unlink(missing_ok=True)


def load_checkpoint(folder: Path, note: Callable[[str], None]) -> dict[str, Any] | None:
    """Return the newest state that can be read, its tensors on the CPU; None where there is none."""
    for path in _newest_first(folder):
        try:
            state = _read(path)
        except _DAMAGED as error:
            cause = next(iter(str(error).splitlines()), type(error).__name__)
            note(f"{path.name} is damaged and left out: {cause}")
        else:
            return state
    return None


def _read(path: Path) -> dict[str, Any]:
    buffer = io.BytesIO(path.read_bytes())
    # PyTorch looks at no checksum: a number with another bit would pass for a weight.
    with zipfile.ZipFile(buffer) as archive:
        if (harmed := archive.testzip()) is not None:
            raise zipfile.BadZipFile(f"the checksum of {harmed} is another")
    buffer.seek(0)
    state: dict[str, Any] = torch.load(buffer, map_location="cpu", weights_only=True)
    return state


def _see_that_it_can_be_read(buffer: io.BytesIO) -> None:
    buffer.seek(0)
    try:
        torch.load(buffer, map_location="meta", weights_only=True)  # all but the numbers in the tensors
    except pickle.UnpicklingError as error:
        found = re.search(r"GLOBAL (\S+)", str(error))
        raise MarbenchError(
            f"A checkpoint that holds {found[1] if found else 'such a state'} could not be read again without running "
            "code. Let the networks and optimisers of the method hold tensors and plain values alone: float(x) for a "
            "number of NumPy, torch.as_tensor(x) for an array."
        ) from None


def _newest_first(folder: Path) -> list[Path]:
    return sorted(folder.glob("[0-9]*.pt"), reverse=True)
