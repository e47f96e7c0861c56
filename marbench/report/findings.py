"""What the results of a benchmark say, worked out once for all of its pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from marbench.metrics.measure import Measure
from marbench.report.benchmark import Benchmark
from marbench.report.entries import Entry, entries
from marbench.report.explorer_cases import CaseTable, case_table
from marbench.report.gallery_choice import choose_cases
from marbench.report.gallery_store import Note, StoredCase, affordable, read_case, stored_cases
from marbench.report.standings import Standings, standings
from marbench.results.representative import difficulty

__all__ = ["Findings", "ShownCase"]


@dataclass(frozen=True, eq=False)
class ShownCase:
    """A case of the gallery: why it was chosen, if it was and not shown because there is room; and its pictures."""

    reasons: tuple[str, ...]
    stored: StoredCase


@dataclass(frozen=True, eq=False)
class Findings:
    """A benchmark with what its pages share. Each part is computed when it is first asked for, and kept.

    Attributes
    ----------
    benchmark : Benchmark
    note : callable
        Is told of pictures that cannot be used.
    published : mapping
        Method → the day on which its entry was published, on a site.
    """

    benchmark: Benchmark
    note: Note = lambda _: None
    published: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def boards(self) -> tuple[Standings, ...]:
        """The standings under every convention; the first one is the benchmark's own."""
        return tuple(standings(self.benchmark, convention) for convention in self.benchmark.conventions)

    @property
    def board(self) -> Standings | None:
        """The standings that the pages lead with; None where nothing is scored."""
        return self.boards[0] if self.boards else None

    @cached_property
    def ladders(self) -> tuple[tuple[Standings, Measure], ...]:
        """Every measure once, with the standings it is shown in: those without a convention are the same in all."""
        first: dict[Measure, Standings] = {}
        for board in self.boards:
            for measure in board.measures:
                first.setdefault(measure, board)
        return tuple((board, measure) for measure, board in first.items())

    @cached_property
    def entries(self) -> Mapping[str, Entry]:
        """All methods by label, in natural order."""
        return entries(self.benchmark)

    @property
    def methods(self) -> tuple[str, ...]:
        """All methods in the order of the leaderboard."""
        return self.board.shown if self.board else self.benchmark.methods

    def corrections(self, methods: Sequence[str]) -> list[str]:
        """Return those of some methods that correct anything: pages show the uncorrected image apart."""
        return [method for method in methods if method not in self.benchmark.uncorrected]

    @property
    def judged(self) -> tuple[str, ...]:
        """The methods whose scores tell how hard or how disputed a case is.

        Those are the ranked ones; the uncorrected image is no correction, and counts only where there is nothing else.
        """
        return self._judges[1]

    @property
    def judged_by(self) -> str:
        """Who those are: ``corrections`` that are ranked, else whatever is ``ranked``, else ``all`` methods."""
        return self._judges[0]

    @cached_property
    def _judges(self) -> tuple[str, tuple[str, ...]]:
        ranked = self.board.ranked if self.board else ()
        if corrections := self.corrections(ranked):
            return "corrections", tuple(corrections)
        return ("ranked", ranked) if ranked else ("all", self.methods)

    @cached_property
    def cases(self) -> CaseTable:
        """All cases that any method was given."""
        return case_table(self.benchmark)

    @cached_property
    def pictures(self) -> Mapping[str, tuple[Path, ...]]:
        """Case → the folders with its pictures, see `stored_cases`."""
        return stored_cases(self.benchmark, self.note)

    @cached_property
    def shown(self) -> Mapping[str, ShownCase]:
        """The cases of the gallery, in its order; those whose pictures cannot be read are left out."""
        if not self.pictures:
            return {}
        judged = None
        if self.board:
            measure = self.board.measures[0]
            rows = [self.benchmark.methods.index(method) for method in self.judged]
            judged = difficulty(self.cases.scores(measure.id)[rows], measure)
        slices = self.benchmark.spec.report.gallery_slices
        chosen = choose_cases(self.cases, judged, self.pictures.keys(), slices, affordable(self.pictures))
        read = ((case, reasons, read_case(self.pictures[case], self.note)) for case, reasons in chosen.items())
        return {case: ShownCase(reasons, stored) for case, reasons, stored in read if stored is not None}
