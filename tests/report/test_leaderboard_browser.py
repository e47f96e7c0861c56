"""The leaderboard in a real browser, opened from disk without network."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.dataset as dataset
import pytest
from browser import Browser, until
from synthetic_runs import HOSTILE, METHODS, Synthetic, write_run

from marbench.report.pages import render
from marbench.results.rows import Row

_RESTORE = """for (const part of document.querySelectorAll("details")) part.open = false;
document.querySelector("#tools [type=reset]").click();
scrollTo(0, 0);
setTimeout(arguments[0]);"""


@pytest.fixture
def report(hostile_report: Path) -> Path:
    return hostile_report


@pytest.fixture
def board(browser: Browser, report: Path) -> Any:
    """The leaderboard with nothing chosen, and after the test not a word of complaint."""
    if browser.shows(report / "index.html"):
        browser.driver.execute_async_script(_RESTORE)
    else:
        browser.open(report / "index.html")
    yield browser.driver
    assert browser.complaints(report) == []


_DOMAINS = ("sinogram", "image")


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The leaderboard of twenty methods, two of which have variants, over many kinds of cases."""
    labels = ["nmar", "nmar[n=1]", "zeng", "zeng[n=1]", "zeng[n=2]", *(f"m{number}" for number in range(15))]
    methods = [
        Synthetic(
            label, 20 + place / 2, 0.01, place, "dual" if "zeng" in label else ("sinogram", "image")[place // 2 % 2]
        )
        for place, label in enumerate(labels)
    ]
    cards = {label: {"year": 1998 + place} for place, label in enumerate(labels) if place}

    def change(row: Row) -> Row:
        return replace(row, materials=f"{row.metal_id},{row.region}")

    return render(write_run(tmp_path_factory.mktemp("large") / "run", methods, slices=2, change=change, cards=cards))


def _column(driver: Any, index: int) -> list[str]:
    """Return the texts of a column of the visible board, ranked methods only."""
    return list(
        driver.execute_script(
            "return [...document.querySelector('section.board:not([hidden]) tbody').rows].filter(r => !r.hidden)"
            ".map(r => r.cells[arguments[0]].innerText.trim())",
            index,
        )
    )


def _methods(driver: Any) -> list[str]:
    return list(
        driver.execute_script(
            "return [...document.querySelectorAll('section.board:not([hidden]) tr[data-method]')]"
            ".filter(r => !r.hidden && !r.closest('[hidden]')).map(r => r.dataset.method)"
        )
    )


def _choose(driver: Any, name: str, value: str) -> None:
    driver.execute_script(
        "const field = document.getElementById('tools').elements[arguments[0]]; field.value = arguments[1];"
        "document.getElementById('tools').dispatchEvent(new Event('input'));",
        name,
        value,
    )


def test_a_hostile_name_is_text_and_runs_nothing(browser: Browser, board: Any) -> None:
    assert HOSTILE in _methods(board)
    assert board.execute_script("return document.querySelectorAll('img[src=x]').length") == 0


def test_headings_sort_by_click_and_by_key_and_say_so(board: Any) -> None:
    headings = board.find_elements("css selector", "section.board:not([hidden]) thead th")
    assert headings[0].get_attribute("aria-sort") == "ascending"
    group = headings[2].find_element("css selector", "button")
    group.click()
    values = [float(text.split("\n")[0].rstrip("†")) for text in _column(board, 2)]
    assert values == sorted(values, reverse=True)
    assert headings[2].get_attribute("aria-sort") == "descending"
    assert headings[0].get_attribute("aria-sort") is None
    group.send_keys("\ue007")
    values = [float(text.split("\n")[0].rstrip("†")) for text in _column(board, 2)]
    assert values == sorted(values)
    assert headings[2].get_attribute("aria-sort") == "ascending"
    # The unranked stay below, whatever is sorted.
    assert _methods(board)[-1] == HOSTILE


def test_sorting_puts_what_is_missing_last_in_both_directions(board: Any) -> None:
    button = board.find_elements("css selector", "section.board:not([hidden]) thead th")[11]
    button = button.find_element("css selector", "button")
    for _ in range(2):
        button.click()
        assert _column(board, 11)[-3:] == ["–", "–", "–"]


def test_filters_hide_methods_and_rank_what_is_left(board: Any) -> None:
    _choose(board, "kind", "classical")
    assert set(_methods(board)) == {"none", "li", "nmar"}
    assert [text.split("\n")[0] for text in _column(board, 0)] == ["1", "2", "3"]
    best = board.find_element("css selector", "tr[data-method=nmar] .all [data-measure=psnr]")
    assert "best" in best.get_attribute("class")
    assert "Filtered: 3 of 7 methods; kind: classical. Ranks" in board.find_element("id", "status").text
    _choose(board, "search", "LI")
    assert _methods(board) == ["li"]
    assert "1 of 7 methods; name contains: “LI”; kind: classical." in board.find_element("id", "status").text


def test_filtered_cases_give_the_means_that_pandas_gives(board: Any, report: Path) -> None:
    frame = dataset.dataset(report.parent / "results", format="parquet").to_table().to_pandas()
    _choose(board, "region", "thorax")
    _choose(board, "material", "gold")
    gold = frame["materials"].str.split(",").map(lambda names: "gold" in names)
    chosen = frame[(frame["region"] == "thorax") & gold & (frame["method"] == "dudonet")]
    cells = board.execute_script(
        "return [...document.querySelectorAll("
        "'section.board:not([hidden]) tr[data-method=dudonet] .cell [data-measure=psnr]')]"
        ".map(span => span.textContent.trim())"
    )
    expected = [chosen[chosen["size_group"] == group]["psnr[dudonet2019]"].mean() for group in range(1, 6)]
    expected.append(chosen["psnr[dudonet2019]"].mean())
    assert cells == ["–" if value != value else f"{value:.2f}" for value in expected]
    assert not any(element.is_displayed() for element in board.find_elements("css selector", ".sure"))
    count = board.find_element("css selector", "section.board:not([hidden]) .count").text
    assert count == f"{len(chosen)} cases"


def test_filtered_cases_sort_by_how_many_went_well_and_say_nothing_of_failures_elsewhere(board: Any) -> None:
    def cover() -> tuple[str, str, bool]:
        cell = board.find_element("css selector", f"section.board:not([hidden]) tr[data-method='{HOSTILE}'] .cover")
        bad = cell.find_element("css selector", ".bad")
        return cell.text.split("\n")[0], cell.get_attribute("data-value"), bad.is_displayed()

    def rests(method: str) -> list[str]:
        """What the means of all cases rest on, where that is less than the heading says."""
        places = f"section.board:not([hidden]) tr[data-method='{method}'] :is(.all, .apart) .v small"
        return [part.get_attribute("textContent") for part in board.find_elements("css selector", places)]

    assert cover() == ("160/200", "160", True)
    assert (rests(HOSTILE), rests("li")) == (["160 cases"] * 4, [])
    _choose(board, "region", "thorax")
    went, total = (int(part) for part in cover()[0].split("/"))
    assert total < 200 and went == 0.8 * total
    assert cover()[1:] == (str(went), False)
    assert (rests(HOSTILE), rests("li")) == ([f"{went} cases"] * 4, [])
    _choose(board, "region", "")
    assert cover() == ("160/200", "160", True)
    assert rests(HOSTILE) == ["160 cases"] * 4


def test_a_filter_that_no_case_meets_ranks_nobody(browser: Browser, large: Path) -> None:
    def places() -> set[tuple[str, str]]:
        cells = driver.find_elements("css selector", "section.board:not([hidden]) tr[data-method] td.rank")
        return {(cell.text.split("\n")[0], cell.get_attribute("data-value")) for cell in cells}

    driver = browser.open(large)
    before = places()
    assert len(before) == 20
    # In this run cases are made of their region, too.
    _choose(driver, "region", "dental")
    _choose(driver, "material", "shoulder")
    assert driver.find_element("css selector", "section.board:not([hidden]) .count").text == "0 cases"
    assert places() == {("–", "")}
    _choose(driver, "material", "")
    _choose(driver, "region", "")
    assert len(places()) == 20
    assert browser.complaints(large.parent) == []


def test_reset_restores_what_was_computed(board: Any) -> None:
    before = board.find_element("css selector", "section.board table").get_attribute("innerHTML")
    _choose(board, "region", "thorax")
    _choose(board, "domain", "dual")
    board.find_element("css selector", "button[type=reset]").click()
    board.implicitly_wait(0)
    board.execute_async_script("setTimeout(arguments[0], 50)")
    assert board.find_element("css selector", "section.board table").get_attribute("innerHTML") == before


def test_a_link_restores_filters_and_order(browser: Browser, board: Any, report: Path) -> None:
    _choose(board, "region", "thorax")
    _choose(board, "kind", "learned")
    board.find_element("css selector", "input[name=view][value=ssim]").click()
    board.find_elements("css selector", "section.board:not([hidden]) thead th button")[2].click()
    shown, fragment = _column(board, 2), str(board.execute_script("return location.hash"))
    assert sorted(fragment[1:].split("&")) == ["kind=learned", "region=thorax", "sort=-2", "view=ssim"]
    again = browser.open(report / "index.html", fragment)
    assert _column(again, 2) == shown
    assert "Filtered: 4 of 7 methods" in again.find_element("id", "status").text
    assert again.execute_script("return location.hash") == fragment
    again.find_element("css selector", "button[type=reset]").click()
    again.execute_async_script("setTimeout(arguments[0], 50)")
    assert again.execute_script("return location.hash") == ""


def test_going_back_from_a_view_shows_all_again(browser: Browser, report: Path) -> None:
    driver = browser.open(report / "index.html")
    driver.execute_script("location.hash = 'kind=learned'")
    until(driver, "document.getElementById('status').textContent.startsWith('Filtered: 4 of 7')")
    driver.back()
    until(driver, "document.readyState === 'complete' && !document.getElementById('status').textContent")
    assert len(_methods(driver)) == 7
    assert driver.execute_script("return [location.hash, document.getElementById('tools').elements.kind.value]") == [
        "",
        "",
    ]
    assert browser.complaints(report) == []


def test_what_the_address_does_not_name_has_its_default(board: Any) -> None:
    """A browser may fill in what a field held before the page was loaded anew."""
    held = board.execute_script(
        "const tools = document.getElementById('tools'); const { region, search, view } = tools.elements;"
        "const time = tools.elements['column-time'];"
        "Object.assign(region, { value: 'thorax' }); Object.assign(search, { value: 'li' });"
        "Object.assign(time, { checked: false }); Object.assign(view, { value: 'ssim' });"
        "marbench.readAddress(tools); return [region.value, search.value, view.value, time.checked]"
    )
    assert held == ["", "", "both", True]


def test_columns_go_and_come_and_a_link_remembers_them(browser: Browser, board: Any, report: Path) -> None:
    def shown(driver: Any) -> list[str]:
        headings = driver.find_elements("css selector", "section.board:not([hidden]) thead th")
        return [heading.text.split("\n")[0] for heading in headings if heading.is_displayed()]

    before = shown(board)
    assert before[-3:] == ["Time", "Params", "Cases"] and "Evidence" not in before
    board.find_element("css selector", ".columns summary").click()
    for name in ("time", "sizes", "evidence"):
        board.find_element("css selector", f"[name=column-{name}]").click()
    assert shown(board) == ["#", "Method", "All", "95 % CI", "RMSE", "Params", "Cases", "Evidence"]
    assert set(_column(board, 14)) == {"run here"}
    fragment = str(board.execute_script("return location.hash"))
    assert sorted(fragment[1:].split("&")) == ["column-evidence=1", "column-sizes=0", "column-time=0"]
    assert shown(browser.open(report / "index.html", fragment))[-2:] == ["Cases", "Evidence"]
    # A phone begins with the means over all cases.
    assert shown(browser.open(report / "index.html", width=375))[:3] == ["#", "Method", "All"]


_WRONG = ("#view=odd&region=nowhere&sort=99&kind=<img>&group=odd&fold=2&open=%,x", "#sort=constructor", "#content")


def test_a_wrong_link_shows_the_whole_board(browser: Browser, report: Path) -> None:
    for fragment in _WRONG:
        assert len(_methods(browser.open(report / "index.html", fragment))) == 7
        assert browser.complaints(report) == []


def test_views_and_conventions_show_one_thing_at_a_time(board: Any) -> None:
    assert re.fullmatch(r"[\d.]+†?\n0\.\d{4}†?", _column(board, 2)[0])
    board.find_element("css selector", "input[name=view][value=ssim]").click()
    assert re.fullmatch(r"0\.\d{4}†?", _column(board, 2)[0])
    first = _column(board, 2)
    board.find_elements("css selector", "input[name=convention]")[1].click()
    visible = board.find_elements("css selector", "section.board")
    assert [element.is_displayed() for element in visible] == [False, True]
    assert _column(board, 2) != first


def test_a_view_has_its_own_heading_columns_and_direction(board: Any) -> None:
    heading = board.find_element("css selector", "section.board:not([hidden]) h2")
    assert heading.text.startswith("PSNR and SSIM by metal size")
    apart = board.find_elements("css selector", "section.board:not([hidden]) .apart")
    assert all(cell.is_displayed() for cell in apart)
    board.find_element("css selector", "input[name=view][value=rmse_hu]").click()
    assert heading.text.startswith("RMSE by metal size")
    assert not any(cell.is_displayed() for cell in apart)
    group = board.find_elements("css selector", "section.board:not([hidden]) thead th")[2]
    group.find_element("css selector", "button").click()
    # The best first: of errors those are the smallest.
    assert group.get_attribute("aria-sort") == "ascending"
    values = [float(text.rstrip("†")) for text in _column(board, 2)]
    assert values == sorted(values)
    _choose(board, "kind", "classical")
    assert "best" in board.find_element(
        "css selector", "tr[data-method=nmar] .all [data-measure=rmse_hu]"
    ).get_attribute("class")


def test_numbers_beyond_reason_are_short_where_scripts_print_them(browser: Browser, tmp_path: Path) -> None:
    def change(row: Row) -> Row:
        return replace(row, scores=dict.fromkeys(row.scores, -1e30)) if row.method == "li" else row

    report = render(write_run(tmp_path / "run", METHODS[:3], slices=7, patients=7, change=change)).parent
    for page in ("index.html", "statistics.html", "explorer.html"):
        driver = browser.open(report / page)
        assert driver.execute_script("return document.documentElement.scrollWidth") <= 1280, page
        tables = driver.find_elements("css selector", ".scroll")
        assert all(driver.execute_script("return arguments[0].scrollWidth", table) < 1300 for table in tables), page
    driver = browser.open(report / "index.html", "#region=dental")
    cells = driver.find_elements(
        "css selector", "section.board:not([hidden]) tr[data-method=li] .all [data-measure=psnr]"
    )
    assert [cell.text for cell in cells] == ["−1.0e30"]
    printed = driver.execute_script(
        "return [[-0.001, 2], [0.0004, 2], [-0.5, 1], [1e30, 1]].map(v => marbench.print(...v))"
    )
    assert printed == ["0.00", "0.00", "−0.5", "1.0e30"]
    assert browser.complaints(report) == []


def test_copies_say_what_the_table_says(board: Any, report: Path) -> None:
    def copy(name: str) -> str:
        board.find_element("css selector", f"#copy [data-format={name}]").click()
        text = board.find_element("css selector", "dialog textarea").get_attribute("value")
        board.find_element("css selector", "dialog form button").click()
        return str(text)

    frame = dataset.dataset(report.parent / "results", format="parquet").to_table().to_pandas()
    mean = frame[frame["method"] == "dudonet"]["psnr[dudonet2019]"].mean()
    latex = copy("latex")
    assert latex.count(r"\\") == 8
    assert "convention dudonet2019; spec" in latex.splitlines()[0]
    assert rf"{mean:.2f}" in latex
    assert r"\textbf{" in latex and r"\underline{" in latex and r"$^\dagger$" in latex

    def table(text: str) -> list[list[str]]:
        return [line.removesuffix(r" \\").split(" & ") for line in text.splitlines() if line.endswith(r"\\")]

    head, *rows = table(latex)
    assert head[-6:] == ["All", r"95 \% CI", "RMSE (HU)", "Time", "Params", "Cases"] and {len(row) for row in rows} == {
        12
    }
    rmse = frame[frame["method"] == "dudonet"]["rmse_hu"].mean()
    assert re.sub(r"[^\d.]", "", next(row for row in rows if row[0] == "DUDONET")[8].partition("f")[2]) == f"{rmse:.1f}"
    # Of an interval both ends are printed so; what the page says of it is put back.
    span = "document.querySelector('section.board:not([hidden]) td.interval .v:not(.aside)').firstChild"
    kept = board.execute_script(f"return {span}.data")
    for told, printed in (
        ("−∞–−1.2", r"$-$$\infty$--$-$1.2"),
        ("1.5–∞", r"1.5--$\infty$"),
        ("−∞–∞", r"$-$$\infty$--$\infty$"),
    ):
        board.execute_script(f"{span}.data = arguments[0]", told)
        assert printed in copy("latex")
    board.execute_script(f"{span}.data = arguments[0]", kept)
    # What is not seen is not copied.
    for name in ("column-sizes", "column-time", "column-parameters", "view][value=rmse_hu"):
        board.execute_script("document.querySelector(`[name=${arguments[0]}]`).click()", name)
    head, *rows = table(copy("latex"))
    assert head == ["Method", "All", r"95 \% CI", "Cases"] and {len(row) for row in rows} == {4}
    assert f"{rmse:.1f}" in next(row for row in rows if row[0] == "DUDONET")[1]
    board.execute_async_script(_RESTORE)
    assert next(line for line in latex.splitlines() if "(not ranked)" in line).startswith("<IMG SRC=X")
    markdown = copy("markdown")
    assert r"\<IMG SRC=X ONERROR=ALERT(1)\>" in markdown
    assert {line.count("|") for line in markdown.splitlines() if line.startswith("|")} == {13}
    lines = copy("csv").splitlines()
    row = next(line for line in lines if line.startswith("dudonet,")).split(",")
    assert float(row[lines[0].split(",").index("psnr[dudonet2019] all")]) == pytest.approx(mean, rel=1e-12)


def test_copies_of_a_part_of_the_benchmark_say_so(browser: Browser, large: Path) -> None:
    driver = browser.open(large)
    texts = {}
    for name in ("latex", "markdown", "csv"):
        driver.find_element("css selector", f"#copy [data-format={name}]").click()
        texts[name] = driver.find_element("css selector", "dialog textarea").get_attribute("value").splitlines()
        driver.find_element("css selector", "dialog form button").click()
    assert all("; 20 of 200 cases" in texts[name][0] for name in ("latex", "markdown"))
    head, first, *_ = (line.split(",") for line in texts["csv"])
    found = dict(zip(head, first, strict=True))
    assert (found["cases_ok"], found["cases"], found["cases_of_benchmark"]) == ("20", "20", "200")


@pytest.mark.parametrize("width", [1280, 375])
def test_the_board_opens_with_ranks_over_metal_size_that_tell_themselves(
    browser: Browser, report: Path, width: int
) -> None:
    driver = browser.open(report / "index.html", width=width)
    (chart,) = [each for each in driver.find_elements("css selector", "figure.ranks svg") if each.is_displayed()]
    assert chart.rect["y"] < driver.find_element("id", "tools").rect["y"]
    assert chart.rect["x"] + chart.rect["width"] <= width
    frame = dataset.dataset(report.parent / "results", format="parquet").to_table().to_pandas()
    frame = frame[(frame["method"] != HOSTILE) & (frame["size_group"] == 1)]
    means = frame.groupby("method")["psnr[dudonet2019]"].mean().sort_values(ascending=False)
    points = {point.get_attribute("aria-label"): point for point in chart.find_elements("css selector", "[tabindex]")}
    # One stop of Tab, and arrows along a line and from line to line.
    assert [points[told].get_attribute("tabindex") for told in points].count("0") == 1
    first = chart.find_element("css selector", "[tabindex='0']")
    driver.execute_script("arguments[0].focus()", first)
    best, second = (chart.find_elements("css selector", ".rank-line")[at] for at in (0, 1))
    for key, line, at in (("\ue014", best, 1), ("\ue015", second, 1), ("\ue010", second, -1), ("\ue012", second, -2)):
        driver.switch_to.active_element.send_keys(key)  # →, ↓, End, ←
        assert driver.switch_to.active_element == line.find_elements("css selector", ".reading-point")[at]
    assert [points[told].get_attribute("tabindex") for told in points].count("0") == 1
    reading = driver.find_element("css selector", "figure.ranks .reading")
    assert reading.text == driver.switch_to.active_element.get_attribute("aria-label")
    assert reading.get_attribute("aria-live") == "off"  # it has just been heard
    for rank, (method, mean) in enumerate(means.items(), start=1):
        title = "DUDONET[VARIANT=F] [variant=F]" if "F" in method else method.upper()
        told = next(text for text in points if text.startswith(f"{title}, metal-size group 1: rank {rank} "))
        assert "95 % interval" in told and told.endswith(f"PSNR {mean:.2f} dB")
    driver.execute_script("arguments[0].focus()", points[told])
    assert driver.find_element("css selector", "figure.ranks .reading").text == told
    _choose(driver, "region", "thorax")
    assert not chart.is_displayed()
    heading = driver.find_element("css selector", "section.board:not([hidden]) h2").text
    assert heading.endswith("cases of thorax only")
    covers = [text.split("\n")[0] for text in _column(driver, 12)]
    assert set(covers) == {f"{frame[frame['region'] == 'thorax']['case_id'].nunique() * 5}/{covers[0].split('/')[1]}"}
    assert browser.complaints(report) == []


def test_the_rows_on_show_are_downloaded_as_csv(board: Any) -> None:
    _choose(board, "kind", "classical")
    _choose(board, "region", "thorax")
    name, content = board.execute_async_script(
        "const done = arguments[0]; const make = URL.createObjectURL; let blob;"
        "URL.createObjectURL = (each) => { blob = each; return make(each); };"
        "HTMLAnchorElement.prototype.click = function () { blob.arrayBuffer().then((bytes) =>"
        " done([this.download, [...new Uint8Array(bytes)]])) };"
        "document.getElementById('download').click()"
    )
    assert name.startswith("leaderboard-") and name.endswith("-thorax-classical.csv")
    assert bytes(content).startswith(b"\xef\xbb\xbfmethod,")  # without the mark Excel takes it for no UTF-8
    head, *rows = (line.split(",") for line in bytes(content).decode("utf-8-sig").splitlines())
    assert {row[head.index("cases_of_benchmark")] for row in rows} == {"200"}
    assert head[0] == "method" and [row[0] for row in rows] == ["nmar", "li", "none"]
    # Last, so that columns stay where they were.
    assert head[-5:] == ["spec", "protocol", "region", "metal", "filter"]
    assert {tuple(row[-3:]) for row in rows} == {("thorax", "", "kind: classical")}
    # No cell is one that a spreadsheet takes for a date, as it does 4/4.
    at = head.index("cases_ok")
    shown = [text.split("\n")[0] for text in _column(board, 12) if text]
    assert [f"{int(row[at]):,}/{int(row[at + 1]):,}" for row in rows] == shown and head[at + 1] == "cases"
    board.get("about:blank")  # with what was put in its place


_POINT = """const [mark, x, y, kind] = arguments;
const place = new DOMPoint(x, y).matrixTransform(mark.getScreenCTM());
const where = { clientX: place.x, clientY: place.y };
mark.dispatchEvent(new PointerEvent(kind, { ...where, pointerType: "mouse", bubbles: true }));"""


def test_a_large_board_is_ready_after_little_work_of_the_browser(browser: Browser, large: Path) -> None:
    assert large.stat().st_size < 1.5e6
    # Processor time of the page's main thread, which no other load of the machine lengthens much.
    browser.driver.execute_cdp_cmd("Performance.enable", {"timeDomain": "threadTicks"})

    def seconds() -> float:
        metrics = browser.driver.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]
        return float(next(metric["value"] for metric in metrics if metric["name"] == "TaskDuration"))

    driver = browser.open(large)
    opened = seconds()
    assert opened < 1
    _choose(driver, "kind", "learned")
    assert seconds() - opened < 0.5
    browser.driver.execute_cdp_cmd("Performance.disable", {})
    _choose(driver, "kind", "")
    # Twenty names and the marks beside them do not touch.
    gaps = """const box = (part) => part.getBoundingClientRect();
    const svg = [...document.querySelectorAll(".ranks svg")].find((each) => box(each).width > 0);
    return [...svg.querySelectorAll(".rank-line")].map((line) => box(line.querySelector("text")).left
      - Math.max(...[...svg.querySelectorAll("circle")].map((mark) => box(mark).right)))"""
    for width in (1280, 375):
        browser.frame(width)
        assert min(driver.execute_script(gaps)) > 0


def _seen(driver: Any) -> dict[str, str]:
    """Method → its rank and its scores, in the order in which they are seen."""
    script = """const rows = [...document.querySelectorAll("section.board:not([hidden]) tr[data-method]")];
    const said = (row) => [...row.querySelectorAll(".rank, .cell")].map((cell) => cell.innerText).join(" ");
    return rows.filter((row) => row.offsetParent).map((row) => [row.dataset.method, said(row)])"""
    return dict(driver.execute_script(script))


def test_methods_stand_in_groups_by_domain_or_year_and_their_numbers_stay(browser: Browser, large: Path) -> None:
    def headings() -> list[str]:
        return [part.text for part in driver.find_elements("css selector", ".heading th") if part.is_displayed()]

    driver = browser.open(large)
    flat = _seen(driver)
    _choose(driver, "group", "domain")
    grouped = _seen(driver)
    assert grouped == flat and list(grouped) != list(flat)
    # The one of the best method first.
    assert headings() == ["Image domain 8 methods", "Sinogram domain 9 methods", "Dual domain 3 methods"]
    _choose(driver, "group", "year")
    assert headings()[0] == "2015–2019 3 methods" and headings()[-1] == "Without a year 1 method"
    _choose(driver, "search", "zeng")
    assert headings() == ["2000–2004 3 methods"]
    assert [text.split()[0] for text in _seen(driver).values()] == ["1", "2", "3"]
    assert browser.complaints(large.parent) == []


def test_variants_fold_under_the_best_of_them_and_unfold_on_a_key(browser: Browser, large: Path) -> None:
    driver = browser.open(large)
    before = driver.find_element("css selector", "section.board table").get_attribute("innerHTML")
    flat = _seen(driver)
    driver.find_element("name", "fold").click()
    folded = _seen(driver)
    assert folded.items() <= flat.items()
    assert flat.keys() - folded.keys() == {"nmar", "zeng", "zeng[n=1]"}
    button = driver.find_element("css selector", "tr[data-method='zeng[n=2]'] .unfold")
    assert (button.text, button.get_attribute("aria-expanded")) == ("2 variants", "false")
    button.send_keys("\ue007")
    assert driver.switch_to.active_element == button and button.get_attribute("aria-expanded") == "true"
    # They follow it, also where another column sorts, and by a link.
    driver.find_elements("css selector", "section.board:not([hidden]) thead th button")[1].send_keys("\ue007")
    shown = _seen(driver)
    at = list(shown).index("zeng[n=2]")
    assert set(list(shown)[at + 1 : at + 3]) == {"zeng[n=1]", "zeng"}
    fragment = str(driver.execute_script("return location.hash"))
    assert sorted(fragment[1:].split("&")) == ["fold=1", "open=zeng", "sort=1"]
    browser.open(large, fragment)
    assert list(_seen(driver).items()) == list(shown.items())
    driver.find_element("css selector", "#copy [data-format=csv]").click()
    text = str(driver.find_element("css selector", "dialog textarea").get_attribute("value"))
    assert [line.split(",")[0] for line in text.splitlines()[1:]] == list(shown)
    driver.find_element("css selector", "dialog form button").click()
    driver.execute_async_script(_RESTORE)
    assert driver.find_element("css selector", "section.board table").get_attribute("innerHTML") == before
    assert browser.complaints(large.parent) == []


def test_a_view_is_kept_under_its_name_and_found_again(browser: Browser, board: Any, report: Path) -> None:
    def views() -> list[str]:
        board.execute_async_script("document.getElementById('views').open = true; setTimeout(arguments[0], 50)")
        return [link.text for link in board.find_elements("css selector", "#view-list a")]

    assert views() == []
    _choose(board, "kind", "learned")
    fragment = board.execute_script("return location.hash")
    board.find_element("id", "view-name").send_keys("The <b>learned</b> ones\ue007")
    assert board.find_element("id", "view-said").text == "“The <b>learned</b> ones” is saved in this browser."
    assert board.execute_script("return location.hash") == fragment
    board.find_element("id", "view-copy").click()
    assert board.find_element("id", "view-link").get_attribute("value").endswith(f"index.html{fragment}")
    browser.open(report / "index.html")
    assert views() == ["The <b>learned</b> ones"]
    board.find_element("css selector", "#view-list a").click()
    board.execute_async_script("setTimeout(arguments[0], 100)")
    assert "Filtered: 4 of 7 methods" in board.find_element("id", "status").text
    assert views() == ["The <b>learned</b> ones"]
    board.find_element("css selector", "#view-list button").click()
    assert board.find_element("id", "view-said").text == "“The <b>learned</b> ones” is removed."
    assert board.switch_to.active_element.get_attribute("id") == "view-name"
    assert views() == []


def test_where_a_browser_keeps_nothing_a_view_lasts_while_the_page_does(browser: Browser, report: Path) -> None:
    refused = (
        "Object.defineProperty(window, 'localStorage', { get() { throw new DOMException('', 'SecurityError'); } })"
    )
    added = browser.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": refused})
    try:
        driver = browser.open(report / "index.html", "#view=ssim")
        driver.find_element("css selector", "#views summary").click()
        driver.find_element("id", "view-save").click()
        assert driver.find_element("id", "view-said").text == "Give it a name first."
        driver.find_element("id", "view-name").send_keys("SSIM")
        driver.find_element("id", "view-save").click()
        assert driver.find_element("id", "view-said").text.startswith("This browser keeps nothing for this page")
        assert driver.find_element("css selector", "#view-list a").get_attribute("href").endswith("#view=ssim")
        assert browser.complaints(report) == []
    finally:
        browser.driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", added)
        browser.driver.get("about:blank")
