"""Time projector and Radon inversion on a GPU: ``python benchmarks/gpu_ril.py --quick``.

Forward and backward, batches of 1, 8 and 64, at the DuDoNet paper's 416² / 320 × 321 and at 416² / 640 × 641, against
the floor that follows from bytes, loads and operations, against marbench's own other backends, and against every GPU
package that imports (see `gpu_peers`). Prints a Markdown table and writes it to ``benchmarks/results/``.

- *eager*: calls from Python, back to back; at batch 1 the host limits. *graph*: replays of a CUDA graph. *cold*: the
  same with an empty cache.
- *backward* is the adjoint alone for eager and graph; gradients through autograd call just that.
- *MB*: peak memory of input, output and everything between, an image, beyond the constant operators.
- ``--tune`` times other shares of work for each kernel instead (see `marbench.ct.triton.launch.PLANS`).
- ``--device cpu`` tries the script where there is no GPU, at a tiny size, in Triton's interpreter where triton is.
"""

from __future__ import annotations

import importlib.util
import itertools
import math
import os
import sys
from collections.abc import Callable, Iterator

import torch

if "cpu" in sys.argv:
    os.environ["TRITON_INTERPRET"] = "1"  # before triton is imported

from gpu_clock import (
    Ceilings,
    captured,
    cold_milliseconds,
    device_of,
    heading,
    milliseconds,
    parser_of,
    peak_megabytes,
    publish,
    table,
)
from gpu_peers import PEERS

from marbench.ct.backends import Backend, Kind, Operator, build, obstacles
from marbench.ct.linear import LinearMap
from marbench.ct.rebinning import parallel_beam_of
from marbench.geometry import FanBeam, ImageGrid

SIZES = {
    "416², 320 × 321": (FanBeam(320, 321, 39.69, math.radians(0.1)), ImageGrid(416, 416, 0.036923)),
    "416², 640 × 641": (FanBeam(640, 641, 39.69, math.radians(0.05)), ImageGrid(416, 416, 0.036923)),
}
TINY = {"8², 8 × 9": (FanBeam(8, 9, 39.69, 0.05), ImageGrid(8, 8, 1.8))}
BACKENDS: tuple[Backend, ...] = ("triton", "sparse", "torch_radon", "reference")
COLUMNS = ("size", "batch", "task", "by", "eager ms", "graph ms", "cold ms", "floor ms", "× floor", "MB", "rel. error")

Row = list[object]


def floor(kind: Kind, fan: FanBeam, grid: ImageGrid, batch: int, ceilings: Ceilings) -> float:
    """Return the least time an image of one operator: each input read and output written once, all weights applied.

    Positions and weights (about 8 operations) are shared by up to 8 images; loads and sums are not.
    """
    shared = 8 / min(batch, 8)
    rays, pixels = fan.views * fan.bins, grid.rows * grid.columns
    if kind == "project":
        taps = rays * max(grid.shape)
        # Backward, a pixel meets two taps of a ray and row at most, so the same number in all.
        return ceilings.milliseconds(4 * (rays + pixels), 2 * taps, (2 + shared) * taps)
    parallel = parallel_beam_of(fan)
    between = parallel.views * parallel.bins
    rebinning = ceilings.milliseconds(4 * (rays + between), 4 * between, 4 * between)
    product = ceilings.milliseconds(8 * between, 0, between * fan.bins)
    taps = parallel.views * pixels
    # Backward is a gather over bins and rows; the pixels that have a weight are as many as forward.
    back_projection = ceilings.milliseconds(4 * (between + pixels), 2 * taps, (2 + shared) * taps)
    return rebinning + product + back_projection


def error_of(found: torch.Tensor, expected: torch.Tensor) -> float:
    return float((found - expected).norm() / expected.norm())


class Measurement:
    """One size and batch on one device."""

    def __init__(self, size: str, batch: int, device: torch.device, seconds: float, ceilings: Ceilings) -> None:
        self.size, self.batch, self.device, self.seconds, self.ceilings = size, batch, device, seconds, ceilings
        self.fan, self.grid = {**SIZES, **TINY}[size]
        self._expected: dict[tuple[Kind, bool], torch.Tensor] = {}

    def rows(self) -> Iterator[Row]:
        for kind in ("invert", "project"):
            why_not = obstacles(kind, self.fan, self.grid, self.device)
            for backend in BACKENDS:
                if why_not[backend] is None:
                    yield from (self._row(kind, backend, adjoint) for adjoint in (False, True))
                else:
                    reason = str(why_not[backend]).split(" (")[0]
                    yield [self.size, self.batch, kind, f"{backend}: {reason}", *["–"] * 7]

    def _row(self, kind: Kind, backend: Backend, adjoint: bool) -> Row:
        task = f"{kind}, {'backward' if adjoint else 'forward'}"
        try:
            linear = build(Operator(kind, self.fan, self.grid, backend), self.device, torch.float32)
            apply = linear.adjoint if adjoint else linear.forward
            return [self.size, self.batch, task, backend, *self._figures(kind, backend, adjoint, linear, apply)]
        except torch.OutOfMemoryError:
            return [self.size, self.batch, task, f"{backend}: out of memory", *["–"] * 7]

    def _figures(
        self, kind: Kind, backend: Backend, adjoint: bool, linear: LinearMap,
        apply: Callable[[torch.Tensor], torch.Tensor],
    ) -> Row:  # fmt: skip
        x = self._input(linear, adjoint)
        with torch.no_grad():
            error = error_of(apply(x), self._reference(kind, adjoint, x))  # builds what is built on first use, too
            eager = milliseconds(lambda: apply(x), self.device, self.seconds) / self.batch
            # The reference allocates per view and would make graphs of thousands of nodes.
            replay = None if backend in ("reference", "torch_radon") else captured(lambda: apply(x), self.device)
            graph = milliseconds(replay, self.device, self.seconds) / self.batch if replay else "–"
            cold = cold_milliseconds(replay, self.device) / self.batch if replay else "–"
            del replay
            held = torch.cuda.memory_allocated(self.device) - x.nbytes if self.device.type == "cuda" else 0
            megabytes = peak_megabytes(lambda: apply(x), self.device, held) / self.batch
        least = floor(kind, self.fan, self.grid, self.batch, self.ceilings)
        fastest = eager if graph == "–" else min(eager, graph)
        return [eager, graph, cold, least, f"{fastest / least:.1f}", megabytes, f"{error:.0e}"]

    def _input(self, linear: LinearMap, adjoint: bool) -> torch.Tensor:
        generator = torch.Generator(self.device).manual_seed(0)
        shape = linear.range_shape if adjoint else linear.domain_shape
        return torch.randn(self.batch, *shape, device=self.device, generator=generator)

    def _reference(self, kind: Kind, adjoint: bool, x: torch.Tensor) -> torch.Tensor:
        if (kind, adjoint) not in self._expected:
            plain = build(Operator(kind, self.fan, self.grid, "reference"), self.device, torch.float32)
            self._expected[kind, adjoint] = (plain.adjoint if adjoint else plain.forward)(x)
        return self._expected[kind, adjoint]


def peers(size: str, batch: int, device: torch.device, seconds: float) -> Iterator[Row]:
    fan, grid = {**SIZES, **TINY}[size]
    for name, peer in PEERS.items():
        try:
            for task, call, remark in peer(fan, grid, batch, device):
                eager = milliseconds(call, device, seconds) / batch
                yield [size, batch, task, f"{name} ({remark})", eager, *["–"] * 6]
        except ImportError as error:
            yield [size, batch, "–", f"{name}: not installed ({error})", *["–"] * 7]
        except Exception as error:  # a peer that fails is a row
            yield [size, batch, "–", f"{name}: {type(error).__name__}: {str(error).splitlines()[0][:80]}", *["–"] * 7]


def autograd_row(size: str, batch: int, device: torch.device, seconds: float) -> Row:
    """What a training step pays for the layer: forward and backward through autograd, from Python."""
    from marbench.ct import RadonInversion

    fan, grid = {**SIZES, **TINY}[size]
    layer = RadonInversion(fan, grid)
    sinogram = torch.randn(batch, *fan.shape, device=device, requires_grad=True)
    gradient = torch.randn(batch, *grid.shape, device=device)

    def step() -> object:
        return torch.autograd.grad(layer(sinogram), sinogram, gradient)

    eager = milliseconds(step, device, seconds) / batch
    return [size, batch, "invert, both, autograd", "marbench", eager, *["–"] * 6]


def tuned(device: torch.device, seconds: float) -> Iterator[Row]:
    from marbench.ct.triton import launch

    fan, grid = SIZES["416², 320 × 321"]
    kernels: dict[str, tuple[Kind, bool]] = {
        "back_project": ("invert", False), "back_project_adjoint": ("invert", True),
        "project": ("project", False), "project_adjoint": ("project", True),
    }  # fmt: skip
    for (name, (kind, adjoint)), batch in itertools.product(kernels.items(), (1, 8)):
        default = launch.PLANS[name]
        tiles = [(1, 32), (1, 64), (1, 128)] if default.rows == 1 else [(4, 32), (8, 32), (16, 32), (8, 64), (16, 16)]
        plans = {
            default._replace(rows=rows, columns=columns, warps=warps, unroll=unroll, group=group)
            for (rows, columns), warps, unroll, group in itertools.product(
                tiles, (1, 2, 4, 8), (1, 2, 4, 8), (1,) if batch == 1 else (4, 8)
            )
            if rows * columns >= 32 * warps
        }
        linear = build(Operator(kind, fan, grid, "triton"), device, torch.float32)
        x = torch.randn(batch, *(linear.range_shape if adjoint else linear.domain_shape), device=device)
        times = {}
        for plan in plans:
            launch.PLANS[name] = plan
            replay = captured(lambda: (linear.adjoint if adjoint else linear.forward)(x), device)  # noqa: B023
            times[plan] = milliseconds(replay, device, seconds) / batch
        launch.PLANS[name] = default
        for plan in [*sorted(times, key=times.__getitem__)[:5], default]:
            yield [name, batch, str(tuple(plan)), times[plan], "default" if plan == default else ""]


def main() -> None:
    parser = parser_of(__doc__, quick="a few minutes: shorter timings, one size")
    parser.add_argument("--tune", action="store_true", help="time other shares of work for each kernel")
    options = parser.parse_args()
    device = device_of(options.device)
    seconds = 0.2 if options.quick else 1.0
    if options.tune:
        columns = ("kernel", "batch", "(rows, columns, group, warps, unroll)", "ms an image, with its stages", "")
        publish(
            "gpu_ril_tuning",
            heading("Shares of work", device) + table(columns, tuned(device, 0.05)),
            device,
            options.out,
        )
        return
    ceilings = Ceilings.of(device)
    sizes, batches = (SIZES, (1, 8, 64)) if device.type == "cuda" else (TINY, (1, 2))
    rows: list[Row] = []
    for size, batch in itertools.product(list(sizes)[:1] if options.quick else sizes, batches):
        print(f"{size}, batch {batch} …", file=sys.stderr)
        rows += Measurement(size, batch, device, seconds, ceilings).rows()
        rows.append(autograd_row(size, batch, device, seconds))
        rows += peers(size, batch, device, seconds)
    lines = heading(
        "Projector and Radon inversion on a GPU", device, [f"Ceilings: {ceilings.how}", "All times an image."]
    )
    if importlib.util.find_spec("triton") is None:
        lines += ["triton is not installed: the stored weights serve on this device.", ""]
    publish("gpu_ril", lines + table(COLUMNS, rows), device, options.out)


if __name__ == "__main__":
    main()
