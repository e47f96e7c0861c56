"""Dividing patients between the splits, and choosing slices of them evenly."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from marbench.anatomy.slices import Split
from marbench.errors import DataError

__all__ = ["Counts", "choose_evenly", "divide", "divided_officially"]

Counts = Mapping[Split, tuple[int | None, int | None]]
"""``(patients, slices)`` of each split; None means all that remain, a split that is absent gets none."""

ORDER: tuple[Split, ...] = ("test", "val", "train")
"""Who takes first: the test split is the one that published numbers rest on."""

Item = TypeVar("Item")


def divide(
    patients: Iterable[str], counts: Counts, seed: int, identity: Callable[[str], str] = str
) -> dict[Split, tuple[str, ...]]:
    """Divide patients between test, val and train, in this order of precedence.

    Patients are ranked by a hash of seed and identity, so neither the order nor the number of the others moves one
    relative to another: a new patient displaces at most one patient per split.

    Parameters
    ----------
    patients : iterable of str
    counts : mapping
    seed : int
    identity : callable
        Patient → who it is, where what they are called depends on more than that.

    Raises
    ------
    DataError
        When a split asks for more patients than the earlier ones left.
    """
    waiting = _ranked(patients, seed, identity)
    total = len(waiting)
    divided: dict[Split, tuple[str, ...]] = {}
    for split in ORDER:
        wanted = _patients_wanted(counts, split)
        if wanted is not None and wanted > len(waiting):
            taken = {name: len(own) for name, own in divided.items() if own}
            raise DataError(_too_few(split, wanted, f"there are {total}", taken))
        divided[split] = tuple(waiting[:wanted])
        waiting = waiting[len(divided[split]) :]
    return divided


def divided_officially(official: Mapping[str, Split], counts: Counts, seed: int) -> dict[Split, tuple[str, ...]]:
    """Choose patients of every split from those that the publisher of the data assigned to it.

    Raises
    ------
    DataError
        When a split asks for more patients than it has.
    """
    divided: dict[Split, tuple[str, ...]] = {}
    for split in ORDER:
        ranked = _ranked((patient for patient, its in official.items() if its == split), seed, str)
        wanted = _patients_wanted(counts, split)
        if wanted is not None and wanted > len(ranked):
            there = f"{len(ranked)} of the {len(official)} that were found belong to it officially"
            raise DataError(_too_few(split, wanted, there, {}))
        divided[split] = tuple(ranked[:wanted])
    return divided


def choose_evenly(
    candidates: Mapping[str, Sequence[Item]], wanted: int | None, accept: Callable[[Item], bool]
) -> dict[str, list[Item]]:
    """Choose items, as evenly over patients and within each patient as those that are acceptable allow.

    Parameters
    ----------
    candidates : mapping
        The items of every patient in anatomical order.
    wanted : int or None
        How many items in all; None takes every acceptable one.
    accept : callable
        May be slow and must remember its answers: only items that may be needed are shown to it, some repeatedly.

    Returns
    -------
    dict
        The items of every patient that has any, in anatomical order. Fewer than ``wanted`` in all only where
        no more are acceptable.
    """
    capacities = {patient: len(items) for patient, items in candidates.items()}
    while True:
        quotas = _even_quotas(capacities, sum(capacities.values()) if wanted is None else wanted)
        chosen = {patient: _thin(items, quotas[patient], accept) for patient, items in candidates.items()}
        short = {patient: len(items) for patient, items in chosen.items() if len(items) < quotas[patient]}
        if not short:
            return {patient: items for patient, items in chosen.items() if items}
        capacities |= short


def _ranked(patients: Iterable[str], seed: int, identity: Callable[[str], str]) -> list[str]:
    def rank(patient: str) -> bytes:
        return hashlib.sha256(f"{seed}:{identity(patient)}".encode("utf-8", "surrogatepass")).digest()

    return sorted(set(patients), key=rank)


def _patients_wanted(counts: Counts, split: Split) -> int | None:
    return counts.get(split, (0, 0))[0]


def _too_few(split: Split, wanted: int, there: str, taken: Mapping[Split, int]) -> str:
    """Say how many patients there are, and who took some of them before.

    >>> _too_few("val", 5, "there are 8", {"test": 6})
    'the val split asks for 5 patients; there are 8, of which test takes 6. Ask for fewer (0 for a split that is not needed), or add data.'
    """  # noqa: E501
    before = " and ".join(f"{name} takes {count}" for name, count in taken.items())
    return (
        f"the {split} split asks for {wanted} patients; {there}{', of which ' if before else ''}{before}. "
        "Ask for fewer (0 for a split that is not needed), or add data."
    )


def _even_quotas(capacities: Mapping[str, int], wanted: int) -> dict[str, int]:
    """Share ``wanted`` out evenly; what a small patient cannot give, the larger ones do."""
    quotas = {}
    for served, (patient, capacity) in enumerate(sorted(capacities.items(), key=lambda entry: entry[1])):
        quotas[patient] = min(capacity, wanted // (len(capacities) - served))
        wanted -= quotas[patient]
    return quotas


def _thin(items: Sequence[Item], wanted: int, accept: Callable[[Item], bool]) -> list[Item]:
    """Take the middle item of each of ``wanted`` equal stretches, or else the nearest acceptable one still free."""
    untried = list(range(len(items)))
    taken = []
    for stretch in range(wanted):
        middle = (stretch + 0.5) * len(items) / wanted - 0.5
        for index in sorted(untried, key=lambda position: abs(position - middle)):
            untried.remove(index)
            if accept(items[index]):
                taken.append(index)
                break
    return [items[index] for index in sorted(taken)]
