"""See whether methods keep or erase lesions near metal: ``python scripts/detectability.py --methods none,li,nmar``.

One case of a benchmark is scanned many times with other photon noise, with a lesion and without it. The lesion, a disc,
is put into the clean slice before it is scanned, in soft tissue as near to metal as it fits. A channelised Hotelling
observer looks at what each method makes of the scans, at the lesion and at the same place mirrored at the middle of the
image, where every contrast is invented. ``--photons`` lowers the dose: without noise, everything is seen.
"""

import argparse
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
import torch

from marbench.anatomy.slices import Slice
from marbench.cases.case import Scan
from marbench.cases.own_metals import MaskMetal, draw, made_of
from marbench.cases.simulator import MetalFree, Simulator
from marbench.cases.suite import Suite
from marbench.method.request import LoadedMethod, load_method, split_list
from marbench.metrics.detectability import Detectability, detectability
from marbench.metrics.places import Disc, SlicePlaces
from marbench.phantoms.metals import mask
from marbench.spec import Spec, load_spec

Areas = dict[str, np.ndarray]
FREE = "without metal"
"""What the same scans show where no metal is: no method can do better."""

FINE = 8
"""Samples along the side of a pixel, of which the edge of a lesion has its share."""


def share(disc: Disc, shape: tuple[int, int]) -> np.ndarray:
    """Return how much of each pixel's area a disc covers."""
    fine = Disc(FINE * (disc.row + 0.5) - 0.5, FINE * (disc.column + 0.5) - 0.5, FINE * disc.radius)
    cells = fine.mask((FINE * shape[0], FINE * shape[1]))
    return cells.reshape(shape[0], FINE, shape[1], FINE).mean(axis=(1, 3), dtype=np.float32)


def place_of(one: Slice, metal: np.ndarray, pixel_mm: float, diameter_mm: float) -> Disc:
    """Return where a lesion lies: in soft tissue, its surroundings too, as near to metal as it fits."""
    here = SlicePlaces(one.image.astype(np.float64), one.image.astype(np.float64), metal, pixel_mm)
    here.need_metal()
    _, allowed = here.discs(diameter_mm)
    if not allowed.any():
        raise SystemExit(f"{one.slice_id}: no disc of {diameter_mm:g} mm and its surroundings lie in soft tissue.")
    row, column = divmod(int(np.argmin(np.where(allowed, here.from_metal, np.inf))), metal.shape[1])
    return Disc(row, column, diameter_mm / 2 / pixel_mm)


def anatomy(suite: Suite, position: int) -> tuple[Slice, Areas]:
    """Return the slice of a case, and how much of each pixel its metals cover."""
    spec, key = suite.spec, suite.case_keys[position]
    one = suite.source.load(key.patient_id, key.slice_id, spec.grid)
    metal = suite.metals_of(key.patient_id, key.slice_id)[position % len(suite.metals)]
    lies = suite.pose_of(metal, one)
    areas = draw(metal, spec.grid, spec.metals.reference_pixel_cm, lies.shift, lies.angle, mirror=lies.mirror)
    return one, made_of(areas, spec.metals, own=isinstance(metal, MaskMetal))


def scanned(simulator: Simulator, free: MetalFree, areas: Mapping[str, np.ndarray], rng: np.random.Generator) -> Scan:
    """Return a scan of a slice with metals, which cover so much of each pixel."""
    sinogram, trace = simulator.with_metal(free, areas, rng)
    metal, image = torch.from_numpy(mask(areas)), simulator.operators.reconstruct(sinogram)
    return Scan(sinogram[None], metal[None], trace[None], image[None])


def images(
    suite: Suite, free: MetalFree, areas: Areas, methods: Mapping[str, LoadedMethod], seeds: range
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield, for every seed, what each method makes of a scan, and what it shows without metal."""
    simulator = suite.simulator
    for seed in seeds:
        rng = np.random.default_rng([suite.spec.seed, seed])
        scan = scanned(simulator, free, areas, rng)
        yield FREE, simulator.operators.reconstruct(simulator.measurement.measured(free.polychromatic, rng)).numpy()
        for name, method in methods.items():
            yield name, method.reduce(scan)[0].numpy()


def cut(image: np.ndarray, row: float, column: float, half: int) -> np.ndarray:
    """Return the square about a place; beyond the border the picture goes on as it ends."""
    padded = np.pad(image, half, mode="edge")
    return padded[round(row) : round(row) + 2 * half + 1, round(column) : round(column) + 2 * half + 1]


def look(
    suite: Suite, position: int, methods: Mapping[str, LoadedMethod], diameter: float, contrast: float, count: int
) -> dict[str, tuple[Detectability, Detectability]]:
    """Return, for each method, what the observer finds at the lesion, and at the mirrored place."""
    one, areas = anatomy(suite, position)
    lesion = place_of(one, np.sum(list(areas.values()), axis=0) > 0, 10 * suite.spec.grid.pixel, diameter)
    added = np.float32(contrast) * share(lesion, suite.spec.grid.shape)
    columns = lesion.column, suite.spec.grid.columns - 1 - lesion.column
    half = max(5, round(3 * lesion.radius))
    cuts: dict[tuple[str, int, bool], list[np.ndarray]] = defaultdict(list)
    for there in (True, False):
        free = suite.simulator.without_metal(replace(one, image=one.image + added) if there else one)
        # Every scan has noise of its own.
        for name, image in images(suite, free, areas, methods, range(int(there), 2 * count, 2)):
            for place, column in enumerate(columns):
                cuts[name, place, there].append(cut(image, lesion.row, column, half))
    found = {}
    for name in (FREE, *methods):
        pairs = [[np.array(cuts[name, place, there]) for there in (True, False)] for place in (0, 1)]
        at_lesion, mirrored = (detectability(*pair, lesion.radius) for pair in pairs)
        found[name] = (at_lesion, mirrored)
    return found


def with_photons(spec: Spec, photons: float | None) -> Spec:
    """Return a benchmark with another dose, of which scatter is the same part."""
    if photons is None:
        return spec
    dose = {"photons": photons, "scatter": spec.physics.scatter * photons / spec.physics.photons}
    return spec.model_copy(update={"physics": spec.physics.model_copy(update=dose)})


def main() -> None:
    """Look at the methods that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--spec", default="mini", help="a benchmark")
    parser.add_argument("--case", type=int, default=14, help="position of the case")
    parser.add_argument("--methods", default="none,li,nmar", help="separated by commas")
    parser.add_argument("--diameter", type=float, default=10.0, help="of the lesion, mm")
    parser.add_argument("--contrast", type=float, default=40.0, help="HU")
    parser.add_argument("--scans", type=int, default=100, help="with the lesion, and as many without")
    parser.add_argument("--photons", type=float, help="of each ray; default: the benchmark's")
    options = parser.parse_args()
    suite = Suite(with_photons(load_spec(options.spec), options.photons))
    methods = {name: load_method(name, suite.spec) for name in split_list(options.methods)}
    found = look(suite, options.case, methods, options.diameter, options.contrast, options.scans)
    print(f"{suite.case_keys[options.case].case_id}: a lesion of {options.diameter:g} mm, {options.contrast:g} HU")
    print(f"{'':16}AUC   95 %            d'  contrast recovered  invented at the mirrored place (HU)")
    for name, (lesion, mirrored) in found.items():
        low, high = lesion.auc_interval
        seen = f"{lesion.auc:.3f} {low:.3f} … {high:.3f} {lesion.d:6.2f}"
        print(f"{name:14}{seen} {lesion.contrast:19.1f} {mirrored.contrast:35.1f}")


if __name__ == "__main__":
    main()
