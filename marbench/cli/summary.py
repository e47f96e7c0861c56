"""What a run says at its end: mean scores by method and size group, and where the time went."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    import pandas as pd

    from marbench.bench.run import RunSummary
    from marbench.metrics.measure import Measure
    from marbench.report.benchmark import Benchmark
    from marbench.report.ranking import Ranking
    from marbench.spec import Spec

# A title is broken where it has to be, but not into syllables. Beside a column stand two blanks and a line.
_NAME, _BESIDE = 12, 3

__all__ = ["summary_table", "time_line", "timings_for_print"]


def summary_table(rows: pd.DataFrame, spec: Spec, cards: Mapping[str, Mapping[str, Any]], width: int) -> Table:
    """Return mean scores of the first convention, by method and metal-size group, ranked as on the page.

    Methods are called by the titles on their cards, with what one types below where that is another name. Those with
    failures or missing cases stand below without a rank, with the count of their cases, and the reason below the table:
    their means are over other cases. Where a terminal of this width has no room for the groups, means are over all of
    them alone.
    """
    from marbench.metrics.measure import measures_of
    from marbench.report.benchmark import Benchmark
    from marbench.report.entries import entries
    from marbench.report.ranking import rank_methods

    convention = spec.metrics.conventions[0]
    benchmark = Benchmark.of_rows(spec, rows, cards)
    names = {label: entry.title for label, entry in entries(benchmark).items()}
    # The page ranks whoever has every number of the table, those that need no convention included.
    ranking = rank_methods(benchmark, measures_of(convention))
    shown = ranking.together
    titles = " above ".join(measure.caption for measure in shown)
    good = benchmark.rows[benchmark.rows["status"] == "ok"]
    listed = [method for method in ranking.shown if ranking.coverage[method].good]
    scored = [good[good["method"] == method] for method in listed]
    places = [str(ranking.places.get(method, "–")) for method in listed]
    overall = {"all": [_cell(own, shown) for own in scored]}
    by_group = {
        str(group): [_cell(own[own["size_group"] == group], shown) for own in scored] for group in benchmark.groups
    }
    is_wide = _least_width({"#": places} | by_group | overall) <= width
    means = by_group | overall if is_wide else overall
    scope = "by metal-size group, 1 the largest" if is_wide else "all metal sizes; a wider terminal shows their groups"
    table = Table(
        title=f"{escape(spec.title)}: {titles}, {escape(convention)}, {scope}",
        caption="\n".join(_remarks(benchmark, ranking, names)),
        caption_justify="left",
    )
    # On a narrow terminal names take more lines; numbers are never cut.
    table.add_column("#", justify="right", no_wrap=True)
    table.add_column("method", overflow="fold", min_width=_NAME)
    for heading in means:
        table.add_column(heading, justify="right", no_wrap=True)
    for method, place, *cells in zip(listed, places, *means.values(), strict=True):
        if method == next(iter(ranking.unranked), None):
            table.add_section()
        cover = ranking.coverage[method]
        covered = f"\n[dim]{cover.good}/{cover.total} ok[/dim]" if cover.good < cover.total else ""
        table.add_row(place, _name(method, names) + covered, *cells)
    return table


def time_line(finished: RunSummary) -> str:
    """Return where the time went, in one line."""
    spent = finished.stopwatch.spent
    parts = ", ".join(
        f"{what} {spent[what]:.1f} s" for what in ("simulation", "methods", "scoring", "storing", "timing")
    )
    shared = f" (over {finished.workers} workers)" if finished.workers > 1 else ""
    return f"{finished.new} new results in {finished.stopwatch.total:.1f} s: {parts}{shared}"


def timings_for_print(timings: pd.DataFrame, titles: Mapping[str, str]) -> Table:
    """Return the median and the quartiles of the cases' seconds, by method (label → title) and hardware."""
    from marbench.report.benchmark import case_seconds

    table = Table(title="Milliseconds per case; the middle half of the cases in brackets")
    # On a narrow terminal names take more lines; numbers are never cut.
    for column in ("method", "device", "hardware"):
        table.add_column(column, overflow="fold")
    for column in ("threads", "median", "peak MB", "parameters"):
        table.add_column(column, justify="right", no_wrap=True)
    by = ["method", "device", "device_name", "threads", "host_id"]
    cases = case_seconds(timings, by)
    for group, rows in timings.groupby(by):
        method, device, hardware, threads, _ = map(str, group)
        low, median, high = 1000 * cases.get_group(group).quantile([0.25, 0.5, 0.75])
        table.add_row(
            _name(method, titles),
            device,
            escape(hardware),
            threads,
            f"{median:.1f} [{low:.1f}, {high:.1f}]",
            _whole(rows["peak_mb"].max()),
            _whole(rows["parameters"].max()),
        )
    return table


def _whole(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.0f}"


def _least_width(columns: Mapping[str, Sequence[str]]) -> int:
    """Return the width that a table needs for columns of numbers, heading → cells, and one of names."""
    lines = [[heading, *"\n".join(cells).split("\n")] for heading, cells in columns.items()]
    return 1 + sum(_BESIDE + width for width in (_NAME, *(max(map(len, each)) for each in lines)))


def _name(method: str, titles: Mapping[str, str]) -> str:
    """Return a method's title, and below it what one types, where that is not the same."""
    title = titles.get(method, method)
    return escape(title) if title == method else f"{escape(title)}\n[dim]{escape(method)}[/dim]"


def _remarks(benchmark: Benchmark, ranking: Ranking, titles: Mapping[str, str]) -> Iterator[str]:
    """Yield why methods are not ranked, and that ranks are worth little where the patients are too few for any test."""
    from marbench.machine.text import counted
    from marbench.report.failures import reasons
    from marbench.report.stats import can_differ, comparisons

    for method, reason in reasons(benchmark, ranking).items():
        if ranking.coverage[method].good:
            yield escape(f"{titles[method]} is not ranked: {reason}")
    without = [titles[method] for method in ranking.shown if not ranking.coverage[method].good]
    if without:
        yield escape(f"Without any result: {', '.join(without)}. The page tells why.")
    patients, methods = benchmark.patients, len(ranking.ranked)
    if methods > 1 and not can_differ(patients, comparisons(methods)):
        yield f"{counted(patients, 'patient')}: too few to tell {methods} methods apart."


def _cell(rows: pd.DataFrame, measures: Sequence[Measure]) -> str:
    from marbench.report.formats import number

    return "\n".join(number(rows[measure.id].mean(), measure.digits) for measure in measures) if len(rows) else "–"
