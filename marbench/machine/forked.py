"""The inside of the processes that `marbench.machine.forkserver` starts."""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import gc
import importlib
import json
import os
import signal
import socket
import struct
import sys
import traceback
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from marbench.machine.channel import Channel

__all__ = ["close_all_but", "fork", "import_for_life", "read_frame", "run", "serve", "write_frame"]

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_LENGTH = struct.Struct("!I")


def serve(descriptor: int, preload: Sequence[str], parent: int) -> None:
    """Be a server until the other side closes its end, or is gone; then end all that it has started."""
    _die_with(parent)
    own_pid = os.getpid()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the caller decides
    _plain_signals()
    import_for_life(preload)
    _adopt()
    _outlive_parent()
    control, children = socket.socket(fileno=descriptor), set[int]()
    while True:
        try:
            mark, descriptors, _, _ = socket.recv_fds(control, 1, 2)
            request = read_frame(control) if mark else {}
        except OSError:
            mark = b""
        if not mark:
            _end(children)
            _end_all_but(set())
            os._exit(0)
        if "wait" in request:
            try:
                answer = {"status": os.waitpid(int(request["wait"]), 0)[1]}
            except ChildProcessError as error:
                answer = {"error": str(error)}  # type: ignore[dict-item]
            children.discard(int(request["wait"]))
            _end_all_but(children)
        else:
            try:
                pid = fork()
            except OSError as error:
                answer = {"error": str(error)}  # type: ignore[dict-item]
            else:
                if not pid:
                    _become_child(request, descriptors, own_pid)
                children.add(pid)
                answer = {"pid": pid}
            for each in descriptors:
                os.close(each)
        with contextlib.suppress(OSError):  # whoever asked is gone, and the next look tells
            write_frame(control, answer)


def write_frame(control: socket.socket, message: Mapping[str, Any]) -> None:
    """Send a JSON object between a server and whoever started it."""
    text = json.dumps(message).encode()
    control.sendall(_LENGTH.pack(len(text)) + text)


def read_frame(control: socket.socket) -> dict[str, Any]:
    """Return the next JSON object; raises OSError where the other side is gone."""
    size = _LENGTH.unpack(_exactly(control, _LENGTH.size))[0]
    message: dict[str, Any] = json.loads(_exactly(control, size))
    return message


def _exactly(control: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        block = control.recv(count - len(data))
        if not block:
            raise OSError("the server of processes has ended")
        data += block
    return data


def _become_child(request: Mapping[str, Any], descriptors: Sequence[int], parent: int) -> None:
    """Turn this fork of the server into a child of its own session, or another interpreter, and never return."""
    channel, output = descriptors
    os.setsid()
    nothing = os.open(os.devnull, os.O_RDONLY)
    for new, old in ((0, nothing), (1, output), (2, output)):
        os.dup2(old, new)
    close_all_but(channel)
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.path[:] = request["path"]
    with contextlib.suppress(OSError):
        os.chdir(request["folder"])
    if request["python"]:
        _become_interpreter(request, channel, parent)
    run(request["fork"], channel, parent)


def _become_interpreter(request: Mapping[str, Any], channel: int, parent: int) -> None:
    python, path = request["python"]
    code = (
        f"import sys; sys.path[:] = [p for p in sys.path if p] + {path!r}; "
        f"from marbench.machine.forked import run; run({request['fork']!r}, {channel}, {parent})"
    )
    os.set_inheritable(channel, True)
    try:
        os.execv(python, [python, "-c", code])
    except BaseException:
        os.write(2, traceback.format_exc().encode(errors="backslashreplace"))  # `sys.stderr` may be the server's
    finally:
        os._exit(1)


def run(target: str, channel: int, parent: int) -> None:
    """Call the target, then end without what other code has registered for the end of the interpreter."""
    _die_with(parent)
    # What a plugin leaves running stays below this process, so that it ends with it, and with no other one.
    _adopt()
    # A program that a plugin leaves running would hold the channel open, and nobody would see this process end.
    os.set_inheritable(channel, False)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    _plain_signals()
    # Where memory runs out, the system shall take this process and not the one that keeps the results.
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")
    sys.stdin = Path(os.devnull).open()  # noqa: SIM115 (for the life of the process)
    sys.stdout = sys.stderr = open(2, "w", buffering=1, errors="backslashreplace", closefd=False)  # noqa: SIM115
    faulthandler.enable()
    sys.argv[:] = [""]  # a plugin that parses arguments is not meant by those of marbench
    code = 1
    try:
        module, _, function = target.partition(":")
        getattr(importlib.import_module(module), function)(Channel.of_descriptor(channel))
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def import_for_life(modules: Sequence[str]) -> None:
    """Import modules whose objects are never looked through for garbage.

    Torch makes hundreds of thousands: to look through them takes 0.2 s each time, while they are imported, before the
    peak memory of a call is taken, and at the end. Untouched, their memory also stays shared with children.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    for module in modules:
        importlib.import_module(module)
    gc.freeze()
    if was_enabled:
        gc.enable()


def fork() -> int:
    """Fork; return 0 in the child."""
    with warnings.catch_warnings():
        # Python 3.12 warns of threads, which may hold locks. Those of BLAS are idle, and restarted after a fork.
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def _die_with(parent: int) -> None:
    """Let the kernel kill this process when its parent ends, and see that the parent has not ended before."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _plain_signals() -> None:
    """Undo what whoever started marbench may have left: blocked signals, and endings that nobody can wait for."""
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)


def _adopt() -> None:
    """Become the parent of whatever children leave behind."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)


def _outlive_parent() -> None:
    """Undo `_die_with`: by as long as it takes to end what this process has started."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, 0)


def _end_all_but(children: set[int]) -> None:
    """Kill the processes below this one but some: daemons that a plugin has started have become its children."""
    # Whoever is killed leaves its own children here, so once is not enough.
    while strangers := _children() - children:
        _end(strangers)


def _end(children: set[int]) -> None:
    for pid in children:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)


def _children() -> set[int]:
    """Return the children of this process; empty where the system does not tell."""
    found: set[int] = set()
    for path in Path("/proc/self/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found.update(map(int, path.read_text().split()))
    return found


def close_all_but(descriptor: int) -> None:
    """Close every file descriptor but one and the standard ones: none may hold a channel of somebody else open."""
    limit = os.sysconf("SC_OPEN_MAX")
    os.closerange(3, descriptor)
    os.closerange(descriptor + 1, limit if limit > 0 else 1 << 16)
