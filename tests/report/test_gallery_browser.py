"""The gallery and the explorer in a real browser, opened from disk without network."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import Browser
from synthetic_runs import METHODS, Synthetic, failed, write_run

from marbench.report.pages import render
from marbench.results.rows import Row

ActionChains = pytest.importorskip(
    "selenium.webdriver.common.action_chains", reason="the browser tests need selenium: pip install 'marbench[test]'"
).ActionChains
HOSTILE = "<img src=x onerror=alert(1)>"
AXE = Path(__file__).resolve().parents[2] / "node_modules" / "axe-core" / "axe.min.js"


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    def change(row: Row) -> Row:
        return failed(row, message="</script>") if row.method == HOSTILE and row.size_group == 2 else row

    methods = (*METHODS[:4], Synthetic(HOSTILE, 30.0, domain="image"))
    return render(write_run(tmp_path_factory.mktemp("viewer") / "run", methods, change=change, pictures=6)).parent


def _until(driver: Any, script: str, *arguments: Any) -> Any:
    """Return the script's value as soon as it is true."""
    for _ in range(100):
        if value := driver.execute_script(f"return {script}", *arguments):
            return value
        time.sleep(0.03)
    raise AssertionError(f"never true: {script}")


def _open(browser: Browser, report: Path, fragment: str = "", **frame: Any) -> Any:
    driver = browser.open(report / "gallery.html", fragment, **frame)
    _until(driver, "document.querySelector('.pane canvas') && !document.querySelector('#viewer[aria-busy]')")
    _settle(driver)
    return driver


@pytest.fixture
def viewer(browser: Browser, report: Path) -> Any:
    """The gallery with all pictures, and after the test not a word of complaint."""
    yield _open(browser, report)
    assert browser.complaints(report) == []


def _settle(driver: Any) -> None:
    """Wait until all is drawn and the address is written."""
    driver.execute_async_script("requestAnimationFrame(() => setTimeout(arguments[0], 200))")


def _keys(driver: Any, *keys: str) -> None:
    ActionChains(driver).send_keys(*keys).perform()
    _settle(driver)


def _drag(driver: Any, dx: int, dy: int, start: tuple[int, int] = (0, 0)) -> None:
    canvas = driver.find_element("css selector", ".pane canvas")
    chain = ActionChains(driver).move_to_element_with_offset(canvas, *start).click_and_hold()
    chain.move_by_offset(dx, dy).release().perform()
    _settle(driver)


def _pixels(driver: Any) -> list[int]:
    """Return a sum over every pane's pixels: equal pictures give equal sums."""
    return list(
        driver.execute_script(
            "return [...document.querySelectorAll('.pane canvas')].map(c => {"
            "const copy = new OffscreenCanvas(c.width, c.height).getContext('2d', { willReadFrequently: true });"
            "copy.drawImage(c, 0, 0); return copy.getImageData(0, 0, c.width, c.height)"
            ".data.reduce((s, v, k) => (s * 31 + v * (k % 97)) % 1000003, 7); })"
        )
    )


def _names(driver: Any) -> list[str]:
    return [element.text for element in driver.find_elements("css selector", ".pane-name")]


def _hash(driver: Any) -> str:
    return str(driver.execute_script("return decodeURIComponent(location.hash)"))


def test_all_methods_stand_beside_the_truth_and_a_hostile_name_is_text(viewer: Any) -> None:
    assert _names(viewer)[:2] == ["Truth", "Uncorrected"]
    assert set(_names(viewer)[2:]) == {"LI", "NMAR", "CNNMAR", HOSTILE.upper()}
    assert viewer.execute_script("return document.querySelectorAll('img[src=x]').length") == 0
    assert len(set(_pixels(viewer))) == 6


def test_the_probe_reads_the_stored_hu_in_every_pane(viewer: Any, report: Path) -> None:
    case = viewer.execute_script("return document.getElementById('case').value")
    canvas = viewer.find_element("css selector", ".pane canvas")
    ActionChains(viewer).move_to_element_with_offset(canvas, 40, -25).perform()
    _settle(viewer)
    row, column = (int(text.split()[-1]) for text in viewer.find_element("id", "where").text.split(","))
    folder = report.parent / "images" / case
    with np.load(folder / "_case.npz") as stored:
        expected = [int(stored["truth"][row, column]), int(stored["uncorrected"][row, column])]
    with np.load(folder / "nmar.npz") as stored:
        nmar = int(stored["image"][row, column])
    shown = [
        int(element.text.removesuffix(" HU").replace("−", "-"))
        for element in viewer.find_elements("css selector", ".pane-probe")
    ]
    assert shown[:2] == expected
    assert shown[_names(viewer).index("NMAR")] == nmar
    _keys(viewer, "e")
    text = viewer.find_elements("css selector", ".pane-probe")[1].text
    assert int(text.removesuffix(" HU").replace("−", "-")) == expected[1] - expected[0]


def test_dragging_windows_all_panes_and_presets_bring_it_back(viewer: Any) -> None:
    before = _pixels(viewer)
    viewer.find_element("css selector", "[data-window='Soft tissue']").click()
    _settle(viewer)
    viewer.execute_script("document.getElementById('drag-window').click()")
    _drag(viewer, 60, 30)
    assert "window=" in _hash(viewer)
    low, high = (float(part) for part in _hash(viewer).split("window=")[1].split("&")[0].split(","))
    assert high - low > 400
    assert (low + high) / 2 > 40
    assert all(a != b for a, b in zip(before, _pixels(viewer), strict=True))
    viewer.find_element("css selector", "[data-window='Bone']").click()
    _settle(viewer)
    assert viewer.find_element("id", "width").get_attribute("value") == "1800"
    assert "window=-500,1300" in _hash(viewer)


def test_zoom_and_pan_are_shared_by_all_panes(viewer: Any) -> None:
    before = _pixels(viewer)
    canvas = viewer.find_element("css selector", ".pane canvas")
    canvas.click()
    _keys(viewer, "+", "+", "+", "+")
    zoomed = _pixels(viewer)
    assert all(a != b for a, b in zip(before, zoomed, strict=True))
    _drag(viewer, 50, 20)
    assert all(a != b for a, b in zip(zoomed, _pixels(viewer), strict=True))
    centre = _hash(viewer).split("centre=")[1].split("&")[0].split(",")
    assert float(centre[0]) < 0.5
    assert float(centre[1]) < 0.5
    _keys(viewer, "r")
    assert "zoom" not in _hash(viewer)


def test_two_fingers_zoom_the_panes_and_one_scrolls_the_page(browser: Browser, report: Path) -> None:
    driver = _open(browser, report, width=375)
    driver.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": True, "maxTouchPoints": 2})
    driver.execute_script("document.querySelector('.pane canvas').scrollIntoView({ block: 'center' })")
    centre = (
        "const box = document.querySelector('.pane canvas').getBoundingClientRect();"
        "return [box.left + box.width / 2, box.top + box.height / 2]"
    )
    x, y = driver.execute_script(centre)

    def touch(kind: str, *places: tuple[float, float]) -> None:
        points = [{"x": across, "y": down, "id": finger} for finger, (across, down) in enumerate(places)]
        driver.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    try:
        touch("touchStart", (x - 15, y))
        touch("touchStart", (x - 15, y), (x + 15, y))
        for step in range(1, 11):
            touch("touchMove", (x - 15 - 3 * step, y), (x + 15 + 3 * step, y))
        touch("touchEnd")
        _settle(driver)
        assert 2.5 < float(driver.execute_script("return location.hash").split("zoom=")[1].split("&")[0]) < 3.5
        assert driver.execute_script("return visualViewport.scale") == 1
        _keys(driver, "r")
        _settle(driver)
        before = driver.execute_script("return scrollY")
        x, y = driver.execute_script(centre)
        touch("touchStart", (x, y))
        for step in range(1, 11):
            touch("touchMove", (x, y - 8 * step))
        touch("touchEnd")
        _settle(driver)
        assert driver.execute_script("return scrollY") > before
    finally:
        driver.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": False})
    assert browser.complaints(report) == []


def test_number_keys_flip_methods_in_one_place(viewer: Any) -> None:
    order = _names(viewer)[2:]
    for number, method in enumerate(order, start=1):
        _keys(viewer, str(number))
        assert _names(viewer) == [method]
    flipped = _pixels(viewer)
    _keys(viewer, "1")
    assert _pixels(viewer) != flipped
    _keys(viewer, "t")
    assert _names(viewer) == ["Truth"]
    _keys(viewer, "g")
    assert len(_names(viewer)) == 6


def test_the_divider_of_a_swipe_follows_the_pointer(viewer: Any) -> None:
    _keys(viewer, "s")
    before = _pixels(viewer)
    width = viewer.find_element("css selector", ".pane canvas").size["width"]
    _drag(viewer, round(width * 0.25), 0)
    assert float(_hash(viewer).split("at=")[1].split("&")[0]) == pytest.approx(0.75, abs=0.02)
    assert _pixels(viewer) != before


def test_contour_inset_error_and_sinogram_change_the_pictures(viewer: Any) -> None:
    seen = [_pixels(viewer)]
    for key in ("c", "z", "e"):
        _keys(viewer, key)
        assert _pixels(viewer) != seen[-1], key
        seen.append(_pixels(viewer))
    assert viewer.find_element("id", "bar-low").text == "−250"
    _keys(viewer, "n")
    _until(viewer, "!document.getElementById('viewer').hasAttribute('aria-busy')")
    assert _names(viewer) == ["Measured", "Without metal"]
    assert len(set(_pixels(viewer))) == 2


def test_a_link_restores_all_that_was_set(browser: Browser, viewer: Any, report: Path) -> None:
    _keys(viewer, "]", "e", "c", "2", "+", "+")
    _until(viewer, "!document.getElementById('viewer').hasAttribute('aria-busy')")
    _settle(viewer)
    names, pixels = _names(viewer), _pixels(viewer)
    fragment = str(viewer.execute_script("return location.hash"))
    again = _open(browser, report, fragment)
    assert (_names(again), _pixels(again)) == (names, pixels)
    assert again.execute_script("return location.hash") == fragment


@pytest.mark.parametrize("fragment", ["#case=nowhere", "#zoom=x&window=9,1&at=7&view=odd&probe=a", "#case=%3Cimg%3E"])
def test_a_wrong_link_shows_something_sensible(browser: Browser, report: Path, fragment: str) -> None:
    driver = _open(browser, report, fragment)
    assert len(_names(driver)) == 6
    assert browser.complaints(report) == []


def test_pictures_load_only_for_the_case_on_show(viewer: Any) -> None:
    loaded = viewer.execute_script(
        "return performance.getEntriesByType('resource').map(e => e.name).filter(n => n.includes('/gallery/'))"
    )
    assert len({name.split("/")[-2] for name in loaded}) <= 1


@pytest.mark.parametrize("width", [1440, 1280, 375])
def test_the_picture_comes_first_and_nothing_moves_when_a_pointer_enters(
    browser: Browser, report: Path, width: int
) -> None:
    driver = _open(browser, report, width=width)
    tops = "return [...document.querySelectorAll('.pane')].map(p => Math.round(p.getBoundingClientRect().top))"
    before = driver.execute_script(tops)
    assert before[0] <= 160
    assert driver.execute_script("return document.documentElement.scrollWidth") <= width
    canvas = driver.find_element("css selector", ".pane canvas")
    ActionChains(driver).move_to_element_with_offset(canvas, 20, 30).perform()
    _settle(driver)
    assert driver.find_element("css selector", ".pane-probe").text.endswith("HU")
    assert driver.execute_script(tops) == before
    assert browser.complaints(report) == []


def test_panes_show_the_body_and_the_whole_field_on_a_key(viewer: Any, report: Path) -> None:
    case = viewer.execute_script("return document.getElementById('case').value")
    corners = (
        "const box = document.querySelector('.pane canvas').getBoundingClientRect(); return [box.width, box.height]"
    )
    with np.load(report.parent / "images" / case / "_case.npz") as stored:
        body = stored["truth"] > -500
    rows, columns = (np.flatnonzero(body.any(axis=axis)) for axis in (1, 0))
    width, height = viewer.execute_script(corners)
    margin = 0.06 * body.shape[0]
    aspect = (np.ptp(columns) + 1 + margin) / (np.ptp(rows) + 1 + margin)
    assert width / height == pytest.approx(aspect, rel=0.05)
    before = _pixels(viewer)
    _keys(viewer, "b")
    assert all(a != b for a, b in zip(before, _pixels(viewer), strict=True))
    assert "field=whole" in _hash(viewer)


def test_the_circle_gives_the_mean_and_deviation_that_numpy_gives(viewer: Any, report: Path) -> None:
    case = viewer.execute_script("return document.getElementById('case').value")
    viewer.execute_script("location.hash = 'case=' + arguments[0] + '&roi=20,30,4.5&range=500'", case)
    _settle(viewer)
    _settle(viewer)
    rows, columns = np.mgrid[:64, :64]
    inside = (rows - 20) ** 2 + (columns - 30) ** 2 <= 4.5**2
    with np.load(report.parent / "images" / case / "nmar.npz") as stored:
        image = stored["image"].astype(float)
    with np.load(report.parent / "images" / case / "li.npz") as stored:
        other = stored["image"].astype(float)

    def told(label: str) -> str:
        return str(viewer.find_elements("css selector", ".pane-scores")[_names(viewer).index(label)].text)

    def text(values: np.ndarray) -> str:
        mean, deviation = (f"{value:.1f}".replace("-", "−") for value in (values.mean(), values.std()))
        return f"ROI {mean} ± {deviation} ({values.size} px)"

    assert told("NMAR") == text(image[inside])
    # The difference of two methods.
    _keys(viewer, "e")
    viewer.execute_script(
        "const field = document.getElementById('against'); field.value = 'method li';"
        "field.dispatchEvent(new Event('change'))"
    )
    _settle(viewer)
    assert told("NMAR") == text((image - other)[inside])
    assert viewer.find_element("id", "bar-middle").text == "0 HU, image minus li"
    assert viewer.find_element("id", "bar-high").text == "+500"


def test_tools_unfold_set_columns_and_go_to_the_metal_and_thumbnails_lead_to_cases(viewer: Any) -> None:
    assert not viewer.find_element("id", "columns").is_displayed()
    _keys(viewer, "h")
    viewer.execute_script(
        "const field = document.getElementById('columns'); field.value = '2';field.dispatchEvent(new Event('change'))"
    )
    _settle(viewer)
    left = "return new Set([...document.querySelectorAll('.pane')].map(p => p.getBoundingClientRect().left)).size"
    assert viewer.execute_script(left) == 2
    viewer.find_element("id", "metal").click()
    _settle(viewer)
    assert float(_hash(viewer).split("zoom=")[1].split("&")[0]) > 2
    thumbnails = viewer.find_elements("css selector", "#film button")
    assert len(thumbnails) == len(viewer.find_elements("css selector", "#case option"))
    thumbnails[1].click()
    _until(viewer, "!document.getElementById('viewer').hasAttribute('aria-busy')")
    assert thumbnails[1].get_attribute("aria-current") == "true"
    size = viewer.execute_async_script(
        "const done = arguments[0]; HTMLAnchorElement.prototype.click = function () {"
        "done([this.download.endsWith('.png'), this.href.startsWith('blob:')]) };"
        "document.getElementById('save').click()"
    )
    assert size == [True, True]


@pytest.mark.parametrize("page", ["gallery", "explorer"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 375])
def test_no_serious_accessibility_fault_and_no_overflow(
    browser: Browser, report: Path, page: str, scheme: str, width: int
) -> None:
    driver = browser.open(report / f"{page}.html", width=width, scheme=scheme)
    _settle(driver)
    assert driver.execute_script("return document.documentElement.scrollWidth") <= width
    assert browser.complaints(report) == []
    if not AXE.is_file():
        pytest.skip("axe-core is not installed: npm install axe-core")
    driver.execute_cdp_cmd("Runtime.evaluate", {"expression": AXE.read_text(encoding="utf-8")})
    found = driver.execute_async_script("axe.run({ preload: false }).then(result => arguments[0](result.violations))")
    assert [(f["id"], f["nodes"][0]["html"]) for f in found if f["impact"] in ("serious", "critical")] == []


@pytest.fixture
def explorer(browser: Browser, report: Path) -> Any:
    """The explorer with its data, and after the test not a word of complaint."""
    driver = browser.open(report / "explorer.html")
    _until(driver, "!document.getElementById('explorer-tools').hidden")
    yield driver
    assert browser.complaints(report) == []


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
    assert explorer.find_element("id", "explorer-status").text == "40 of 200 cases"
    failed_cells = explorer.find_elements("css selector", "#cases td.failed")
    assert {cell.text for cell in failed_cells} == {"error"}
    failed_cells[0].find_element("css selector", "button").click()
    said = explorer.find_element("id", "explorer-said").text
    assert said.startswith(f"{HOSTILE.upper()} on p") and said.endswith("error. ValueError: </script>")


def test_a_link_restores_the_table_of_cases(browser: Browser, explorer: Any, report: Path) -> None:
    _choose(explorer, "group", "2")
    _choose(explorer, "measure", "1")
    _until(explorer, "document.getElementById('shown-measure').textContent === 'ssim[dudonet2019]'")
    explorer.find_element("css selector", "th[data-column=area] button").click()
    shown, fragment = _column(explorer, 0), str(explorer.execute_script("return location.hash"))
    assert sorted(fragment[1:].split("&")) == ["group=2", "measure=1", "sort=-area"]
    again = browser.open(report / "explorer.html", fragment)
    _until(again, "!document.getElementById('explorer-tools').hidden")
    assert _column(again, 0) == shown
    assert again.execute_script("return location.hash") == fragment


def test_rows_come_in_pages(explorer: Any) -> None:
    first = _column(explorer, 0)
    explorer.find_element("id", "page-after").click()
    assert len(first) == 25
    assert not set(first) & set(_column(explorer, 0))


def test_a_case_leads_to_its_pictures(explorer: Any) -> None:
    link = explorer.find_element("css selector", "#cases tbody th a")
    case = link.find_element("xpath", "..").text.split()[0]
    link.click()
    _until(explorer, "document.getElementById('case-facts') && document.getElementById('case-facts').textContent")
    assert explorer.find_element("id", "case-facts").text.startswith(case)
    _settle(explorer)
