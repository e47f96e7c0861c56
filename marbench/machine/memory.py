"""The memory that is left to this process, and the peak memory of a call, above what was in use before it."""

from __future__ import annotations

import ctypes
import gc
import math
import sys
from pathlib import Path, PurePosixPath

import torch

__all__ = ["PeakMemory", "available_memory", "release_free_memory"]

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")
# Control groups of versions 2 and 1 by their controller (cgroups(7)): where they are, the files of the limit and of
# what is used, and the line of ``memory.stat`` with what of that is a mere copy of files.
_GROUPS = {
    "": ("sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"),
    "memory": ("sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
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
    left = [1024 * float(line.split()[1]) for line in _lines(root / "proc/meminfo") if line.startswith("MemAvailable:")]
    for line in _lines(root / "proc/self/cgroup"):
        _, controller, name = line.split(":", 2)
        if controller in _GROUPS:
            place, *files = _GROUPS[controller]
            # A limit of any group above holds, too.
            groups = (PurePosixPath(name), *PurePosixPath(name).parents)
            left += [_left(root / place / group.relative_to("/"), *files) for group in groups]
    return min(left, default=math.inf)


def _left(group: Path, limit: str, used: str, cache: str) -> float:
    """Return the bytes that a control group may still take; ∞ without a limit."""
    try:
        most, now = (int((group / name).read_text()) for name in (limit, used))
        # Files that were read count as used until the memory is wanted: a long job would seem to have none left.
        cached = int(dict(line.split() for line in _lines(group / "memory.stat")).get(cache, 0))
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
    return next((float(line.split()[1]) * 1024 for line in _lines(_STATUS) if line.startswith(field)), math.nan)


def _lines(path: Path) -> list[str]:
    """Return the lines of a file of the system; none where it has no such file."""
    try:
        return path.read_text().splitlines()
    except OSError:
        return []
