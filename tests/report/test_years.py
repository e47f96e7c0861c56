"""Performance over the years: what is drawn, where, and that twenty methods can be read."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import pytest
from click.testing import CliRunner
from synthetic_runs import METHODS, Synthetic, failed, write_run

from marbench.cli import main
from marbench.errors import StoreError
from marbench.report.axes import WIDTHS, log_axis, year_axis
from marbench.report.benchmark import gather
from marbench.report.findings import Findings
from marbench.report.pages import render
from marbench.report.scatter import Point, scatter
from marbench.report.year_figure import write_year_figure
from marbench.report.years import year_charts
from marbench.results.rows import Row
from marbench.results.store import open_run

YEARS = {"li": 1987, "nmar": 2010, "cnnmar": 2018, "dudonet": 2019, "dudonet[variant=F]": 2019}
LATE = Synthetic("late", 27.0)
BOARD = """
LI 1987 25.1, NMAR 2010 27.9, MDT 2011 27.2, Iterative TV 2011 28.8, FSNMAR 2012 27.5, Harmonic completion 2013 28.3,
Wavelet 2013 27.7, NMAR + CNN 2017 31.9, Metal BHC 2018 22.4, cGAN-CT 2018 30.1, RDN-CT 2018 31.2, CNNMAR 2018 29.9,
Sinogram U-Net 2018 28.6, DuDoNet 2019 33.5, DuDoNet++ 2020 34.1, Zeng TV 2022 29.6, DICDNet 2022 33.0,
ACDNet 2022 32.6, OSCNet+ 2023 33.2, InDuDoNet+ 2023 34.4,
"""
ROW = r"(\S[^,]*) (\d{4}) ([\d.]+),"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    def fail(row: Row) -> Row:
        return failed(row) if row.method == "unfinished" and row.size_group == 2 else row

    methods = (*METHODS, LATE, Synthetic("unfinished", 40.0), Synthetic("hostile", 41.0))
    cards = {method: {"year": year} for method, year in YEARS.items()}
    cards |= {"late": {"year": 2022}, "unfinished": {"year": 2020}, "hostile": {"year": 10**400}}
    cards["nmar"] |= {
        "explanation": "Divides <b> & interpolates.",
        "equation": "p′ = q·LI(p/q)\nq = P(prior)",
        "patents": "US0000000",
    }
    return write_run(tmp_path_factory.mktemp("years") / "run", methods, slices=4, change=fail, cards=cards, pictures=1)


@pytest.fixture(scope="module")
def findings(run: Path) -> Findings:
    return Findings(gather([open_run(run)])[0])


def test_every_dated_and_complete_method_stands_at_its_year_and_mean_and_of_variants_the_best(
    findings: Findings,
) -> None:
    board = findings.board
    assert board is not None
    chart = year_charts(findings, board)["wide"]
    drawn = {mark.point.label: (mark.point.at, mark.point.score) for mark in chart.marks}
    best = max(("dudonet", "dudonet[variant=F]"), key=lambda label: board.scores[label, board.measures[0].id][0].value)
    expected = {"li": 1987, "nmar": 2010, "cnnmar": 2018, best: 2019, "late": 2022}
    means = findings.benchmark.rows.groupby("method")[board.measures[0].id].mean()
    assert drawn == {
        findings.entries[label].title: (year, pytest.approx(means[label])) for label, year in expected.items()
    }
    # What came later and is no better is not on the line of what was reached.
    assert [mark.point.at for mark in chart.marks if mark.on_front] == [1987, 2010, 2018, 2019]


def test_the_page_tells_what_a_method_does_with_its_equation_and_its_picture(run: Path) -> None:
    report = render(run).parent
    page = (report / "methods.html").read_text(encoding="utf-8")
    # Listed by domain, and in each by year.
    (listed,) = re.findall(r"<dt>sinogram</dt><dd>(.*)</dd>", page)
    titles = [title for title in re.findall(r">([A-Z]+)</a>", listed) if title != "HOSTILE"]
    assert titles == ["LI", "NMAR", "CNNMAR", "UNFINISHED", "LATE"]
    section = page.split("<h2>NMAR<code>nmar</code>")[1].split("</section>")[0]
    assert "Divides &lt;b&gt; &amp; interpolates." in section
    assert re.findall(r'<p class="equation">(.*)</p>', section) == ["p′ = q·LI(p/q)", "q = P(prior)"]
    assert "<dt>Patents</dt><dd>US0000000</dd>" in section
    (picture,) = re.findall(r'<img src="([^"]+)"', section)
    assert "/method_nmar-" in picture and (report / picture).is_file()
    # The uncorrected image is its own correction.
    assert "/uncorrected.png" in page.split("<h2>NONE<code>none</code>")[1].split("</section>")[0]
    assert page.count('class="point reading-point') == 2 * 5  # for wide and for narrow windows


@pytest.mark.parametrize("width", WIDTHS.values())
@pytest.mark.parametrize("axis", [year_axis, log_axis])
def test_the_labels_of_twenty_methods_do_not_cover_each_other(axis: object, width: int) -> None:
    points = [Point(name, int(year), float(score), False, False) for name, year, score in re.findall(ROW, BOARD)]
    assert len(points) == 20
    if axis is log_axis:
        points = [replace(point, at=0.01 * 1.4 ** (number % 14)) for number, point in enumerate(points)]
    chart = scatter(points, axis, width=width)  # type: ignore[arg-type]
    assert chart is not None
    boxes = [_box(mark.text_x, mark.text_y, mark.anchor, len(mark.text)) for mark in chart.marks]
    named = [number for number, mark in enumerate(chart.marks) if mark.text]
    covered = [(a, b) for a, b in combinations(named, 2) if _overlap(boxes[a], boxes[b])]
    assert covered == []
    assert all(boxes[number][0] >= 0 and boxes[number][2] <= width for number in named)
    # Every method of the front has its name; of all, as many as there is room for.
    assert all(mark.text for mark in chart.marks if mark.on_front)
    assert len(named) >= {WIDTHS["wide"]: 19, WIDTHS["narrow"]: 13}[width]
    # A label says whose it is: its own mark is the nearest, or a line leads to that.
    for number in named:
        nearest = min(chart.marks, key=lambda mark: _distance(boxes[number], mark.x, mark.y))
        own, leader = chart.marks[number], chart.marks[number].leader
        near = _distance(boxes[number], own.x, own.y) - _distance(boxes[number], nearest.x, nearest.y)
        assert near < 4 or (leader is not None and leader[:2] == (own.x, own.y))


@pytest.mark.parametrize("higher", [True, False])
def test_the_front_begins_at_the_worse_end_of_the_scores(higher: bool) -> None:
    points = [
        Point(str(score), year, score, False, False) for year, score in ((2000, 20.0), (2010, 30.0), (2020, 10.0))
    ]
    chart = scatter(points, year_axis, higher)
    assert chart is not None
    assert chart.worse == (chart.y.start if higher else chart.y.end)
    # Up to what is better, and never back.
    heights = [float(text) for text in re.findall(r"(?:M[\d.]+ |V)([\d.]+)", chart.front)]
    assert heights == sorted(heights, reverse=higher) and heights[0] == chart.worse and len(heights) == 3


def test_wide_characters_have_the_room_that_they_take() -> None:
    (narrow,), (wide,) = (scatter([Point(name * 6, 2000, 1.0, False, False)], year_axis).marks for name in "N降")  # type: ignore[union-attr]
    assert narrow.text == "NNNNNN" and wide.text == "降降降降降降"
    (cut,) = scatter([Point("降" * 20, 2000, 1.0, False, False)], year_axis).marks  # type: ignore[union-attr]
    assert cut.text == "降" * 13 + "…"


def _box(x: float, baseline: float, anchor: str, letters: int) -> tuple[float, float, float, float]:
    left = x - {"start": 0.0, "middle": 0.5, "end": 1.0}[anchor] * 6 * letters
    return left, baseline - 9, left + 6 * letters, baseline + 2


def _distance(box: tuple[float, ...], x: float, y: float) -> float:
    return math.hypot(max(box[0] - x, 0, x - box[2]), max(box[1] - y, 0, y - box[3]))


def _overlap(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def test_the_figure_has_the_chart_of_the_page_and_the_same_bytes_twice(run: Path, tmp_path: Path) -> None:
    first = CliRunner().invoke(main, ["figure", str(run), "--years", "--out", str(tmp_path / "a.svg")])
    assert first.exit_code == 0, first.output
    svg = (tmp_path / "a.svg").read_text()
    assert write_year_figure(run, tmp_path / "b.svg").read_text() == svg
    assert all(
        f"<!-- {text} -->" in svg
        for text in ("LI", "NMAR", "CNNMAR", "LATE", "1990", "2020", "year of the paper", "mean PSNR dudonet2019, dB")
    )
    assert 'width="252pt"' in write_year_figure(run, tmp_path / "c.svg", "dudonetpp2020", "single").read_text()


def test_a_figure_over_the_years_is_refused_where_there_are_none(run: Path, tmp_path: Path) -> None:
    words = ["figure", str(run), "--out", str(tmp_path / "f.png")]
    neither, both = (CliRunner().invoke(main, [*words, *more]) for more in ([], ["--years", "--case", "c"]))
    assert (neither.exit_code, both.exit_code) == (2, 2)
    assert "--case ID" in neither.output and "no case" in both.output
    with pytest.raises(StoreError, match="dudonet2019"):
        write_year_figure(run, tmp_path / "f.png", "dudonet")
    for path in (run / "methods").glob("*.json"):
        path.write_text(json.dumps(json.loads(path.read_text()) | {"year": None}))
    with pytest.raises(StoreError, match="fewer than two years"):
        write_year_figure(run, tmp_path / "f.png")
