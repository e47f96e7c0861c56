"""Files that are whole or absent: a temporary name, fsync, rename."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import re
import secrets
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from marbench.errors import StoreError

__all__ = ["npz", "safe_name", "writable_folder", "write_atomically"]


def write_atomically(path: Path, content: bytes, durable: bool = True) -> None:
    """Write a file so that a reader, or a kill at any moment, meets the whole of it or nothing.

    Parameters
    ----------
    durable : bool
        Whether it must survive a power cut right afterwards. False is faster, for files that can be made again.

    Raises
    ------
    StoreError
        The folder cannot be written, or the disk is full.
    """
    # Unique, so that two processes never write into one file; hidden, so that no reader takes it for a part.
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            file.write(content)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        temporary.replace(path)
        if durable:
            _sync_folder(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise _refusal(path, error) from error


def writable_folder(folder: Path) -> None:
    """Create a folder where it is missing, and raise `StoreError` unless files can be written into it."""
    probe = folder / f".{os.getpid()}-{secrets.token_hex(4)}.tmp"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"marbench")
    except OSError as error:
        raise _refusal(folder, error) from error
    finally:
        if folder.is_dir():
            probe.unlink(missing_ok=True)


def safe_name(label: str) -> str:
    """Return a file name for a method's label: other characters than letters, digits, ``. _ -`` become ``_``.

    A short hash tells apart labels that would otherwise share a name.

    >>> safe_name("li"), safe_name("nmar[prior=raw]")
    ('li', 'nmar_prior_raw_-1c1f4e65')
    """
    name = re.sub(r"[^A-Za-z0-9._-]", "_", label)
    return name if name == label else f"{name}-{hashlib.sha256(label.encode()).hexdigest()[:8]}"


def npz(arrays: dict[str, NDArray[Any]]) -> bytes:
    """Return a compressed ``.npz`` file; equal arrays give equal bytes."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def _sync_folder(folder: Path) -> None:
    """Make a rename survive a power cut. Windows cannot open folders, and needs no such thing."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _refusal(path: Path, error: OSError) -> StoreError:
    return StoreError(
        f"{path} cannot be written: {error.strerror or error}. Results that are already there are intact. "
        "Free space or mend the permissions and run the same command again, or choose another --out."
    )
