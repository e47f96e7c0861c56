"""Count simulated cases a second on a GPU: ``python benchmarks/gpu_simulate.py --quick``.

Times the scanner (projection, spectrum, photon noise, water correction, reconstruction) in batches on the device, the
same case by case, and what stays on the processor: drawing the slice and the metal, of which each worker process does
one at a time. Prints a Markdown table and writes it to ``benchmarks/results/``.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator

import numpy as np
import torch
from gpu_clock import device_of, heading, milliseconds, parser_of, publish, table
from numpy.typing import NDArray

from marbench.anatomy.slices import Slice
from marbench.cases.simulator import Simulator
from marbench.cases.sources import open_source
from marbench.phantoms.metals import coverage, library
from marbench.spec import Spec, load_spec

COLUMNS = ("benchmark", "what", "where", "batch", "ms a case", "cases/s")
Areas = dict[str, NDArray[np.float32]]


def anatomy(spec: Spec, count: int) -> tuple[list[Slice], list[Areas], float, float]:
    """Return slices and metals, and the seconds that one of each takes."""
    source, grid = open_source(spec), spec.grid
    start = time.perf_counter()
    patients = list(source.patients("train").items())[:count]
    slices = [source.load(patient, names[0], grid) for patient, names in patients]
    drawn = time.perf_counter()
    metals = [coverage(metal, grid, spec.metals.reference_pixel_cm, (0.0, 0.0)) for metal in library("train")[:count]]
    done = time.perf_counter()
    return slices, metals, (drawn - start) / len(slices), (done - drawn) / len(metals)


def rows(name: str, batches: tuple[int, ...], device: torch.device, seconds: float) -> Iterator[list[object]]:
    spec = load_spec(name)
    slices, metals, slice_seconds, metal_seconds = anatomy(spec, 4 if device.type == "cpu" else 16)
    yield [name, "draw a slice", "one core", 1, 1e3 * slice_seconds, 1 / slice_seconds]
    yield [name, "draw a metal", "one core", 1, 1e3 * metal_seconds, 1 / metal_seconds]
    simulator = Simulator(spec, device)
    rng = np.random.default_rng(0)

    def one_by_one() -> object:
        free = simulator.without_metal(slices[0])
        sinogram, _ = simulator.with_metal(free, metals[0], rng)
        return simulator.operators.reconstruct(sinogram)

    alone = milliseconds(one_by_one, device, seconds)
    yield [name, "scan, noise of the processor", device.type, 1, alone, 1e3 / alone]
    generator = torch.Generator(device).manual_seed(0)
    for batch in batches:
        chosen = [slices[k % len(slices)] for k in range(batch)]
        areas = [metals[k % len(metals)] for k in range(batch)]

        def together(chosen: list[Slice] = chosen, areas: list[Areas] = areas) -> object:
            sinograms, _ = simulator.with_metals(simulator.without_metals(chosen), areas, generator)
            return simulator.operators.reconstruct(sinograms)

        try:
            each = milliseconds(together, device, seconds) / batch
            yield [name, "scan, all on the device", device.type, batch, each, 1e3 / each]
        except torch.OutOfMemoryError:
            yield [name, "scan, all on the device", device.type, batch, "out of memory", "–"]


def main() -> None:
    options = parser_of(__doc__, quick="shorter timings").parse_args()
    device = device_of(options.device)
    trial = device.type == "cpu"
    found: list[list[object]] = []
    for name in ("mini",) if trial else ("mini", "dudonet2019"):
        print(f"{name} …", file=sys.stderr)
        found += rows(name, (1, 2) if trial else (1, 8, 64), device, 0.3 if options.quick else 2.0)
    publish("gpu_simulate", heading("Simulation on a GPU", device) + table(COLUMNS, found), device, options.out)


if __name__ == "__main__":
    main()
