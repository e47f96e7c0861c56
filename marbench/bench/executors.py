"""Who does the work: this process, several of this machine, or a Dask cluster. The rows are the same, bit for bit."""

from __future__ import annotations

import contextlib
import os
import selectors
import threading
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from marbench.bench.plan import Task, Unit
from marbench.bench.work import PRELOAD, Began, Conditions, Event, Result, Session, Work, do
from marbench.bench.worker import UnitDone, WorkerError, receive, send
from marbench.errors import MarbenchError
from marbench.machine.channel import ChannelError
from marbench.machine.forkserver import Child, shared_server

__all__ = ["DaskCluster", "Executor", "LocalWorkers", "ThisProcess", "default_workers"]

_WORKER_GB = 1.0
_DEATHS = 3


class Executor(Protocol):
    """Who does the work. Used as a context: on leaving it, whatever still runs is ended."""

    def __enter__(self) -> Executor: ...

    def __exit__(self, *_: object) -> None: ...

    def run(self, work: Sequence[Work]) -> Iterator[Event | UnitDone]:
        """Yield what comes of units, in any order; of one unit in its own.

        Raises
        ------
        MarbenchError
            Data or devices are not there, or workers end again and again.
        """


class ThisProcess:
    """Everything in this process but methods of others."""

    def __init__(self) -> None:
        self._session: Session | None = None

    def __enter__(self) -> ThisProcess:
        return self

    def __exit__(self, *_: object) -> None:
        if self._session is not None:
            self._session.close()

    def run(self, work: Sequence[Work]) -> Iterator[Event | UnitDone]:
        """See `Executor`."""
        for one in work:
            self._session = self._session or Session(one.conditions)
            yield from do(one, self._session)
            yield UnitDone(one.unit.number)


@dataclass
class _Worker:
    """A worker process, what it does, and how far it is."""

    child: Child
    work: Work
    done: set[tuple[int, str]] = field(default_factory=set)
    began: Began | None = None


class LocalWorkers:
    """Processes of this machine, each with one thread. One that ends is replaced, and its unit goes on.

    Parameters
    ----------
    count : int
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._server = shared_server(PRELOAD)
        self._workers: list[_Worker] = []

    def __enter__(self) -> LocalWorkers:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            worker.child.kill()

    def run(self, work: Sequence[Work]) -> Iterator[Event | UnitDone]:
        """See `Executor`."""
        waiting, deaths = deque(work), Counter[int]()
        with selectors.DefaultSelector() as selector:
            while len(self._workers) < self.count and waiting:
                self._start(waiting.popleft(), selector)
            while self._workers:
                for ready, _ in selector.select():
                    worker: _Worker = ready.data
                    try:
                        event = receive(worker.child.channel)
                    except ChannelError:
                        self._forget(worker, selector)
                        waiting.appendleft(self._rest_of(worker, deaths))
                        self._start(waiting.popleft(), selector)
                        continue
                    if isinstance(event, WorkerError):
                        raise MarbenchError(event.message)
                    if isinstance(event, Began):
                        worker.began = event
                    elif isinstance(event, Result):
                        worker.done.add((event.row.case_index, event.row.method))
                    elif isinstance(event, UnitDone):
                        self._next(worker, waiting, selector)
                    yield event  # type: ignore[misc]  # a worker sends nothing else

    def _start(self, work: Work, selector: selectors.BaseSelector) -> None:
        worker = _Worker(self._server.fork("marbench.bench.worker:serve"), work)
        self._workers.append(worker)
        selector.register(worker.child.channel, selectors.EVENT_READ, worker)
        send(worker.child.channel, work)

    def _next(self, worker: _Worker, waiting: deque[Work], selector: selectors.BaseSelector) -> None:
        """Give a worker its next unit, or let it go."""
        if not waiting:
            self._forget(worker, selector)
            return
        worker.work, worker.done, worker.began = waiting.popleft(), set(), None
        with contextlib.suppress(ChannelError):  # it has ended: the selector will tell
            send(worker.child.channel, worker.work)

    def _forget(self, worker: _Worker, selector: selectors.BaseSelector) -> None:
        selector.unregister(worker.child.channel)
        worker.child.kill()
        self._workers.remove(worker)

    @staticmethod
    def _rest_of(worker: _Worker, deaths: Counter[int]) -> Work:
        """Return what a worker that has ended left undone; the method that it was calling then is suspected."""
        number = worker.work.unit.number
        deaths[number] += 1
        if deaths[number] >= _DEATHS:
            said = worker.child.output().strip()[-500:]
            raise MarbenchError(
                f"A worker process ended {_DEATHS} times during the unit {number} of the run. Everything before is "
                f"stored; try fewer --workers, or --workers 1.{' It said: ' + said if said else ''}"
            )
        suspects = worker.work.suspects | ({worker.began.key.method} if worker.began else set())
        tasks = []
        for task in worker.work.unit.tasks:
            left = {label: each for label, each in task.attempts.items() if (task.index, label) not in worker.done}
            # A case that could not be made has a row without a method, and nothing is left of it.
            if left and (task.index, "") not in worker.done:
                tasks.append(Task(task.index, task.case, left))
        return replace(worker.work, unit=Unit(number, tuple(tasks)), suspects=suspects)


class DaskCluster:
    """The workers of a Dask cluster, whatever brought it up: SLURM, PBS, Kubernetes, SSH, or ``dask worker`` by hand.

    Parameters
    ----------
    address : str
        Of the scheduler, e.g. ``tcp://host:8786``, or the path of its scheduler file.
    """

    def __init__(self, address: str) -> None:
        try:
            from distributed import Client
        except ImportError:
            raise MarbenchError("--dask needs the package distributed: pip install 'marbench[cluster]'") from None
        where = {"scheduler_file": address} if Path(address).is_file() else {"address": address}
        try:
            self._client: Any = Client(**where, timeout="30s", set_as_default=False)
        except (OSError, ValueError, TimeoutError) as error:
            raise MarbenchError(f"There is no Dask scheduler at {address!r}: {error}") from None

    def __enter__(self) -> DaskCluster:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def run(self, work: Sequence[Work]) -> Iterator[Event | UnitDone]:
        """See `Executor`."""
        from distributed import as_completed
        from distributed.scheduler import KilledWorker

        # Never taken from a cache of the scheduler, and never done twice at once.
        futures = {self._client.submit(do_all, one, pure=False): one for one in work}
        completed = as_completed(list(futures))
        for future in completed:
            one = futures.pop(future)
            try:
                events = future.result()
            except KilledWorker as error:
                if one.suspects:
                    raise MarbenchError(
                        f"Workers of the cluster end during the unit {one.unit.number}: {error}"
                    ) from None
                # Whatever ended them gets a process of its own.
                again = replace(one, suspects=frozenset(fitted.label for fitted in one.conditions.methods))
                retried = self._client.submit(do_all, again, pure=False)
                futures[retried] = again
                completed.add(retried)
                continue
            yield from events
            yield UnitDone(one.unit.number)


_lock = threading.Lock()
_session: Session | None = None


def do_all(work: Work) -> list[Event]:
    """Return what comes of a unit, in a worker of a cluster; simulated slices and loaded methods are kept between."""
    global _session
    with _lock:  # a worker may have several threads; methods are not made for them
        if _session is None or _session.conditions != work.conditions:
            if _session is not None:
                _session.close()
            _session = Session(work.conditions)
        return list(do(work, _session))


def default_workers(conditions: Conditions, units: int) -> int:
    """Return how many workers pay: one per core, unless there is too little work or memory; one on a GPU."""
    if not conditions.device.startswith("cpu") or not hasattr(os, "fork"):
        return 1
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores, units, int(_available_gb() / _WORKER_GB)))


def _available_gb() -> float:
    with contextlib.suppress(OSError, ValueError):
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return float(line.split()[1]) * 1024 / 1e9
    return float("inf")
