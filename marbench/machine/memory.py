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

__all__ = ["PeakMemory", "available_memory", "most_memory", "release_free_memory"]

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

    NaN where the system does not tell: of programs that the call has run on a GPU, or that took less than this process.
    Where a call has run programs, it is the peak of the largest that this process has run so far.

    Parameters
    ----------
    device : torch.device
    alone : bool
        Whether all programs that this process runs are those of the calls; else none of them can be told from others.
    """

    _most = 0.0  # bytes that this process has ever had

    def __init__(self, device: torch.device, alone: bool = False) -> None:
        self._device, self._alone = device, alone
        self._before = 0.0
        self._programs = _programs()[0]
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
            self._before = torch.cuda.memory_allocated(device)
        elif device.type == "cpu":
            self._note_most()
            self._before = _resident("VmRSS:") if _reset_high_water_mark() else math.nan

    def megabytes(self) -> float:
        """Return the peak since the start, above the start, in MB."""
        seconds, largest = _programs()
        if seconds > self._programs:
            self._note_most()
            # Linux counts as a program's what this process had when it started it, so that less cannot be told.
            known = self._device.type == "cpu" and self._alone and largest > PeakMemory._most
            return largest / 1e6 if known else math.nan
        if self._device.type == "cuda":
            return (torch.cuda.max_memory_allocated(self._device) - self._before) / 1e6
        if self._device.type == "cpu" and not math.isnan(self._before):
            return max(0.0, _resident("VmHWM:") - self._before) / 1e6
        return math.nan

    @staticmethod
    def _note_most() -> None:
        PeakMemory._most = max(PeakMemory._most, _resident("VmHWM:"))


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


def most_memory(root: Path = Path("/")) -> float:
    """Return the bytes that the machine has, or less where the job or container has a limit; ∞ if unknown."""
    lines = [line for line in lines_of(root / "proc/meminfo") if line.startswith("MemTotal:")]
    machine = [1024 * float(line.split()[1]) for line in lines]
    limits = [lines_of(group / _FILES[version][0]) for version, group in control_groups("memory", root)]
    groups = [float(limit[0]) for limit in limits if limit and limit[0].isdigit()]  # else there is none, "max"
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


def _programs() -> tuple[float, float]:
    """Return the processor time in s of the processes that this one has waited for, and the bytes of the largest.

    0 but on Linux.
    """
    if sys.platform != "linux":
        return 0.0, 0.0
    import resource

    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime, 1024.0 * used.ru_maxrss


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
