"""Every page in a real browser, opened from disk without network: at all widths, in all colours, on paper."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from browser import Browser, until
from synthetic_runs import HOSTILE, METHODS, Synthetic, write_run

from marbench.report.pages import render
from marbench.report.site import publish

AXE = Path(__file__).resolve().parents[2] / "node_modules" / "axe-core" / "axe.min.js"
_OF_SITES = ("benchmarks/*/entries.html", "runs/*/index.html")
_FRAGMENTS = {"gallery.html": "#line=20,10,50,54&roi=20,30,4.5&view=error"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    hostile = write_run(folder / "hostile", (*METHODS[:3], Synthetic(HOSTILE, 30.0)), slices=2, pictures=1)
    paper = write_run(folder / "paper", METHODS[:3], spec="dudonet2019", slices=2)
    return publish([hostile, paper], folder / "site", published="2026-01-02T10:00:00+00:00").parent


_SHIFTS = """const observer = new PerformanceObserver(() => {});
observer.observe({ type: "layout-shift", buffered: true });
setTimeout(() => arguments[0](observer.takeRecords().map(({ value, sources }) => [value, sources.map(
  ({ node }) => node?.id || node?.className || node?.nodeName)])), 60);"""
_UNFOLD = """document.querySelectorAll("details").forEach((part) => { part.open = true; });
document.getElementById("fold")?.click();"""


def _framed(driver: Any, width: int, scheme: str) -> list[str]:
    """Return what is wrong with a page in a window of a width and in a colour scheme."""
    driver.execute_async_script("requestAnimationFrame(() => setTimeout(arguments[0]))")
    wide, colour = driver.execute_script(
        "return [document.documentElement.scrollWidth, getComputedStyle(document.body).backgroundColor]"
    )
    dark = colour != "rgb(255, 255, 255)"
    return [f"{wide} px wide"] * (wide > width) + [f"is {colour}"] * (dark != (scheme == "dark"))


def _barriers(driver: Any, rules: list[str] | None = None) -> list[str]:
    """Return the serious faults that axe finds, by all of its rules or by some."""
    # What passes is not asked for: to name those elements costs most of axe's time.
    options = {"preload": False, "resultTypes": ["violations"], **({"runOnly": rules} if rules else {})}
    found = driver.execute_async_script(
        "axe.run(arguments[0]).then(({ violations }) => arguments[1](violations))", options
    )
    serious = [fault for fault in found if fault["impact"] in ("serious", "critical")]
    return [f"{fault['id']}: {fault['nodes'][0]['html'][:160]}" for fault in serious]


@pytest.mark.parametrize("width", [1280, 375])
def test_no_page_complains_asks_the_network_overflows_moves_or_shuts_anyone_out(
    browser: Browser, hostile_report: Path, site: Path, width: int
) -> None:
    """Loaded at two widths; the others, and the other colours, by a page that is open."""
    sites = [site / "index.html", *(next(site.glob(name)) for name in _OF_SITES)]
    faults = []
    for page in (*sorted(hostile_report.glob("*.html")), *sites):
        driver = browser.open(page, _FRAGMENTS.get(page.name, ""), width=width)
        # In the gallery nothing is seen before all has its place.
        found = [] if page.name == "gallery.html" else [f"moves: {s}" for s in driver.execute_async_script(_SHIFTS)]
        found += _framed(driver, width, "light")
        driver.execute_script(_UNFOLD)
        # On a phone only the viewer and the explorer have other parts than in a large window.
        judged = AXE.is_file() and (width > 600 or page.name in ("gallery.html", "explorer.html"))
        if judged:
            driver.execute_cdp_cmd("Runtime.evaluate", {"expression": AXE.read_text(encoding="utf-8")})
            found += _barriers(driver)
        for other in (1440, 1280) if width > 600 else (width,):
            browser.frame(other, scheme="dark")
            found += _framed(driver, other, "dark")
        found += _barriers(driver, ["color-contrast"]) if judged else []
        found += browser.complaints(site if page.is_relative_to(site) else hostile_report)
        faults += [f"{page.name}: {fault}" for fault in found]
    assert faults == []
    if not AXE.is_file():
        pytest.skip(f"axe-core is not at {AXE}: npm install --no-save axe-core")


@pytest.mark.parametrize(("page", "told"), [("timing", "DUDONET: "), ("explorer", "DUDONET: median ")])
def test_charts_fit_the_window_and_tell_their_values_to_pointer_and_keyboard(
    browser: Browser, hostile_report: Path, page: str, told: str
) -> None:
    driver = browser.open(hostile_report / f"{page}.html")
    for width in (1280, 375):
        browser.frame(width)
        charts = driver.find_elements("css selector", "figure.chart > svg")
        (chart,) = [each for each in charts if each.is_displayed()]
        assert chart.rect["x"] + chart.rect["width"] <= width
        (point,) = chart.find_elements("css selector", f".reading-point[aria-label^='{told}']")
        driver.execute_script("arguments[0].focus()", point)
        assert driver.find_element("css selector", ".reading").text == point.get_attribute("aria-label")
    assert browser.complaints(hostile_report) == []


def test_a_long_title_takes_lines_and_not_the_room_of_a_table(browser: Browser, tmp_path: Path) -> None:
    cards = {"li": {"title": f"Linear interpolation of the metal trace in every view {'x' * 60}"}}
    report = render(write_run(tmp_path / "run", METHODS[:3], slices=2, cards=cards)).parent
    for page in ("index", "statistics", "timing"):
        driver = browser.open(report / f"{page}.html")
        names = driver.find_elements("css selector", "tbody th[scope=row]")
        widths = [name.size["width"] for name in names if name.is_displayed()]
        assert widths and max(widths) < 420, page
        assert driver.execute_script(
            "const names = [...document.querySelectorAll('tbody th[scope=row]')];"
            "return names.every((name) => name.scrollWidth <= name.clientWidth)"
        ), page


def test_on_paper_pages_are_white_whole_and_without_what_only_a_screen_needs(
    browser: Browser, hostile_report: Path, site: Path
) -> None:
    """The width is that of a landscape page of A4 within its margins."""
    for page in (hostile_report / "index.html", hostile_report / "statistics.html", site / "index.html"):
        driver = browser.open(page, width=1032, scheme="dark")
        driver.execute_script("document.documentElement.dataset.theme = 'dark'")
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
        assert driver.execute_script("return document.documentElement.scrollWidth") <= 1032, page
        assert driver.execute_script("return getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        for part in driver.find_elements("css selector", ".top, .tools, .hint"):
            assert not part.is_displayed(), (page, part.get_attribute("class"))


@pytest.mark.parametrize(
    ("page", "fragment", "told"),
    [
        ("index", "#kind=classical&search=l", ["Filtered: 1 of 7 methods; name contains: “l”; kind: classical."]),
        ("explorer", "#status=failed&page=2", ["40 of 200 cases; outcome: Any method failed", "26–40 of 40 cases"]),
    ],
)
def test_paper_tells_which_rows_it_holds(
    browser: Browser, hostile_report: Path, page: str, fragment: str, told: list[str]
) -> None:
    driver = browser.open(hostile_report / f"{page}.html", fragment, width=1032)
    until(driver, "document.querySelector('.status').textContent")
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    seen = [part.text for part in driver.find_elements("css selector", ".status, .pager") if part.is_displayed()]
    assert [text.startswith(start) for text, start in zip(seen, told, strict=True)] == [True] * len(told)


def test_what_is_chosen_can_be_told_where_the_system_chooses_all_colours(
    browser: Browser, pictured_report: Path
) -> None:
    driver = browser.open(pictured_report / "gallery.html", "#regions=1&line=20,10,50,54")
    until(driver, "document.querySelector('.region i') && document.querySelector('.profile-legend line')")
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "forced-colors", "value": "active"}]})
    assert driver.execute_script("return matchMedia('(forced-colors: active)').matches")
    told = driver.execute_script(
        """const style = (s) => getComputedStyle(s instanceof Element ? s : document.querySelector(s));
        const back = (s) => style(s).backgroundColor; const canvas = back("body");
        return [
          back(".segments input:checked + span") !== back(".segments input:not(:checked) + span"),
          back("button[aria-pressed='true']") !== back("button[aria-pressed='false']"),
          style(".bar li a[aria-current]").borderBottomColor !== canvas,
          style(".bar li a:not([aria-current])").borderBottomColor === canvas,
          style(".film button[aria-current='true']").borderTopColor !== canvas,
          style(".film button[aria-current='false']").borderTopColor === canvas,
          back(".region i") === document.querySelector(".region i").style.backgroundColor,
          new Set([...document.querySelectorAll(".profile-legend line")].map((line) => style(line).stroke)).size > 2,
        ]"""
    )
    assert told == [True] * 8
    assert browser.complaints(pictured_report) == []


def test_a_long_title_gives_way_to_the_navigation(browser: Browser, hostile_report: Path) -> None:
    driver = browser.open(hostile_report / "index.html")
    driver.execute_script("document.querySelector('.brand .of').textContent = 'A long title of a benchmark '.repeat(9)")
    for width in (1440, 1280, 1024, 768, 375):
        browser.frame(width)
        assert driver.execute_script("return document.documentElement.scrollWidth") <= width
        bar = "const list = document.querySelector('.bar ul'); return [list.scrollWidth, list.clientWidth]"
        needed, given = driver.execute_script(bar)
        assert needed <= given


def test_the_chosen_theme_lasts(browser: Browser, hostile_report: Path) -> None:
    driver = browser.open(hostile_report / "index.html")
    driver.find_element("id", "theme").click()
    assert driver.execute_script("return document.documentElement.dataset.theme") == "dark"
    driver = browser.open(hostile_report / "timing.html")
    assert driver.execute_script("return getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)"
    driver.find_element("id", "theme").click()
    assert driver.execute_script("return getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    driver.execute_script("localStorage.clear()")
    assert browser.complaints(hostile_report) == []


def test_without_scripts_every_table_is_there(browser: Browser, hostile_report: Path) -> None:
    browser.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        driver = browser.open(hostile_report / "index.html")
        boards = driver.find_elements("css selector", "section.board")
        assert len(boards) == 2 and all(board.is_displayed() for board in boards)
        assert not driver.find_element("id", "tools").is_displayed()
        assert not driver.find_element("id", "theme").is_displayed()
    finally:
        browser.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
        browser.driver.get("about:blank")
        browser.complaints(hostile_report)
