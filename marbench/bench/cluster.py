"""A Dask cluster as the executor: whatever brought it up, SLURM, PBS, Kubernetes, SSH, or ``dask worker`` by hand.

A thread of a Dask worker computes nothing. It drives a worker process of marbench, as `LocalWorkers` does on one
machine: the same code with the same numbers, a method that ends its process ends no Dask worker, and as many units are
done at once as a Dask worker has threads. Nothing here loads torch, so that a scheduler need not.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import logging
import pickle
import queue
import secrets
import threading
import warnings
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from marbench.errors import MarbenchError
from marbench.version import __version__

if TYPE_CHECKING:
    from marbench.bench.executors import LocalWorkers
    from marbench.bench.work import Conditions, Event, Work
    from marbench.bench.worker import UnitDone

__all__ = ["DaskCluster", "do_unit"]

_CONNECT_SECONDS, _CLOSE_SECONDS = 10, 10
# Units that the scheduler knows of: enough to keep workers busy and to let an adaptive cluster grow, not a flood.
_AHEAD, _AHEAD_PER_THREAD = 64, 4
_LOOK_SECONDS = 5.0
# How often a unit is given to a cluster. Each time it is Dask that repeats it until some of its workers have ended.
_ROUNDS = 2
_IDLE_SECONDS = 60.0


class DaskCluster:
    """The workers of a Dask cluster.

    Parameters
    ----------
    address : str
        Of the scheduler, e.g. ``tcp://host:8786``, or the path of its scheduler file.
    note : callable
        Is told what the user should know: how many workers there are, and that the run waits for some.
    """

    def __init__(self, address: str, note: Callable[[str], None]) -> None:
        self._address, self._note = address, note
        self._run = secrets.token_hex(4)
        self._client: Any = None
        self._quiet = contextlib.ExitStack()
        self.count = 1
        self._has_workers: bool | None = None

    def __enter__(self) -> DaskCluster:
        return self

    def __exit__(self, *_: object) -> None:
        # The scheduler cancels what a client has left behind, and the workers stop.
        with self._quiet, contextlib.suppress(Exception):
            if self._client is not None:
                self._client.close(timeout=_CLOSE_SECONDS)

    def connect(self) -> None:
        """Connect to the scheduler, unless that is done, or raise `MarbenchError`. Without work there is no need to."""
        if self._client is None:
            self._client = _connect(self._address, self._quiet)
            with self._told():
                self._look()

    def run(self, work: Sequence[Work]) -> Iterator[Event | UnitDone]:
        """See `marbench.bench.executors.Executor`."""
        if not work:
            return
        self.connect()
        from distributed.scheduler import KilledWorker

        waiting, lost = deque(work), list["Work"]()
        running: dict[str, Work] = {}
        rounds = Counter[int]()
        ended: queue.SimpleQueue[Any] = queue.SimpleQueue()
        while waiting or running:
            with self._told():
                while waiting and len(running) < max(_AHEAD, _AHEAD_PER_THREAD * self.count):
                    one = waiting.popleft()
                    rounds[one.unit.number] += 1
                    future = self._submit(one, rounds[one.unit.number])
                    running[future.key] = one
                    future.add_done_callback(ended.put)  # which keeps it from being forgotten
                future = self._next(ended)
                one = running.pop(future.key)
                try:
                    events = future.result()
                except KilledWorker:
                    # Once more, on whichever worker: that one may have been killed for what stood beside it.
                    (waiting if rounds[one.unit.number] < _ROUNDS else lost).append(one)
                    continue
                finally:
                    future.release()
            yield from events
        if lost:
            cases = ", ".join(task.case.case_id for task in lost[0].unit.tasks[:2])
            raise MarbenchError(
                f"Workers of the Dask cluster ended again and again during {len(lost)} units of the run (the first "
                f"begins with {cases}). Everything else is stored. Their logs say why, often too little memory; mend "
                "it, and the same command goes on."
            )

    def _submit(self, one: Work, number: int) -> Any:
        # Another one for every try: of a key that it knows Dask would give the old result, or the old error.
        key = f"marbench-{self._run}-{one.unit.number}-{number}-{secrets.token_hex(2)}"
        order = (self._run, __version__, one.conditions.spec.hash, pickle.dumps(one))
        return self._client.submit(do_unit, *order, key=key, pure=False)

    def _next(self, ended: queue.SimpleQueue[Any]) -> Any:
        """Wait for a future that is done, and see meanwhile to the workers."""
        while True:
            try:
                return ended.get(timeout=_LOOK_SECONDS)
            except queue.Empty:
                self._look()

    def _look(self) -> None:
        """See how many workers there are, and tell of it when the first come or the last go."""
        threads = sum(self._client.nthreads().values())
        if bool(threads) != self._has_workers:
            self._has_workers = bool(threads)
            self._note(
                f"The Dask cluster does {threads} units at once."
                if threads
                else "The Dask cluster has no workers; the run waits for them."
            )
        self.count = max(1, threads)

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """Turn what goes wrong between here and the cluster into what a user can understand."""
        again = "Everything that was finished is stored; the same command goes on."
        try:
            yield
        except MarbenchError:
            raise
        except (asyncio.CancelledError, concurrent.futures.CancelledError, OSError, TimeoutError):
            raise MarbenchError(f"The Dask scheduler at {self._address} is lost. {again}") from None
        except Exception as error:
            raise MarbenchError(
                f"The Dask cluster at {self._address} cannot do the work: {type(error).__name__}: {error}. Scheduler "
                f"and workers need the same environment as this command (Python, dask, marbench). {again}"
            ) from None


def _connect(address: str, quiet: contextlib.ExitStack) -> Any:
    """Return a client; until ``quiet`` is closed, Dask is silent."""
    try:
        from distributed import Client
    except ImportError:
        raise MarbenchError("--dask needs the package distributed: pip install 'marbench[cluster]'") from None
    if address.endswith(".json") and not Path(address).is_file():
        raise MarbenchError(f"The scheduler file {address} does not exist (yet). dask scheduler writes it.")
    # Whatever matters of it becomes an error or a note of this run.
    quiet.enter_context(warnings.catch_warnings())
    warnings.filterwarnings("ignore", module=r"(distributed|dask|tornado)\b")
    for name in ("asyncio", *logging.root.manager.loggerDict):
        if name.partition(".")[0] in ("asyncio", "distributed", "tornado"):
            logger = logging.getLogger(name)
            quiet.callback(logger.setLevel, logger.level)
            logger.setLevel(logging.CRITICAL + 1)
    where = {"scheduler_file": address} if Path(address).is_file() else {"address": address}
    try:
        return Client(**where, timeout=_CONNECT_SECONDS, set_as_default=False)
    except Exception as error:  # of addresses that are none it raises many kinds
        quiet.close()
        raise MarbenchError(
            f"There is no Dask scheduler at {address!r}: expected an address like tcp://host:8786, or a scheduler "
            f"file. ({type(error).__name__}: {error})"
        ) from None


def do_unit(run: str, version: str, spec_hash: str, work: bytes) -> list[Event | UnitDone]:
    """Return what comes of a unit, in a thread of a Dask worker.

    Raises
    ------
    MarbenchError
        The worker has another marbench, or other files of a method; or as in `LocalWorkers.run`.
    """
    from distributed import Reschedule, get_worker

    if version != __version__:
        raise MarbenchError(f"A Dask worker has marbench {__version__}, this command {version}. Install the same.")
    from marbench.bench.worker import UnitDone

    one: Work = pickle.loads(work)
    worker = get_worker()
    key = worker.get_current_task()

    def wanted() -> bool:
        # Nobody tells a thread that its task was cancelled, or that its worker is to end.
        task = worker.state.tasks.get(key)
        return task is not None and task.state == "executing" and worker.status.name in ("running", *_GRACEFUL)

    with _kept_workers(run, one.conditions, spec_hash) as workers:
        events = list(workers.run([one], wanted))
        if not (events and isinstance(events[-1], UnitDone)):
            raise Reschedule
        return events


_GRACEFUL = ("paused", "closing_gracefully")


@dataclass(eq=False)
class _Kept:
    """A worker process between two units of a run."""

    run: str
    workers: LocalWorkers
    timer: threading.Timer


_lock = threading.Lock()
_kept: list[_Kept] = []


@contextlib.contextmanager
def _kept_workers(run: str, conditions: Conditions, spec_hash: str) -> Iterator[LocalWorkers]:
    """Return a worker process of a run; it is kept for the run's next unit, but not for long."""
    workers = _take(run)
    if workers is None:
        _hold_to_files(conditions, spec_hash)
        from marbench.bench.executors import LocalWorkers

        workers = LocalWorkers(1)
    with contextlib.ExitStack() as end:
        end.enter_context(workers)
        yield workers
        end.pop_all()  # nothing went wrong
    _keep(run, workers)


def _take(run: str) -> LocalWorkers | None:
    """Return a worker process of this run, if one is idle. Idle ones of other runs only take memory from it."""
    with _lock:
        own = next((kept for kept in _kept if kept.run == run), None)
        gone = [kept for kept in _kept if kept.run != run or kept is own]
        for kept in gone:
            kept.timer.cancel()
            _kept.remove(kept)
    for kept in gone:
        if kept is not own:
            kept.workers.__exit__()
    return own.workers if own else None


def _keep(run: str, workers: LocalWorkers) -> None:
    def leave() -> None:
        with _lock:
            if kept not in _kept:
                return
            _kept.remove(kept)
        workers.__exit__()

    kept = _Kept(run, workers, threading.Timer(_IDLE_SECONDS, leave))
    kept.timer.daemon = True
    with _lock:
        _kept.append(kept)
    kept.timer.start()


def _hold_to_files(conditions: Conditions, spec_hash: str) -> None:
    """Refuse to work with other data or methods than those of the command that sent the work."""
    if conditions.spec.hash != spec_hash:
        raise MarbenchError("A Dask worker knows the benchmark by another hash. Install the same marbench everywhere.")
    for fitted in conditions.methods:
        now = fitted.hash_now()
        if now != fitted.hash:
            found = now or "no such files"
            raise MarbenchError(
                f"A Dask worker has other files of the method {fitted.label} (expected {fitted.hash}, found {found}). "
                "Workers need the same plugin folders, weights and packages as this command, under the same paths."
            )
