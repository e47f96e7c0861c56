"""The control groups of Linux, by which clusters and containers limit what a job may take."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from marbench.machine.system_files import lines_of

__all__ = ["control_groups"]


def control_groups(controller: str, root: Path) -> Iterator[tuple[int, Path]]:
    """Yield the version (2 or 1) and the folder of every control group that this process is in: cgroups(7).

    Those above hold it to their limits, too, and come after it.

    Parameters
    ----------
    controller : str
        Of version 1: memory, cpu, …
    root : Path
        Where ``proc`` and ``sys`` are.
    """
    for line in lines_of(root / "proc/self/cgroup"):
        _, controllers, name = line.split(":", 2)
        if not controllers:
            version, place = 2, root / "sys/fs/cgroup"
        elif controller in controllers.split(","):
            version, place = 1, root / "sys/fs/cgroup" / controller
        else:
            continue
        for group in (PurePosixPath(name), *PurePosixPath(name).parents):
            yield version, place / group.relative_to("/")
