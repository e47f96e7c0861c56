"""The explorer in a real browser, opened from disk without network."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.dataset as dataset
import pytest
from browser import Browser, settle, until
from synthetic_runs import HOSTILE


@pytest.fixture
def explorer(browser: Browser, pictured_report: Path) -> Any:
    """The explorer with its data, and after the test not a word of complaint."""
    driver = browser.open(pictured_report / "explorer.html")
    until(driver, "document.querySelector('#cases th a')")
    yield driver
    assert browser.complaints(pictured_report) == []


def _column(driver: Any, index: int) -> list[str]:
    script = "return [...document.querySelectorAll('#cases tbody tr')].map(r => r.cells[arguments[0]].textContent)"
    return list(driver.execute_script(script, index))


def _choose(driver: Any, name: str, value: str) -> None:
    driver.execute_script(
        "const field = document.getElementById('explorer-tools').elements[arguments[0]]; field.value = arguments[1];"
        "field.dispatchEvent(new Event('input', { bubbles: true }));",
        name,
        value,
    )


def test_the_worst_cases_come_first_and_the_disputed_ones_on_demand(explorer: Any) -> None:
    means = [float(text) for text in _column(explorer, 5)]
    assert means == sorted(means)
    explorer.execute_script("document.querySelector('[name=order][value=disputed]').click()")
    spreads = [float(text) for text in _column(explorer, 6)]
    assert spreads == sorted(spreads, reverse=True)
    explorer.find_element("css selector", "th[data-column=area] button").click()
    areas = [float(text) for text in _column(explorer, 2)]
    assert areas == sorted(areas, reverse=True)


def test_cases_filter_by_region_metal_size_and_outcome(explorer: Any) -> None:
    _choose(explorer, "region", "thorax")
    assert set(_column(explorer, 3)) == {"thorax"}
    _choose(explorer, "material", "gold")
    assert all("gold" in text for text in _column(explorer, 4))
    _choose(explorer, "region", "")
    _choose(explorer, "material", "")
    _choose(explorer, "status", "failed")
    assert set(_column(explorer, 1)) == {"2"}
    assert explorer.find_element("id", "explorer-status").text == "40 of 200 cases; outcome: Any method failed"
    failed_cells = explorer.find_elements("css selector", "#cases td.failed")
    assert {cell.text for cell in failed_cells} == {"error"}
    failed_cells[0].find_element("css selector", "button").click()
    said = explorer.find_element("id", "explorer-said").text
    assert said.startswith(f"{HOSTILE.upper()} on p") and said.endswith("error. ValueError: </script>")


def test_a_link_restores_the_table_of_cases(browser: Browser, explorer: Any, pictured_report: Path) -> None:
    _choose(explorer, "group", "2")
    _choose(explorer, "measure", "1")
    until(explorer, "document.getElementById('shown-measure').textContent === 'ssim[dudonet2019]'")
    explorer.find_element("css selector", "th[data-column=area] button").click()
    shown, fragment = _column(explorer, 0), str(explorer.execute_script("return location.hash"))
    assert sorted(fragment[1:].split("&")) == ["group=2", "measure=1", "sort=-area"]
    again = browser.open(pictured_report / "explorer.html", fragment)
    until(again, "!document.getElementById('explorer-tools').hidden")
    assert _column(again, 0) == shown
    assert again.execute_script("return location.hash") == fragment


def test_scores_that_do_not_come_are_told_of_the_measure_on_show_alone(explorer: Any) -> None:
    explorer.execute_script(
        "document.head.append = (script) => setTimeout(() => script.dispatchEvent(new Event('error')), 50)"
    )
    status = explorer.find_element("id", "explorer-status")
    _choose(explorer, "measure", "1")
    _choose(explorer, "measure", "0")
    settle(explorer)
    assert status.text == ""
    _choose(explorer, "measure", "1")
    settle(explorer)
    assert "could not be loaded" in status.text


def test_rows_come_in_pages(explorer: Any) -> None:
    first = _column(explorer, 0)
    explorer.find_element("id", "page-after").click()
    assert len(first) == 25
    second = _column(explorer, 0)
    assert not set(first) & set(second)
    # A link and the way back from a case's pictures lead to the page; another order begins with its first.
    assert explorer.execute_script("return location.hash") == "#page=2"
    explorer.refresh()
    until(explorer, "document.querySelector('#page-now').textContent === '26–50 of 200 cases'")
    assert _column(explorer, 0) == second
    explorer.execute_script("document.querySelector('th[data-column=area] button').click()")
    assert "page" not in explorer.execute_script("return location.hash")
    explorer.execute_script("location.hash = 'page=99'")
    until(explorer, "document.querySelector('#page-now')?.textContent === '176–200 of 200 cases'")


def test_headings_stand_whole(explorer: Any) -> None:
    labels = "[...document.querySelectorAll('.cases .label, .duels .label')]"
    cut = f"return {labels}.filter((label) => label.scrollWidth > label.clientWidth)"
    assert explorer.execute_script(cut) == []
    assert HOSTILE.upper() in [label.text for label in explorer.find_elements("css selector", ".cases .label")]


def test_a_case_leads_to_its_pictures(explorer: Any) -> None:
    link = explorer.find_element("css selector", "#cases tbody th a")
    case = link.find_element("xpath", "..").text.split()[0]
    link.click()
    until(explorer, "document.getElementById('case-facts') && document.getElementById('case-facts').textContent")
    assert explorer.find_element("id", "case-facts").text.startswith(case)
    settle(explorer)


@pytest.fixture(scope="module")
def scored(pictured_report: Path) -> pd.DataFrame:
    """The rows of one method by case, the worst first."""
    frame = dataset.dataset(pictured_report.parent / "results", format="parquet").to_table().to_pandas()
    return frame[frame["method"] == "cnnmar"].set_index("case_id").sort_values("psnr[dudonet2019]")


_SCORE = "psnr[dudonet2019]"
# Where a place of a drawing is on the screen, which is brought into sight first.
_PLACE = """const [mark, x, y] = arguments;
mark.scrollIntoView({ block: "center" });
const place = new DOMPoint(x, y).matrixTransform(mark.getScreenCTM());
return [place.x, place.y];"""
_CENTRE = """arguments[0].scrollIntoView({ block: "center" });
const box = arguments[0].getBoundingClientRect();
return [box.left + box.width / 2, box.top + box.height / 2];"""
_POINTER = """const [mark, clientX, clientY, kind] = arguments;
mark.dispatchEvent(new PointerEvent(kind, { clientX, clientY, pointerType: "mouse", bubbles: true }));"""


def _told(driver: Any, mark: Any, case: str, row: Any) -> Any:
    """Wait until the line below a chart tells a case, and return that line."""
    line = mark.find_element("xpath", "ancestor::figure").find_element("css selector", ".reading")
    start = f"CNNMAR: {row[_SCORE]:.2f} dB on {case}, {row['region']}"
    until(driver, "arguments[0].textContent.startsWith(arguments[1])", line, start)
    return line


def _dot(driver: Any, row: Any) -> tuple[Any, float, float]:
    """Return the panel of scores over metal area, and where on the screen the dot of a case is."""
    places = driver.execute_script("return JSON.parse(document.getElementById('explorer-data').textContent).methods")
    panel = driver.find_element("css selector", f".small-charts svg[data-method='{places.index('cnnmar')}']")
    place = []
    for name, value in {"x": math.log10(row["metal_area_mm2"]), "y": row[_SCORE]}.items():
        low, high, start, end, _ = map(float, panel.get_attribute(f"data-{name}").split())
        place.append(start + (value - low) / (high - low) * (end - start))
    return (panel, *driver.execute_script(_PLACE, panel, *place))


def test_cases_behind_the_charts_tell_themselves_to_keys_and_mouse_and_lead_to_their_pictures(
    explorer: Any, pictured_report: Path, scored: pd.DataFrame
) -> None:
    violin = explorer.find_element("css selector", "svg.wide .shape[aria-label^='CNNMAR:']")
    explorer.execute_script("arguments[0].focus()", violin)
    for key, at in (("\ue014", 0), ("\ue014", 1), ("\ue010", -1)):  # →, →, End
        violin.send_keys(key)
        _told(explorer, violin, scored.index[at], scored.iloc[at])
    case = sorted(path.name for path in (pictured_report.parent / "images").iterdir())[0]
    panel, x, y = _dot(explorer, scored.loc[case])
    explorer.execute_script(_POINTER, panel, x, y, "pointermove")
    _told(explorer, panel, case, scored.loc[case])
    explorer.execute_script(_POINTER, panel, x, y, "click")
    until(explorer, "location.href.includes(arguments[0])", f"gallery.html#case={case}")


def test_a_thumb_reaches_a_case_in_a_chart_and_through_the_line_below_its_pictures(
    browser: Browser, pictured_report: Path, scored: pd.DataFrame
) -> None:
    driver = browser.open(pictured_report / "explorer.html", width=375, height=812)
    driver.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": True, "maxTouchPoints": 1})

    def tap(x: float, y: float) -> None:
        for kind, points in (("touchStart", [{"x": x, "y": y}]), ("touchEnd", [])):
            driver.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    try:
        case = sorted(path.name for path in (pictured_report.parent / "images").iterdir())[-1]
        panel, x, y = _dot(driver, scored.loc[case])
        tap(x, y)
        line = _told(driver, panel, case, scored.loc[case])
        # The first touch tells; it does not carry off.
        settle(driver)
        assert driver.current_url.endswith("explorer.html")
        link = line.find_element("css selector", "a")
        assert link.rect["height"] >= 24
        tap(*driver.execute_script(_CENTRE, link))
        until(driver, "location.href.includes(arguments[0])", f"gallery.html#case={case}")
        until(driver, "document.querySelector('.pane canvas')")
    finally:
        driver.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": False})
    assert browser.complaints(pictured_report) == []
