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
from marbench.anatomy.slices import Slice, SliceSource
from marbench.cases.anatomical import pose
from marbench.cases.sources import open_source
from marbench.phantoms.metals import coverage, library
from marbench.spec import Spec, load_spec

mpl.use("Agg")
import matplotlib.pyplot as plt

WINDOW = (-200.0, 700.0)


def draw(axes: "mpl.axes.Axes", one: Slice, number: int, spec: Spec, split: str, region: str) -> None:
    """Draw one implant of a region in a slice."""
    metals = library(split, region)
    metal = metals[number * len(metals) // 10]
    pixel = spec.metals.reference_pixel_cm
    found = pose(metal, one.image, spec.grid, pixel, np.random.default_rng(number))
    areas = coverage(metal, spec.grid, pixel, found.shift, found.angle, mirror=found.mirror)
    share = np.sum(list(areas.values()), axis=0)
    body = body_mask(one.image, (spec.grid.pixel, spec.grid.pixel))
    rows, columns = (np.flatnonzero(body.any(axis=axis)) for axis in (1, 0))
    axes.imshow(one.image, cmap="gray", vmin=WINDOW[0], vmax=WINDOW[1], interpolation="nearest")
    axes.imshow(np.ma.masked_less(share, 0.1), cmap="autumn", vmin=0, vmax=1.6, alpha=np.clip(share, 0, 1) ** 0.5)
    axes.set_xlim(columns[0] - 2, columns[-1] + 2)
    axes.set_ylim(rows[-1] + 2, rows[0] - 2)
    axes.set_title(f"{metal.id.removeprefix(split + '-')} {metal.area_px}", fontsize=9, pad=2)


def sheet(slices: list[Slice], spec: Spec, split: str, region: str, file: Path) -> None:
    """Write the contact sheet of a region, two rows for each slice."""
    figure, axes = plt.subplots(2 * len(slices), 5, figsize=(20, 5.2 * len(slices)), squeeze=False)
    for rows, one in zip(axes.reshape(len(slices), 10), slices, strict=True):
        for number, cell in enumerate(rows):
            draw(cell, one, number, spec, split, region)
            cell.set_axis_off()
        rows[0].text(0, 1, one.slice_id, transform=rows[0].transAxes, color="white", fontsize=9, va="top")
    figure.subplots_adjust(0.005, 0.005, 0.995, 0.98, 0.02, 0.08)
    figure.savefig(file, dpi=75)
    plt.close(figure)


def slices_of(source: SliceSource, spec: Spec) -> list[tuple[str, Slice]]:
    """Return the region and the pixels of every test slice."""
    names = [(patient, name) for patient, several in source.patients("test").items() for name in several]
    return [(source.region(*name), source.load(*name, spec.grid)) for name in names]


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
    spec = load_spec(options.spec)
    if options.ct:
        anatomy = {"source": "dicom", "path": str(options.ct.resolve())}
        none, some = {"patients": 0, "slices": 0}, {"patients": "all", "slices": options.slices}
        values = spec.model_dump(by_alias=True) | {"anatomy": anatomy}
        spec = Spec.model_validate(values | {"split": {"test": some, "val": none, "train": none}})
    options.out.mkdir(parents=True, exist_ok=True)
    by_region = defaultdict(list)
    for region, one in slices_of(open_source(spec), spec):
        by_region[options.region or region].append(one)
    for region, slices in by_region.items():
        file = options.out / f"{options.ct.name if options.ct else spec.name}-{options.split}-{region}.png"
        sheet(slices, spec, options.split, region, file)
        print(file)


if __name__ == "__main__":
    main()
