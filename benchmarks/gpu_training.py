"""Count training samples a second on a GPU: ``python benchmarks/gpu_training.py --quick``.

Times the trainer's own step (losses through the projector and the Radon inversion, backward, optimiser) of every
learned method on a batch of simulated cases that is already on the device: what a training reaches if the pool never
runs dry. Prints a Markdown table and writes it to ``benchmarks/results/``.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import replace

import numpy as np
import torch
from gpu_clock import device_of, heading, milliseconds, parser_of, peak_megabytes, publish, table

from marbench.cases.case import Scan, Truth
from marbench.cases.simulator import Simulator
from marbench.cases.sources import open_source
from marbench.errors import MarbenchError
from marbench.learning.optimisation import Optimisation
from marbench.method.contract import Method
from marbench.method.learned import Batch, LearnedMethod
from marbench.method.request import MethodRequest, context_for, instantiate, parse_methods
from marbench.phantoms.metals import coverage, library, mask
from marbench.spec import Spec, load_spec

COLUMNS = ("benchmark", "method", "preset", "precision", "batch", "ms a step", "samples/s", "MB")


def batch_of(spec: Spec, size: int, device: torch.device) -> Batch:
    """Return simulated cases: a few slices and metals, over and over."""
    source, simulator = open_source(spec), Simulator(spec, device)
    patients = list(source.patients("train").items())[:2]
    slices = [source.load(patient, names[0], spec.grid) for patient, names in patients]
    metals = [coverage(metal, spec.grid, spec.metals.reference_pixel_cm, (0.0, 0.0)) for metal in library("train")[:2]]
    free, rng = [simulator.without_metal(each) for each in slices], np.random.default_rng(0)
    scans = [simulator.with_metal(each, areas, rng) for each, areas in zip(free, metals, strict=True)]
    order = [k % 2 for k in range(size)]
    sinogram, trace = (torch.stack([scans[k][part] for k in order]) for part in (0, 1))
    true_sinogram = simulator.measure(torch.stack([free[k].polychromatic for k in order]), None)
    reconstruct = simulator.operators.reconstruct
    masks = torch.from_numpy(np.stack([mask(metals[k]) for k in order])).to(device)
    scan = Scan(sinogram, masks, trace, reconstruct(sinogram))
    return Batch(scan, Truth(reconstruct(true_sinogram), true_sinogram, masks))


def optimisation_of(request: MethodRequest, spec: Spec, device: torch.device, precision: str) -> Optimisation | None:
    method = instantiate(request)
    if not isinstance(method, LearnedMethod):
        return None
    context = context_for(request, spec, device)
    Method.load(method, context)
    method.build(context)
    for module in (*method.networks().values(), *method.auxiliaries().values()):
        module.to(device, memory_format=torch.channels_last).train()

    def autocast() -> AbstractContextManager[None]:
        return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16-mixed")

    return Optimisation(method, 4.0, autocast, lambda gradients: None)


def rows(
    name: str, methods: str, sizes: tuple[int, ...], device: torch.device, seconds: float
) -> Iterator[list[object]]:
    spec = load_spec(name)
    for size in sizes:
        batch = batch_of(spec, size, device)
        for entry in parse_methods(methods):
            presets = list(entry.entry.card.presets) or [None]
            # On a processor, what is largest would take minutes and say nothing.
            for preset in presets[:1] if device.type == "cpu" else presets:
                for precision in ("32-true",) if device.type == "cpu" else ("32-true", "bf16-mixed"):
                    request = replace(entry, preset=preset)
                    figures = _figures(request, spec, batch, size, device, precision, seconds)
                    if figures:
                        yield [name, request.label, preset or "–", precision, size, *figures]


def _figures(
    request: MethodRequest, spec: Spec, batch: Batch, size: int, device: torch.device, precision: str, seconds: float
) -> list[object]:
    held = torch.cuda.memory_allocated(device) if device.type == "cuda" else 0
    try:
        optimisation = optimisation_of(request, spec, device, precision)
        if optimisation is None:
            return []
        step = milliseconds(lambda: optimisation.step(batch, 1e-3), device, seconds)
        return [step, 1e3 * size / step, peak_megabytes(lambda: optimisation.step(batch, 1e-3), device, held)]
    except torch.OutOfMemoryError:
        return ["out of memory", "–", "–"]
    except MarbenchError as error:
        return [str(error).splitlines()[0][:80], "–", "–"]


def main() -> None:
    parser = parser_of(__doc__, quick="shorter timings, one batch size")
    parser.add_argument("--methods", default="all")
    options = parser.parse_args()
    device = device_of(options.device)
    trial = device.type == "cpu"
    sizes = (1,) if trial else (8,) if options.quick else (1, 8, 32)
    found: list[list[object]] = []
    for name in ("mini",) if trial else ("mini", "dudonet2019"):
        print(f"{name} …", file=sys.stderr)
        found += rows(name, options.methods, sizes, device, 0.3 if options.quick or trial else 2.0)
    lines = heading("Training steps on a GPU", device) + table(COLUMNS, found)
    publish("gpu_training", lines, device, options.out)


if __name__ == "__main__":
    main()
