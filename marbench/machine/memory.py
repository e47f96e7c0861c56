"""The peak memory of a call, above what was in use before it."""

from __future__ import annotations

import ctypes
import gc
import math
import sys
from pathlib import Path

import torch

__all__ = ["PeakMemory", "release_free_memory"]

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")


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


def _reset_high_water_mark() -> bool:
    """Set VmHWM to VmRSS (proc(5), clear_refs, value 5)."""
    try:
        _CLEAR.write_text("5")
    except OSError:
        return False
    return True


def _resident(field: str) -> float:
    """Return a field of /proc/self/status in bytes; NaN where there is none."""
    try:
        lines = _STATUS.read_text().splitlines()
    except OSError:
        return math.nan
    return next((float(line.split()[1]) * 1024 for line in lines if line.startswith(field)), math.nan)
