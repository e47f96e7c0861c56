"""How sure an order of methods is: bootstrap over patients, paired tests on patients, ranks.

Cases of one patient resemble each other, so the patient is the unit: patients, not cases, are drawn anew, and tests
see one value per patient. Arrays only; higher is better unless said otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata, wilcoxon

__all__ = ["Comparison", "bootstrap_means", "compare", "holm", "interval", "paired_test", "patient_means"]

Floats = NDArray[np.float64]
Integers = NDArray[np.integer]

LEVEL = 0.95
RESAMPLES = 10_000
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
        Wilcoxon signed-rank test against the best on patient means, two-sided, Holm-adjusted; 1 for the best itself.
    effect : float array ``(methods,)``
        Matched-pairs rank-biserial correlation of method minus best: −1 lower in every patient, +1 higher in every one.
    rank : int array ``(methods,)``
        1 is best; equal means share a rank.
    rank_interval : int array ``(methods, 2)``
        95 % bootstrap interval of the rank.
    tied : bool array ``(methods,)``
        Not significantly different from the best at 5 %, the best included.
    """

    best: int
    mean: Floats
    mean_interval: Floats
    difference: Floats
    difference_interval: Floats
    p: Floats
    effect: Floats
    rank: NDArray[np.int64]
    rank_interval: NDArray[np.int64]
    tied: NDArray[np.bool_]


def compare(values: Floats, patients: Integers, samples: Floats, higher_is_better: bool = True) -> Comparison:
    """Compare methods that were scored on the same cases.

    Parameters
    ----------
    values : float array ``(methods, cases)``
        No NaN; infinities are allowed.
    patients : int array ``(cases,)``
        Patient of each case, ``0 … n − 1``.
    samples : float array ``(resamples, methods)``
        From `bootstrap_means` of the same values, so that several measures can share one drawing.
    higher_is_better : bool
    """
    sign = 1.0 if higher_is_better else -1.0
    mean = values.mean(axis=1)
    best = int(np.argmax(sign * mean))
    p, effect = paired_test(values, patients, best)
    return Comparison(
        best=best,
        mean=mean,
        mean_interval=interval(samples),
        difference=_difference(mean, mean[best]),
        difference_interval=interval(_difference(samples, samples[:, [best]])),
        p=p,
        effect=effect,
        rank=rankdata(-sign * mean, method="min").astype(np.int64),
        rank_interval=interval(rankdata(-sign * samples, method="min", axis=1)).astype(np.int64),
        tied=p >= 1 - LEVEL,
    )


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
    cases = np.bincount(patients, minlength=count).astype(np.float64)
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
        np.divide(weights @ sums, (weights @ cases)[:, None], out=part)
        direction = weights @ infinite
        part[:, endless] = np.where(direction == 0, part[:, endless], np.copysign(np.inf, direction))
    return means


def paired_test(values: Floats, patients: Integers, best: int) -> tuple[Floats, Floats]:
    """Return Holm-adjusted Wilcoxon signed-rank p-values against one row, and rank-biserial effect sizes.

    Parameters
    ----------
    values : float array ``(methods, cases)``
    patients : int array ``(cases,)``
    best : int
        The row that all others are compared with; its own p is 1 and its effect 0.
    """
    means = patient_means(values, patients)
    differences = _difference(means, means[best])
    others = np.arange(len(values)) != best
    p, effect = np.ones(len(values)), np.zeros(len(values))
    p[others] = holm(np.array([_signed_rank_p(row) for row in differences[others]]))
    effect[others] = [_rank_biserial(row) for row in differences[others]]
    return p, effect


def patient_means(values: Floats, patients: Integers) -> Floats:
    """Return the mean of every patient's cases; ``(rows, patients)``."""
    cases = np.bincount(patients)
    return np.stack([np.bincount(patients, row) for row in values]) / cases


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


def interval(samples: NDArray[np.floating], level: float = LEVEL) -> Floats:
    """Return the percentile interval of samples along the first axis; ``(…, 2)``.

    The ends are samples themselves, so that infinities stay infinities and ranks stay whole.
    """
    tails = [(1 - level) / 2, (1 + level) / 2]
    ends: Floats = np.quantile(samples, tails, axis=0, method="inverted_cdf")
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


def _signed_rank_p(differences: Floats) -> float:
    """Return the two-sided p-value of the Wilcoxon signed-rank test; 1 where nothing differs."""
    nonzero = differences[differences != 0]
    return float(wilcoxon(nonzero).pvalue) if len(nonzero) else 1.0


def _rank_biserial(differences: Floats) -> float:
    """Return (W₊ − W₋) / (W₊ + W₋) of the signed ranks (Kerby, Compr. Psychol. 3 (2014) 1)."""
    nonzero = differences[differences != 0]
    if not len(nonzero):
        return 0.0
    ranks = rankdata(np.abs(nonzero))
    return float((ranks * np.sign(nonzero)).sum() / ranks.sum())
