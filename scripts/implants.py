"""Draw what implants of each region look like where they are put: ``python scripts/implants.py --out pictures``.

One contact sheet for every region: a row of ten test implants (``--split val``: validation, ``--split train``: ten of
the ninety) for each slice of `mini`, cropped to the body, the implant's outline over the anatomy. ``--ct FOLDER`` takes
DICOM slices instead, ``--spec`` another benchmark, ``--region`` the implants of one region for all of them.
"""

import argparse
from collections import defaultdict
from pathlib import Path

import matplotlib as mpl
import numpy as np

from marbench.anatomy.body import body_mask
from marbench.anatomy.slices import Slice
from marbench.cases.suite import Suite
from marbench.phantoms.metals import Metal, coverage, library
from marbench.spec import Spec, load_spec

mpl.use("Agg")
import matplotlib.pyplot as plt

WINDOW = (-200.0, 700.0)


def draw(axes: "mpl.axes.Axes", one: Slice, metal: Metal, suite: Suite) -> None:
    """Draw one implant in a slice, as the benchmark's case has it."""
    grid = suite.spec.grid
    lies = suite.pose_of(metal, one)
    areas = coverage(metal, grid, suite.spec.metals.reference_pixel_cm, lies.shift, lies.angle, mirror=lies.mirror)
    share = np.sum(list(areas.values()), axis=0)
    body = body_mask(one.image, (grid.pixel, grid.pixel))
    rows, columns = (np.flatnonzero(body.any(axis=axis)) for axis in (1, 0))
    axes.imshow(one.image, cmap="gray", vmin=WINDOW[0], vmax=WINDOW[1], interpolation="nearest")
    axes.imshow(np.ma.masked_less(share, 0.1), cmap="autumn", vmin=0, vmax=1.6, alpha=np.clip(share, 0, 1) ** 0.5)
    axes.set_xlim(columns[0] - 2, columns[-1] + 2)
    axes.set_ylim(rows[-1] + 2, rows[0] - 2)
    axes.set_title(f"{metal.id.partition('-')[2]} {metal.area_px}", fontsize=9, pad=2)


def sheet(slices: list[Slice], metals: tuple[Metal, ...], suite: Suite, file: Path) -> None:
    """Write the contact sheet of a region, two rows for each slice."""
    figure, axes = plt.subplots(2 * len(slices), 5, figsize=(20, 5.2 * len(slices)), squeeze=False)
    for rows, one in zip(axes.reshape(len(slices), 10), slices, strict=True):
        for number, cell in enumerate(rows):
            draw(cell, one, metals[number * len(metals) // 10], suite)
            cell.set_axis_off()
        rows[0].text(0, 1, one.slice_id, transform=rows[0].transAxes, color="white", fontsize=9, va="top")
    figure.subplots_adjust(0.005, 0.005, 0.995, 0.98, 0.02, 0.08)
    figure.savefig(file, dpi=75)
    plt.close(figure)


def suite_of(name: str, folder: Path | None, slices: int) -> Suite:
    """Return a benchmark, of the slices in a folder where one is given."""
    spec = load_spec(name)
    if folder is None:
        return Suite(spec)
    none, some = {"patients": 0, "slices": 0}, {"patients": "all", "slices": slices}
    changes = {
        "anatomy": {"source": "dicom", "path": str(folder.resolve())},
        "split": {"test": some, "val": none, "train": none},
    }
    return Suite(Spec.model_validate(spec.model_dump(by_alias=True) | changes))


def main() -> None:
    """Draw the sheets."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="where the pictures go")
    parser.add_argument("--spec", default="mini", help="a benchmark")
    parser.add_argument("--ct", type=Path, help="a folder of DICOM files, in place of the benchmark's slices")
    parser.add_argument("--slices", type=int, default=6, help="how many of them")
    parser.add_argument("--split", default="test", choices=("train", "val", "test"), help="whose implants")
    parser.add_argument("--region", help="of which region; left out, of that of the slice")
    options = parser.parse_args()
    suite = suite_of(options.spec, options.ct, options.slices)
    options.out.mkdir(parents=True, exist_ok=True)
    by_region = defaultdict(list)
    for patient, names in suite.source.patients("test").items():
        for name in names:
            region = options.region or suite.source.region(patient, name)
            by_region[region].append(suite.source.load(patient, name, suite.spec.grid))
    for region, slices in by_region.items():
        file = options.out / f"{options.ct.name if options.ct else suite.spec.name}-{options.split}-{region}.png"
        sheet(slices, library(options.split, region), suite, file)
        print(file)


if __name__ == "__main__":
    main()
