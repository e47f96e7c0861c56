"""What is still to do: every (method, case) that has no final result, in units that share the simulation."""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from marbench.cases.info import CaseKey
from marbench.errors import MarbenchError
from marbench.results.rows import FINAL, Key

__all__ = ["Known", "Shard", "Stored", "Task", "Unit", "cases_of", "plan"]

UNIT_CASES = 10
"""Cases per unit: with the ten test metals, one slice."""


@dataclass(frozen=True)
class Known:
    """What is stored of a key: its best status, how often it was tried, and what the last failure said."""

    status: str
    attempts: int
    message: str = ""


class Stored:
    """What is stored of every key, in a few bytes each: a large benchmark has a million.

    Parameters
    ----------
    rows : DataFrame
        ``method, method_hash, case_id, status, attempt, message``, oldest first.
    """

    def __init__(self, rows: pd.DataFrame) -> None:
        # One number per key, and what is known of it, both in arrays: a tuple and a dictionary take hundreds of bytes.
        # Only of keys that are there: a table of all methods and all cases would be huge where versions are many.
        numbers = [pd.factorize(rows[name]) for name in ("method", "method_hash", "case_id")]
        (names, labels), (versions, hashes), (cases, case_ids) = numbers
        pairs, kinds = pd.factorize(names.astype(np.int64) * len(hashes) + versions)
        methods = ((str(labels[kind // len(hashes)]), str(hashes[kind % len(hashes)])) for kind in kinds.tolist())
        self._methods = {method: number for number, method in enumerate(methods)}
        self._cases = {str(case): number for number, case in enumerate(case_ids)}
        codes = pairs.astype(np.int64) * len(case_ids) + cases
        self._codes, position = np.unique(codes, return_inverse=True)
        status, statuses = pd.factorize(rows["status"])
        self._statuses = [str(each) for each in statuses]
        # The last row of a key decides, and numpy keeps the last of several; but one that is ok outweighs all others:
        # the same files on the same case give the same image. int8 is enough: there are fewer statuses than a hundred.
        self._status = np.full(len(self._codes), -1, dtype=np.int8)
        self._status[position] = status
        if "ok" in self._statuses:
            ok = self._statuses.index("ok")
            self._status[position[status == ok]] = ok
        self._attempts = np.zeros(len(self._codes), dtype=np.int32)
        np.maximum.at(self._attempts, position, rows["attempt"].to_numpy())
        # Only of methods that are unavailable it matters what was said, and those have few words.
        silent = rows[rows["status"] == "unavailable"]
        words = [silent[name].tolist() for name in ("method", "method_hash", "case_id", "message")]
        self._messages = {Key(*key): message for *key, message in zip(*words, strict=True)}

    def get(self, key: Key) -> Known | None:
        """Return what is stored of a key; None if nothing is."""
        method, case = self._methods.get((key.method, key.method_hash)), self._cases.get(key.case_id)
        if method is None or case is None:
            return None
        code = method * len(self._cases) + case
        position = int(self._codes.searchsorted(code))
        if position == len(self._codes) or self._codes[position] != code:
            return None
        status = self._statuses[self._status[position]]
        return Known(status, int(self._attempts[position]), self._messages.get(key, ""))

    def good(self) -> Iterator[Key]:
        """Yield the keys whose result is ok."""
        if "ok" not in self._statuses:
            return
        methods, cases = list(self._methods), list(self._cases)
        for code in self._codes[self._status == self._statuses.index("ok")].tolist():
            method, case = divmod(code, len(cases))
            label, version = methods[method]
            yield Key(label, version, cases[case])


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

    def only(self, wanted: Callable[[Task, str], bool]) -> Unit:
        """Return the unit with the calls, of a case and a label, that are wanted; a case without any is left out."""
        tasks = (
            replace(task, attempts={label: each for label, each in task.attempts.items() if wanted(task, label)})
            for task in self.tasks
        )
        return replace(self, tasks=tuple(task for task in tasks if task.attempts))


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


def cases_of(cases: Sequence[CaseKey], shard: Shard | None) -> list[CaseKey]:
    """Return the cases that a shard takes; all without one."""
    return [case for index, case in enumerate(cases) if shard is None or index // UNIT_CASES in shard]


def plan(
    cases: Sequence[CaseKey],
    methods: Mapping[str, str],
    stored: Stored,
    *,
    retry_failed: bool = False,
    force: Collection[str] = (),
    without_image: Container[Key] = frozenset(),
    shard: Shard | None = None,
    positions: Sequence[int] = (),
) -> Iterator[Unit]:
    """Enumerate what is to do.

    Parameters
    ----------
    cases : sequence of CaseKey
        In the order of the suite.
    methods : mapping
        Label → method_hash.
    stored : Stored
        What is there: a final status is not tried again, ``unavailable`` is.
    retry_failed : bool
        Try everything again that is not ok.
    force : collection of str
        Labels of methods to do again whatever is there.
    without_image : container of Key
        Results whose image the gallery wants and does not have.
    shard : Shard, optional
        Take only these units.
    positions : sequence of int
        Where the cases stand in the suite; by default they are its first ones.
    """
    final = {"ok"} if retry_failed else FINAL
    # Numbered before anything is left out: shards must agree on the units whatever each of them has stored.
    for number, start in enumerate(range(0, len(cases), UNIT_CASES)):
        if shard is not None and number not in shard:
            continue
        # Cases of a unit share a slice, methods of a task a case: neither is simulated twice.
        tasks = []
        for index, case in enumerate(cases[start : start + UNIT_CASES], start):
            attempts = {}
            for label, method_hash in methods.items():
                key = Key(label, method_hash, case.case_id)
                known = stored.get(key)
                wanted = known is None or known.status not in final or label in force
                if wanted or (known is not None and known.status == "ok" and key in without_image):
                    attempts[label] = known.attempts + 1 if known else 1
            if attempts:
                tasks.append(Task(positions[index] if positions else index, case, attempts))
        if tasks:
            yield Unit(number, tuple(tasks))
