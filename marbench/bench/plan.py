"""What is still to do: every (method, case) that has no final result, in units that share the simulation."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from marbench.cases.suite import CaseKey
from marbench.errors import MarbenchError
from marbench.results.rows import FINAL, Key

__all__ = ["Shard", "Stored", "Task", "Unit", "cases_of", "plan", "stored_results"]

UNIT_CASES = 10
"""Cases per unit: with the ten test metals, one slice."""


@dataclass(frozen=True)
class Stored:
    """The state of a key in the store: its best status, how often it was tried, and what the last failure said."""

    status: str
    attempts: int
    message: str = ""


@dataclass(frozen=True)
class Task:
    """A case, and the methods that still need it: label → number of the attempt."""

    index: int
    case: CaseKey
    attempts: Mapping[str, int]


@dataclass(frozen=True)
class Unit:
    """Neighbouring cases. Units have the same numbers whatever is stored, so shards stay disjoint."""

    number: int
    tasks: tuple[Task, ...]

    @property
    def results(self) -> int:
        """How many results the unit will give."""
        return sum(len(task.attempts) for task in self.tasks)


@dataclass(frozen=True)
class Shard:
    """Part ``number`` of ``count``, from 1."""

    number: int = 1
    count: int = 1

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Read ``i/n``.

        >>> Shard.parse("2/8")
        Shard(number=2, count=8)
        """
        number, _, count = text.partition("/")
        if number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count):
            return cls(int(number), int(count))
        raise MarbenchError(f"--shard takes i/n with 1 ≤ i ≤ n, for example 2/8. Got {text!r}.")

    def __contains__(self, unit: int) -> bool:
        return unit % self.count == self.number - 1


def stored_results(rows: pd.DataFrame) -> dict[Key, Stored]:
    """Return the state of every key that has rows."""
    states: dict[Key, Stored] = {}
    names = ("method", "method_hash", "case_id", "status", "attempt", "message")
    columns = [rows[name].tolist() for name in names]
    for method, method_hash, case_id, status, attempt, message in zip(*columns, strict=True):
        key = Key(method, method_hash, case_id)
        known = states.get(key, Stored(status, attempt))
        best = "ok" if "ok" in (status, known.status) else status
        states[key] = Stored(best, max(attempt, known.attempts), message)
    return states


def cases_of(cases: Sequence[CaseKey], shard: Shard | None) -> list[CaseKey]:
    """Return the cases that a shard takes; all without one."""
    return [case for index, case in enumerate(cases) if shard is None or index // UNIT_CASES in shard]


def plan(
    cases: Sequence[CaseKey],
    methods: Mapping[str, str],
    stored: Mapping[Key, Stored],
    *,
    retry_failed: bool = False,
    without_image: Container[Key] = frozenset(),
    shard: Shard | None = None,
) -> Iterator[Unit]:
    """Enumerate what is to do.

    Parameters
    ----------
    cases : sequence of CaseKey
        In the order of the suite.
    methods : mapping
        Label → method_hash.
    stored : mapping
        What is there: a final status is not tried again, ``unavailable`` is.
    retry_failed : bool
        Try everything again that is not ok.
    without_image : container of Key
        Results whose image the gallery wants and does not have.
    shard : Shard, optional
        Take only these units.
    """
    final = {"ok"} if retry_failed else FINAL
    for number, start in enumerate(range(0, len(cases), UNIT_CASES)):
        if shard is not None and number not in shard:
            continue
        tasks = []
        for index, case in enumerate(cases[start : start + UNIT_CASES], start):
            attempts = {}
            for label, method_hash in methods.items():
                key = Key(label, method_hash, case.case_id)
                known = stored.get(key)
                if known is None or known.status not in final or (known.status == "ok" and key in without_image):
                    attempts[label] = known.attempts + 1 if known else 1
            if attempts:
                tasks.append(Task(index, case, attempts))
        if tasks:
            yield Unit(number, tuple(tasks))
