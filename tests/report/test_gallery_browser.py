"""The gallery and the explorer in a real browser, opened from disk without network."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from browser import Browser
from scipy.ndimage import map_coordinates
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


def _part(driver: Any, name: str) -> str:
    """Return what the address says of one thing."""
    return _hash(driver).split(f"{name}=")[1].split("&")[0]


def test_all_methods_stand_beside_the_truth_and_a_hostile_name_is_text(viewer: Any) -> None:
    assert _names(viewer)[:2] == ["Truth", "Uncorrected"]
    assert set(_names(viewer)[2:]) == {"LI", "NMAR", "CNNMAR", HOSTILE.upper()}
    assert viewer.execute_script("return document.querySelectorAll('img[src=x]').length") == 0
    assert len(set(_pixels(viewer))) == 6
    # Pictures load only for the case on show.
    asked = (json.loads(entry["message"])["message"] for entry in viewer.get_log("performance"))
    urls = [each["params"]["request"]["url"] for each in asked if each["method"] == "Network.requestWillBeSent"]
    loaded = [url for url in urls if "/gallery/" in url]
    assert len(loaded) == 5  # the case, and four methods
    assert len({url.split("/")[-2] for url in loaded}) == 1


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
        _settle(self.driver)

    def tap(self, dx: float, dy: float) -> None:
        self.touch("touchStart", (dx, dy))
        self.touch("touchEnd")
        _settle(self.driver)


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
    _settle(driver)
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
    _settle(driver)
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
    _settle(driver)


def _until_loaded(driver: Any) -> None:
    _until(driver, "!document.getElementById('viewer').hasAttribute('aria-busy')")
    _settle(driver)


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
    _settle(viewer)
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
    _settle(viewer)
    assert _part(viewer, "probe") in ("36,33", "35,33")
    lines = []
    for _ in range(3):
        _keys(viewer, "l")
        lines.append(_part(viewer, "line").split(",") if "line=" in _hash(viewer) else None)
    assert lines[0] is None and lines[1][0] == lines[1][2] and lines[2][1] == lines[2][3]
    # By mouse.
    viewer.execute_script("document.getElementById('drag-line').click()")
    _drag(viewer, 60, 30)
    row0, column0, row1, column1 = map(float, _part(viewer, "line").split(","))
    assert column1 - column0 == pytest.approx(2 * (row1 - row0), rel=0.1)


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
    # A click moves it.
    canvas = viewer.find_element("css selector", ".pane canvas")
    ActionChains(viewer).move_to_element_with_offset(canvas, 30, 20).click().perform()
    _settle(viewer)
    assert _part(viewer, "roi").split(",")[:2] == _part(viewer, "probe").split(",") != ["20", "30"]
    viewer.execute_script("location.hash = 'case=' + arguments[0] + '&roi=20,30,4.5&range=500'", case)
    _settle(viewer)
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
    _settle(viewer)
    assert float(_hash(viewer).split("zoom=")[1].split("&")[0]) > 2
    thumbnails = viewer.find_elements("css selector", "#film button")
    assert len(thumbnails) == len(viewer.find_elements("css selector", "#case option"))
    thumbnails[1].click()
    _until(viewer, "!document.getElementById('viewer').hasAttribute('aria-busy')")
    assert thumbnails[1].get_attribute("aria-current") == "true"
    width, height, line = viewer.execute_script(
        "const box = document.querySelector('.pane canvas');"
        "return [box.width, box.height, Math.max(14, Math.round(box.width / 24))]"
    )
    saved = viewer.execute_async_script(
        "const [done, texts] = [arguments[0], []]; const { toBlob } = HTMLCanvasElement.prototype;"
        "const { fillText } = CanvasRenderingContext2D.prototype;"
        "CanvasRenderingContext2D.prototype.fillText = function (...a) { texts.push(a[0]); fillText.apply(this, a) };"
        "HTMLCanvasElement.prototype.toBlob = function (f) { texts.size = [this.width, this.height];"
        "toBlob.call(this, f) };"
        "HTMLAnchorElement.prototype.click = function () {"
        "done([this.download, this.href.slice(0, 5), texts.size, texts]) };"
        "document.getElementById('save').click()"
    )
    case = _part(viewer, "case")
    assert saved[:2] == [f"{case}-image.png", "blob:"]
    assert saved[2] == [3 * width, int(2 * (height + 3 * line) + 2.5 * 1.3 * line)]
    assert saved[3][0] == "Truth" and saved[3][-2].startswith(f"mini: {case}") and saved[3][-1].startswith("HU, −160")


@pytest.mark.parametrize("page", ["gallery", "explorer"])
@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (1280, "dark"), (375, "dark")])
def test_no_serious_accessibility_fault_and_no_overflow(
    browser: Browser, report: Path, page: str, scheme: str, width: int
) -> None:
    fragment = "#line=20,10,50,54&roi=20,30,4.5&view=error" if page == "gallery" else ""
    driver = browser.open(report / f"{page}.html", fragment, width=width, scheme=scheme)
    _settle(driver)
    if page == "gallery":
        _keys(driver, "h")
    assert driver.execute_script("return document.documentElement.scrollWidth") <= width
    if (width, scheme) == (1280, "dark"):
        return  # what axe would find is in one of the others
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
