"""Who is ranked, in which place, and who is not: the one decision that the pages and the terminal share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from marbench.metrics.measure import Measure
from marbench.report.benchmark import Benchmark
from marbench.report.stats import case_means, ranks
from marbench.report.tables import Coverage, case_scores, coverage

__all__ = ["Ranking", "rank_methods"]

_IN_A_CELL = 2
"""Numbers that can be told apart without a name."""


@dataclass(frozen=True, eq=False)
class Ranking:
    """The order of the methods under one convention.

    Attributes
    ----------
    measures : tuple of Measure
        The first one ranks.
    ranked : tuple of str
        Complete methods, the best mean over all cases first.
    places : mapping
        Ranked method → place, 1 for the best; equal means share one. None has a place without a mean, as where no case
        has a number.
    unranked : tuple of str
        Methods with failures, missing cases or missing scores, the most complete first: their means are over other
        cases, and cannot be compared.
    coverage : mapping
        Method → `Coverage`, which tells why it is not ranked.
    """

    measures: tuple[Measure, ...]
    ranked: tuple[str, ...]
    places: Mapping[str, int]
    unranked: tuple[str, ...]
    coverage: Mapping[str, Coverage]

    @property
    def together(self) -> tuple[Measure, ...]:
        """What one cell of a table holds: the measures of the convention, of many the one that ranks."""
        own = tuple(measure for measure in self.measures if measure.convention)
        return own if len(own) <= _IN_A_CELL else own[:1]

    @property
    def shown(self) -> tuple[str, ...]:
        """All methods in the order of a table."""
        return (*self.ranked, *self.unranked)


def rank_methods(benchmark: Benchmark, measures: Sequence[Measure]) -> Ranking:
    """Rank the methods of a benchmark by the first of some measures; a ranked method has numbers of all of them."""
    covered = coverage(benchmark, measures)
    complete = [method for method in benchmark.methods if covered[method].complete]
    unranked = [method for method in benchmark.methods if not covered[method].complete]
    means = case_means(case_scores(benchmark, complete, measures[0]))
    places = ranks(measures[0].sign * means)
    order = np.argsort(places, kind="stable")
    return Ranking(
        measures=tuple(measures),
        ranked=tuple(complete[index] for index in order),
        places={complete[index]: int(places[index]) for index in order if not np.isnan(means[index])},
        unranked=tuple(sorted(unranked, key=lambda method: -covered[method].good)),
        coverage=covered,
    )
