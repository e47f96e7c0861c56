"""What a method may use: seconds, memory, threads."""

from __future__ import annotations

import math
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from marbench.errors import MarbenchError

__all__ = ["NO_LIMITS", "Limits", "limit_memory"]

_LONGEST = 7 * 86_400.0  # a call of more than a week is a mistake


@dataclass(frozen=True)
class Limits:
    """What one call of a method may use.

    Attributes
    ----------
    seconds : float or None
        Wall time of import and load together, and of every call; None sets no limit.
    memory_gb : float or None
        Memory beyond what an idle process has, 10⁹ bytes; None takes nine tenths of the machine's, or of what its job
        or container may take. On Linux alone.
    threads : int
        Threads of torch. One by default: sums in another order, as other numbers of threads take them, differ in the
        last bits, so that results would depend on how many workers share the cores.
    """

    seconds: float | None = None
    memory_gb: float | None = None
    threads: int = 1

    def __post_init__(self) -> None:
        _check("--timeout", self.seconds, "seconds", _LONGEST)
        _check("--memory", self.memory_gb, "GB", 1e6)
        cores = os.cpu_count() or 1
        if not 1 <= self.threads <= 16 * cores:
            raise MarbenchError(f"--threads takes 1 … {16 * cores} on this machine. Got {self.threads}.")

    def hold_here(self) -> None:
        """Raise MarbenchError where no process of this machine can be held to them."""
        if self.memory_gb is not None and sys.platform != "linux":
            raise MarbenchError("Only on Linux can a process be held to --memory: drop it.")

    @property
    def need_processes(self) -> bool:
        """Whether a limit was set that only a process of its own can be held to."""
        return self.seconds is not None or self.memory_gb is not None


def limit_memory(gigabytes: float | None) -> None:
    """Limit the private memory of this process, so that too much of it raises MemoryError here and harms nobody else.

    On Linux RLIMIT_DATA counts what a process has allocated (since 4.7 with mmap), and not, as RLIMIT_AS, the address
    space that CUDA and allocators merely reserve. Elsewhere nothing is limited.
    """
    if sys.platform != "linux":
        return
    import resource

    from marbench.machine.memory import most_memory

    # The rest is for the process that keeps the results, and for the system.
    most = most_memory()
    allowed = 0.9 * most if gigabytes is None else min(gigabytes * 1e9, most)
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = int(min(_data_bytes() + allowed, sys.maxsize))  # ∞ where the system does not tell
    # A limit that somebody has set before can only be lowered.
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (wanted, wanted))


def _data_bytes() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmData:"):
            return float(line.split()[1]) * 1024
    return 0.0


def _check(option: str, value: float | None, unit: str, largest: float) -> None:
    if value is not None and not (math.isfinite(value) and 0 < value <= largest):
        raise MarbenchError(f"{option} takes a positive number of {unit}, at most {largest:g}. Got {value:g}.")


NO_LIMITS = Limits()
