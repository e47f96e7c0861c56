"""Who is how good, and how sure that is: means, marks, ranks and tests of every measure under one convention."""

from __future__ import annotations

from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from marbench.report.benchmark import Benchmark
from marbench.report.stats import Comparison, bootstrap_means, compare, paired_test
from marbench.report.tables import Coverage, Measure, ScoreTable, coverage, measures, score_table

__all__ = ["Score", "Standings", "standings"]


@dataclass(frozen=True)
class Score:
    """A cell of the leaderboard.

    Attributes
    ----------
    value : float
    cases : int
        What the mean rests on.
    mark : {"best", "second", ""}
        Among complete methods.
    tied : bool
        Not the best, and not significantly different from it (5 %, Holm over the column).
    """

    value: float
    cases: int
    mark: str
    tied: bool


@dataclass(frozen=True, eq=False)
class Standings:
    """The leaderboard under one convention.

    Attributes
    ----------
    convention : str
    measures : tuple of Measure
        PSNR, SSIM, RMSE.
    ranked : tuple of str
        Complete methods, best mean PSNR first.
    unranked : tuple of str
        Methods with failures or missing cases, the most complete first.
    scores : dict
        (method, measure column) → one `Score` per column: all cases, then the size groups.
    comparisons : dict
        Measure column → `Comparison` of the ranked methods, in the order of `ranked`. Empty without ranked methods.
    coverage : dict
        Method → `Coverage`.
    patients : int
        What intervals and tests rest on.
    """

    convention: str
    measures: tuple[Measure, ...]
    groups: tuple[int, ...]
    ranked: tuple[str, ...]
    unranked: tuple[str, ...]
    scores: dict[tuple[str, str], tuple[Score, ...]]
    comparisons: dict[str, Comparison]
    coverage: dict[str, Coverage]
    patients: int

    def rank(self, method: str) -> int | None:
        """Return the rank of a method by mean PSNR; None where it is not ranked."""
        if method not in self.ranked:
            return None
        return int(self.comparisons[self.measures[0].column].rank[self.ranked.index(method)])


_KEPT: WeakKeyDictionary[Benchmark, dict[str, Standings]] = WeakKeyDictionary()


def standings(benchmark: Benchmark, convention: str) -> Standings:
    """Return the standings of a benchmark under one of its conventions. Several pages ask; they are computed once."""
    kept = _KEPT.setdefault(benchmark, {})
    if convention not in kept:
        kept[convention] = _standings(benchmark, convention)
    return kept[convention]


def _standings(benchmark: Benchmark, convention: str) -> Standings:
    covered = coverage(benchmark, convention)
    tables = [score_table(benchmark, measure) for measure in measures(convention)]
    psnr = dict(zip(tables[0].methods, tables[0].means[:, 0], strict=True))
    complete = [method for method in benchmark.methods if covered[method].complete]
    cases = _Cases.of(benchmark, convention, sorted(complete, key=lambda method: -psnr[method]))
    unranked = [method for method in benchmark.methods if method not in complete]
    return Standings(
        convention=convention,
        measures=measures(convention),
        groups=benchmark.groups,
        ranked=cases.methods,
        unranked=tuple(sorted(unranked, key=lambda method: -covered[method].good)),
        scores={key: value for table in tables for key, value in _scores(table, cases).items()},
        comparisons=cases.comparisons(),
        coverage=covered,
        patients=len(np.unique(cases.patients)),
    )


@dataclass(frozen=True, eq=False)
class _Cases:
    """The scores of complete methods, case by case: measure column → ``(methods, cases)``."""

    methods: tuple[str, ...]
    values: dict[str, NDArray[np.float64]]
    patients: NDArray[np.intp]
    groups: NDArray[np.int64]

    @classmethod
    def of(cls, benchmark: Benchmark, convention: str, methods: list[str]) -> _Cases:
        rows = benchmark.rows[benchmark.rows["method"].isin(methods) & (benchmark.rows["case_id"] != "")]
        # Rows are sorted by method and case, and every one of these methods has every case.
        shape = (len(methods), benchmark.cases)
        order = [sorted(methods).index(method) for method in methods]
        columns = [measure.column for measure in measures(convention)]
        first = rows.iloc[: benchmark.cases if methods else 0]
        return cls(
            methods=tuple(methods),
            values={column: rows[column].to_numpy(np.float64).reshape(shape)[order] for column in columns},
            patients=np.unique(first["patient_id"].to_numpy(dtype=str), return_inverse=True)[1],
            groups=first["size_group"].to_numpy(np.int64),
        )

    def comparisons(self) -> dict[str, Comparison]:
        """Compare the methods in every measure; all measures share one drawing of patients."""
        if not self.methods:
            return {}
        samples = bootstrap_means(np.concatenate(list(self.values.values())), self.patients)
        parts = np.split(samples, len(self.values), axis=1)
        return {
            column: compare(values, self.patients, part, higher_is_better=column != "rmse_hu")
            for (column, values), part in zip(self.values.items(), parts, strict=True)
        }


def _scores(table: ScoreTable, cases: _Cases) -> dict[tuple[str, str], tuple[Score, ...]]:
    """Return the cells of a measure, marked column by column."""
    measure = table.measure
    sign = 1.0 if measure.higher_is_better else -1.0
    places = [table.methods.index(method) for method in cases.methods]
    marks: dict[tuple[int, int], str] = {}
    tied: set[tuple[int, int]] = set()
    for column, group in enumerate(table.groups):
        means = sign * table.means[places, column]
        present = np.flatnonzero(~np.isnan(means))
        if not len(present):
            continue
        # Marks follow what a reader sees: equal to the printed digits is equal.
        printed = np.round(means, measure.digits)
        levels = sorted(set(printed[present]), reverse=True)
        for index in present:
            marks[places[index], column] = {0: "best", 1: "second"}.get(levels.index(printed[index]), "")
        chosen = slice(None) if column == 0 else cases.groups == group
        patients = np.unique(cases.patients[chosen], return_inverse=True)[1]
        p, _ = paired_test(cases.values[measure.column][:, chosen], patients, int(np.nanargmax(means)))
        tied.update((places[index], column) for index in present if p[index] >= 0.05)
    return {
        (method, measure.column): tuple(
            Score(
                value=float(table.means[row, column]),
                cases=int(table.counts[row, column]),
                mark=marks.get((row, column), ""),
                tied=(row, column) in tied and marks.get((row, column)) != "best",
            )
            for column in range(len(table.groups))
        )
        for row, method in enumerate(table.methods)
    }
