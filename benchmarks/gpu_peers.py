"""Other packages that project or reconstruct on a GPU, on the same size of task. Each is asked only if it imports.

None has an arc detector in two dimensions, so all get a flat one with as many cells; where a package has no fan-beam
reconstruction it gets a parallel beam of half the views, which is what a fan is rebinned to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch

from marbench.ct.rebinning import parallel_beam_of
from marbench.geometry import FanBeam, ImageGrid

Task = tuple[str, Callable[[], object], str]


def flat(fan: FanBeam) -> tuple[float, float]:
    """Return cell size, at twice the distance of the isocentre, and that distance."""
    return 2 * fan.isocentre_pitch, 2 * fan.source_distance


def with_gradient(function: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor) -> Callable[[], object]:
    x = x.clone().requires_grad_()
    shape = torch.empty_like(function(x))

    def call() -> object:
        return torch.autograd.grad(function(x), x, shape)

    return call


def torch_radon(fan: FanBeam, grid: ImageGrid, batch: int, device: torch.device) -> Iterator[Task]:
    import torch_radon as package

    pitch, _ = flat(fan)
    source = fan.source_distance / grid.pixel
    angles = torch.as_tensor(fan.beta, dtype=torch.float32)
    if hasattr(package, "FanBeam"):
        beam = package.FanBeam(fan.bins, angles, source, source, pitch / grid.pixel)
    else:
        beam = package.RadonFanbeam(grid.rows, angles, source, source, fan.bins, pitch / grid.pixel)
    images = torch.randn(batch, *grid.shape, device=device)
    sinograms = beam.forward(images)
    yield "project, forward", lambda: beam.forward(images), "flat"
    yield "project, backward", lambda: beam.backward(sinograms), "flat, no exact transpose"
    yield "invert, forward", lambda: beam.backward(beam.filter_sinogram(sinograms)), "flat, without fan weights: wrong"


def astra(fan: FanBeam, grid: ImageGrid, batch: int, device: torch.device) -> Iterator[Task]:
    import astra as package

    if not package.use_cuda():
        raise ImportError("built without CUDA")
    pitch, _ = flat(fan)
    half = grid.field_of_view[0] / 2
    volume = package.create_vol_geom(grid.rows, grid.columns, -half, half, -half, half)
    beam = package.create_proj_geom("fanflat", pitch, fan.bins, fan.beta, fan.source_distance, fan.source_distance)
    image = package.data2d.create("-vol", volume, np.random.rand(*grid.shape).astype(np.float32))  # noqa: NPY002
    sinogram = package.data2d.create("-sino", beam, np.random.rand(*fan.shape).astype(np.float32))  # noqa: NPY002

    def run(algorithm: str, forward: bool) -> Callable[[], None]:
        config = package.astra_dict(algorithm)
        config["ProjectionDataId"] = sinogram
        config["VolumeDataId" if forward else "ReconstructionDataId"] = image
        prepared = package.algorithm.create(config)

        def call() -> None:
            for _ in range(batch):
                package.algorithm.run(prepared)

        return call

    remark = "flat, one at a time, copies to and from the host within"
    yield "project, forward", run("FP_CUDA", True), remark
    yield "project, backward", run("BP_CUDA", False), remark
    yield "invert, forward", run("FBP_CUDA", False), remark


def leap(fan: FanBeam, grid: ImageGrid, batch: int, device: torch.device) -> Iterator[Task]:
    from leapctype import tomographicModels

    pitch, distance = flat(fan)
    model = tomographicModels()
    angles = np.degrees(fan.beta).astype(np.float32)
    centre = (fan.bins - 1) / 2
    mm = 10
    model.set_fanbeam(
        fan.views,
        1,
        fan.bins,
        grid.pixel * mm,
        pitch * mm,
        0.0,
        centre,
        angles,
        fan.source_distance * mm,
        distance * mm,
    )
    model.set_volume(grid.columns, grid.rows, 1, grid.pixel * mm, grid.pixel * mm)
    volumes = [torch.randn(1, *grid.shape, device=device) for _ in range(batch)]
    sinograms = [torch.randn(fan.views, 1, fan.bins, device=device) for _ in range(batch)]

    def each(function: Callable[[torch.Tensor, torch.Tensor], object]) -> Callable[[], object]:
        return lambda: [function(g, f) for g, f in zip(sinograms, volumes, strict=True)]

    yield "project, forward", each(model.project), "flat, one at a time"
    yield "project, backward", each(model.backproject), "flat, one at a time"
    yield "invert, forward", each(model.FBP), "flat, one at a time"


def diffct(fan: FanBeam, grid: ImageGrid, batch: int, device: torch.device) -> Iterator[Task]:
    from diffct import Projector, circular_trajectory_2d_fan, fbp

    pitch, distance = flat(fan)
    orbit = circular_trajectory_2d_fan(fan.views, fan.source_distance, distance, device=device)
    scale = {"detector_spacing": pitch, "voxel_spacing": grid.pixel, "precision": "float32"}
    beam = Projector(orbit, grid.shape, (fan.bins,), beam="fan", **scale)
    images = [torch.randn(grid.shape, device=device) for _ in range(batch)]
    sinograms = [torch.randn(fan.shape, device=device) for _ in range(batch)]
    angles = torch.as_tensor(fan.beta, dtype=torch.float32, device=device)

    def invert(sinogram: torch.Tensor) -> torch.Tensor:
        return fbp(sinogram, orbit, grid.shape, angles, beam="fan", **scale)

    yield "project, forward", lambda: [beam.project(image) for image in images], "flat, one at a time"
    yield "project, backward", lambda: [beam.backproject(each) for each in sinograms], "flat, one at a time"
    yield "invert, forward", lambda: [invert(each) for each in sinograms], "flat, one at a time"
    both = [with_gradient(invert, each) for each in sinograms]
    yield "invert, both, autograd", lambda: [each() for each in both], "flat, one at a time"


def deepinv(fan: FanBeam, grid: ImageGrid, batch: int, device: torch.device) -> Iterator[Task]:
    from deepinv.physics import Tomography

    pitch, _ = flat(fan)
    detector = {"n_detector_pixels": fan.bins, "detector_spacing": pitch, "pixel_spacing": grid.pixel}
    detector |= {"source_radius": fan.source_distance, "detector_radius": fan.source_distance}
    common = {"img_width": grid.columns, "normalize": False, "device": device}
    degrees = torch.as_tensor(np.degrees(fan.beta), dtype=torch.float32, device=device)
    flat_fan = Tomography(degrees, fan_beam=True, fan_parameters=detector, **common)
    parallel = parallel_beam_of(fan)
    half = torch.as_tensor(np.degrees(parallel.theta), dtype=torch.float32, device=device)
    beam = Tomography(half, circle=True, adjoint_via_backprop=False, **common)
    images = torch.randn(batch, 1, *grid.shape, device=device)
    sinograms, rays = flat_fan(images), beam(images)
    yield "project, forward", lambda: flat_fan(images), "flat"
    yield "project, backward", lambda: flat_fan.A_adjoint(sinograms), "flat"
    yield "invert, forward", lambda: beam.fbp(rays), "parallel, half the views"
    yield "invert, both, autograd", with_gradient(beam.fbp, rays), "parallel, half the views"


PEERS = {"torch-radon": torch_radon, "ASTRA": astra, "LEAP": leap, "diffct": diffct, "deepinv": deepinv}
