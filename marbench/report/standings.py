"""Who is how good, and how sure that is: means, marks, ranks and tests of every measure under one convention."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from marbench.metrics.measure import Measure
from marbench.report.benchmark import Benchmark
from marbench.report.ranking import Ranking, rank_methods
from marbench.report.stats import (
    LEVEL,
    Comparison,
    bootstrap_means,
    can_differ,
    compare,
    comparisons,
    decides,
    paired_test,
)
from marbench.report.tables import ScoreTable, case_scores, score_table

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
        Not the best, and not told apart from it (5 %, over the column, see `paired_test`). False where the column has
        too few patients for any difference to be significant.
    """

    value: float
    cases: int
    mark: str
    tied: bool


@dataclass(frozen=True, eq=False)
class Standings(Ranking):
    """The leaderboard under one convention: its `Ranking`, by the mean over all cases, and what stands in its table.

    Attributes
    ----------
    convention : str
    groups : tuple of int
        The metal-size groups.
    cases : tuple of int
        How many there are in every column: all, then the size groups. A mean may rest on fewer.
    scores : dict
        (method, measure id) → one `Score` per column: all cases, then the size groups.
    comparisons : dict
        Measure id → `Comparison` of the ranked methods, in the order of `ranked`. Empty without ranked methods.
    patients : int
        What intervals and tests rest on.
    """

    convention: str
    groups: tuple[int, ...]
    cases: tuple[int, ...]
    scores: dict[tuple[str, str], tuple[Score, ...]]
    comparisons: dict[str, Comparison]
    patients: int

    @property
    def views(self) -> dict[str, tuple[Measure, ...]]:
        """What can be looked at: what a cell holds together, and each of all measures alone."""
        return {"both": self.together, **{measure.name: (measure,) for measure in self.measures}}

    @property
    def apart(self) -> tuple[Measure, ...]:
        """The measures that have a column of their own."""
        return tuple(measure for measure in self.measures if measure not in self.together)

    @property
    def decides(self) -> bool:
        """Whether the patients suffice to tell the ranked methods apart; where not, no test and no rank counts."""
        return can_differ(self.patients, comparisons(len(self.ranked)))

    def rank(self, method: str) -> int | None:
        """Return the rank of a method; None where it is not ranked, or has no mean to be ranked by."""
        return self.places.get(method)


def standings(benchmark: Benchmark, convention: str) -> Standings:
    """Return the standings of a benchmark under one of its conventions."""
    measures = benchmark.measures_under(convention)
    ranking = rank_methods(benchmark, measures)
    cases = _Cases.of(benchmark, ranking)
    sizes = benchmark.rows.groupby("size_group")["case_id"].nunique()
    return Standings(
        **vars(ranking),
        convention=convention,
        groups=benchmark.groups,
        cases=(benchmark.cases, *(int(sizes.get(group, 0)) for group in benchmark.groups)),
        scores={
            key: value for measure in measures for key, value in _scores(score_table(benchmark, measure), cases).items()
        },
        comparisons=cases.comparisons(),
        patients=len(np.unique(cases.patients)),
    )


@dataclass(frozen=True, eq=False)
class _Cases:
    """The scores of the ranked methods, case by case: measure → ``(methods, cases)``."""

    methods: tuple[str, ...]
    values: dict[Measure, NDArray[np.float64]]
    patients: NDArray[np.intp]
    groups: NDArray[np.int64]

    @classmethod
    def of(cls, benchmark: Benchmark, ranking: Ranking) -> _Cases:
        methods = ranking.ranked
        rows = benchmark.rows[benchmark.rows["method"].isin(methods) & (benchmark.rows["case_id"] != "")]
        first = rows.iloc[: benchmark.cases if methods else 0]
        return cls(
            methods=methods,
            values={measure: case_scores(benchmark, methods, measure) for measure in ranking.measures},
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
            measure.id: compare(values, self.patients, part, measure.higher_is_better)
            for (measure, values), part in zip(self.values.items(), parts, strict=True)
        }


def _scores(table: ScoreTable, cases: _Cases) -> dict[tuple[str, str], tuple[Score, ...]]:
    """Return the cells of a measure, marked column by column."""
    measure = table.measure
    places = [table.methods.index(method) for method in cases.methods]
    marks: dict[tuple[int, int], str] = {}
    tied: set[tuple[int, int]] = set()
    for column, group in enumerate(table.groups):
        means = measure.sign * table.means[places, column]
        present = np.flatnonzero(~np.isnan(means))
        if not len(present):
            continue
        # Marks follow what a reader sees: equal to the printed digits is equal.
        printed = np.round(means, measure.digits)
        levels = sorted(set(printed[present]), reverse=True)
        for index in present:
            marks[places[index], column] = {0: "best", 1: "second"}.get(levels.index(printed[index]), "")
        chosen = slice(None) if column == 0 else cases.groups == group
        values, patients = cases.values[measure][:, chosen], np.unique(cases.patients[chosen], return_inverse=True)[1]
        if decides(values, patients):
            p = paired_test(values, patients, int(np.nanargmax(means)))
            tied.update((places[index], column) for index in present if p[index] >= 1 - LEVEL)
    return {
        (method, measure.id): tuple(
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
