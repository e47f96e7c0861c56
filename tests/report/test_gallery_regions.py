"""Where measures look is where the gallery draws it: from the scorer, through the stored case, to the page."""

import json
import math
import re
from itertools import combinations
from pathlib import Path

import numpy as np
from browser import settle, until

from marbench.cases.suite import Suite
from marbench.metrics.measure import measures_of
from marbench.metrics.regions import REGIONS, find_regions
from marbench.metrics.scoring import Scorer
from marbench.report.gallery_regions import LOOKS, outline, regions_script
from marbench.results.images import case_picture
from marbench.results.pictures import load_case


def filled(lines: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Return the pixels with an odd number of upright lines on their left, each as long as it says."""
    crossed = np.zeros(shape, dtype=int)
    for left, top, right, bottom in lines:
        if left == right:
            crossed[top:bottom, left:] += 1
        else:
            assert top == bottom and left < right
    return crossed % 2 == 1


def test_every_region_has_a_name_and_a_colour_of_its_own() -> None:
    assert set(LOOKS) == set(REGIONS)
    # To the eye, as distances in OKLab (Ottosson 2020); the border of the metal is drawn over the same pictures.
    panes = (Path(__file__).parents[2] / "reports" / "assets" / "gallery-panes.js").read_text(encoding="utf-8")
    (metal,) = re.findall(r'YELLOW = "(#\w{6})"', panes)
    colours = [_oklab(colour) for colour in (metal, *(colour for _, colour in LOOKS.values()))]
    assert min(math.dist(one, other) for one, other in combinations(colours, 2)) > 0.12


def _oklab(colour: str) -> np.ndarray:
    encoded = np.array([int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)])
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    cones = [[0.4122215, 0.5363325, 0.0514460], [0.2119035, 0.6806995, 0.1073970], [0.0883025, 0.2817188, 0.6299787]]
    lab = [[0.2104543, 0.7936178, -0.0040720], [1.9779985, -2.4285922, 0.4505937], [0.0259040, 0.7827718, -0.8086758]]
    return np.array(lab) @ np.cbrt(np.array(cones) @ linear)


def test_the_outline_is_the_border_of_the_mask() -> None:
    rng = np.random.default_rng(0)
    for density in (0.0, 0.1, 0.5, 1.0):
        mask = rng.random((7, 9)) < density
        lines = outline(mask)
        np.testing.assert_array_equal(filled(lines, mask.shape), mask)
        np.testing.assert_array_equal(filled(lines[:, [1, 0, 3, 2]], mask.T.shape), mask.T)
    assert outline(np.ones((2, 3), dtype=bool)).tolist() == [[0, 0, 3, 0], [0, 2, 3, 2], [0, 0, 0, 2], [3, 0, 3, 2]]


def test_the_page_has_the_regions_that_the_measures_used(tiny, tmp_path: Path) -> None:
    case = Suite(tiny)[0]
    scorer = Scorer(case, measures_of("clinical"), tiny)
    truth = case.known_truth
    arrays = (each[0].numpy() for each in (truth.image, case.scan.image, truth.metal))
    used = find_regions(*arrays, tiny.grid.pixel * 10).masks
    ((name, content),) = case_picture(case, scorer.regions).items()
    path = tmp_path / Path(name).name
    path.write_bytes(content)
    stored = load_case(path).regions
    assert set(stored) == set(used) >= {"body", "clear", "metal_region"}
    script = regions_script(case.id, stored)
    drawn = json.loads(re.search(r'\] = (\{"body.*\});', script)[1])
    for region, mask in used.items():
        assert (stored[region] == mask).all()
        np.testing.assert_array_equal(filled(np.reshape(drawn[region], (-1, 4)), mask.shape), mask)
    assert Scorer(case, measures_of("dudonet2019")).regions == {}


_COLOURED = """const canvas = document.querySelector('.pane canvas'), { width, height } = canvas;
const copy = new OffscreenCanvas(width, height).getContext('2d'); copy.drawImage(canvas, 0, 0);
const seen = copy.getImageData(0, 0, width, height).data, [rows, columns] = arguments[0], found = [];
for (let row = 0; row < rows; row += 1) for (let column = 0; column < columns; column += 1) {
  const x = Math.floor((column + 0.5) / columns * width), y = Math.floor(row / rows * height);
  const [red, green, blue] = seen.slice(4 * (y * width + x));
  if (green > 180 && Math.max(red, blue) < 124) found.push([row, column]);
}
return found;"""


def test_a_reader_sees_a_region_where_it_is(browser, pictured_report: Path) -> None:
    case = next((pictured_report.parent / "images").iterdir())
    mask = load_case(case / "_case.npz").regions["noise"]
    driver = browser.open(pictured_report / "gallery.html", f"#case={case.name}&field=whole&contour=0&regions=1")
    until(driver, "document.querySelector('.pane canvas') && !document.querySelector('#viewer[aria-busy]')")
    until(driver, "!document.getElementById('regions-legend').hidden")
    settle(driver)
    # The upper sides of pixels that are green: where a row begins or ends to be of the mask.
    border = np.argwhere(np.diff(np.pad(mask, ((1, 0), (0, 0))).astype(int), axis=0))
    assert driver.execute_script(_COLOURED, list(mask.shape)) == border.tolist()
    legend = driver.find_element("id", "regions-legend").text
    assert "noise" in legend and "no place here: body" in legend
    driver.execute_script("document.getElementById('regions').click()")
    settle(driver)
    assert driver.execute_script(_COLOURED, list(mask.shape)) == []
    assert "regions" not in driver.current_url and browser.complaints(pictured_report) == []
