"""Real processes in tests: who descends from whom, and who is alive."""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
import subprocess
import time
from collections.abc import Callable
from functools import cache
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path

from marbench.bench.work import PRELOAD
from marbench.machine.forkserver import shared_server

_SERVER = "from marbench.machine.forked import serve"


@cache
def _forks() -> ForkServerContext:
    """Processes that have imported everything already, and have started no thread yet."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["marbench.bench.run", "marbench.cli.run", "marbench.phantoms.patients"])
    return context


def forked_command(arguments: list[str], log: Path, largest_file: int | None = None) -> ForkServerProcess:
    """Start ``marbench``, which says what it says to a file. No file may grow beyond a size in bytes."""
    process = _forks().Process(target=_command_line, args=(arguments, str(log), largest_file))
    process.start()
    return process


def _command_line(arguments: list[str], log: str, largest_file: int | None) -> None:
    if largest_file is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, resource.RLIM_INFINITY))
    # Whoever runs the tests in the background may ignore them, and so would marbench.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    from marbench.cli import main

    # As fresh as a command that begins, for this process has imported everything and done nothing.
    shared_server(PRELOAD).start_forked()
    main(arguments)


def wait_until(condition: Callable[[], object], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"it did not happen within {seconds:g} s"
        time.sleep(0.01)


def descendants(pid: int) -> set[int]:
    """Return the processes that descend from one, as long as none between them has ended."""
    children: dict[int, list[int]] = {}
    for each in _processes():
        children.setdefault(_parent(each), []).append(each)
    found, new = set[int](), [pid]
    while new:
        own = children.get(new.pop(), [])
        found.update(own)
        new += own
    return found


def servers(pid: int) -> set[int]:
    """Return the fork servers that a process has started. What they fork has their command line."""
    if _SERVER in _command(pid):
        return set()
    return {each for each in descendants(pid) if _parent(each) == pid and _SERVER in _command(each)}


def workers(pid: int) -> set[int]:
    """Return the worker processes of a run: what its fork server has forked and what has a server of its own."""
    own = descendants(pid)
    servers = {each for each in own if _parent(each) == pid}
    forked = {each for each in own if _parent(each) in servers}
    return {each for each in forked if descendants(each)}


def alive(pid: int) -> bool:
    return _stat(pid)[:1] not in ([], ["Z"])


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """End a process that leads a group, and all of its group."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _processes() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal()]


def _parent(pid: int) -> int:
    return int((_stat(pid)[1:2] or ["0"])[0])


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def _stat(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat from the state on; none of a process that is not there."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
