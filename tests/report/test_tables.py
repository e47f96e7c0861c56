"""Numbers and marks of the tables, against pandas alone and against rules stated in words."""

from __future__ import annotations

import io
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.dataset as dataset
import pytest
from rich.console import Console
from synthetic_runs import METHODS, Synthetic, failed, write_run

from marbench.cli.summary import summary_table
from marbench.metrics.measure import measure, measures_of
from marbench.report.benchmark import Benchmark, gather
from marbench.report.entries import entries
from marbench.report.pages import render
from marbench.report.rank_chart import group_comparisons
from marbench.report.standings import Standings, standings
from marbench.report.submission import Submission
from marbench.report.tables import score_table
from marbench.report.timing import timing_table
from marbench.results.rows import Row, TimingRow
from marbench.results.store import Store, open_run
from marbench.spec import load_spec


def _gather(*folders: Path) -> Benchmark:
    (benchmark,) = gather([open_run(folder) for folder in folders])
    return benchmark


def _standings(folder: Path, convention: str = "dudonet2019") -> Standings:
    return standings(_gather(folder), convention)


def test_means_equal_an_independent_recomputation_from_the_parquet(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", slices=5)
    frame = dataset.dataset(run / "results", format="parquet").to_table().to_pandas()
    table = score_table(_gather(run), measure("psnr[dudonetpp2020]"))
    column = "psnr[dudonetpp2020]"
    expected = frame.pivot_table(index="method", columns="size_group", values=column, aggfunc="mean")
    expected.insert(0, 0, frame.groupby("method")[column].mean())
    np.testing.assert_allclose(table.means, expected.loc[list(table.methods)].to_numpy())
    assert table.counts[:, 0].tolist() == [50] * 6
    assert table.counts[:, 1:].tolist() == [[10] * 5] * 6


def test_best_is_marked_and_second_too_by_the_printed_digits(tmp_path: Path) -> None:
    def set_psnr(row: Row) -> Row:
        value = {"a": 30.001, "b": 29.999, "c": 28.0, "d": 20.0}[row.method]
        return replace(row, scores={**row.scores, "psnr[dudonet2019]": value})

    methods = [Synthetic(name, 30) for name in "abcd"]
    board = _standings(write_run(tmp_path / "run", methods, slices=2, change=set_psnr))
    marks = [board.scores[name, "psnr[dudonet2019]"][0].mark for name in "abcd"]
    assert marks == ["best", "best", "second", ""]


def test_lower_rmse_is_better(tmp_path: Path) -> None:
    board = _standings(write_run(tmp_path / "run", slices=2))
    means = {method: board.scores[method, "rmse_hu"][0].value for method in board.ranked}
    best = min(means, key=lambda method: means[method])
    assert board.scores[best, "rmse_hu"][0].mark == "best"


def test_a_method_with_a_failure_is_not_ranked_nor_marked(tmp_path: Path) -> None:
    def fail_once(row: Row) -> Row:
        return failed(row) if row.method == "dudonet" and row.case_id.endswith("s00001_m03") else row

    board = _standings(write_run(tmp_path / "run", slices=3, change=fail_once))
    assert board.unranked == ("dudonet",)
    assert board.rank("dudonet") is None
    assert board.ranked[0] == "dudonet[variant=F]"
    assert board.coverage["dudonet"].failures == (("error", 1),)
    assert all(score.mark == "" and not score.tied for score in board.scores["dudonet", "psnr[dudonet2019]"])


def test_missing_cases_and_missing_scores_count_against_a_method(tmp_path: Path) -> None:
    def change(row: Row) -> Row | None:
        if row.method == "li" and row.case_id.startswith("p001"):
            return None
        if row.method == "nmar" and row.case_id.startswith("p000"):
            return replace(row, scores={**row.scores, "ssim[dudonet2019]": float("nan")})
        return row

    run = write_run(tmp_path / "run", slices=2, change=change)
    board = _standings(run)
    assert board.coverage["li"].failures == (("not run", 10),)
    assert board.coverage["nmar"].failures == (("no score", 10),)
    assert set(board.unranked) == {"li", "nmar"}
    # The other convention has all of its scores.
    assert _standings(run, "dudonetpp2020").unranked == ("li",)


def test_a_method_that_failed_everywhere_has_no_mean(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", slices=2, change=lambda row: failed(row, "oom") if row.method == "li" else row)
    board = _standings(run)
    assert np.isnan(board.scores["li", "rmse_hu"][0].value)
    assert board.coverage["li"].good == 0
    assert board.unranked == ("li",)


def test_with_too_few_patients_no_method_is_called_tied_nor_behind(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", slices=2, patients=2)
    board = _standings(run)
    assert not board.decides and not any(each.spreads for each in board.comparisons.values())
    assert not any(score.tied for scores in board.scores.values() for score in scores)
    assert board.ranked[-1] == "none"
    html = (render(run).parent / "index.html").read_text()
    assert "2 patients: too few to tell 6 methods apart." in html
    assert "not significantly different" not in html and "interval of the rank" not in html
    table = (render(run).parent / "statistics.html").read_text()
    assert "too few to tell" in table
    assert not re.search(r"<td[^>]*>(behind|tied)", table)


def test_six_patients_tell_two_methods_apart_but_not_six(tmp_path: Path) -> None:
    two = _standings(write_run(tmp_path / "two", [METHODS[1], METHODS[4]], slices=6))
    six = _standings(write_run(tmp_path / "six", METHODS, slices=6))
    assert two.patients == six.patients == 6
    assert two.decides and not six.decides
    assert not two.scores["li", "psnr[dudonet2019]"][0].tied


def test_the_board_and_the_statistics_call_the_same_methods_tied(tmp_path: Path) -> None:
    board = _standings(write_run(tmp_path / "run"))
    for each in board.measures:
        comparison = board.comparisons[each.id]
        for index, method in enumerate(board.ranked):
            if index != comparison.best and board.scores[method, each.id][0].mark != "best":
                assert board.scores[method, each.id][0].tied == comparison.tied[index]
    assert [board.rank(method) for method in board.ranked] == sorted(
        board.comparisons[board.measures[0].id].rank.tolist()
    )


def test_the_terminal_ranks_as_the_page(tmp_path: Path) -> None:
    def change(row: Row) -> Row:
        # The best method fails on the two hardest cases: its mean over the others would be the highest of all.
        if row.method == "dudonet" and row.metal_id == "m00" and row.slice_id in ("s00000", "s00001"):
            return failed(row, message="boom [bold]")
        return row

    run = write_run(tmp_path / "run", METHODS[:5], slices=2, patients=2, change=change)
    board, rows = _standings(run), open_run(run).rows
    console = Console(width=160, record=True, file=io.StringIO())
    console.print(summary_table(rows, load_spec("mini"), open_run(run).cards, console.width))
    text = console.export_text()
    first = [line.split("│") for line in text.splitlines() if line.count("│") == 9 and line.split("│")[1].strip()]
    assert [(cells[1].strip(), cells[2].strip()) for cells in first] == [
        *((str(board.rank(method)), method.upper()) for method in board.ranked),
        ("–", "DUDONET"),
    ]
    # What one types stands below a title that is another.
    assert re.search(r"│ +│ nmar ", text)
    assert "DUDONET is not ranked: 2 error: ValueError: boom [bold]" in text
    assert "18/20 ok" in text
    assert "2 patients: too few to tell 4 methods apart." in text


def test_a_case_that_could_not_be_made_is_no_methods_fault(tmp_path: Path) -> None:
    def change(row: Row) -> Row | None:
        if row.slice_id != "s00001":
            return row
        return replace(failed(row, message="torn file"), method="", method_hash="") if row.method == "li" else None

    benchmark = _gather(write_run(tmp_path / "run", METHODS[:3], slices=3, change=change))
    assert benchmark.methods == ("li", "nmar", "none")
    assert benchmark.cases == 20
    assert set(standings(benchmark, "dudonet2019").ranked) == {"li", "nmar", "none"}
    (problem,) = benchmark.problems
    assert problem.startswith("10 cases could not be made") and "torn file" in problem


def test_a_group_without_cases_has_no_mean_and_no_mark(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", slices=2, change=lambda row: row if row.size_group != 3 else None)
    board = _standings(run)
    score = board.scores["dudonet", "psnr[dudonet2019]"][3]
    assert np.isnan(score.value)
    assert (score.cases, score.mark, score.tied) == (0, "", False)


def test_near_twins_are_tied_and_a_distant_method_is_not(tmp_path: Path) -> None:
    board = _standings(write_run(tmp_path / "run"))
    first, second, third = board.ranked[:3]
    assert {first, second} == {"dudonet", "dudonet[variant=F]"}
    assert board.scores[second, "psnr[dudonet2019]"][0].tied
    assert not board.scores[third, "psnr[dudonet2019]"][0].tied
    assert tuple(board.comparisons["psnr[dudonet2019]"].rank_interval[2]) == (3, 3)


@pytest.mark.parametrize(("column", "value"), [("spec_hash", "f" * 64), ("protocol", 99)])
def test_rows_of_another_spec_or_protocol_are_refused_by_name(tmp_path: Path, column: str, value: object) -> None:
    def foreign(row: Row) -> Row:
        return replace(row, **{column: value}) if row.method == "li" else row  # type: ignore[arg-type]

    benchmark = _gather(write_run(tmp_path / "run", slices=1, change=foreign))
    assert "li" not in benchmark.methods and len(benchmark.methods) == 5
    (problem,) = benchmark.problems
    assert "10 of 60 rows" in problem and "are refused" in problem and str(value)[:12] in problem


def test_rows_computed_on_other_data_than_most_are_refused_by_name(tmp_path: Path) -> None:
    """Within a run, and between runs that share a table; rounding does not count."""

    def digest(row: Row) -> Row:
        other = row.method == "nmar" and row.size_group == 1
        return replace(row, case_digest=("0000000a" if not other else "00000fff") + "00000007" * 5)

    def rounded(row: Row) -> Row:
        return replace(row, case_digest="0000000b" + "00000006" * 5)

    one = write_run(tmp_path / "one", slices=1, change=digest)
    benchmark = _gather(one)
    assert (benchmark.rows["method"] == "nmar").sum() == 8
    (problem,) = benchmark.problems
    assert "2 rows of nmar are refused: they were computed on other data" in problem
    more = write_run(tmp_path / "more", [Synthetic("new", 30)], slices=1, change=rounded)
    both = _gather(one, more)
    assert (both.rows["method"] == "new").sum() == 10
    foreign = write_run(
        tmp_path / "foreign",
        [Synthetic("new", 30)],
        slices=1,
        change=lambda row: replace(row, case_digest="0000ffff" * 6),
    )
    both = _gather(one, foreign)
    assert "new" not in both.methods
    assert any("10 rows of new are refused" in text for text in both.problems)


def test_runs_of_two_benchmarks_never_share_a_table(tmp_path: Path) -> None:
    runs = [write_run(tmp_path / name, METHODS[:2], spec=name, slices=1) for name in ("mini", "dudonet2019")]
    found = gather([open_run(run) for run in runs])
    assert [benchmark.spec.name for benchmark in found] == ["mini", "dudonet2019"]
    assert [set(benchmark.rows["spec_hash"]) for benchmark in found] == [
        {load_spec(name).hash} for name in ("mini", "dudonet2019")
    ]


def test_the_newest_valid_entry_of_a_method_counts(tmp_path: Path) -> None:
    old = write_run(tmp_path / "old", [Synthetic("li", 20, version="aaaa")], slices=2)
    new = write_run(tmp_path / "new", [Synthetic("li", 30, version="bbbb")], slices=2)
    broken = write_run(
        tmp_path / "broken",
        [Synthetic("li", 40, version="cccc")],
        slices=2,
        change=lambda row: failed(row) if row.size_group == 1 else row,
    )
    benchmark = _gather(old, new, broken)
    assert set(benchmark.rows["method_hash"]) == {"bbbb"}
    assert set(benchmark.timings["method_hash"]) == {"bbbb"}
    assert len(benchmark.replaced) == 2


def test_results_have_the_days_on_which_they_were_stored_and_none_once_they_were_sent_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"

    def store(moment: str, slice_id: str) -> None:
        at = pd.Timestamp(moment).value
        monkeypatch.setattr(time, "time_ns", lambda: at)
        write_run(run, METHODS[:2], slices=2, change=lambda row: row if row.slice_id == slice_id else None)

    store("2026-01-02T23:59:59", "s00000")
    store("2026-01-04T00:00:01", "s00001")
    monkeypatch.undo()
    benchmark = _gather(run)
    assert benchmark.days("method") == dict.fromkeys(("li", "none"), ("2026-01-02", "2026-01-04"))
    days = benchmark.days("case_id")
    assert {days[case] for case in days if "-s00000_" in case} == {("2026-01-02", "2026-01-02")}
    assert len(days) == 20
    Submission.of(run).write(tmp_path / "sent", print)
    assert _gather(tmp_path / "sent").days("method") == {}


def test_of_a_machine_what_was_measured_last_counts_and_every_case_as_much(tmp_path: Path) -> None:
    run = write_run(tmp_path, [Synthetic("li", 30)], slices=1)
    timed = TimingRow(**_gather(run).timings.iloc[0])
    # As with a newer kernel; of a slow case there are fewer calls.
    again = [
        replace(timed, host_id="newer", case_id=f"c{seconds}", repeat=repeat, seconds=seconds, parameters=None)
        for seconds, calls in ((9.0, 1), (5.5, 2), (3.0, 5))
        for repeat in range(calls)
    ]
    Store(run, load_spec("mini")).add_timings(again)
    benchmark = _gather(run)
    (row,) = timing_table(benchmark).to_dict("records")
    assert (row["median"], row["lower"], row["upper"], row["calls"]) == (5.5, 4.25, 7.25, 8)
    assert entries(benchmark)["li"].seconds == 5.5
    # The same machine in two runs that are shown together: the one named last.
    other = write_run(tmp_path / "other", [Synthetic("li", 30, seconds=4.0)], slices=1)
    assert entries(_gather(other, write_run(tmp_path / "last", [Synthetic("li", 30)], slices=1)))["li"].seconds < 1


def test_shards_of_one_version_are_one_entry(tmp_path: Path) -> None:
    parts = [
        write_run(
            tmp_path / f"shard{shard}",
            [Synthetic("li", 25)],
            slices=4,
            change=lambda row, shard=shard: row if int(row.slice_id[1:]) % 2 == shard else None,  # type: ignore[misc]
        )
        for shard in (0, 1)
    ]
    board = standings(_gather(*parts), "dudonet2019")
    assert board.ranked == ("li",)
    assert board.coverage["li"].good == 40


def test_the_order_of_parts_on_disk_does_not_matter(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", slices=2)
    before = _gather(run).rows
    for number, path in enumerate(sorted((run / "results").glob("*.parquet"))):
        path.rename(path.with_name(f"{9 - number}.parquet"))
    pd.testing.assert_frame_equal(before, _gather(run).rows)


def test_a_measure_that_few_patients_have_calls_nobody_tied(tmp_path: Path) -> None:
    def change(row: Row) -> Row:
        score = row.scores["psnr[dudonet2019]"] if row.patient_id in ("p000", "p001") else np.nan
        return replace(
            row,
            scores={
                **row.scores,
                **dict.fromkeys((each.id for each in measures_of("hallucination") if each.convention), score),
            },
        )

    methods = [Synthetic("a", 35), Synthetic("b", 30), Synthetic("c", 25)]
    run = write_run(tmp_path / "run", methods, slices=12, change=change)
    board = standings(_gather(run), "hallucination")
    assert board.patients == 12
    assert not any(score.tied for key, scores in board.scores.items() if "hallucination" in key[1] for score in scores)
    page = (render(run).parent / "statistics.html").read_text()
    sections = {
        name: text for name, _, text in (part.partition('"') for part in page.split('aria-label="Statistics of '))
    }
    few = [text for name, text in sections.items() if name.endswith("[hallucination]")]
    assert few and all(" of 2</td>" in text and not re.search(r"<td[^>]*>(behind|tied)", text) for text in few)
    assert page.count("Only 2 patients have a number: too few to tell 3 methods apart.") == len(few)
    assert " of 12</td>" in sections["psnr[dudonet2019]"] and "behind" in sections["psnr[dudonet2019]"]


def test_a_measure_that_six_of_twenty_patients_have_has_intervals_of_those(tmp_path: Path) -> None:
    clinical = [each for each in measures_of("clinical") if each.convention]

    def change(row: Row) -> Row:
        scores = {each.id: each.sign * row.scores["psnr[dudonet2019]"] for each in clinical}
        if row.patient_id > "p005":
            scores["noise[clinical]"] = np.nan
        return replace(row, scores={**row.scores, **scores})

    methods = [Synthetic("a", 35), Synthetic("b", 30), Synthetic("c", 25)]
    page = render(write_run(tmp_path / "run", methods, slices=20, patients=20, change=change)).parent
    html = (page / "statistics.html").read_text()
    ladder = html.split('aria-label="Statistics of noise[clinical]"')[1].split("</table>")[0]
    assert " of 6</td>" in ladder and "– to –" not in ladder
    assert ladder.count('class="whisker"') == 2 and '"nan"' not in ladder


def test_one_method_alone_does_not_say_that_a_slice_has_a_place_for_a_region(tmp_path: Path) -> None:
    clinical = [each for each in measures_of("clinical") if each.convention]

    def change(row: Row) -> Row:
        scores = {each.id: 5.0 for each in clinical}
        if row.slice_id == "s00001" and row.method != "c":
            scores["noise[clinical]"] = np.nan
        return replace(row, scores={**row.scores, **scores})

    methods = [Synthetic(name, 30) for name in "abc"]
    board = standings(_gather(write_run(tmp_path / "run", methods, slices=3, change=change)), "clinical")
    assert board.unranked == ()
    assert {board.scores[name, "noise[clinical]"][0].cases for name in "abc"} == {20}


def test_the_most_complete_of_incomplete_entries_is_shown_under_its_own_card(tmp_path: Path) -> None:
    def without(*cases: str) -> Callable[[Row], Row]:
        return lambda row: failed(row) if row.method == "x" and row.case_id.endswith(cases) else row

    old, new = Synthetic("x", 30, version="a" * 16), Synthetic("x", 40, version="b" * 16)
    first = write_run(tmp_path / "a", [METHODS[1], old], slices=2, change=without("s00001_m03"))
    card = {"x": {"title": "Other", "role": "uncorrected"}}
    second = write_run(tmp_path / "b", [new], slices=2, change=without("m03", "m04"), cards=card)
    benchmark = _gather(first, second)
    assert benchmark.versions["x"] == "a" * 16 and benchmark.cards["x"]["title"] == "X"
    assert benchmark.uncorrected == frozenset()


def test_what_is_reported_takes_the_place_of_nothing_that_was_run_here(tmp_path: Path) -> None:
    def reported(row: Row) -> Row:
        return replace(row, evidence="reported", scores=dict.fromkeys(row.scores, 1.0))

    one = [Synthetic("x", 30, version="a" * 16)]
    here = write_run(tmp_path / "a", one, slices=2)
    sent = write_run(tmp_path / "b", one, slices=3, change=reported, cards={"x": {"title": "Better than all"}})
    benchmark = _gather(here, sent)
    assert benchmark.rows.groupby("evidence").size().to_dict() == {"run here": 20}
    assert benchmark.rows["rmse_hu"].gt(1).all()
    assert benchmark.cards["x"]["title"] == "X"
    assert _gather(sent).cases == 30  # where nothing was run here, nothing is to be protected


def _sent(folder: Path, labels: str, change: Callable[[Row], Row | None], slices: int = 2, **options: object) -> Path:
    """Write a run of which only somebody says how it went."""

    def reported(row: Row) -> Row | None:
        changed = change(row)
        return changed and replace(changed, evidence="reported")

    methods = [Synthetic(label, 40, version=label * 16) for label in labels]
    return write_run(folder, methods, slices=slices, change=reported, **options)  # type: ignore[arg-type]


def test_however_many_rows_are_reported_they_do_not_decide_which_data_a_case_has(tmp_path: Path) -> None:
    def digest(row: Row, digits: str) -> Row:
        return replace(row, case_digest=digits * 6)

    own = [Synthetic("x", 30), Synthetic("y", 31)]
    here = write_run(tmp_path / "a", own, slices=2, change=lambda row: digest(row, "0000000a"))
    sent = _sent(tmp_path / "b", "pqr", lambda row: digest(row, "0000fffa"))
    benchmark = _gather(here, sent)
    assert benchmark.methods == ("x", "y") and standings(benchmark, "dudonet2019").unranked == ()
    assert any("20 rows of p are refused: they were computed on other data" in text for text in benchmark.problems)


def test_a_reported_case_that_nobody_has_leaves_no_method_incomplete(tmp_path: Path) -> None:
    def invented(row: Row) -> Row:
        return replace(row, case_id="an-easier-case") if row.case_index == 5 else row

    here = write_run(tmp_path / "a", [Synthetic("x", 30), Synthetic("y", 31)], slices=2)
    benchmark = _gather(here, _sent(tmp_path / "b", "p", invented))
    board = standings(benchmark, "dudonet2019")
    assert benchmark.cases == 20 and set(board.ranked) == {"x", "y"} and board.unranked == ("p",)
    (problem,) = benchmark.problems
    assert problem.startswith("1 row of p, only reported, left out: of cases that nothing was run on or scored on here")
    rows = pd.concat([open_run(tmp_path / name).rows for name in "ab"])
    assert Benchmark.of_rows(benchmark.spec, rows, {}).cases == 20  # in the terminal, too


def test_a_reported_entry_of_another_version_displaces_nothing_that_was_run_here(tmp_path: Path) -> None:
    here = write_run(tmp_path / "a", [Synthetic("x", 30, version="a" * 16)], slices=2)
    sent = _sent(tmp_path / "b", "x", lambda row: row)
    assert _gather(here, sent).versions == _gather(sent, here).versions == {"x": "a" * 16}


@pytest.mark.parametrize("named_last", ["here", "sent"])
def test_a_version_that_could_not_run_here_displaces_no_reported_one(tmp_path: Path, named_last: str) -> None:
    one = [METHODS[1], Synthetic("x", 30, version="a" * 16)]
    here = write_run(
        tmp_path / "a", one, slices=2, change=lambda row: failed(row, "unavailable") if row.method == "x" else row
    )
    sent = _sent(tmp_path / "b", "x", lambda row: failed(row) if row.case_index == 3 else row)
    benchmark = _gather(*([sent, here] if named_last == "here" else [here, sent]))
    assert benchmark.versions["x"] == "x" * 16 and benchmark.cards["x"]["title"] == "X"
    assert standings(benchmark, "dudonet2019").coverage["x"].good == 19


def test_what_is_reported_of_a_case_gives_way_to_what_is_known_of_it(tmp_path: Path) -> None:
    def forged(row: Row) -> Row:
        return replace(row, patient_id="p999", size_group=1, metal_area_mm2=9e3, materials="cheese")

    here = write_run(tmp_path / "a", [Synthetic("x", 30)], slices=2)
    known, rows = _gather(here).rows, _gather(here, _sent(tmp_path / "b", "a", forged)).rows
    for name in ("patient_id", "size_group", "metal_area_mm2", "materials", "metal_area_px"):
        assert rows.loc[rows["method"] == "a", name].tolist() == known[name].tolist()


def test_patients_whom_another_salt_names_are_counted_once(tmp_path: Path) -> None:
    def renamed(row: Row) -> Row:
        return replace(row, patient_id=f"again-{row.patient_id}")

    def few(row: Row) -> Row | None:
        return row if row.case_index < 30 else None

    one = write_run(tmp_path / "a", [Synthetic("x", 30)], slices=6, patients=2, change=few)
    other = write_run(tmp_path / "b", [Synthetic("y", 31)], slices=6, patients=2, change=renamed)
    assert _gather(one, other).patients == _gather(other, one).patients == 2


def test_reported_rows_do_not_decide_where_a_slice_has_a_place_for_a_region(tmp_path: Path) -> None:
    clinical = [each.id for each in measures_of("clinical") if each.convention]

    def scored(row: Row, noise: float = 5.0) -> Row:
        return replace(row, scores={**row.scores, **dict.fromkeys(clinical, 5.0), "noise[clinical]": noise})

    here = write_run(tmp_path / "a", [Synthetic("x", 30), Synthetic("y", 31)], slices=2, change=scored)
    benchmark = _gather(here, _sent(tmp_path / "b", "pqr", lambda row: scored(row, np.nan)))
    board = standings(benchmark, "clinical")
    assert set(board.ranked) == {"x", "y"} and board.scores["x", "noise[clinical]"][0].cases == 20


def test_a_slice_without_a_place_for_a_region_costs_no_method_its_rank(tmp_path: Path) -> None:
    clinical = [each for each in measures_of("clinical") if each.convention]

    def add_clinical(row: Row) -> Row:
        scores = {each.id: each.sign * row.scores["psnr[dudonet2019]"] for each in clinical}
        if row.slice_id == "s00001" or (row.method == "b" and row.slice_id == "s00002"):
            scores["noise[clinical]"] = np.nan
        return replace(row, scores={**row.scores, **scores})

    methods = [Synthetic(name, 30) for name in "abc"]
    benchmark = _gather(write_run(tmp_path / "run", methods, slices=12, change=add_clinical))
    assert benchmark.conventions == ("dudonet2019", "dudonetpp2020", "clinical")
    board = standings(benchmark, "clinical")
    assert set(board.ranked) == {"a", "c"} and board.unranked == ("b",)
    assert dict(board.coverage["b"].failures) == {"no score": 10}
    of_a = benchmark.rows[(benchmark.rows["method"] == "a") & (benchmark.rows["slice_id"] != "s00001")]
    shown = board.scores["a", "noise[clinical]"][0]
    assert (shown.value, shown.cases) == (pytest.approx(of_a["noise[clinical]"].mean()), 110)
    assert board.cases == (120, 24, 24, 24, 24, 24)
    assert np.isfinite(board.comparisons["noise[clinical]"].mean_interval).all()
    # Eleven numbers in a cell could not be told apart: the first has it to itself, the others have their columns.
    assert [each.id for each in board.views["both"]] == ["ct_number[clinical]"]
    assert [each.id for each in board.apart] == [each.id for each in clinical[1:]] + ["rmse_hu"]
    assert [each.id for each in standings(benchmark, "dudonet2019").apart] == ["rmse_hu"]
    page = render(tmp_path / "run").read_text(encoding="utf-8")
    assert re.search(r'<th[^>]*class="apart"[^>]*>Streak amplitude<small>HU</small>', page)
    # A mean over fewer cases than its column has says so.
    row = page.split('data-convention="clinical"')[1].split('data-method="a"')[1].split("</tr>")[0]
    noise = re.findall(r'data-measure="noise" data-value="[^"]*">([^<]*)(?:<br><small>([^<]*)</small>)?</span>', row)
    # Five groups of two metals, one of twelve slices without the region; then all cases, and the measure's own column.
    assert [told for _, told in noise] == [*["22 cases"] * 5, "110 cases", "110 cases"]
    assert "cases</small>" not in re.search(r'data-measure="streak.*?</span>', row)[0]  # type: ignore[index]


def test_a_measure_without_a_number_ranks_nobody(tmp_path: Path) -> None:
    clinical = [each for each in measures_of("clinical") if each.convention]
    first = clinical[0].id

    def scored(row: Row, groups: Sequence[int]) -> Row:
        scores = {each.id: each.sign * row.scores["psnr[dudonet2019]"] for each in clinical} | {
            "noise[clinical]": np.nan
        }
        return replace(row, scores=row.scores | scores | ({first: np.nan} if row.size_group in groups else {}))

    methods = [Synthetic("a", 35), Synthetic("b", 30)]
    some = write_run(tmp_path / "some", methods, slices=7, patients=7, change=lambda row: scored(row, (1,)))
    board = standings(_gather(some), "clinical")
    assert [board.rank(method) for method in ("a", "b")] == [1, 2]
    assert sorted(group_comparisons(_gather(some), board)) == [2, 3, 4, 5]
    sections = (render(some).parent / "statistics.html").read_text().split("<section")
    (noise,) = [text for text in sections if "Noise" in text]
    assert "No case has a number." in noise and "<b>first</b>" not in noise

    none = write_run(tmp_path / "none", methods, slices=1, change=lambda row: scored(row, range(6)))
    board = standings(_gather(none), "clinical")
    assert set(board.ranked) == {"a", "b"} and [board.rank(method) for method in board.ranked] == [None, None]
    assert group_comparisons(_gather(none), board) == {}
    table = (render(none).parent / "index.html").read_text().split('data-convention="clinical"')[1].split("</table>")[0]
    assert re.findall(r'<span class="place">(.*?)</span>', table) == ["–", "–"] and "unranked" not in table
