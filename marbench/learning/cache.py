"""Blocks of simulated cases on disk, content-addressed, so that all methods and variants train on the same ones."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import platformdirs
import torch
from safetensors import SafetensorError
from safetensors.numpy import save as save_safetensors
from safetensors.torch import load as load_safetensors

from marbench.errors import StoreError
from marbench.learning.cases import BLOCK
from marbench.learning.packing import FIELDS, Packed
from marbench.machine.files import write_atomically
from marbench.machine.text import said_by

__all__ = ["BlockCache", "cache_folder"]

CACHE_VARIABLE = "MARBENCH_CACHE"
UNUSED_SECONDS = 30 * 24 * 3600.0
_WORLD = re.compile(r"[0-9a-f]{16}")
# A block, and what a kill leaves of one, see `write_atomically`.
_BLOCK = re.compile(r"\d{6,}\.safetensors|\.\d{6,}\.safetensors\.\d+-[0-9a-f]{8}\.tmp")


def cache_folder() -> Path:
    """Return where simulated cases are kept: ``MARBENCH_CACHE``, or the user's cache folder."""
    named = os.environ.get(CACHE_VARIABLE)
    return Path(named).expanduser() if named else Path(platformdirs.user_cache_dir("marbench", appauthor=False))


class BlockCache:
    """The blocks of one world. A block is whole or absent, whoever writes it and whenever they are killed.

    Parameters
    ----------
    key : str
        See `World.key`.
    folder : Path, optional
        Defaults to `cache_folder`.
    """

    def __init__(self, key: str, folder: Path | None = None) -> None:
        self.folder = (folder or cache_folder()) / "training" / key

    def remove_unused(self) -> None:
        """Mark this world as in use, and remove the cases of worlds that no training has used for a month.

        What else lies in the folder, which users may have chosen for more than this, stays.
        """
        with contextlib.suppress(OSError):  # what cannot be removed, or written, is said when a block is written
            self.folder.mkdir(parents=True, exist_ok=True)
            os.utime(self.folder)
            for other in self.folder.parent.iterdir():
                if _is_world(other) and other.stat().st_mtime < time.time() - UNUSED_SECONDS:
                    shutil.rmtree(other, ignore_errors=True)

    def path(self, number: int) -> Path:
        """Return the file of a block."""
        return self.folder / f"{number:06d}.safetensors"

    def __contains__(self, number: int) -> bool:
        return self.path(number).is_file()

    def write(self, number: int, block: Packed) -> None:
        """Store a block; raises `StoreError` where the disk is full or not writable."""
        path, content = self.path(number), save_safetensors(dict(block), metadata={"sha256": _digest(block)})
        try:
            write_atomically(path, content)
        except StoreError as error:
            raise StoreError(
                f"{path} cannot be written: {said_by(error.__cause__ or error)}. Free space, or let {CACHE_VARIABLE} "
                "name a folder with room; the same command goes on."
            ) from error

    def read(self, number: int) -> dict[str, torch.Tensor] | None:
        """Return a block, or None where it is absent or damaged; a damaged one is removed."""
        path = self.path(number)
        try:
            # Not mapped into memory: a file that shrinks under a map kills the process.
            content = path.read_bytes()
            block = load_safetensors(content)
        except FileNotFoundError:
            return None
        except (SafetensorError, OSError):
            path.unlink(missing_ok=True)
            return None
        is_whole = set(block) == set(FIELDS) and all(len(tensor) == BLOCK for tensor in block.values())
        if not is_whole or _noted_digest(content) not in (None, _digest(block)):
            path.unlink(missing_ok=True)
            return None
        return block


def _digest(block: Packed | Mapping[str, torch.Tensor]) -> str:
    """Return the SHA-256 of the numbers of a block."""
    digest = hashlib.sha256()
    for name in FIELDS:
        digest.update(np.ascontiguousarray(block[name]).data)
    return digest.hexdigest()


def _noted_digest(content: bytes) -> str | None:
    """Return the digest in the header of a safetensors file; None where it has none."""
    # As the format has it: its library tells the metadata only of files that it opens itself.
    size = int.from_bytes(content[:8], "little")
    noted: str | None = json.loads(content[8 : 8 + size]).get("__metadata__", {}).get("sha256")
    return noted


def _is_world(folder: Path) -> bool:
    """Tell whether a folder is one of blocks and holds nothing else."""
    if not _WORLD.fullmatch(folder.name) or not folder.is_dir():
        return False
    return all(_BLOCK.fullmatch(file.name) for file in folder.iterdir())
