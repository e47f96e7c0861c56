"""Who does the work: this process, or several of this machine. The rows are the same, bit for bit."""

from __future__ import annotations

import contextlib
import os
import selectors
import tempfile
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from marbench.bench.work import PRELOAD, Began, Conditions, Ended, Event, Result, Session, Work, do
from marbench.bench.worker import UnitDone, WorkerError, receive, send
from marbench.errors import MarbenchError
from marbench.machine.channel import ChannelError
from marbench.machine.cores import usable_cores
from marbench.machine.forkserver import Child, shared_server
from marbench.machine.memory import available_memory

__all__ = ["Executor", "LocalWorkers", "ThisProcess", "default_workers"]

_WORKER_GB = 1.0  # torch, the operators of a scan and all shipped networks take about 0.8
_DEATHS = 3
# Ctrl-C reaches this process at once; only others who ask `wanted` wait for as long as this.
_POLL_SECONDS = 0.5


class Executor(Protocol):
    """Who does the work. Used as a context: on leaving it, whatever still runs is ended."""

    @property
    def count(self) -> int:
        """How many units are done at once."""

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

    count = 1

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


@dataclass(eq=False)
class _Worker:
    """A worker process, what it does, and how far it is."""

    child: Child
    work: Work
    done: set[tuple[str, str]] = field(default_factory=set)
    calling: str = ""

    def give(self, work: Work) -> None:
        """Tell it what to do. If it has ended, its channel tells whoever waits for what comes of it."""
        self.work, self.done, self.calling = work, set(), ""
        with contextlib.suppress(ChannelError):
            send(self.child.channel, work)

    def see(self, event: object) -> None:
        """Follow what it does: what is done is not done again, and a call during which it ends is suspect."""
        if isinstance(event, Began):
            self.calling = event.key.method
        elif isinstance(event, Ended):
            self.calling = ""
        elif isinstance(event, Result):
            self.calling = ""
            self.done.add((event.row.case_id, event.row.method))

    def left(self) -> Work:
        """Return what of its unit is not done."""
        # A case that could not be made has a row without a method, and nothing is left of it.
        left = self.work.unit.only(
            lambda task, label: self.done.isdisjoint([(task.case.case_id, label), (task.case.case_id, "")])
        )
        return replace(self.work, unit=left)


class LocalWorkers:
    """Processes of this machine, each with one thread, kept from one `run` to the next. All work has like conditions.

    One that ends is replaced, and its unit goes on; the method that it was calling then gets processes of its own.

    Parameters
    ----------
    count : int
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._server = shared_server(PRELOAD)
        # Workers are killed, and remove nothing themselves.
        self._scratch = tempfile.TemporaryDirectory(prefix="marbench-", ignore_cleanup_errors=True)
        self._idle: list[_Worker] = []
        self._suspects: frozenset[str] = frozenset()

    def __enter__(self) -> LocalWorkers:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        while self._idle:
            self._idle.pop().child.kill()
        self._scratch.cleanup()

    def run(self, work: Sequence[Work], wanted: Callable[[], bool] | None = None) -> Iterator[Event | UnitDone]:
        """See `Executor`. Once it is no more ``wanted``, which is asked every half second, nothing more comes."""
        waiting, deaths = deque(work), Counter[int]()
        with selectors.DefaultSelector() as selector:
            try:
                self._spread(waiting, selector)
                while selector.get_map():
                    for ready, _ in selector.select(_POLL_SECONDS if wanted else None):
                        worker: _Worker = ready.data
                        try:
                            event = receive(worker.child.channel)
                        except ChannelError:
                            self._end(worker, selector)
                            waiting.appendleft(self._after_death(worker, deaths))
                            self._spread(waiting, selector)
                            continue
                        if isinstance(event, WorkerError):
                            raise MarbenchError(event.message)
                        worker.see(event)
                        if isinstance(event, UnitDone):
                            selector.unregister(worker.child.channel)
                            self._idle.append(worker)
                            self._spread(waiting, selector)
                        yield event  # type: ignore[misc]  # a worker sends nothing else
                    if wanted and not wanted():
                        return
            finally:
                # Those that are in the midst of a unit: what they would tell belongs to nobody.
                for key in list(selector.get_map().values()):
                    self._end(key.data, selector)

    def _spread(self, waiting: deque[Work], selector: selectors.BaseSelector) -> None:
        """Give work to as many workers as there may be."""
        while waiting and len(selector.get_map()) < self.count:
            work = waiting.popleft()
            work = replace(work, suspects=work.suspects | self._suspects, scratch=self._scratch.name)
            worker = self._idle.pop() if self._idle else _Worker(self._server.fork("marbench.bench.worker:serve"), work)
            selector.register(worker.child.channel, selectors.EVENT_READ, worker)
            worker.give(work)

    @staticmethod
    def _end(worker: _Worker, selector: selectors.BaseSelector) -> None:
        selector.unregister(worker.child.channel)
        worker.child.kill()

    def _after_death(self, worker: _Worker, deaths: Counter[int]) -> Work:
        """Return what a worker that has ended left undone, unless its deaths lead nowhere."""
        number = worker.work.unit.number
        if worker.calling and worker.calling not in worker.work.suspects:
            self._suspects |= {worker.calling}
        elif not worker.done:
            deaths[number] += 1
        if deaths[number] >= _DEATHS:
            said = worker.child.output().strip()[-500:]
            raise MarbenchError(
                f"A worker process ended {_DEATHS} times during the unit {number} of the run. Everything before is "
                f"stored; try fewer --workers, or --workers 1.{' It said: ' + said if said else ''}"
            )
        return worker.left()


def default_workers(conditions: Conditions, units: int) -> int:
    """Return how many workers pay: as the cores have room for with their threads, or fewer; on a GPU one."""
    if not conditions.device.startswith("cpu") or not hasattr(os, "fork"):
        return 1
    return max(1, int(min(usable_cores() // conditions.limits.threads, units, available_memory() / 1e9 / _WORKER_GB)))
