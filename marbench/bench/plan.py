"""What is still to do: every (method, case) that has no final result, in units that share the simulation."""

from __future__ import annotations

from collections.abc import Collection, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from marbench.cases.case import CaseKey
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
        # A matrix over (method, version) and cases: 5 bytes a key, where a dictionary of tuples takes hundreds.
        pairs = pd.MultiIndex.from_frame(rows[["method", "method_hash"]])
        pair_codes, pair_names = pd.factorize(pairs)
        case_codes, case_names = pd.factorize(rows["case_id"])
        status_codes, status_names = pd.factorize(rows["status"])
        self._pairs = {tuple(map(str, pair)): number for number, pair in enumerate(pair_names)}
        self._cases = {str(case): number for number, case in enumerate(case_names)}
        self._statuses = [str(status) for status in status_names]
        shape = (len(self._pairs), len(self._cases))
        # The last row of a key decides, but one that is ok outweighs all others.
        # int8 is enough: there are fewer statuses than a hundred.
        self._status = np.full(shape, -1, dtype=np.int8)
        self._attempts = np.zeros(shape, dtype=np.int32)
        self._status[pair_codes, case_codes] = status_codes
        # A method that was ok once is ok: the same files on the same case give the same image.
        if "ok" in self._statuses:
            good = status_codes == self._statuses.index("ok")
            self._status[pair_codes[good], case_codes[good]] = self._statuses.index("ok")
        np.maximum.at(self._attempts, (pair_codes, case_codes), rows["attempt"].to_numpy())
        # Only of methods that are unavailable it matters what was said, and those have few words.
        silent = rows[rows["status"] == "unavailable"]
        names = [silent[name].tolist() for name in ("method", "method_hash", "case_id", "message")]
        self._messages = {Key(*key): message for *key, message in zip(*names, strict=True)}

    def get(self, key: Key) -> Known | None:
        """Return what is stored of a key; None if nothing is."""
        pair, case = self._pairs.get((key.method, key.method_hash)), self._cases.get(key.case_id)
        if pair is None or case is None or not self._attempts[pair, case]:
            return None
        status = self._statuses[self._status[pair, case]]
        return Known(status, int(self._attempts[pair, case]), self._messages.get(key, ""))

    def good(self) -> Iterator[Key]:
        """Yield the keys whose result is ok."""
        if "ok" not in self._statuses:
            return
        cases, code = list(self._cases), self._statuses.index("ok")
        for (method, method_hash), number in self._pairs.items():
            for case in np.flatnonzero(self._status[number] == code):
                yield Key(method, method_hash, cases[case])


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
                tasks.append(Task(index, case, attempts))
        if tasks:
            yield Unit(number, tuple(tasks))
