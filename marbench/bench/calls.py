"""One call of one method in this process, guarded: whatever the plugin raises becomes an outcome."""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch

from marbench.bench.outcome import Outcome, describe
from marbench.cases.case import Scan
from marbench.machine.interrupts import Interrupted, Overdue
from marbench.machine.memory import PeakMemory
from marbench.method.contract import Method
from marbench.method.images import check_image, check_unit

__all__ = ["call_method", "own_state", "seed_of"]


def seed_of(label: str, case_id: str) -> int:
    """Return the seed of a call: of the method's name and the case, not of its code, which a comment would change."""
    return int.from_bytes(hashlib.sha256(f"{label}\0{case_id}".encode()).digest()[:4], "big")


def call_method(method: Method, scan: Scan, device: torch.device, seed: int = 0, home: Path | None = None) -> Outcome:
    """Call ``method.reduce`` on a scan of one case and measure it.

    Parameters
    ----------
    scan : Scan
        The method gets a copy on the device, and may do with it what it likes.
    seed : int
        Random numbers start from it, so that results do not depend on what ran before.
    home : Path, optional
        The plugin's folder: error messages quote its last line that took part.
    """
    # Of the scan as it is here: the copy that the method gets is its own, to reshape as it likes.
    shape = tuple(scan.image.shape)
    start = time.perf_counter()
    try:
        # A device that has no memory left fails here, and it is the method's row that says so.
        own = scan.copy_to(device)
        memory = PeakMemory(device)
        with own_state(seed):
            _synchronize(device)
            start = time.perf_counter()
            result = method.reduce(own)
            _synchronize(device)
        seconds = time.perf_counter() - start
        peak = memory.megabytes()
        return Outcome(check_unit(check_image(result, shape)[0]), None, seconds, peak)
    except (Interrupted, Overdue):
        raise
    except BaseException as error:  # SystemExit and the like included: a plugin ends its call, never the run
        return Outcome(None, describe(error, home), time.perf_counter() - start)


def _synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


@contextmanager
def own_state(seed: int) -> Iterator[None]:
    """Seed all generators and switch gradients off; undo afterwards what is easily left switched in a notebook.

    Plugins of others run in processes of their own: nothing that they switch reaches another method.
    """
    # Whatever generator a plugin uses, its numbers depend on the method's name and the case alone.
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 (plugins use the legacy generator)
    torch.manual_seed(seed)
    dtype, threads, device = torch.get_default_dtype(), torch.get_num_threads(), torch.get_default_device()
    try:
        with torch.no_grad():
            yield
    finally:
        torch.set_default_dtype(dtype)
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)
        if torch.get_default_device() != device:
            torch.set_default_device(device)
