"""How many cores this process may use."""

from __future__ import annotations

import math
import os
from pathlib import Path

from marbench.machine.control_groups import control_groups

__all__ = ["usable_cores"]


def usable_cores(root: Path = Path("/")) -> int:
    """Return how many cores this process may use: a job or a container has some of the machine's, 1 at least.

    Parameters
    ----------
    root : Path
        Where ``proc`` and ``sys`` are.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    # A container that may take two cores' time sees all cores of its host. Part of a core is rounded up.
    quotas = [_quota(version, group) for version, group in control_groups("cpu", root)]
    return max(1, math.ceil(min([cores, *quotas])))


def _quota(version: int, group: Path) -> float:
    """Return how many cores' time a control group may take; ∞ without a limit."""
    try:
        if version == 2:
            quota, period = (group / "cpu.max").read_text().split()
        else:
            quota, period = ((group / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        most = float(quota) / float(period)
    except (OSError, ValueError, ZeroDivisionError):  # no limit is "max", and the topmost group has no such files
        return math.inf
    return most if most > 0 else math.inf  # of version 1 no limit is −1
