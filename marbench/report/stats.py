"""How sure an order of methods is: one estimator, the mean over cases, and patients as the unit of chance.

Cases of one patient resemble each other, so patients, not cases, are drawn anew and exchanged. Everything that is said
of two methods is said of one number, the difference of their means over all cases::

    d = 1/N · Σ_p D_p,    D_p = Σ (a − b) over the cases of patient p,    N cases

Its sign gives the order, the cluster bootstrap over patients its interval, and a sign-flip test of the D_p its p-value.
So the method with the best mean can never be called significantly worse than another. It is the best by the same data
that then judge the others, so what is claimed is a set: with 95 % the truly best method is among those that are not
told apart from the first. Arrays only; higher is better unless said otherwise.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "EXACT_PATIENTS",
    "LEVEL",
    "RESAMPLES",
    "Comparison",
    "bootstrap_means",
    "can_differ",
    "case_means",
    "compare",
    "comparisons",
    "decides",
    "holm",
    "interval",
    "paired_test",
    "ranks",
]

Floats = NDArray[np.float64]
Integers = NDArray[np.integer]

LEVEL = 0.95
RESAMPLES = 10_000
EXACT_PATIENTS = 14
"""Up to so many patients all 2ⁿ sign flips are tried; of more, `RESAMPLES` are drawn."""
# Entries of one block of resampling weights: 32 MB.
_BLOCK = 4_000_000


@dataclass(frozen=True, eq=False)
class Comparison:
    """Methods compared with the best of them. The first axis of every array is the methods.

    Attributes
    ----------
    best : int
        The method with the best mean over cases.
    mean : float array ``(methods,)``
    mean_interval : float array ``(methods, 2)``
        95 % percentile bootstrap over patients.
    difference, difference_interval : float arrays ``(methods,)``, ``(methods, 2)``
        Method minus best, of means over the same cases.
    p : float array ``(methods,)``
        Sign-flip test of the difference to the best, see `paired_test`; 1 for the best itself.
    ahead : int array ``(methods,)``
        Patients in whom the method is better than the best. A description, no test.
    rank : int array ``(methods,)``
        1 is best; equal means share a rank.
    rank_interval : int array ``(methods, 2)``
        95 % bootstrap interval of the rank.
    patients : int
        In whom there is a number: what intervals and p rest on.
    tied : bool array ``(methods,)``
        Not told apart from the best at 5 %, the best included: one of them is the truly best one, see `paired_test`.
    """

    best: int
    mean: Floats
    mean_interval: Floats
    difference: Floats
    difference_interval: Floats
    p: Floats
    ahead: NDArray[np.int64]
    rank: NDArray[np.int64]
    rank_interval: NDArray[np.int64]
    patients: int
    tied: NDArray[np.bool_]

    @property
    def decides(self) -> bool:
        """Whether any difference to the best could be significant, see `can_differ`; where not, p says nothing."""
        return can_differ(self.patients, comparisons(len(self.mean)))

    @property
    def spreads(self) -> bool:
        """Whether the patients suffice for intervals: of fewer than tell two methods apart they are too narrow."""
        return can_differ(self.patients, 1)


def compare(values: Floats, patients: Integers, samples: Floats, higher_is_better: bool = True) -> Comparison:
    """Compare methods that were scored on the same cases.

    Parameters
    ----------
    values : float array ``(methods, cases)``
        Infinities are allowed; NaN where no method has a number of a case, which then counts for nothing.
    patients : int array ``(cases,)``
        Patient of each case, ``0 … n − 1``.
    samples : float array ``(resamples, methods)``
        From `bootstrap_means` of the same values, so that several measures can share one drawing.
    higher_is_better : bool
    """
    sign = 1.0 if higher_is_better else -1.0
    mean = case_means(values)
    rank = ranks(sign * mean)
    best = int(np.argmin(rank))
    sums = _patient_sums(sign * values, sign * values[best], patients)
    p = paired_test(values, patients, best)
    # Where nobody who was drawn has a number there are no ranks.
    empty = np.isnan(samples).all(axis=1)
    ranked = samples if empty.all() else samples[~empty]
    return Comparison(
        best=best,
        mean=mean,
        mean_interval=interval(samples),
        difference=_difference(mean, mean[best]),
        difference_interval=interval(_difference(samples, samples[:, [best]])),
        p=p,
        ahead=(sums > 0).sum(axis=1),
        rank=rank,
        rank_interval=interval(ranks(sign * ranked).astype(np.float64)).astype(np.int64),
        patients=_patients_told(values, patients),
        tied=p >= 1 - LEVEL,
    )


def case_means(values: Floats) -> Floats:
    """Return means over the cases that have a number; NaN without any, and where infinities of both signs meet."""
    known = ~np.isnan(values)
    if not known.any():
        return np.full(len(values), np.nan)
    with np.errstate(invalid="ignore", over="ignore"):
        mean: Floats = values.mean(axis=1) if known.all() else values.mean(axis=1, where=known)
    return mean


def ranks(means: Floats) -> NDArray[np.int64]:
    """Return ranks along the last axis, 1 for the highest mean; equal means share one, what is no number comes last."""
    known = np.where(np.isnan(means), -np.inf, means)
    # Method by method, so that 10,000 resamples of many methods need no cube of comparisons.
    better = [(known > known[..., [each]]).sum(axis=-1) for each in range(known.shape[-1])]
    return 1 + np.stack(better, axis=-1) if better else np.empty(known.shape, np.int64)


def comparisons(methods: int) -> float:
    """Return by what every p against the best of so many methods is multiplied, see `paired_test`."""
    return max(1.0, (methods - 1) / 2)


def can_differ(patients: int, tests: float) -> bool:
    """Tell whether any of several methods could differ significantly from the best of them.

    Of n patients the smallest two-sided p of a sign-flip test is 2/2ⁿ, and the number of tests multiplies it.

    >>> can_differ(5, 1), can_differ(6, 1), can_differ(6, 2), can_differ(12, 20)
    (False, True, False, True)
    """
    return max(1, tests) * 0.5 ** (patients - 1) < 1 - LEVEL


def decides(values: Floats, patients: Integers) -> bool:
    """Tell whether any of the methods, the rows, could differ significantly from the best of them.

    Patients in whom nobody has a number do not count.
    """
    return can_differ(_patients_told(values, patients), comparisons(len(values)))


def _patients_told(values: Floats, patients: Integers) -> int:
    return len(np.unique(patients[~np.isnan(values).all(axis=0)]))


def bootstrap_means(values: Floats, patients: Integers, resamples: int = RESAMPLES, seed: int = 0) -> Floats:
    """Return means over cases when patients are drawn with replacement; ``(resamples, rows of values)``.

    A drawn patient brings all its cases, the same for every row, so differences between rows are paired
    (Field & Welsh, J. R. Stat. Soc. B 69 (2007) 369: the cluster bootstrap).

    Parameters
    ----------
    values : float array ``(rows, cases)``
    patients : int array ``(cases,)``
        ``0 … n − 1``.
    resamples, seed : int
    """
    count = int(patients.max()) + 1
    finite = np.where(np.isfinite(values), values, 0.0)
    sums = np.stack([np.bincount(patients, row, minlength=count) for row in finite], axis=1)
    known = ~np.isnan(values)
    # One count for all rows, but where some lack a number.
    counted = known[:1] if known.all() else known
    cases = np.stack([np.bincount(patients, row, minlength=count) for row in counted], axis=1)
    # 0 × ∞ is no number: infinities are counted apart.
    endless = np.flatnonzero(np.isinf(values).any(axis=1))
    infinite = np.zeros((count, len(endless)))
    for column, row in enumerate(endless):
        infinite[:, column] = np.bincount(patients, np.isinf(values[row]) * np.sign(values[row]), minlength=count)
    rng = np.random.default_rng(seed)
    block = max(1, _BLOCK // count)
    means = np.empty((resamples, len(values)))
    for start in range(0, resamples, block):
        size = min(block, resamples - start)
        weights = _draw(rng, size, count)
        part = means[start : start + size]
        with np.errstate(invalid="ignore"):  # nobody who was drawn may have a number
            np.divide(weights @ sums, weights @ cases, out=part)
        direction = weights @ infinite
        part[:, endless] = np.where(direction == 0, part[:, endless], np.copysign(np.inf, direction))
    return means


def paired_test(values: Floats, patients: Integers, best: int) -> Floats:
    """Return adjusted p-values of the differences of means over cases against one row, the best.

    The sign-flip permutation test with the patient as the unit (Fisher, The Design of Experiments (1935) §21): were two
    methods alike, their names could be exchanged in every patient. Of all such exchanges, s_p = ±1, p is the part with
    ``|Σ s_p D_p| ≥ |Σ D_p|``. Exact for up to `EXACT_PATIENTS` patients; of more, `RESAMPLES` exchanges are drawn, and
    what was observed counts as one of them (Phipson & Smyth, Stat. Appl. Genet. Mol. Biol. 9 (2010) 39).

    Of k methods every p is multiplied by (k − 1)/2, and at least by 1. For the truly best one to be left out of those
    above 5 %, one of k − 1 others must lie ahead of it, on that one side, by a test at 5 %/(k − 1): that happens in 5 %
    of all benchmarks at most, although the best row is chosen by the same data (subset selection: Gupta, Technometrics
    7 (1965) 225; Hsu, Ann. Stat. 9 (1981) 1026). Steps after Holm have no such bound, for they ease with every method
    that falls behind.

    Parameters
    ----------
    values : float array ``(methods, cases)``
    patients : int array ``(cases,)``
    best : int
        The row that all others are compared with, of the best mean; its own p is 1.
    """
    others = np.arange(len(values)) != best
    p = np.ones(len(values))
    p[others] = _sign_flip_p(_patient_sums(values, values[best], patients)[others]) * comparisons(len(values))
    return np.minimum(p, 1.0)


def holm(p: Floats) -> Floats:
    """Adjust p-values for multiple tests (Holm, Scand. J. Stat. 6 (1979) 65).

    >>> holm(np.array([0.01, 0.04, 0.03])).round(3).tolist()
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted


def interval(samples: NDArray[np.floating]) -> Floats:
    """Return the 95 % percentile interval of samples along the first axis; ``(…, 2)``.

    The ends are samples themselves, so that infinities stay infinities and ranks stay whole. Samples that are no number
    are left out; of a column that has no other both ends are NaN.
    """
    tails = [(1 - LEVEL) / 2, (1 + LEVEL) / 2]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All-NaN slice")
        ends: Floats = np.nanquantile(samples, tails, axis=0, method="inverted_cdf")
    return np.moveaxis(ends, 0, -1)


def _draw(rng: np.random.Generator, size: int, count: int) -> Floats:
    """Return how often each of ``count`` patients is drawn in ``size`` resamples; ``(size, count)``."""
    drawn = rng.integers(0, count, size=(size, count)) + count * np.arange(size)[:, None]
    return np.bincount(drawn.ravel(), minlength=size * count).reshape(size, count).astype(np.float64)


def _difference(a: Floats, b: Floats | np.float64) -> Floats:
    """Return ``a − b``; equal infinities differ by 0."""
    with np.errstate(invalid="ignore"):
        difference = np.asarray(a - b, dtype=np.float64)
    return np.where(np.asarray(a == b), 0.0, difference)


def _patient_sums(values: Floats, reference: Floats, patients: Integers) -> Floats:
    """Return D_p of every row, ``(rows, patients)``: summed differences from a reference row.

    Infinite differences count as so large that no finite ones outweigh them.
    """
    differences = np.where(np.isnan(values) & np.isnan(reference), 0.0, _difference(values, reference))
    endless = np.isinf(differences)
    finite = _by_patient(np.where(endless, 0.0, differences), patients)
    infinite = _by_patient(np.where(endless, np.sign(differences), 0.0), patients)
    huge = 4 * np.abs(finite).sum(axis=1, keepdims=True) + 1
    return np.where(infinite.any(axis=1, keepdims=True), finite + huge * infinite, finite)


def _by_patient(values: Floats, patients: Integers) -> Floats:
    """Return the sums over every patient's cases; ``(rows, patients)``."""
    return np.stack([np.bincount(patients, row) for row in values])


def _sign_flip_p(sums: Floats) -> Floats:
    """Return the two-sided p-value of each row of D_p; 1 where nothing differs."""
    count, total = sums.shape[1], sums.sum(axis=1)
    # Sums in another order differ in their last digits: what is equal but for those is as large.
    limit = np.abs(total) - 1e-9 * np.abs(sums).sum(axis=1)
    tried = as_large = 0 if count <= EXACT_PATIENTS else 1
    for exchanged in _exchanges(count):
        # Σ s D = Σ D − 2 Σ D over the patients in whom the names are exchanged
        as_large = as_large + (np.abs(total - 2 * (exchanged @ sums.T)) >= limit).sum(axis=0)
        tried += len(exchanged)
    return np.asarray(as_large / tried, dtype=np.float64)


def _exchanges(count: int) -> Iterator[Floats]:
    """Yield blocks ``(size, count)`` of 1 where names are exchanged, else 0: every pattern, or a seeded drawing."""
    if count <= EXACT_PATIENTS:
        patterns = np.arange(2**count)[:, None]
        yield ((patterns >> np.arange(count)) & 1).astype(np.float64)
        return
    rng = np.random.default_rng(0)
    block = max(1, _BLOCK // count)
    for start in range(0, RESAMPLES, block):
        yield rng.integers(0, 2, size=(min(block, RESAMPLES - start), count), dtype=np.int8).astype(np.float64)
