"""The memory that is left to this process, and the peak memory of a call, above what was in use before it."""

from __future__ import annotations

import ctypes
import gc
import math
import sys
from pathlib import Path

import torch

from marbench.machine.control_groups import control_groups
from marbench.machine.system_files import lines_of

__all__ = ["PeakMemory", "available_memory", "release_free_memory"]

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")
# Of control groups by their version: the files of the limit and of what is used, and the line of ``memory.stat`` with
# what of that is a mere copy of files.
_FILES = {
    2: ("memory.max", "memory.current", "inactive_file"),
    1: ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
}


class PeakMemory:
    """Start it before a call, and ask `megabytes` after: resident memory on Linux, allocated memory on CUDA.

    NaN where the system does not tell.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._before = 0.0
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
            self._before = torch.cuda.memory_allocated(device)
        elif device.type == "cpu":
            self._before = _resident("VmRSS:") if _reset_high_water_mark() else math.nan

    def megabytes(self) -> float:
        """Return the peak since the start, above the start, in MB."""
        if self._device.type == "cuda":
            return (torch.cuda.max_memory_allocated(self._device) - self._before) / 1e6
        if self._device.type == "cpu" and not math.isnan(self._before):
            return max(0.0, _resident("VmHWM:") - self._before) / 1e6
        return math.nan


def release_free_memory() -> None:
    """Give memory that is free but kept by allocators back to the system, so that the next peak is the call's own."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc only
        if trim is not None:
            trim(0)


def available_memory(root: Path = Path("/")) -> float:
    """Return the bytes that are left: to the machine, and to the job or container (its control groups); ∞ if unknown.

    Parameters
    ----------
    root : Path
        Where ``proc`` and ``sys`` are.
    """
    lines = [line for line in lines_of(root / "proc/meminfo") if line.startswith("MemAvailable:")]
    machine = [1024 * float(line.split()[1]) for line in lines]
    groups = [_left(group, *_FILES[version]) for version, group in control_groups("memory", root)]
    return min([*machine, *groups], default=math.inf)


def _left(group: Path, limit: str, used: str, cache: str) -> float:
    """Return the bytes that a control group may still take; ∞ without a limit."""
    try:
        most, now = (int((group / name).read_text()) for name in (limit, used))
        # Files that were read count as used until the memory is wanted: a long job would seem to have none left.
        cached = int(dict(line.split() for line in lines_of(group / "memory.stat")).get(cache, 0))
    except (OSError, ValueError):  # no limit is "max", and the topmost group has no such files
        return math.inf
    return most - now + cached


def _reset_high_water_mark() -> bool:
    """Set VmHWM to VmRSS (proc(5), clear_refs, value 5)."""
    try:
        _CLEAR.write_text("5")
    except OSError:
        return False
    return True


def _resident(field: str) -> float:
    """Return a field of /proc/self/status in bytes; NaN where there is none."""
    return next((float(line.split()[1]) * 1024 for line in lines_of(_STATUS) if line.startswith(field)), math.nan)
