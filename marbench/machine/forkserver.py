"""Processes that start in milliseconds: forked from a server that has imported everything and computed nothing.

A server is a fresh interpreter without threads of its own at work, without data and without CUDA. It never holds
anything that a child must not see, and what a child does to itself ends with the child. On Linux the kernel kills
children with their server (PR_SET_PDEATHSIG), and a server whose caller is gone ends whatever its children have left
(PR_SET_CHILD_SUBREAPER), so that even SIGKILL leaves no process behind.
Servers may be used from any thread.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path

from marbench.errors import MarbenchError
from marbench.machine.channel import Channel
from marbench.machine.forked import close_all_but, fork, import_for_life, read_frame, serve, write_frame

__all__ = ["Child", "ForkServer", "shared_server"]

_TAIL_BYTES = 16_384
# How long a server may take to end what it has started, and how long it answers nothing until it is woken.
_END_SECONDS, _PATIENCE_SECONDS = 5.0, 0.5
_BOOTSTRAP = "import sys; sys.path[:] = {path!r}; from marbench.machine.forked import serve; serve({args})"


class Child:
    """A process to talk to.

    Attributes
    ----------
    pid : int
    channel : Channel
    """

    def __init__(self, pid: int, channel: Channel, output: int, wait: Callable[[int], int | None]) -> None:
        self.pid, self.channel = pid, channel
        self._wait = wait
        self._tail: deque[bytes] = deque()
        self._status: int | None = None
        self._ended = False
        # A pipe that nobody reads would stop a child that prints much.
        self._reader = threading.Thread(target=self._read, args=(output,), daemon=True)
        self._reader.start()

    def output(self) -> str:
        """Return the end of what the process wrote to its standard output and error."""
        return b"".join(self._tail).decode(errors="replace")

    def is_idle(self) -> bool:
        """Tell whether the process, of which nobody has asked anything, lives and says nothing."""
        return not _readable(self.channel.fileno(), 0)

    def kill(self) -> int | None:
        """Kill the process and all of its group, and return its status as in `os.waitpid`; None where it is lost."""
        if not self._ended:
            self._ended = True
            for end in (os.killpg, os.kill):
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    end(self.pid, signal.SIGKILL)
            try:
                self._status = self._wait(self.pid)
            finally:
                self.channel.close()
            self._reader.join(timeout=1.0)
        return self._status

    def end(self, seconds: float = 0.5) -> int | None:
        """Return the status of a process that has closed its channel; None where it has not ended by itself."""
        by_itself, poll = True, getattr(os, "pidfd_open", None)
        if not self._ended and poll is not None:
            with contextlib.suppress(OSError):
                descriptor = poll(self.pid)
                try:
                    by_itself = _readable(descriptor, seconds)
                finally:
                    os.close(descriptor)
        status = self.kill()
        return status if by_itself else None

    def _read(self, output: int) -> None:
        kept = 0
        with open(output, "rb", buffering=0) as pipe, contextlib.suppress(OSError, ValueError):
            while block := pipe.read(65536):
                self._tail.append(block[-_TAIL_BYTES:])
                kept += len(self._tail[-1])
                while kept > _TAIL_BYTES and len(self._tail) > 1:
                    kept -= len(self._tail.popleft())


class ForkServer:
    """Starts processes that have imported ``preload``.

    Parameters
    ----------
    preload : sequence of str
        Modules to import once.
    """

    def __init__(self, preload: Sequence[str]) -> None:
        self._preload = tuple(preload)
        self._socket: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | int | None = None
        self._used = False
        self._lock = threading.RLock()

    def start(self) -> None:
        """Start the server if it does not run; it imports while the caller goes on."""
        with self._lock:
            if self._socket is not None:
                return
            own, other = socket.socketpair()
            arguments = f"{other.fileno()}, {self._preload!r}, {os.getpid()}"
            code = _BOOTSTRAP.format(path=_search_path(), args=arguments)
            with other:
                self._process = _start_for_life([sys.executable, "-c", code], other.fileno())
            self._socket = own

    def start_forked(self) -> None:
        """Start the server by forking this process, which must be as fresh as a server itself: seconds of imports."""
        if sys.platform != "linux":  # elsewhere system libraries forbid what follows a fork
            self.start()
            return
        import_for_life(self._preload)
        own, other = socket.socketpair()
        parent = os.getpid()
        pid = fork()
        if not pid:
            own.close()
            os.setsid()
            close_all_but(other.fileno())
            serve(other.fileno(), (), parent)
        other.close()
        self._process, self._socket = pid, own

    def fork(self, target: str, interpreter: tuple[str, Sequence[str]] | None = None) -> Child:
        """Start a process that calls ``module:function`` with its `Channel`.

        Parameters
        ----------
        target : str
        interpreter : (str, sequence of str), optional
            Another Python than the server's, which imports everything itself, and what to add at the end of its
            `sys.path`.

        Raises
        ------
        MarbenchError
            No process can be started.
        """
        with self._lock:
            for attempt in range(2):
                self.start()
                try:
                    return self._fork(target, interpreter)
                except (OSError, ValueError) as error:
                    # Somebody may have killed the server: a plugin, or the system for lack of memory.
                    self.close()
                    if attempt:
                        raise MarbenchError(f"No process can be started for a method: {error}.") from error
                except BaseException:
                    self.close()  # Ctrl-C: an answer that comes later would be taken for that to another question
                    raise
        raise AssertionError("unreachable")

    def close(self) -> None:
        """End the server and all of its children."""
        with self._lock:
            if self._socket is not None:
                self._wake()
                self._socket.close()  # it ends its children, and itself
            process, self._process, self._socket = self._process, None, None
        if isinstance(process, int):
            with contextlib.suppress(OSError):
                # It ends what its children have left running, which is below nobody else.
                if not (self._used and _ends(process, _END_SECONDS)):
                    os.kill(process, signal.SIGKILL)
                    os.waitpid(process, 0)
        elif process is not None:
            if self._used:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(_END_SECONDS)
            process.kill()
            process.wait()
        self._used = False

    def _wake(self) -> None:
        """Let the server go on where a child has stopped it."""
        process = self._process
        if process is not None:
            with contextlib.suppress(OSError):
                os.kill(process if isinstance(process, int) else process.pid, signal.SIGCONT)

    def _fork(self, target: str, interpreter: tuple[str, Sequence[str]] | None) -> Child:
        assert self._socket is not None
        own, other = socket.socketpair()
        reading, writing = os.pipe()
        try:
            # The child is to meet the world as it is now, not as it was when the server started.
            world = {
                "fork": target,
                "python": interpreter,
                "path": _search_path(),
                "folder": _current_folder(),
                "environment": dict(os.environ),
            }
            socket.send_fds(self._socket, [b"+"], [other.fileno(), writing])
            write_frame(self._socket, world)
            pid = int(self._answer()["pid"])
            self._used = True
        except BaseException:
            own.close()
            os.close(reading)
            raise
        finally:
            other.close()
            os.close(writing)
        return Child(pid, Channel(own), reading, self._wait)

    def _wait(self, pid: int) -> int | None:
        """Return the status of a killed child, which stays a zombie, and its number its own, until it is asked for."""
        with self._lock:
            if self._socket is None:
                return None
            try:
                self._socket.sendall(b".")
                write_frame(self._socket, {"wait": pid})
                return int(self._answer()["status"])
            except (OSError, ValueError, KeyError):
                return None
            except BaseException:
                self.close()  # as in `fork`
                raise

    def _answer(self) -> dict[str, int]:
        assert self._socket is not None
        while not _readable(self._socket.fileno(), _PATIENCE_SECONDS):
            self._wake()
        answer: dict[str, int] = read_frame(self._socket)
        if "error" in answer:
            raise OSError(str(answer["error"]))
        return answer


def _ends(process: int, seconds: float) -> bool:
    """Wait for a child of this process, and tell whether it has ended."""
    until = time.monotonic() + seconds
    while os.waitpid(process, os.WNOHANG)[0] != process:
        if time.monotonic() > until:
            return False
        time.sleep(0.005)
    return True


def _start_for_life(command: Sequence[str], descriptor: int) -> subprocess.Popen[bytes]:
    """Start a process that this one takes with it, whichever thread asks.

    For the kernel the parent is the thread that forks, not its process: a server that a thread of a pool has started
    would be killed when that thread ends (prctl(2), PR_SET_PDEATHSIG). So one forks that ends after the server.
    """
    started: Future[subprocess.Popen[bytes]] = Future()

    def live() -> None:
        try:
            # Not in the terminal's process group: Ctrl-C is for the caller, who ends the others in order.
            process = subprocess.Popen(command, pass_fds=[descriptor], stdin=subprocess.DEVNULL, start_new_session=True)
        except BaseException as error:
            started.set_exception(error)
        else:
            started.set_result(process)
            process.wait()

    threading.Thread(target=live, daemon=True).start()
    return started.result()


_shared: dict[tuple[str, ...], ForkServer] = {}


def shared_server(preload: Sequence[str]) -> ForkServer:
    """Return the server of this process that has imported ``preload``; it starts when it is first used."""
    key = tuple(preload)
    if key not in _shared:
        _shared[key] = ForkServer(preload)
        atexit.register(_shared[key].close)
    return _shared[key]


def _readable(descriptor: int, seconds: float) -> bool:
    """Wait until there is something to read, the end included. `select` knows no descriptors beyond 1024."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(1000 * seconds))


def _search_path() -> list[str]:
    return [entry or _current_folder() for entry in sys.path if isinstance(entry, str)]  # Python skips others, too


def _current_folder() -> str:
    try:
        return str(Path.cwd())
    except OSError:  # it was removed
        return "/"
