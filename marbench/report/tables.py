"""Scores by metal-size group: means over cases, with the count that they rest on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from marbench.cases.own_metals import metals_of
from marbench.metrics.measure import Measure
from marbench.report.benchmark import Benchmark

__all__ = ["Coverage", "ScoreTable", "case_scores", "coverage", "expected_cases", "score_table"]

ALL = 0
"""The column of all cases, beside the groups 1, 2, …"""
# A score beyond it is infinite in effect; sums of such numbers would overflow.
_HUGE = 1e100


@dataclass(frozen=True)
class Coverage:
    """How many cases of a benchmark a method did well, and what became of the others."""

    good: int
    total: int
    failures: tuple[tuple[str, int], ...]

    @property
    def complete(self) -> bool:
        """Whether the method may be ranked."""
        return self.good == self.total > 0


@dataclass(frozen=True, eq=False)
class ScoreTable:
    """Means of one measure.

    Attributes
    ----------
    measure : Measure
    methods : tuple of str
    groups : tuple of int
        Columns: `ALL`, then the size groups.
    means : float array ``(methods, 1 + groups)``
        NaN where no case went well.
    counts : int array ``(methods, 1 + groups)``
        Cases that the means rest on.
    """

    measure: Measure
    methods: tuple[str, ...]
    groups: tuple[int, ...]
    means: NDArray[np.float64]
    counts: NDArray[np.int64]


def score_table(benchmark: Benchmark, measure: Measure) -> ScoreTable:
    """Return the mean of a measure for every method, over all cases and by metal-size group."""
    rows = benchmark.rows
    scored = rows.loc[(rows["status"] == "ok") & rows[measure.id].notna(), ["method", "size_group", measure.id]]
    by_group = scored.groupby(["method", "size_group"], observed=True)[measure.id]
    overall = scored.groupby("method", observed=True)[measure.id]
    columns = [ALL, *benchmark.groups]
    means = by_group.mean().unstack("size_group").reindex(index=benchmark.methods, columns=columns)
    counts = by_group.count().unstack("size_group").reindex(index=benchmark.methods, columns=columns)
    means[ALL], counts[ALL] = overall.mean(), overall.count()
    return ScoreTable(
        measure=measure,
        methods=benchmark.methods,
        groups=tuple(columns),
        means=means.to_numpy(dtype=np.float64),
        counts=counts.fillna(0).to_numpy(dtype=np.int64),
    )


def case_scores(benchmark: Benchmark, methods: Sequence[str], measure: Measure) -> NDArray[np.float64]:
    """Return the scores of complete methods, ``(methods, cases)``; the cases in the order of their ids."""
    rows = benchmark.rows[benchmark.rows["method"].isin(methods) & (benchmark.rows["case_id"] != "")]
    # Rows are sorted by method and case, and every one of these methods has every case.
    order = [sorted(methods).index(method) for method in methods]
    values = rows[measure.id].to_numpy(np.float64).reshape(len(methods), benchmark.cases)[order]
    return np.where(np.abs(values) > _HUGE, np.copysign(np.inf, values), values)


def coverage(benchmark: Benchmark, measures: Sequence[Measure]) -> dict[str, Coverage]:
    """Return the coverage of every method. A row that went well but lacks a score counts as ``no score``.

    Where a slice has no place for a region, no method has a number, and none lacks one.
    """
    rows, total = benchmark.rows, benchmark.cases
    lacking = rows[[measure.id for measure in measures]].isna()
    for measure in measures:
        if "region" in measure.needs:
            lacking[measure.id] &= rows.groupby("case_id")[measure.id].transform("count") > 0
    unscored = lacking.any(axis=1)
    status = rows["status"].astype(object).mask((rows["status"] == "ok") & unscored, "no score")
    tally = pd.crosstab(rows["method"], status)
    result = {}
    for method in benchmark.methods:
        counts = {str(name): int(number) for name, number in tally.loc[method].items() if number}
        good = counts.pop("ok", 0)
        if (absent := total - good - sum(counts.values())) > 0:
            counts["not run"] = absent
        result[method] = Coverage(good, total, tuple(sorted(counts.items())))
    return result


def expected_cases(benchmark: Benchmark) -> int | None:
    """Return how many test cases the spec promises; None where that depends on the data, as of all recorded cases."""
    if benchmark.spec.recorded is not None:
        return None
    slices = benchmark.spec.split.test.slices
    return None if slices == "all" else slices * len(metals_of(benchmark.spec, "test"))
