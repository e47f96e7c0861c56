"""Worker processes that simulate blocks of cases into the cache while a network trains."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import Connection
from typing import Self

import torch

from marbench.errors import MarbenchError
from marbench.learning.cache import BlockCache
from marbench.learning.cases import BLOCK, TrainingCases, World
from marbench.machine.cores import usable_cores
from marbench.machine.memory import available_memory
from marbench.machine.threads import set_threads

__all__ = ["Feeder", "default_workers"]

# At 416² a worker takes 0.85 GB; besides, there are the pool, which may take a third of the memory, and the networks.
_WORKER_BYTES = 1.5e9

_cases: TrainingCases | None = None
"""The simulator of a worker process."""


class Feeder:
    """Keeps blocks coming.

    Parameters
    ----------
    world : World
    cache : BlockCache
    workers : int
        Processes, each with one thread and lower priority than the trainer; 0 simulates in this one.
    rank, ranks : int
        Which of several trainers this is that share a cache and want the same blocks: each begins with its own part,
        and without workers leaves the rest to the others as far as they come.
    """

    def __init__(self, world: World, cache: BlockCache, workers: int, rank: int = 0, ranks: int = 1) -> None:
        self._world, self._cache, self._workers = world, cache, workers
        self._rank, self._ranks = rank, ranks
        self._pending: dict[int, Future[float]] = {}
        self._simulated, self._seconds = 0, 0.0
        self._pool: ProcessPoolExecutor | None = None
        self._ending = contextlib.ExitStack()
        self._own: TrainingCases | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.close()

    @property
    def rate(self) -> float | None:
        """Cases that the workers simulate a second; None while they have not simulated any."""
        return self._workers * self._simulated / self._seconds if self._simulated else None

    def request(self, numbers: Iterable[int]) -> None:
        """Let the workers simulate those of the blocks that are not in the cache."""
        if not self._workers:
            return
        for number in sorted(numbers, key=lambda number: number % self._ranks != self._rank):
            if number not in self._pending and number not in self._cache:
                self._pending[number] = self._submit(number)

    def fetch(
        self, numbers: Iterable[int], progress: Callable[[int], None] = lambda _: None
    ) -> Iterator[dict[str, torch.Tensor]]:
        """Yield blocks in turn, waiting for those that are not there yet; ``progress`` hears how many are done."""
        wanted = list(numbers)
        self.request(wanted)
        if not self._workers:
            own = [number for number in wanted if number % self._ranks == self._rank]
            # From the end: there the others come last, so that they and this one seldom simulate the same block.
            others = [number for number in reversed(wanted) if number % self._ranks != self._rank]
            for done, number in enumerate(own + others):
                if number not in self._cache:
                    progress(done)
                    self._simulate_again(number)
        for done, number in enumerate(wanted):
            if number not in self._cache:
                progress(done)
            yield self._block(number)

    def _block(self, number: int) -> dict[str, torch.Tensor]:
        for _ in range(2):
            future = self._pending.pop(number, None)
            if future is not None:
                try:
                    seconds = future.result()
                except BrokenProcessPool:
                    raise _worker_died() from None
                if seconds:
                    self._simulated, self._seconds = self._simulated + BLOCK, self._seconds + seconds
            if (block := self._cache.read(number)) is not None:
                return block
            self._simulate_again(number)
        raise MarbenchError(f"Block {number} in {self._cache.folder} cannot be read back after it was written.")

    def _simulate_again(self, number: int) -> None:
        """Simulate a block that is absent, or was damaged and removed."""
        if self._workers:
            self.request([number])
            return
        if self._own is None:
            self._own = TrainingCases(self._world)
        self._cache.write(number, self._own.block(number))

    def _submit(self, number: int) -> Future[float]:
        try:
            return self._started_pool().submit(_simulate, self._cache, number)
        except BrokenProcessPool:
            raise _worker_died() from None

    def _started_pool(self) -> ProcessPoolExecutor:
        if self._pool is None:
            # Spawned, not forked: the trainer's threads, CUDA and signal handlers are none of the workers' business.
            context = multiprocessing.get_context("spawn")
            life, held = context.Pipe(duplex=False)
            self._pool = ProcessPoolExecutor(
                self._workers, mp_context=context, initializer=_start_worker, initargs=(self._world, life)
            )
            # In reverse: the workers leave first. The pool's own thread is waited for: at the end of the interpreter it
            # would write to pipes that are closed.
            self._ending.callback(self._pool.shutdown, wait=True, cancel_futures=True)
            self._ending.enter_context(life)
            self._ending.enter_context(held)
        return self._pool


def default_workers(ranks: int) -> int:
    """Return how many workers of each rank on this machine pay: one for each core, if memory suffices; 1 at least."""
    return max(1, int(min(usable_cores(), available_memory() / _WORKER_BYTES) / ranks))


def _worker_died() -> MarbenchError:
    return MarbenchError(
        "A worker that simulates training cases was killed, perhaps for lack of memory. "
        "Run the same command again, with fewer --workers."
    )


def _start_worker(world: World, life: Connection) -> None:
    global _cases
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # Ctrl-C reaches the whole process group; the trainer decides
    threading.Thread(target=_leave, args=(life,), daemon=True).start()
    if hasattr(os, "nice"):
        os.nice(10)
    set_threads(1)
    _cases = TrainingCases(world)


def _leave(life: Connection) -> None:
    """End this process as soon as the trainer closes its end of ``life`` or is gone, even if it was killed.

    Nobody waits for the case in work: blocks are whole or absent.
    """
    with contextlib.suppress(OSError, EOFError):
        life.recv()
    os._exit(1)


def _simulate(cache: BlockCache, number: int) -> float:
    """Simulate a block into the cache; return the seconds that it took, 0 where it was there."""
    assert _cases is not None  # by the initializer
    if number in cache:
        return 0.0
    began = time.perf_counter()
    cache.write(number, _cases.block(number))
    return time.perf_counter() - began
