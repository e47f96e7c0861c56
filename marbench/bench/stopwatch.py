"""Where the time of a run goes."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

__all__ = ["Stopwatch"]


@dataclass
class Stopwatch:
    """Where the time of a run went. Several workers spend more seconds than pass."""

    spent: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    start: float = field(default_factory=time.perf_counter)

    @contextmanager
    def of(self, what: str) -> Iterator[None]:
        """Add the time of a block to one of the sums."""
        start = time.perf_counter()
        try:
            yield
        # What failed took its time, too.
        finally:
            self.spent[what] += time.perf_counter() - start

    def add(self, spent: Mapping[str, float]) -> None:
        """Add what a worker has spent."""
        for what, seconds in spent.items():
            self.spent[what] += seconds

    def taken(self) -> dict[str, float]:
        """Return where time went since this was last asked for."""
        spent, self.spent = dict(self.spent), defaultdict(float)
        return spent

    @property
    def total(self) -> float:
        """Seconds since the start."""
        return time.perf_counter() - self.start
