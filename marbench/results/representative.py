"""Which cases tell most of a run: a rule, so that nobody picks pictures by their looks."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from marbench.cases.info import CaseKey
from marbench.metrics.measure import Measure

__all__ = ["REASONS", "Difficulty", "difficulty", "telling_cases", "telling_of_run"]

REASONS = ("median", "worst", "most disputed")


@dataclass(frozen=True, eq=False)
class Difficulty:
    """How hard and how disputed cases are, ``(cases,)`` each; NaN where no judged method has a score.

    Attributes
    ----------
    mean : float array
        Mean score over the judged methods.
    spread : float array
        Largest minus smallest score.
    ease : float array
        The mean, turned round where lower is better: the hardest case has the lowest.
    """

    mean: NDArray[np.float64]
    spread: NDArray[np.float64]
    ease: NDArray[np.float64]


def difficulty(scores: NDArray[np.float64], measure: Measure) -> Difficulty:
    """Return how hard and how disputed each case is by the scores ``(methods, cases)`` of the judged methods."""
    # An infinite score would make every spread infinite.
    finite = np.where(np.isfinite(scores), scores, np.nan)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # cases on which every method failed
        mean, spread = np.nanmean(finite, axis=0), np.nanmax(finite, axis=0) - np.nanmin(finite, axis=0)
    return Difficulty(mean, spread, measure.sign * mean)


def telling_cases(groups: NDArray[np.float64], judged: Difficulty) -> Iterator[tuple[int, str]]:
    """Yield the positions of the chosen cases, each with the reason.

    Of every metal-size group: the case with the median mean score (the worse one of two), the one with the worst, and
    the one with the largest spread.

    Parameters
    ----------
    groups : float array ``(cases,)``
        Metal-size groups; cases of NaN are not considered.
    judged : Difficulty
    """
    for group in np.unique(groups[~np.isnan(groups)]):
        members = np.flatnonzero((groups == group) & ~np.isnan(judged.ease))
        if len(members):
            order = members[np.argsort(judged.ease[members], kind="stable")]
            chosen = (order[(len(order) - 1) // 2], order[0], members[np.argmax(judged.spread[members])])
            yield from zip(map(int, chosen), REASONS, strict=True)


def telling_of_run(
    rows: pd.DataFrame, cases: Sequence[CaseKey], measure: Measure, uncorrected: Collection[str] = ()
) -> frozenset[str]:
    """Return the ids of the telling cases of a run's rows.

    Judged are the methods that solved every case; the uncorrected image only where there is no other.

    Parameters
    ----------
    rows : DataFrame
    cases : sequence of CaseKey
    measure : Measure
        The one that ranks.
    uncorrected : collection of str
        Labels of methods whose card says that they correct nothing.
    """
    good = rows[rows["status"] == "ok"]
    scores = good.pivot(index="method", columns="case_id", values=measure.id)
    scores = scores.reindex(columns=[case.case_id for case in cases])
    # A method that failed on hard cases would make those look easy.
    complete = scores.dropna()
    corrected = complete.drop(index=list(uncorrected), errors="ignore")
    judged = next((each for each in (corrected, complete, scores) if len(each)), None)
    if judged is None:
        return frozenset()
    groups = np.array([case.size_group for case in cases], dtype=np.float64)
    found = telling_cases(groups, difficulty(judged.to_numpy(np.float64), measure))
    return frozenset(cases[position].case_id for position, _ in found)
