"""Time the CT operators beside those of other packages: ``python benchmarks/operators.py --quick``.

Prints a Markdown table of medians. All packages run interleaved in one process, so that a busy machine slows
all of them alike; read the ratios. On one thread the time is CPU time, which other programs disturb least; on
more it is wall time. Packages that are not installed are named as such.

The task is that of the DuDoNet paper: 416² pixels, 320 views × 321 bins. Where a package has no arc
detector it gets a flat one of the same size, and where it has no fan-beam reconstruction a parallel beam with as
many rays. The fastest of those is also timed on the 160 parallel views that a fan scan could be rebinned to, which is
half of the work, and leaves the rebinning to the user. Accuracy: for projections, the relative RMS difference from
the exact line integrals of five discs; for reconstructions, the mean inside the largest disc divided by its value.
"""

from __future__ import annotations

import argparse
import itertools
import math
import os
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch: spinning threads are ruinous on shared cores

import numpy as np
import torch
from torch import Tensor

from marbench.ct import RadonInversion, back_project, ops, project
from marbench.geometry import FanBeam, Geometry, ImageGrid, ParallelBeam

ARC = FanBeam(320, 321, 39.69, math.radians(0.1))
FLAT = FanBeam(320, 321, 39.69, 43.44 / 321, "flat", 79.38)
PARALLEL = ParallelBeam(320, 321, ARC.isocentre_pitch)
REBINNED = ParallelBeam(160, 321, ARC.isocentre_pitch)
GRID = ImageGrid(416, 416, 0.036923)
# x, y, radius in cm, µ in 1/cm
DISCS = (
    (0.4, -0.3, 5.5, 0.2),
    (2.4, 1.1, 1.6, 0.1),
    (-2.5, 2.0, 1.2, 0.25),
    (0.9, -3.2, 1.3, -0.15),
    (-3.0, -2.0, 0.5, 0.3),
)
PEERS = ("ASTRA", "deepinv", "diffct", "scikit-image")
BATCH = 8


@dataclass
class Entry:
    """One timed call."""

    task: str
    package: str
    what: str
    call: Callable[[], object]
    check: Callable[[object], str] = lambda result: ""
    images: int = 1
    accuracy: str = ""
    seconds: list[float] = field(default_factory=list)

    @property
    def milliseconds(self) -> float:
        """Median time of one image."""
        return 1e3 * statistics.median(self.seconds) / self.images


def exact(geometry: Geometry) -> Tensor:
    theta, t = geometry.lines()
    chords = (
        2 * mu * np.sqrt(np.clip(r**2 - (t - x * np.cos(theta) - y * np.sin(theta)) ** 2, 0, None))
        for x, y, r, mu in DISCS
    )
    return torch.from_numpy(sum(chords)).float()


def phantom() -> Tensor:
    fine = ImageGrid(GRID.rows * 8, GRID.columns * 8, GRID.pixel / 8)
    image = sum(mu * ((fine.x - x) ** 2 + (fine.y[:, None] - y) ** 2 <= r**2) for x, y, r, mu in DISCS)
    return torch.from_numpy(image.reshape(GRID.rows, 8, GRID.columns, 8).mean((1, 3))).float()


def projection_error(geometry: Geometry) -> Callable[[object], str]:
    """Relative RMS error for the orientation and scale that suit the package best."""

    def check(sinogram: Any) -> str:
        truth = exact(geometry)
        found = torch.as_tensor(sinogram).detach().float()
        found = found.squeeze().reshape(-1, *found.shape[-2:])[0].reshape(truth.shape)
        errors = []
        for reverse, mirror, quarter in itertools.product((False, True), (False, True), range(4)):
            other = found.flip(0).roll(1, 0) if reverse else found
            other = (other.flip(1) if mirror else other).roll(quarter * geometry.views // 4, 0)
            scale = (other * truth).sum() / other.square().sum()
            errors.append(float((scale * other - truth).norm() / truth.norm()))
        return f"{min(errors):.1e}"

    return check


def mean_in_disc(image: Any) -> str:
    """Mean of the largest disc where no other disc overlaps it, relative to its value, as the package is oriented."""
    found, truth = torch.as_tensor(image).detach().float(), phantom()
    found = found.reshape(-1, *GRID.shape)[0]
    turned = [torch.rot90(other, k) for other in (found, found.T) for k in range(4)]
    best = min(turned, key=lambda other: float((other - truth).norm()))
    flat = torch.nn.functional.max_pool2d((truth - 0.2).abs()[None], 25, 1, 12)[0] < 1e-6
    return f"{float(best[flat].mean() / 0.2):.4f}"


def with_gradient(function: Callable[[Tensor], Tensor], x: Tensor) -> Callable[[], None]:
    x = x.clone().requires_grad_()

    def call() -> None:
        y = function(x)
        torch.autograd.grad(y, x, torch.ones_like(y))

    return call


def marbench() -> Iterator[Entry]:
    image, sinogram = phantom(), exact(ARC)
    layer, parallel = RadonInversion(ARC, GRID), RadonInversion(PARALLEL, GRID)

    def projector(x: Tensor) -> Tensor:
        return project(x, ARC, GRID)

    for n in (1, BATCH):
        images, sinograms = image.expand(n, -1, -1).contiguous(), sinogram.expand(n, -1, -1).contiguous()
        batch = f", batch {n}" if n > 1 else ""
        name = "marbench"
        yield Entry("project", name, f"arc{batch}", lambda x=images: projector(x), projection_error(ARC), n)
        yield Entry("project, gradient", name, f"arc{batch}", with_gradient(projector, images), images=n)
        yield Entry("reconstruct", name, f"arc{batch}", lambda y=sinograms: layer(y), mean_in_disc, n)
        yield Entry("reconstruct, gradient", name, f"arc{batch}", with_gradient(layer, sinograms), images=n)
    yield Entry("project", name, "flat", lambda: project(image, FLAT, GRID), projection_error(FLAT))
    yield Entry("back-project", name, "arc", lambda: back_project(sinogram, ARC, GRID))
    rays = exact(PARALLEL)
    yield Entry("reconstruct", name, "parallel", lambda: parallel(rays), mean_in_disc)


def astra() -> Iterator[Entry]:
    import astra

    size = GRID.field_of_view[0] / 2
    volume = astra.create_vol_geom(GRID.rows, GRID.columns, -size, size, -size, size)
    fan = astra.create_proj_geom("fanflat", FLAT.pitch, FLAT.bins, FLAT.beta, 39.69, 39.69)
    beams = {
        name: astra.create_proj_geom("parallel", beam.spacing, beam.bins, beam.theta)
        for name, beam in (("rays", PARALLEL), ("rebinned", REBINNED))
    }
    projector = astra.create_projector("line_fanflat", fan, volume)
    data = {
        "image": astra.data2d.create("-vol", volume, phantom().numpy()),
        "sinogram": astra.data2d.create("-sino", fan, exact(FLAT).numpy()),
        "rays": astra.data2d.create("-sino", beams["rays"], exact(PARALLEL).numpy()),
        "rebinned": astra.data2d.create("-sino", beams["rebinned"], exact(REBINNED).numpy()),
    }

    def run(algorithm: str, sinogram: str, out: bool, projector: int) -> Callable[[], np.ndarray]:
        result = astra.data2d.create("-vol", volume) if out else astra.data2d.create("-sino", fan)
        config = astra.astra_dict(algorithm)
        config["ProjectorId"] = projector
        config["ProjectionDataId"] = data[sinogram] if out else result
        config["ReconstructionDataId" if out else "VolumeDataId"] = result if out else data["image"]
        prepared = astra.algorithm.create(config)

        def call() -> np.ndarray:
            astra.algorithm.run(prepared)
            return astra.data2d.get(result)

        return call

    forward, adjoint = run("FP", "sinogram", False, projector), run("BP", "sinogram", True, projector)
    yield Entry("project", "ASTRA", "flat", forward, projection_error(FLAT))
    yield Entry("back-project", "ASTRA", "flat", adjoint)
    yield Entry("project, gradient", "ASTRA", "flat; no autograd: both calls", lambda: (forward(), adjoint()))
    for name, what in (("rays", "parallel"), ("rebinned", "parallel, half the rays, rebinning not counted")):
        fbp = run("FBP", name, True, astra.create_projector("linear", beams[name], volume))
        yield Entry("reconstruct", "ASTRA", what, fbp, mean_in_disc)


def deepinv() -> Iterator[Entry]:
    from deepinv.physics import Tomography

    detector = {"n_detector_pixels": FLAT.bins, "detector_spacing": FLAT.pitch, "pixel_spacing": GRID.pixel}
    detector |= {"source_radius": 39.69, "detector_radius": 39.69}
    degrees = torch.from_numpy(np.degrees(FLAT.beta)).float()
    common = {"img_width": GRID.columns, "normalize": False}
    fan = Tomography(degrees, fan_beam=True, fan_parameters=detector, **common)
    half_circle = torch.from_numpy(np.degrees(PARALLEL.theta)).float()
    beam = Tomography(half_circle, circle=True, adjoint_via_backprop=False, **common)
    image = phantom()[None, None]
    sinogram = fan(image)
    rays = beam(image)
    yield Entry("project", "deepinv", "flat", lambda: fan(image).mT, projection_error(FLAT))
    yield Entry("project, gradient", "deepinv", "flat", with_gradient(fan, image))
    yield Entry("back-project", "deepinv", "flat", lambda: fan.A_adjoint(sinogram))
    yield Entry("reconstruct", "deepinv", "parallel", lambda: beam.fbp(rays), mean_in_disc)
    yield Entry("reconstruct, gradient", "deepinv", "parallel", with_gradient(beam.fbp, rays))


def diffct() -> Iterator[Entry]:
    from diffct import Projector, circular_trajectory_2d_fan, fbp

    orbit = circular_trajectory_2d_fan(FLAT.views, 39.69, 79.38, device="cpu")
    fan = Projector(
        orbit, GRID.shape, (FLAT.bins,), beam="fan",
        detector_spacing=FLAT.pitch, voxel_spacing=GRID.pixel, backend="torch", precision="float32",
    )  # fmt: skip
    angles, image, sinogram = torch.from_numpy(FLAT.beta).float(), phantom(), exact(FLAT)

    def invert(y: Tensor) -> Tensor:
        return fbp(
            y, orbit, GRID.shape, angles, beam="fan",
            detector_spacing=FLAT.pitch, voxel_spacing=GRID.pixel, backend="torch", precision="float32",
        )  # fmt: skip

    yield Entry("project", "diffct", "flat", lambda: fan.project(image), projection_error(FLAT))
    yield Entry("project, gradient", "diffct", "flat", with_gradient(fan.project, image))
    yield Entry("back-project", "diffct", "flat", lambda: fan.backproject(sinogram))
    yield Entry("reconstruct", "diffct", "flat", lambda: invert(sinogram), mean_in_disc)
    yield Entry("reconstruct, gradient", "diffct", "flat", with_gradient(invert, sinogram))


def scikit_image() -> Iterator[Entry]:
    from skimage.transform import iradon, radon

    image, degrees = phantom().numpy(), np.degrees(PARALLEL.theta)
    beam = ParallelBeam(PARALLEL.views, GRID.columns, GRID.pixel)
    rays = exact(beam).numpy().T

    def forward() -> np.ndarray:
        return np.ascontiguousarray(radon(image, degrees, circle=True).T)

    def invert() -> np.ndarray:
        return iradon(rays, degrees, circle=True) / GRID.pixel

    yield Entry("project", "scikit-image", "parallel", forward, projection_error(beam))
    yield Entry("reconstruct", "scikit-image", "parallel", invert, mean_in_disc)


def measure(entries: list[Entry], rounds: int, seconds_each: float, clock: Callable[[], float]) -> None:
    """Call every entry in turn, the fast ones in every round; the first call is for warming up and checking."""
    for attempt in range(rounds + 1):
        for entry in entries:
            if attempt > 0 and sum(entry.seconds) > seconds_each:
                continue
            start = clock()
            result = entry.call()
            seconds = clock() - start
            if attempt == 0:
                entry.accuracy = entry.check(result)
            if attempt > 0 or seconds > seconds_each:
                entry.seconds.append(seconds)


def table(entries: list[Entry], missing: list[str]) -> Iterator[str]:
    yield "| task | package | detector | ms an image | × marbench | accuracy |"
    yield "|---|---|---|--:|--:|--:|"
    for task in dict.fromkeys(entry.task for entry in entries):
        rows = sorted((entry for entry in entries if entry.task == task), key=lambda entry: entry.milliseconds)
        own = next(entry for entry in entries if entry.task == task and entry.package == "marbench").milliseconds
        for row in rows:
            times = f"{row.milliseconds:.1f} | {row.milliseconds / own:.1f}"
            yield f"| {row.task} | {row.package} | {row.what} | {times} | {row.accuracy} |"
    for line in missing:
        yield f"| – | {line} | – | – | – | – |"


def memory() -> str:
    """Build the operators anew, and say how long that takes and what they hold."""
    ops.operator.cache_clear()
    start, held = time.perf_counter(), 0
    for kind, shape in (("project", GRID.shape), ("invert", ARC.shape)):
        key = ops.operator_key(kind, ARC, GRID)
        ops.apply_adjoint(ops.apply(torch.zeros(shape), key), key)
        held += ops.operator(key, torch.device("cpu"), torch.float32).nbytes
    seconds = time.perf_counter() - start
    return f"marbench holds {held / 1e6:.0f} MB for projector, inversion and both adjoints, built in {seconds:.1f} s."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few repetitions (about a minute)")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)

    entries, missing = list(marbench()), []
    for name, peer in zip(PEERS, (astra, deepinv, diffct, scikit_image), strict=True):
        if options.quick and name == "diffct":
            missing.append(f"{name}: many seconds a call, left out of --quick")
            continue
        try:
            entries += peer()
        except ImportError as error:
            missing.append(f"{name}: not installed ({error})")
    one = options.threads == 1
    clock = time.process_time if one else time.perf_counter
    measure(entries, 7 if options.quick else 25, 3 if options.quick else 15, clock)
    print(f"torch {torch.__version__}, {options.threads} thread(s), {'CPU' if one else 'wall'} time\n")
    print("\n".join(table(entries, missing)))
    print("\n" + memory())


if __name__ == "__main__":
    main()
