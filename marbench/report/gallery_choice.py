"""Which cases the gallery shows: a rule, so that nobody picks them by their looks."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from marbench.bench.images import gallery_cases
from marbench.report.explorer_cases import CaseTable
from marbench.simulate import CaseKey

__all__ = ["Difficulty", "choose_cases", "difficulty"]


_REASONS = ("median", "worst", "most disputed", "named by the benchmark")


@dataclass(frozen=True, eq=False)
class Difficulty:
    """How hard and how disputed cases are, ``(cases,)`` each; NaN where no judged method has a score.

    Attributes
    ----------
    mean : float array
        Mean score over the judged methods.
    spread : float array
        Largest minus smallest score.
    """

    mean: NDArray[np.float64]
    spread: NDArray[np.float64]


def difficulty(scores: NDArray[np.float64]) -> Difficulty:
    """Return how hard and how disputed each case is by the scores ``(methods, cases)`` of the judged methods."""
    finite = np.where(np.isfinite(scores), scores, np.nan)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # cases on which every method failed
        return Difficulty(np.nanmean(finite, axis=0), np.nanmax(finite, axis=0) - np.nanmin(finite, axis=0))


def choose_cases(
    table: CaseTable, judged: Difficulty | None, stored: Collection[str], slices: Sequence[int]
) -> dict[str, tuple[str, ...]]:
    """Return the chosen cases and the reasons, by size group and case.

    Of every metal-size group, among the cases with stored images: the one with the median mean score (the lower one
    of two), the one with the lowest, and the one with the largest spread. Besides, of every slice that the spec names,
    the first metal of every group.

    Parameters
    ----------
    table : CaseTable
    judged : Difficulty or None
        None where nothing is scored.
    stored : collection of str
        The cases whose images are stored.
    slices : sequence of int
        The slices that the spec names, by position.
    """
    reasons: dict[str, list[str]] = {}
    ids = np.array(table.ids, dtype=object)
    groups = table.facts["size_group"].to_numpy(np.float64)
    held = np.isin(ids, list(stored))
    for group in np.unique(groups[held & ~np.isnan(groups)]):
        if judged is None:
            break
        members = np.flatnonzero(held & (groups == group) & ~np.isnan(judged.mean))
        if len(members):
            order = members[np.argsort(judged.mean[members], kind="stable")]
            reasons.setdefault(ids[order[(len(order) - 1) // 2]], []).append(_REASONS[0])
            reasons.setdefault(ids[order[0]], []).append(_REASONS[1])
            reasons.setdefault(ids[members[np.argmax(judged.spread[members])]], []).append(_REASONS[2])
    for case in sorted(gallery_cases(_keys(table), slices) & set(stored)):
        reasons.setdefault(case, []).append(_REASONS[3])
    position = {case: index for index, case in enumerate(table.ids)}

    def place(case: str) -> tuple[float, int, int]:
        return groups[position[case]], _REASONS.index(reasons[case][0]), position[case]

    return {case: tuple(reasons[case]) for case in sorted(reasons, key=place)}


def _keys(table: CaseTable) -> list[CaseKey]:
    """Return the cases in the order of the suite, which is that of their ids."""
    facts = table.facts.dropna(subset=["slice_id", "size_group"])
    columns = [facts.index, facts["patient_id"], facts["slice_id"], facts["metal_id"], facts["size_group"].astype(int)]
    return [CaseKey(*values) for values in zip(*columns, strict=True)]
