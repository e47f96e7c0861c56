"""Draw where clinical measures look: ``python scripts/regions.py --cases 72 --out docs/static/regions.png``.

The uncorrected image and the truth of each case, with the outline of every region and the beams of the proton target.
What a case has no place for is printed with the reason.
"""

import argparse
import math
from pathlib import Path

import matplotlib as mpl
import numpy as np

from marbench.cases.case import Case
from marbench.cases.suite import Suite
from marbench.metrics.clinical import BEAMS
from marbench.metrics.regions import Regions, find_regions
from marbench.report.gallery_regions import LOOKS, outline
from marbench.spec import load_spec

mpl.use("Agg")
import matplotlib.pyplot as plt

WINDOW = (-300.0, 600.0)
SHOWN = [name for name in LOOKS if name != "clear"]  # which is the body but for a rim


def regions_of_case(case: Case, pixel_mm: float) -> Regions:
    """Return the regions that the case is scored in."""
    truth = case.known_truth
    arrays = (each[0].numpy() for each in (truth.image, case.scan.image, truth.metal))
    return find_regions(*arrays, pixel_mm)


def draw(axes: "mpl.axes.Axes", image: np.ndarray, regions: Regions) -> None:
    """Draw an image with the outline of its regions, cropped to the body."""
    axes.imshow(image, cmap="gray", vmin=WINDOW[0], vmax=WINDOW[1], interpolation="nearest")
    for name in SHOWN:
        if name in regions.masks:
            # Pixels have their middle at whole numbers here.
            lines = outline(regions[name]).reshape(-1, 2, 2) - 0.5
            axes.add_collection(mpl.collections.LineCollection(lines, colors=LOOKS[name][1], linewidths=1.3))
    if regions.target:
        for turn in BEAMS:
            angle = math.radians(regions.beam + turn)
            way = 2.5 * regions.target.radius * np.array([math.cos(angle), math.sin(angle)])
            end = np.array([regions.target.column, regions.target.row]) - way / 2.5
            axes.annotate("", end, end - way, arrowprops={"arrowstyle": "->", "color": LOOKS["target"][1], "lw": 1})
    rows, columns = (np.flatnonzero(regions["body"].any(axis=axis)) for axis in (1, 0))
    axes.set_xlim(columns[0] - 3, columns[-1] + 3)
    axes.set_ylim(rows[-1] + 3, rows[0] - 3)
    axes.set_axis_off()


def main() -> None:
    """Draw the cases that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--spec", default="mini", help="a benchmark")
    parser.add_argument("--cases", default="0", help="positions of cases, separated by commas")
    parser.add_argument("--out", type=Path, required=True, help="the picture")
    options = parser.parse_args()
    suite = Suite(load_spec(options.spec))
    cases = [suite[int(position)] for position in options.cases.split(",")]
    figure, axes = plt.subplots(len(cases), 2, figsize=(9, 3.1 * len(cases) + 0.6), squeeze=False, facecolor="black")
    for cells, case in zip(axes, cases, strict=True):
        regions = regions_of_case(case, suite.spec.grid.pixel * 10)
        for cell, image in zip(cells, (case.scan.image, case.known_truth.image), strict=True):
            draw(cell, image[0].numpy(), regions)
        for name, why in regions.absent.items():
            print(f"{case.id}: no {name}, {why}")
    handles = [mpl.lines.Line2D([], [], color=colour, label=label) for label, colour in map(LOOKS.get, SHOWN)]
    figure.legend(handles=handles, loc="lower center", ncols=4, frameon=False, labelcolor="white", fontsize=9)
    figure.subplots_adjust(0.01, 0.6 / figure.get_figheight(), 0.99, 0.99, 0.02, 0.03)
    figure.savefig(options.out, dpi=90, pil_kwargs={"optimize": True})


if __name__ == "__main__":
    main()
