"""The gallery in a real browser, opened from disk without network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from browser import Browser, settle, until
from scipy.ndimage import map_coordinates
from synthetic_runs import HOSTILE, METHODS, Synthetic, with_other_rays, write_run

from marbench.machine.arrays import npz
from marbench.report.pages import render

ActionChains = pytest.importorskip(
    "selenium.webdriver.common.action_chains", reason="the browser tests need selenium: pip install 'marbench[test]'"
).ActionChains


@pytest.fixture
def report(pictured_report: Path) -> Path:
    return pictured_report


def _open(browser: Browser, report: Path, fragment: str = "", **frame: Any) -> Any:
    driver = browser.open(report / "gallery.html", fragment, **frame)
    until(driver, "document.querySelector('.pane canvas') && !document.querySelector('#viewer[aria-busy]')")
    settle(driver)
    return driver


_RESTORE = """document.activeElement.blur();
if (document.getElementById("fold").ariaExpanded === "true") document.getElementById("fold").click();
document.getElementById("drag-pan").click();
if (document.getElementById("keys").ariaPressed === "false") document.getElementById("keys").click();
scrollTo(0, 0);
location.hash = "case=" + document.getElementById("case").options[0].value;"""


@pytest.fixture
def viewer(browser: Browser, report: Path) -> Any:
    """The gallery as it opens, with all pictures, and after the test not a word of complaint."""
    if browser.shows(report / "gallery.html"):
        browser.driver.execute_script(_RESTORE)
        settle(browser.driver)
        _until_loaded(browser.driver)
    else:
        _open(browser, report)
    yield browser.driver
    assert browser.complaints(report) == []


def _keys(driver: Any, *keys: str) -> None:
    ActionChains(driver).send_keys(*keys).perform()
    settle(driver)


def _drag(driver: Any, dx: int, dy: int, start: tuple[int, int] = (0, 0)) -> None:
    canvas = driver.find_element("css selector", ".pane canvas")
    chain = ActionChains(driver).move_to_element_with_offset(canvas, *start).click_and_hold()
    chain.move_by_offset(dx, dy).release().perform()
    settle(driver)


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


def _part(driver: Any, name: str) -> str:
    """Return what the address says of one thing."""
    return _hash(driver).split(f"{name}=")[1].split("&")[0]


def test_all_methods_stand_beside_the_truth_and_a_hostile_name_is_text(browser: Browser, report: Path) -> None:
    viewer = _open(browser, report)
    assert _names(viewer)[:2] == ["Truth", "Uncorrected"]
    assert set(_names(viewer)[2:]) == {"LI", "NMAR", "CNNMAR", HOSTILE.upper()}
    assert viewer.execute_script("return document.querySelectorAll('img[src=x]').length") == 0
    assert len(set(_pixels(viewer))) == 6


def _pictured(browser: Browser) -> set[str]:
    """Return the cases whose pictures the page has loaded."""
    return {url.split("/")[-2] for url in browser.loaded() if url.endswith("/images.js")}


def test_the_cases_beside_the_one_on_show_are_loaded_before_they_are_asked_for(browser: Browser, report: Path) -> None:
    viewer = _open(browser, report)
    cases = [option.get_attribute("value") for option in viewer.find_elements("css selector", "#case option")]
    assert _pictured(browser) == {cases[0], cases[1], cases[-1]}
    # One turn later the pictures of the next case are there: no file can be read in that time.
    busy = "done(document.getElementById('viewer').hasAttribute('aria-busy'))"
    step = f"const done = arguments[0]; document.getElementById('next').click(); setTimeout(() => {busy})"
    assert viewer.execute_async_script(step) is False
    settle(viewer)
    assert _pictured(browser) == {*cases[:3], cases[-1]}


def test_the_pictures_of_the_last_few_cases_are_kept_and_older_ones_load_again(viewer: Any) -> None:
    loads = viewer.execute_async_script(
        "const done = arguments[0]; const { cases } = JSON.parse(document.getElementById('gallery-data').textContent);"
        "let count = 0; const counts = []; const { append } = document.head;"
        "document.head.append = function (script) { count += 1; append.call(this, script) };"
        "const want = async (item, kind) => {"
        "const arrays = await marbenchGallery.fetchArrays(item, kind); counts.push(count); return arrays };"
        "(async () => { for (const item of cases) await want(item, 'sinograms');"
        "for (const item of cases) await want(item, 'images');"
        "for (let k = 0; k < 2; k += 1) { await want(cases.at(-1), 'images'); await want(cases[0], 'sinograms') }"
        "delete document.head.append; done(counts) })()"
    )
    assert len(loads) == 6 + 6 + 4
    *_, all_once, newest, oldest, newest_again, oldest_again = loads
    assert newest == all_once
    assert oldest == newest_again == oldest_again == newest + 1


def test_the_probe_reads_the_stored_hu_in_every_pane(viewer: Any, report: Path) -> None:
    case = viewer.execute_script("return document.getElementById('case').value")
    canvas = viewer.find_element("css selector", ".pane canvas")
    ActionChains(viewer).move_to_element_with_offset(canvas, 40, -25).perform()
    settle(viewer)
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


_CROSS = """const canvas = document.querySelector(".pane canvas");
const side = Math.floor(0.42 * canvas.width) - 4;
const copy = new OffscreenCanvas(side, side).getContext("2d", { willReadFrequently: true });
copy.drawImage(canvas, side - canvas.width, side - canvas.height);
const { data } = copy.getImageData(0, 0, side, side);
return data.some((_, k) => k % 4 === 0 && data[k] === 57 && data[k + 1] === 213 && data[k + 2] === 255);"""


def test_in_the_inset_the_probe_and_the_circle_are_at_what_is_seen_there(viewer: Any) -> None:
    canvas = viewer.find_element("css selector", ".pane canvas")
    ActionChains(viewer).move_to_element_with_offset(canvas, -40, -25).perform()
    _keys(viewer, "z", "o")
    beside = _part(viewer, "probe")
    assert not viewer.execute_script(_CROSS)
    side = 0.42 * canvas.size["width"]
    # A fifth of the inset right of its middle and above it: of the 0.16 of 64 pixels that it shows about the metal's.
    place = (canvas.size["width"] / 2 - 0.3 * side, canvas.size["height"] / 2 - 0.7 * side)
    ActionChains(viewer).move_to_element_with_offset(canvas, *map(round, place)).perform()
    settle(viewer)
    row, column = (int(31.5 + part * 0.16 * 64) for part in (-0.2, 0.2))
    assert _part(viewer, "probe") == f"{row},{column}"
    assert viewer.execute_script(_CROSS)
    ActionChains(viewer).click().perform()
    settle(viewer)
    assert _part(viewer, "roi").startswith(f"{row},{column},")
    ActionChains(viewer).move_to_element_with_offset(canvas, -40, -25).perform()
    settle(viewer)
    assert _part(viewer, "probe") == beside


def test_dragging_windows_all_panes_and_presets_bring_it_back(viewer: Any) -> None:
    before = _pixels(viewer)
    viewer.find_element("css selector", "[data-window='Soft tissue']").click()
    settle(viewer)
    viewer.execute_script("document.getElementById('drag-window').click()")
    _drag(viewer, 60, 30)
    assert "window=" in _hash(viewer)
    low, high = (float(part) for part in _hash(viewer).split("window=")[1].split("&")[0].split(","))
    assert high - low > 400
    assert (low + high) / 2 > 40
    assert all(a != b for a, b in zip(before, _pixels(viewer), strict=True))
    viewer.find_element("css selector", "[data-window='Bone']").click()
    settle(viewer)
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


class Fingers:
    """Touches of the middle of the first pane, in CSS pixels from it."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def touch(self, kind: str, *places: tuple[float, float]) -> None:
        script = "const box = document.querySelector('.pane canvas').getBoundingClientRect();"
        x, y = self.driver.execute_script(script + "return [box.left + box.width / 2, box.top + box.height / 2]")
        points = [{"x": x + dx, "y": y + dy, "id": finger} for finger, (dx, dy) in enumerate(places)]
        self.driver.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    def drag(self, start: tuple[float, float], dx: float, dy: float) -> None:
        self.touch("touchStart", start)
        for step in range(1, 11):
            self.touch("touchMove", (start[0] + dx * step / 10, start[1] + dy * step / 10))
        self.touch("touchEnd")
        settle(self.driver)

    def tap(self, dx: float, dy: float) -> None:
        self.touch("touchStart", (dx, dy))
        self.touch("touchEnd")
        settle(self.driver)


@pytest.fixture
def fingers(browser: Browser, report: Path) -> Any:
    driver = _open(browser, report, width=375, height=812)
    driver.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": True, "maxTouchPoints": 2})
    yield Fingers(driver)
    driver.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": False})
    assert browser.complaints(report) == []


def test_two_fingers_zoom_the_panes_and_one_scrolls_the_page(fingers: Fingers) -> None:
    driver = fingers.driver
    fingers.touch("touchStart", (-15, 0))
    fingers.touch("touchStart", (-15, 0), (15, 0))
    for step in range(1, 11):
        fingers.touch("touchMove", (-15 - 3 * step, 0), (15 + 3 * step, 0))
    fingers.touch("touchEnd")
    settle(driver)
    assert 2.5 < float(_part(driver, "zoom")) < 3.5
    assert driver.execute_script("return visualViewport.scale") == 1
    _keys(driver, "r")
    before = driver.execute_script("return scrollY")
    x, y = driver.execute_script(
        "const box = document.querySelector('.pane canvas').getBoundingClientRect();"
        "return [box.left + box.width / 2, box.top + box.height / 2]"
    )
    for kind, at in [("touchStart", 0), *(("touchMove", -8 * step) for step in range(1, 11)), ("touchEnd", None)]:
        points = [] if at is None else [{"x": x, "y": y + at}]
        driver.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    settle(driver)
    assert driver.execute_script("return scrollY") > before


def test_a_thumb_probes_flips_divides_windows_and_draws_a_line(fingers: Fingers) -> None:
    driver = fingers.driver
    fingers.tap(20, 10)
    row, column = (int(value) for value in _part(driver, "probe").split(","))
    assert (row, column) != (32, 32)
    _keys(driver, "1")
    order = [element.text for element in driver.find_elements("css selector", "#flip-choice button")]
    assert driver.find_element("css selector", ".pane").rect["width"] > 330
    fingers.drag((60, 0), -50, 0)
    assert _names(driver) == [order[3]]
    fingers.drag((-60, 0), 100, 0)
    assert _names(driver) == [order[1]]
    # The tools stay in reach, and the picture in sight above them.
    bar = driver.find_element("id", "gallery-tools").rect
    assert bar["y"] + bar["height"] == pytest.approx(812 + driver.execute_script("return scrollY"), abs=1)
    _keys(driver, "s")
    fingers.drag((0, 40), 80, 0)
    assert float(_part(driver, "at")) > 0.6
    driver.execute_script("document.getElementById('drag-window').click()")
    fingers.drag((0, 60), 60, 30)
    low, high = (float(value) for value in _part(driver, "window").split(","))
    assert high - low > 420
    driver.execute_script("document.getElementById('drag-line').click()")
    fingers.drag((-60, -20), 110, 30)
    assert len(_part(driver, "line").split(",")) == 4
    assert driver.find_element("id", "profile").is_displayed()


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


def test_the_focus_stays_on_a_pane_when_panes_come_and_go_and_their_values_are_named(viewer: Any) -> None:
    viewer.execute_script("document.querySelector('.pane canvas').focus()")
    for key, count in (("2", 1), ("s", 1), ("g", 6)):
        _keys(viewer, key)
        values = [value.get_attribute("aria-label") for value in viewer.find_elements("css selector", ".pane-probe")]
        assert values == [f"Value in {name}" for name in _names(viewer)] and len(values) == count
        assert viewer.switch_to.active_element == viewer.find_element("css selector", ".pane canvas"), key


# Scripts of data that come to nothing, after a while.
_FAILING = """document.head.append = (script) =>
  setTimeout(() => script.dispatchEvent(new Event("error")), 150);"""


def test_pictures_that_do_not_come_are_told_of_the_case_on_show_alone(browser: Browser, report: Path) -> None:
    viewer = _open(browser, report)
    cases = [option.get_attribute("value") for option in viewer.find_elements("css selector", "#case option")]
    viewer.execute_script(_FAILING)
    for case, told in ((cases[2], ""), (cases[0], ""), (cases[3], "A picture could not be loaded")):
        viewer.execute_script("location.hash = 'case=' + arguments[0]", case)
        if case == cases[2]:
            continue
        settle(viewer)
        _until_loaded(viewer)
        assert viewer.find_element("id", "gallery-status").text.startswith(told)
        assert bool(viewer.find_element("id", "gallery-status").text) == bool(told)
    viewer.get("about:blank")  # with what was put in its place


def test_the_divider_of_a_swipe_follows_the_pointer(viewer: Any) -> None:
    _keys(viewer, "s")
    before = _pixels(viewer)
    width = viewer.find_element("css selector", ".pane canvas").size["width"]
    _drag(viewer, round(width * 0.25), 0)
    assert float(_hash(viewer).split("at=")[1].split("&")[0]) == pytest.approx(0.75, abs=0.02)
    assert _pixels(viewer) != before


def test_contour_inset_error_and_colours_change_the_pictures(viewer: Any) -> None:
    seen = [_pixels(viewer)]
    for key in ("c", "z", "e"):
        _keys(viewer, key)
        assert _pixels(viewer) != seen[-1], key
        seen.append(_pixels(viewer))
    assert viewer.find_element("id", "bar-low").text == "−250"
    for colours, low, middle in [("dark", "−250", (12, 12, 12)), ("viridis", "0", None)]:
        _set(viewer, "colours", colours)
        assert _pixels(viewer) != seen[-1]
        seen.append(_pixels(viewer))
        assert viewer.find_element("id", "bar-low").text == low
        assert f"colours={colours}" in _hash(viewer)
        if middle:
            assert max(viewer.execute_script("return marbenchGallery.colourAt(0.5, 'dark')")) <= max(middle)
    # As far from the middle as they are from one another, to either side: equal errors look equally large.
    luma = viewer.execute_script(
        "return [0, 0.25, 0.5, 0.75, 1].map(p => marbenchGallery.colourAt(p, 'light'))"
        ".map(([r, g, b]) => 0.2126 * r + 0.7152 * g + 0.0722 * b)"
    )
    assert luma[0] < luma[1] < luma[2] > luma[3] > luma[4]
    assert luma[1] == pytest.approx(luma[3], rel=0.15)


def _set(driver: Any, name: str, value: str) -> None:
    script = "const field = document.getElementById(arguments[0]); field.value = arguments[1];"
    driver.execute_script(script + "field.dispatchEvent(new Event('change'))", name, value)
    settle(driver)


def _until_loaded(driver: Any) -> None:
    until(driver, "!document.getElementById('viewer').hasAttribute('aria-busy')")
    settle(driver)


def test_projections_of_pictures_are_those_of_the_operators(viewer: Any, report: Path) -> None:
    from marbench.ct import project
    from marbench.geometry import ImageGrid
    from marbench.physics.hounsfield import hu_to_mu
    from marbench.spec import load_spec

    _keys(viewer, "n")
    _until_loaded(viewer)
    assert _names(viewer)[:4] == ["Measured", "Without metal", "Truth", "Uncorrected"]
    assert len(_names(viewer)) == 8
    assert len(set(_pixels(viewer))) == 8
    _keys(viewer, "d")
    _until_loaded(viewer)
    assert _names(viewer)[:2] == ["Truth", "Uncorrected"]
    spec, case = load_spec("mini"), viewer.execute_script("return document.getElementById('case').value")
    with np.load(report.parent / "images" / case / "_case.npz") as stored:
        measured, trace = stored["sinogram"] / 1000, stored["metal_trace"]
    with np.load(report.parent / "images" / case / "nmar.npz") as stored:
        mu = hu_to_mu(torch.as_tensor(stored["image"], dtype=torch.float64), spec.physics.water_attenuation)
    residual = project(mu, spec.geometry, ImageGrid(64, 64, spec.grid.pixel)).numpy() - measured
    told = viewer.find_elements("css selector", ".pane-scores")[_names(viewer).index("NMAR")].text
    rms = np.sqrt(np.mean(residual[~trace] ** 2))
    assert float(told.removeprefix("RMS ").removesuffix(" outside the trace")) == pytest.approx(rms, abs=2e-4)
    assert viewer.find_element("id", "bar-middle").text == "projection minus measured"


def test_a_line_gives_the_profile_of_every_picture(viewer: Any, report: Path) -> None:
    case = viewer.execute_script("return document.getElementById('case').value")
    viewer.execute_script("location.hash = 'case=' + arguments[0] + '&line=20,10,50,54.5&probe=35,32'", case)
    settle(viewer)
    assert viewer.find_element("id", "profile-about").text.startswith("HU along a line of 171.7 mm")
    assert len(viewer.find_elements("css selector", "#profile-chart polyline")) == 6
    count = int(np.ceil(2 * np.hypot(30, 44.5))) + 1
    told = dict(
        row.rsplit("\n", 1) for row in (e.text for e in viewer.find_elements("css selector", "#profile-legend li"))
    )
    with np.load(report.parent / "images" / case / "nmar.npz") as stored:
        image = stored["image"].astype(float)
    part = ((35 - 20) * 30 + (32 - 10) * 44.5) / (30**2 + 44.5**2)
    part = round(part * (count - 1)) / (count - 1)
    (value,) = map_coordinates(image, [[20 + 30 * part], [10 + 44.5 * part]], order=1)
    assert float(told["NMAR"].removesuffix(" HU").replace("−", "-")) == pytest.approx(value, abs=0.51)
    # By keyboard: along the line, then a line across, down, none.
    viewer.find_element("id", "profile-chart").send_keys("\ue014")
    settle(viewer)
    assert _part(viewer, "probe") in ("36,33", "35,33")
    lines = []
    for _ in range(3):
        _keys(viewer, "l")
        lines.append(_part(viewer, "line").split(",") if "line=" in _hash(viewer) else None)
    assert lines[0] is None and lines[1][0] == lines[1][2] and lines[2][1] == lines[2][3]
    # From pixel to pixel, so that what is told is what a pixel holds.
    assert all(float(value).is_integer() for value in lines[1] + lines[2])
    # By mouse.
    viewer.execute_script("document.getElementById('drag-line').click()")
    _drag(viewer, 60, 30)
    row0, column0, row1, column1 = map(float, _part(viewer, "line").split(","))
    assert column1 - column0 == pytest.approx(2 * (row1 - row0), rel=0.1)


@pytest.mark.parametrize("line", ["20,10.5,20,54.5", "20,54.5,20,10.5", "50.5,10,20.3,54.1"])
def test_keys_go_along_a_line_pixel_by_pixel_wherever_it_ends(viewer: Any, line: str) -> None:
    case = viewer.execute_script("return document.getElementById('case').value")
    viewer.execute_script("location.hash = 'case=' + arguments[0] + '&line=' + arguments[1]", case, line)
    settle(viewer)
    columns = []
    for key in ("\ue014",) * 4 + ("\ue012",) * 3:
        viewer.find_element("id", "profile-chart").send_keys(key)
        settle(viewer)
        columns.append(int(_part(viewer, "probe").split(",")[1]))
    first, step = columns[0], 1 if columns[1] > columns[0] else -1
    assert [(column - first) * step for column in columns] == [0, 1, 2, 3, 2, 1, 0]


def test_a_link_restores_all_that_was_set(browser: Browser, viewer: Any, report: Path) -> None:
    _keys(viewer, "]", "e", "c", "2", "+", "+")
    until(viewer, "!document.getElementById('viewer').hasAttribute('aria-busy')")
    settle(viewer)
    names, pixels = _names(viewer), _pixels(viewer)
    fragment = str(viewer.execute_script("return location.hash"))
    again = _open(browser, report, fragment)
    assert (_names(again), _pixels(again)) == (names, pixels)
    assert again.execute_script("return location.hash") == fragment


def test_a_wrong_link_shows_something_sensible(browser: Browser, report: Path) -> None:
    driver = _open(browser, report, "#case=nowhere")
    for fragment in ("", "zoom=x&window=9,1&at=7&view=odd&probe=a", "case=%3Cimg%3E"):
        if fragment:
            driver.execute_script("location.hash = arguments[0]", fragment)
            settle(driver)
            _until_loaded(driver)
        assert len(_names(driver)) == 6
    assert browser.complaints(report) == []


@pytest.mark.parametrize("width", [1280, 375])
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
    settle(driver)
    assert driver.find_element("css selector", ".pane-probe").text.endswith("HU")
    assert driver.execute_script(tops) == before
    _keys(driver, "]")
    _until_loaded(driver)
    jumps = driver.execute_async_script(
        "const seen = []; new PerformanceObserver(list => {"
        "for (const e of list.getEntries()) if (!e.hadRecentInput) seen.push("
        "...e.sources.map(s => `${s.node?.id || s.node?.className} ${s.previousRect.y} ${s.currentRect.y}`)) })"
        ".observe({ type: 'layout-shift', buffered: true }); setTimeout(() => arguments[0](seen), 100)"
    )
    assert jumps == []
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
    settle(viewer)
    settle(viewer)
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
    # A click moves it.
    canvas = viewer.find_element("css selector", ".pane canvas")
    ActionChains(viewer).move_to_element_with_offset(canvas, 30, 20).click().perform()
    settle(viewer)
    assert _part(viewer, "roi").split(",")[:2] == _part(viewer, "probe").split(",") != ["20", "30"]
    viewer.execute_script("location.hash = 'case=' + arguments[0] + '&roi=20,30,4.5&range=500'", case)
    settle(viewer)
    # The difference of two methods.
    _keys(viewer, "e")
    _set(viewer, "against", "method li")
    assert told("NMAR") == text((image - other)[inside])
    assert viewer.find_element("id", "bar-middle").text == "HU, image minus LI"
    assert viewer.find_element("id", "bar-high").text == "+500"


def test_tools_unfold_set_columns_and_go_to_the_metal_and_thumbnails_lead_to_cases(viewer: Any) -> None:
    assert not viewer.find_element("id", "columns").is_displayed()
    _keys(viewer, "h")
    _set(viewer, "columns", "2")
    left = "return new Set([...document.querySelectorAll('.pane')].map(p => p.getBoundingClientRect().left)).size"
    assert viewer.execute_script(left) == 2
    viewer.find_element("id", "metal").click()
    settle(viewer)
    assert float(_hash(viewer).split("zoom=")[1].split("&")[0]) > 2
    thumbnails = viewer.find_elements("css selector", "#film button")
    assert len(thumbnails) == len(viewer.find_elements("css selector", "#case option"))
    thumbnails[1].click()
    until(viewer, "!document.getElementById('viewer').hasAttribute('aria-busy')")
    assert thumbnails[1].get_attribute("aria-current") == "true"
    # At once, while the panes of the other case are still to be drawn.
    saved = viewer.execute_async_script(
        "const [done, texts] = [arguments[0], []]; const { toBlob } = HTMLCanvasElement.prototype; let sizes;"
        "const { fillText } = CanvasRenderingContext2D.prototype;"
        "CanvasRenderingContext2D.prototype.fillText = function (...a) { texts.push(a[0]); fillText.apply(this, a) };"
        "HTMLCanvasElement.prototype.toBlob = function (f) { const box = document.querySelector('.pane canvas');"
        "sizes = [this.width, this.height, box.width, box.height]; toBlob.call(this, f) };"
        "HTMLAnchorElement.prototype.click = function () {"
        "done([this.download, this.href.slice(0, 5), sizes, texts]) };"
        "document.getElementById('save').click()"
    )
    settle(viewer)
    case = _part(viewer, "case")
    assert saved[:2] == [f"{case}-image.png", "blob:"]
    *sheet, width, height = saved[2]
    line = max(14, round(width / 24))
    assert sheet == [3 * width, int(2 * (height + 3 * line) + 2.5 * 1.3 * line)]
    # The panes were drawn at the size that they stay at.
    kept = viewer.execute_script("const box = document.querySelector('.pane canvas'); return [box.width, box.height]")
    assert kept == [width, height]
    viewer.get("about:blank")  # with what was put in its place
    assert (
        saved[3][0] == "Truth"
        and saved[3][-2].startswith(f"mini: {case}")
        and saved[3][-2].endswith("scores dudonet2019")
    )
    assert saved[3][-1].startswith("HU, −160")


def test_a_view_is_kept_under_its_name_and_found_again(viewer: Any) -> None:
    _keys(viewer, "e", "c", "h")
    viewer.execute_script("document.getElementById('views').open = true")
    viewer.find_element("id", "view-name").send_keys("errors\ue007")
    fragment, pixels = _hash(viewer), _pixels(viewer)
    assert "view=error" in fragment and "contour=0" in fragment
    viewer.execute_script(_RESTORE)
    settle(viewer)
    assert _hash(viewer) != fragment
    viewer.execute_script("document.getElementById('fold').click(); document.getElementById('views').open = true")
    settle(viewer)
    (link,) = viewer.find_elements("css selector", "#view-list a")
    link.click()
    settle(viewer)
    _until_loaded(viewer)
    assert (_hash(viewer), _pixels(viewer)) == (fragment, pixels)
    assert viewer.switch_to.active_element.text == "errors"
    viewer.execute_script("document.querySelector('#view-list button').click()")


LONG = "A method with a name that no pane has room for, and no legend"


@pytest.fixture(scope="module")
def uneven(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """The gallery of nine methods, a case with all, and one without its sinogram and without a picture of the first."""
    methods = (METHODS[0], *(Synthetic(f"m{place}", 40 - place) for place in range(1, 10)))
    cards = {"m1": {"title": LONG}, "m2": {"title": "שיטה"}}
    run = write_run(tmp_path_factory.mktemp("uneven") / "run", methods, slices=4, pictures=3, cards=cards)
    whole, lacking, _ = sorted(path.name for path in (run / "images").iterdir())
    with np.load(run / "images" / lacking / "_case.npz") as stored:
        (run / "images" / lacking / "_case.npz").write_bytes(npz(with_other_rays(stored)))
    (run / "images" / lacking / "m1.npz").unlink()
    return render(run).parent, whole, lacking


def _go(driver: Any, fragment: str) -> str:
    """Go to a fragment as a link does; return what the page then says."""
    driver.execute_script("location.hash = arguments[0]", fragment)
    settle(driver)
    _until_loaded(driver)
    return str(driver.find_element("id", "gallery-status").text)


def test_a_view_that_a_case_lacks_comes_back_with_the_next_that_has_it(
    browser: Browser, uneven: tuple[Path, str, str]
) -> None:
    report, whole, lacking = uneven
    viewer = _open(browser, report, f"#case={whole}&view=residual")
    for _ in range(3):
        _keys(viewer, "]")
        _until_loaded(viewer)
        told = viewer.find_element("id", "gallery-status").text
        if _part(viewer, "case") == lacking:
            assert told == "No sinogram of this case is kept: its image is shown." and "view=" not in _hash(viewer)
        else:
            assert told == "" and _part(viewer, "view") == "residual"
    # Where it is asked for there, nothing else changes; and another choice is not overruled by the next case.
    _go(viewer, f"case={lacking}&zoom=2&centre=0.5,0.5")
    _keys(viewer, "n")
    assert viewer.find_element("id", "gallery-status").text == "No sinogram of this case is kept."
    assert _part(viewer, "zoom") == "2"
    assert _go(viewer, f"case={lacking}&view=sinogram") == "No sinogram of this case is kept: its image is shown."
    _keys(viewer, "e", "]")
    _until_loaded(viewer)
    assert _part(viewer, "view") == "error"
    page = viewer.find_element("css selector", "main").get_attribute("textContent")
    assert "Of 1 of the 3 cases here no sinogram is kept; a case without one shows its image" in page
    assert browser.complaints(report) == []


def test_a_case_that_is_not_there_is_told_once_and_nothing_to_save_is_told(
    browser: Browser, uneven: tuple[Path, str, str]
) -> None:
    report, whole, lacking = uneven
    viewer = _open(browser, report)
    assert _go(viewer, "case=nowhere").startswith("There is no picture of the case nowhere here")
    assert _go(viewer, f"case={lacking}") == ""
    keys = ("truth", "uncorrected", *(f"method+m{place}" for place in range(1, 10)))
    _go(viewer, f"case={whole}&{'&'.join(f'hide={key}' for key in keys)}")
    assert _names(viewer) == []
    _keys(viewer, "p")
    assert viewer.find_element("id", "gallery-status").text == "There is nothing to save: no picture is chosen."
    assert browser.complaints(report) == []


def test_a_method_has_one_number_and_one_look_in_every_case_and_its_name_stands_whole(
    browser: Browser, uneven: tuple[Path, str, str]
) -> None:
    report, whole, lacking = uneven
    viewer = _open(browser, report)
    curves = """return Object.fromEntries([...document.querySelectorAll("#profile-legend li")].map(
      (item) => [item.querySelector("span").title, item.className]))"""
    numbers = """return Object.fromEntries([...document.querySelectorAll(".pane")].map(
      (pane) => [pane.querySelector(".pane-name").title, pane.querySelector("kbd").textContent]))"""
    seen = []
    for case in (whole, lacking):
        _go(viewer, f"case={case}&line=20,10,50,54")
        seen.append((viewer.execute_script(curves), viewer.execute_script(numbers)))
    for all_of, some_of in zip(*seen, strict=True):
        assert all_of.keys() - some_of.keys() == {LONG}
        assert some_of.items() <= all_of.items()
    assert (seen[1][0]["M9"], seen[1][1]["M9"]) == ("c0 d1", "9")
    assert len(set(seen[0][0].values())) == 11
    # Of two names each keeps its direction.
    _go(viewer, f"case={whole}&layout=swipe&left=method+m2&right=method+m3")
    assert [name.text for name in viewer.find_elements("css selector", ".pane-name bdi")] == ["שיטה", "M3"]
    assert browser.complaints(report) == []


def test_a_method_of_any_name_has_scores_and_a_switch_of_its_own(browser: Browser, tmp_path: Path) -> None:
    methods = (METHODS[0], *(Synthetic(name, 30 - at) for at, name in enumerate(("truth", "uncorrected", "measured"))))
    report = render(write_run(tmp_path / "run", methods, slices=2, pictures=1)).parent
    viewer = _open(browser, report)
    names = _names(viewer)
    assert names == ["Truth", "Uncorrected", "TRUTH", "UNCORRECTED", "MEASURED"]
    none, *own = [part.text for part in viewer.find_elements("css selector", ".pane-scores")]
    assert none == "" and len(set(own)) == 4 and all(text.startswith("PSNR") for text in own)
    switch = "document.querySelectorAll('#shown-choice input')[arguments[0]].click()"
    for at, hidden in enumerate(names):
        viewer.execute_script(switch, at)
        settle(viewer)
        assert _names(viewer) == [name for name in names if name != hidden]
        viewer.execute_script(switch, at)
    assert browser.complaints(report) == []


_TELL = """const scores = document.createElement("span"); const [layout] = arguments;
const measures = [["PSNR", "dB", 2], ["SSIM", "", 4], ["Noise error", "HU", 1]];
const viewer = { data: { measures, together: 2 }, state: () => ({ view: "image", layout, roi: null }),
  current: () => ({ scores: { "method nmar": [30, 0.9, 5] } }), referenceOf: () => null };
marbenchGallery.makeTexts(viewer).tellScores({ scores }, { key: "method nmar" }, null);
return [scores.textContent, scores.title]"""


def test_every_score_of_a_pane_can_be_read(viewer: Any) -> None:
    ranking, every = "PSNR 30.00 dB · SSIM 0.9000", "PSNR 30.00 dB · SSIM 0.9000 · Noise error 5.0 HU"
    for layout, shown in (("grid", ranking), ("flip", every)):
        told = viewer.execute_script(_TELL, layout)
        assert [text.replace("\xa0", " ") for text in told] == [shown, every]
    # In narrow panes they wrap, and where all panes are to be seen at once, their lines have the room that they need.
    cut = """return [...document.querySelectorAll(".pane-scores, .pane figcaption")].filter(
      (part) => part.scrollWidth > part.clientWidth || part.scrollHeight > part.clientHeight + 1).length"""
    case = viewer.execute_script("return document.getElementById('case').value")
    for fragment in ("", "&columns=8", "&line=20,10,50,54"):
        viewer.execute_script("location.hash = arguments[0]", f"case={case}{fragment}")
        settle(viewer)
        assert viewer.execute_script(cut) == 0


# The page with eleven measures with long names, before its scripts read them.
_MANY = """new MutationObserver((_, seen) => {
if (!document.querySelector("script[src$='assets/gallery-pixels.js']")) return;
seen.disconnect();
const data = JSON.parse(document.getElementById("gallery-data").textContent);
const many = Array.from({ length: 11 }, (_, place) => [`A measure of noise ${place}`, "HU", 1]);
data.measures = many;
for (const item of data.cases) for (const name of Object.keys(item.scores)) item.scores[name] = many.map(() => 12345.6);
document.getElementById("gallery-data").textContent = JSON.stringify(data);
}).observe(document, { childList: true, subtree: true });"""

_PLACES = """const [pane] = document.querySelectorAll(".pane"), [scores] = document.querySelectorAll(".pane-scores");
const top = (part) => Math.round(part.getBoundingClientRect().top + scrollY);
return [[pane.querySelector("canvas").offsetWidth, pane.offsetHeight, top(document.getElementById("film"))],
  Math.round(pane.getBoundingClientRect().bottom + scrollY), scores.textContent.length,
  document.querySelectorAll(".pane-scores").length]"""


@pytest.mark.parametrize("width", [1280, 375])
def test_flipping_moves_nothing_and_all_of_a_picture_and_its_scores_is_seen(
    browser: Browser, report: Path, width: int
) -> None:
    added = browser.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": _MANY})
    try:
        driver = _open(browser, report, "#layout=flip&pick=truth", width=width)
        places = []
        for key in ("t", "1", "u", "2", "t"):
            _keys(driver, key)
            places.append(driver.execute_script(_PLACES))
        truth, method, *_ = places
        assert [place[0] for place in places] == [truth[0]] * 5
        assert truth[2] == 0 and method[2] > 200 and {place[3] for place in places} == {1}
        if width > 600:
            assert method[1] <= 900
        # Two pictures with a divider have no scores, and no room for any.
        _keys(driver, "s")
        canvas = "return document.querySelector('.pane canvas').offsetHeight"
        assert driver.execute_script(_PLACES)[0][1] - driver.execute_script(canvas) < 50
        assert browser.complaints(report) == []
    finally:
        browser.driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", added)
        browser.driver.get("about:blank")


_PRESS = "document.body.dispatchEvent(new KeyboardEvent('keydown', { ...arguments[0], bubbles: true }))"


def test_letters_are_keys_with_caps_lock_and_in_any_script_until_they_are_switched_off(
    browser: Browser, viewer: Any, report: Path
) -> None:
    def press(key: str, code: str) -> str:
        viewer.execute_script(_PRESS, {"key": key, "code": code})
        settle(viewer)
        _until_loaded(viewer)
        return _hash(viewer)

    assert "view=error" in press("E", "KeyE")  # Caps Lock
    assert "view=" not in press("ш", "KeyI")  # Cyrillic: the place of I
    # The letter, not the place, where a layout has it: on a French keyboard Z is where W is elsewhere.
    assert "inset=" in press("z", "KeyW")
    viewer.execute_script("document.getElementById('keys').click()")
    settle(viewer)
    assert "keys" not in _hash(viewer)
    assert "view=" not in press("e", "KeyE")
    # The next link, and the page when it comes again, keep what the reader set; a link carries it to nobody.
    case = viewer.execute_script("return document.getElementById('case').value")
    _go(viewer, f"case={case}&contour=0&keys=1")
    assert viewer.find_element("id", "keys").get_attribute("aria-pressed") == "false"
    _open(browser, report)
    assert viewer.find_element("id", "keys").get_attribute("aria-pressed") == "false"
    assert "view=" not in press("e", "KeyE")
    # What is no character acts still.
    viewer.execute_script("document.querySelector('[name=layout][value=flip]').click()")
    settle(viewer)
    assert "layout" not in press("Escape", "Escape")
    viewer.execute_script("document.getElementById('keys').click()")
    assert "view=error" in press("e", "KeyE")


def test_where_a_browser_keeps_nothing_keys_are_off_while_the_page_lasts(browser: Browser, report: Path) -> None:
    refused = (
        "Object.defineProperty(window, 'localStorage', { get() { throw new DOMException('', 'SecurityError'); } })"
    )
    added = browser.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": refused})
    try:
        driver = _open(browser, report)
        pressed = driver.find_element("id", "keys")
        assert pressed.get_attribute("aria-pressed") == "true"
        driver.execute_script("arguments[0].click()", pressed)
        _go(driver, "contour=0")
        assert pressed.get_attribute("aria-pressed") == "false"
        assert browser.complaints(report) == []
    finally:
        browser.driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", added)
        browser.driver.get("about:blank")
