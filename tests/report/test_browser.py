"""The pages in a real browser, opened from disk without network."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.dataset as dataset
import pytest
from browser import Browser
from synthetic_runs import METHODS, Synthetic, failed, write_run

from marbench.report.pages import render
from marbench.report.site import publish
from marbench.results.rows import Row

HOSTILE = "<img src=x onerror=alert(1)>"
AXE = Path(__file__).resolve().parents[2] / "node_modules" / "axe-core" / "axe.min.js"


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    def change(row: Row) -> Row:
        return failed(row, message="</script>") if row.method == HOSTILE and row.size_group == 2 else row

    methods = (*METHODS, Synthetic(HOSTILE, 30.0, 0.05, 77, "image"))
    return render(write_run(tmp_path_factory.mktemp("browser") / "run", methods, change=change, pictures=1)).parent


@pytest.fixture(scope="module")
def site(report: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    paper = write_run(folder / "paper", METHODS[:3], spec="dudonet2019", slices=2)
    return publish([report.parent, paper], folder / "site", published="2026-01-02T10:00:00+00:00").parent


@pytest.fixture
def board(browser: Browser, report: Path) -> Any:
    """The leaderboard, and after the test not a word of complaint."""
    yield browser.open(report / "index.html")
    assert browser.complaints(report) == []


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


def _all_pages(report: Path, site: Path) -> list[Path]:
    """Every kind of page once."""
    return [*sorted(report.glob("*.html")), site / "index.html", *(next(site.glob(name)) for name in _OF_SITES)]


_OF_SITES = ("benchmarks/*/entries.html", "runs/*/index.html")
_SHIFTS = """const observer = new PerformanceObserver(() => {});
observer.observe({ type: "layout-shift", buffered: true });
setTimeout(() => arguments[0](observer.takeRecords().map(({ value, sources }) => [value, sources.map(
  ({ node }) => node?.id || node?.className || node?.nodeName)])), 60);"""


@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (1280, "dark"), (375, "light"), (375, "dark")])
def test_no_page_complains_asks_the_network_overflows_or_moves(
    browser: Browser, report: Path, site: Path, width: int, scheme: str
) -> None:
    for page in _all_pages(report, site):
        driver = browser.open(page, width=width, scheme=scheme)
        assert driver.execute_script("return document.documentElement.scrollWidth") <= width, page
        assert page.name == "gallery.html" or driver.execute_async_script(_SHIFTS) == [], page
        dark = driver.execute_script("return getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)"
        assert dark == (scheme == "dark"), page
        assert browser.complaints(site if page.is_relative_to(site) else report) == [], page


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
    assert "Filtered: 3 of 7 methods" in board.find_element("id", "status").text
    _choose(board, "search", "LI")
    assert _methods(board) == ["li"]


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
    assert set(_column(board, 13)) == {"run here"}
    fragment = str(board.execute_script("return location.hash"))
    assert sorted(fragment[1:].split("&")) == ["column-evidence=1", "column-sizes=0", "column-time=0"]
    assert shown(browser.open(report / "index.html", fragment))[-2:] == ["Cases", "Evidence"]
    # A phone begins with the means over all cases.
    assert shown(browser.open(report / "index.html", width=375))[:3] == ["#", "Method", "All"]


@pytest.mark.parametrize("fragment", ["#view=odd&region=nowhere&sort=99&kind=<img>", "#sort=constructor", "#content"])
def test_a_wrong_link_shows_the_whole_board(browser: Browser, report: Path, fragment: str) -> None:
    driver = browser.open(report / "index.html", fragment)
    assert len(_methods(driver)) == 7
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
    assert {line.count(" & ") for line in latex.splitlines() if line.endswith(r"\\")} == {7}
    assert next(line for line in latex.splitlines() if "(not ranked)" in line).startswith("<IMG SRC=X")
    markdown = copy("markdown")
    assert r"\<IMG SRC=X ONERROR=ALERT(1)\>" in markdown
    assert {line.count("|") for line in markdown.splitlines() if line.startswith("|")} == {9}
    lines = copy("csv").splitlines()
    row = next(line for line in lines if line.startswith("dudonet,")).split(",")
    assert float(row[lines[0].split(",").index("psnr[dudonet2019] all")]) == pytest.approx(mean, rel=1e-12)


@pytest.mark.parametrize("width", [1440, 1280, 375])
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
    name, text = board.execute_async_script(
        "const done = arguments[0]; const make = URL.createObjectURL; let blob;"
        "URL.createObjectURL = (each) => { blob = each; return make(each); };"
        "HTMLAnchorElement.prototype.click = function () { blob.text().then(text => done([this.download, text])) };"
        "document.getElementById('download').click()"
    )
    assert name.startswith("leaderboard-") and name.endswith(".csv")
    assert [line.split(",")[0] for line in text.splitlines()] == ["method", "nmar", "li", "none"]


@pytest.mark.parametrize("width", [1280, 375])
def test_charts_fit_the_window_and_tell_their_values_to_pointer_and_keyboard(
    browser: Browser, report: Path, width: int
) -> None:
    for page, told in (("timing", "DUDONET: "), ("explorer", "DUDONET: median ")):
        driver = browser.open(report / f"{page}.html", width=width)
        charts = driver.find_elements("css selector", "figure.chart > svg")
        (chart,) = [each for each in charts if each.is_displayed()]
        assert chart.rect["x"] + chart.rect["width"] <= width
        points = chart.find_elements("css selector", ".reading-point")
        (point,) = [each for each in points if str(each.get_attribute("aria-label")).startswith(told)]
        driver.execute_script("arguments[0].focus()", point)
        assert driver.find_element("css selector", ".reading").text == point.get_attribute("aria-label")
        assert browser.complaints(report) == []


_POINT = """const [mark, x, y, kind] = arguments;
const place = new DOMPoint(x, y).matrixTransform(mark.getScreenCTM());
const where = { clientX: place.x, clientY: place.y };
mark.dispatchEvent(new PointerEvent(kind, { ...where, pointerType: "mouse", bubbles: true }));"""


def test_cases_behind_the_charts_tell_themselves_and_lead_to_their_pictures(browser: Browser, report: Path) -> None:
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.ui import WebDriverWait

    frame = dataset.dataset(report.parent / "results", format="parquet").to_table().to_pandas()
    own = frame[frame["method"] == "dudonet"].set_index("case_id").sort_values("psnr[dudonet2019]")
    driver = browser.open(report / "explorer.html")
    wait = WebDriverWait(driver, 30, 0.05)
    places = json.loads(driver.find_element("id", "explorer-data").get_attribute("textContent"))["methods"]
    of_method = f"[data-method='{places.index('dudonet')}']"

    def told(case: str, row: Any, figure: Any) -> None:
        line = figure.find_element("css selector", ".reading")
        start = f"DUDONET: {row['psnr[dudonet2019]']:.2f} dB on {case}, {row['region']}"
        wait.until(lambda _: line.text.startswith(start))

    violin = driver.find_element("css selector", f"svg.wide .shape{of_method}")
    driver.execute_script("arguments[0].focus()", violin)
    figure = violin.find_element("xpath", "ancestor::figure")
    for key, at in ((Keys.ARROW_RIGHT, 0), (Keys.ARROW_RIGHT, 1), (Keys.END, -1)):
        violin.send_keys(key)
        told(own.index[at], own.iloc[at], figure)
    (case,) = (path.name for path in (report.parent / "images").iterdir())
    panel = driver.find_element("css selector", f".small-charts svg{of_method}")
    values = {"x": math.log10(own.loc[case, "metal_area_mm2"]), "y": own.loc[case, "psnr[dudonet2019]"]}
    place = []
    for name, value in values.items():
        low, high, start, end, _ = map(float, panel.get_attribute(f"data-{name}").split())
        place.append(start + (value - low) / (high - low) * (end - start))
    driver.execute_script(_POINT, panel, *place, "pointermove")
    told(case, own.loc[case], panel.find_element("xpath", "ancestor::figure"))
    driver.execute_script(_POINT, panel, *place, "click")
    wait.until(lambda _: driver.current_url.split("/")[-1].startswith(f"gallery.html#case={case}"))
    assert browser.complaints(report) == []


def test_on_paper_pages_are_white_whole_and_without_what_only_a_screen_needs(
    browser: Browser, report: Path, site: Path
) -> None:
    """The width is that of a landscape page of A4 within its margins."""
    for page in (report / "index.html", report / "statistics.html", report / "timing.html", site / "index.html"):
        driver = browser.open(page, width=1032, scheme="dark")
        driver.execute_script("document.documentElement.dataset.theme = 'dark'")
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
        assert driver.execute_script("return document.documentElement.scrollWidth") <= 1032, page
        assert driver.execute_script("return getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        for part in driver.find_elements("css selector", ".top, .tools, .hint, .status"):
            assert not part.is_displayed(), (page, part.get_attribute("class"))
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


@pytest.mark.parametrize("width", [1440, 1280, 1024, 768, 375])
def test_a_long_title_gives_way_to_the_navigation(browser: Browser, report: Path, width: int) -> None:
    driver = browser.open(report / "index.html", width=width)
    driver.execute_script("document.querySelector('.brand .of').textContent = 'A long title of a benchmark '.repeat(9)")
    assert driver.execute_script("return document.documentElement.scrollWidth") <= width
    bar = "const list = document.querySelector('.bar ul'); return [list.scrollWidth, list.clientWidth]"
    needed, given = driver.execute_script(bar)
    assert needed <= given


def test_the_chosen_theme_lasts(browser: Browser, report: Path) -> None:
    driver = browser.open(report / "index.html")
    driver.find_element("id", "theme").click()
    assert driver.execute_script("return document.documentElement.dataset.theme") == "dark"
    driver = browser.open(report / "timing.html")
    assert driver.execute_script("return getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)"
    driver.find_element("id", "theme").click()
    assert driver.execute_script("return getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    driver.execute_script("localStorage.clear()")
    assert browser.complaints(report) == []


def test_without_scripts_every_table_is_there(browser: Browser, report: Path) -> None:
    browser.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        driver = browser.open(report / "index.html")
        boards = driver.find_elements("css selector", "section.board")
        assert len(boards) == 2 and all(board.is_displayed() for board in boards)
        assert not driver.find_element("id", "tools").is_displayed()
        assert not driver.find_element("id", "theme").is_displayed()
    finally:
        browser.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
        browser.complaints(report)


def test_a_large_board_is_ready_after_little_work_of_the_browser(browser: Browser, tmp_path: Path) -> None:
    methods = [Synthetic(f"m{number}", 20 + number / 2, 0.01, number) for number in range(20)]
    run = write_run(
        tmp_path / "run", methods, slices=2, change=lambda row: replace(row, materials=f"{row.metal_id},{row.region}")
    )
    page = render(run)
    assert page.stat().st_size < 1.5e6
    # Processor time of the page's main thread, which no other load of the machine lengthens much.
    browser.driver.execute_cdp_cmd("Performance.enable", {"timeDomain": "threadTicks"})

    def seconds() -> float:
        metrics = browser.driver.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]
        return float(next(metric["value"] for metric in metrics if metric["name"] == "TaskDuration"))

    # Twenty names and the marks beside them do not touch.
    gaps = """const box = (part) => part.getBoundingClientRect();
    const svg = [...document.querySelectorAll(".ranks svg")].find((each) => box(each).width > 0);
    return [...svg.querySelectorAll(".rank-line")].map((line) => box(line.querySelector("text")).left
      - Math.max(...[...svg.querySelectorAll("circle")].map((mark) => box(mark).right)))"""
    assert min(browser.open(page, width=375).execute_script(gaps)) > 0
    driver = browser.open(page)
    opened = seconds()
    assert opened < 1
    assert min(driver.execute_script(gaps)) > 0
    driver.execute_script(
        "const field = document.getElementById('tools').elements.kind;"
        "field.value = 'learned'; field.form.dispatchEvent(new Event('input'));"
    )
    assert seconds() - opened < 0.5
    browser.driver.execute_cdp_cmd("Performance.disable", {})


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_fault(browser: Browser, report: Path, site: Path, scheme: str) -> None:
    if not AXE.is_file():
        pytest.skip(f"axe-core is not at {AXE}: npm install --no-save axe-core")
    faults = []
    for page in _all_pages(report, site):
        driver = browser.open(page, scheme=scheme)
        driver.execute_script("document.querySelectorAll('details').forEach(part => { part.open = true; })")
        driver.execute_script(AXE.read_text())
        # Colours are all that differs between the schemes.
        rules = {} if scheme == "light" else {"runOnly": ["color-contrast"]}
        result = driver.execute_async_script("axe.run(document, arguments[0]).then(arguments[1])", rules)
        faults += [
            f"{page.name}: {fault['id']} ({fault['impact']}) {fault['nodes'][0]['html'][:160]}"
            for fault in result["violations"]
            if fault["impact"] in ("serious", "critical")
        ]
    assert faults == []
