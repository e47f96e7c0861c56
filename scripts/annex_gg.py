"""See what correction does for a lesion beside a titanium rod: ``python scripts/annex_gg.py --methods li,nmar``.

The scans of Annex GG, as far as it is known (`marbench.metrics.annex_gg`): every dose and contrast, in a thorax of a
benchmark. Each method is compared with the uncorrected image. The rod lies in place of the benchmark's implant; the
lesion lies within reach of it, where tissue is most even.
"""

import argparse
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from detectability import cut, scanned, share, with_photons

from marbench.anatomy.slices import Slice
from marbench.cases.simulator import Simulator
from marbench.cases.suite import Suite
from marbench.method.request import LoadedMethod, load_method, split_list
from marbench.metrics.annex_gg import ANNEX_GG, AnnexGG, Grid, grid, improvement
from marbench.metrics.places import Disc
from marbench.spec import Spec, load_spec

UNCORRECTED = "uncorrected"


def thorax(suite: Suite, position: int) -> tuple[Slice, Disc]:
    """Return the slice of a case, and a rod where its implant lies."""
    case, key = suite[position], suite.case_keys[position]
    one = suite.source.load(key.patient_id, key.slice_id, suite.spec.grid)
    row, column = np.argwhere(case.known_truth.metal[0].numpy()).mean(axis=0)
    return one, Disc(row, column, ANNEX_GG.rod_mm / 20 / suite.spec.grid.pixel)


def beside(one: Slice, rod: Disc, pixel_mm: float, preset: AnnexGG = ANNEX_GG) -> Disc:
    """Return where the lesion lies: clear of the rod, within reach of it, where its surroundings vary least."""
    radius = preset.lesion_mm / 2 / pixel_mm
    rows, columns = np.indices(one.image.shape)
    apart = np.hypot(rows - rod.row, columns - rod.column)
    reached = (apart >= rod.radius + radius + 0.71) & (apart <= preset.reach_mm / pixel_mm)
    spread = {
        (row, column): float(one.image[Disc(row, column, 2 * radius).mask(one.image.shape)].std())
        for row, column in np.argwhere(reached)
    }
    if not spread:
        raise SystemExit(f"Pixels of {pixel_mm:g} mm are too large for a lesion beside the rod.")
    row, column = min(spread, key=lambda place: spread[place])
    return Disc(row, column, radius)


def squares(
    spec: Spec,
    one: Slice,
    areas: Mapping[str, np.ndarray],
    lesion: Disc,
    methods: Mapping[str, LoadedMethod],
    salt: int,
) -> dict[str, np.ndarray]:
    """Return the squares about the lesion of every realisation, as each method shows them, ``(realisations, …)``."""
    simulator, found = Simulator(spec), {}
    free, half = simulator.without_metal(one), max(4, round(4 * lesion.radius))
    for seed in range(ANNEX_GG.realisations):
        scan = scanned(simulator, free, areas, np.random.default_rng([spec.seed, salt, seed]))
        images = {UNCORRECTED: scan.image, **{name: method.reduce(scan) for name, method in methods.items()}}
        for name, image in images.items():
            found.setdefault(name, []).append(cut(image[0].numpy(), lesion.row, lesion.column, half))
    return {name: np.array(each) for name, each in found.items()}


def study(suite: Suite, position: int, methods: Mapping[str, LoadedMethod], preset: AnnexGG) -> dict[str, Grid]:
    """Return what the observer makes of the uncorrected image, and of each method."""
    one, rod = thorax(suite, position)
    lesion = beside(one, rod, 10 * suite.spec.grid.pixel, preset)
    areas = {preset.material: share(rod, suite.spec.grid.shape)}
    inside = share(lesion, suite.spec.grid.shape)
    cells: dict[str, list[np.ndarray]] = {}
    for dose in preset.doses:
        spec = with_photons(suite.spec, suite.spec.physics.photons * dose)
        for level, contrast in enumerate((1.0, *preset.contrasts)):  # the first without a lesion
            # The lesion attenuates so many times as much as what it lies in.
            image = one.image + inside * (np.float32(contrast) - 1) * (one.image + 1000)
            made = squares(spec, replace(one, image=image), areas, lesion, methods, salt=level)
            for name, each in made.items():
                cells.setdefault(name, []).append(each)
    shape = len(preset.doses), 1 + len(preset.contrasts)
    pictures = {name: np.reshape(each, (*shape, *each[0].shape)) for name, each in cells.items()}
    return {name: grid(each[:, 1:], each[:, 0], preset) for name, each in pictures.items()}


def main() -> None:
    """Look at the methods that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--spec", default="mini", help="a benchmark")
    parser.add_argument("--case", type=int, help="position of the case; default: the first of a thorax")
    parser.add_argument("--methods", default="li,nmar", help="separated by commas")
    parser.add_argument("--photons", type=float, help="of each ray at the highest dose; default: the benchmark's")
    options = parser.parse_args()
    suite = Suite(with_photons(load_spec(options.spec), options.photons))
    position = options.case
    if position is None:
        position = next(at for at in range(len(suite)) if suite[at].info.region == "thorax")
    found = study(
        suite, position, {name: load_method(name, suite.spec) for name in split_list(options.methods)}, ANNEX_GG
    )
    print(f"{suite.case_keys[position].case_id}: {len(ANNEX_GG.doses)} doses × {len(ANNEX_GG.contrasts)} contrasts")
    print(f"{'':14}AUC   95 %              at the highest contrast   ΔAUC  p")
    for name, one in found.items():
        gain, p = improvement(one, found[UNCORRECTED])
        low, high = one.interval
        highest = one.areas[:, -1].mean()
        print(f"{name:14}{one.auc:.3f} {low:.3f} … {high:.3f} {highest:20.3f} {gain:17.3f}  {p:.2g}")


if __name__ == "__main__":
    main()
