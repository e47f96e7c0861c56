"""The Triton kernels: on a GPU where there is one, else in Triton's interpreter, which runs them in Python."""

from __future__ import annotations

import math

import numpy
import pytest
import torch
from numpy.lib import NumpyVersion
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

pytest.importorskip("triton", minversion="3.6", reason='no triton here: pip install "marbench[triton]"')

import triton

from marbench.ct import RadonInversion, backend_for, project
from marbench.ct.backends import Kind, Operator, build
from marbench.ct.linear import LinearMap
from marbench.ct.triton import BackProjection, JosephProjection, launch
from marbench.geometry import FanBeam, Geometry, ImageGrid, ParallelBeam

ON_GPU = torch.cuda.is_available()
pytestmark = pytest.mark.skipif(
    not ON_GPU and triton.__version__ < "3.7" and NumpyVersion(numpy.__version__) >= "2.4.0",
    reason="Triton's interpreter before 3.7 fails with numpy 2.4 (triton #9171)",
)
DEVICE = torch.device("cuda" if ON_GPU else "cpu")

# As small as they can be: the interpreter takes milliseconds for what a GPU does in nanoseconds.
SQUARE, OBLONG = ImageGrid(6, 6, 0.8), ImageGrid(7, 5, 0.8)
ARC = FanBeam(8, 7, 10.0, 0.1)
SCANS = {
    "arc": (ARC, SQUARE),
    "arc, odd views, even bins, start between views": (FanBeam(7, 8, 10.0, 0.07, start=0.3), OBLONG),
    "flat": (FanBeam(6, 7, 10.0, 1.8, "flat", 18.0, start=math.pi / 6), OBLONG),
    "shifted, clockwise": (FanBeam(8, 7, 10.0, 0.1, offset=0.25, clockwise=True), SQUARE),
    "short, flat, shifted": (FanBeam(7, 8, 10.0, 1.8, "flat", 18.0, start=0.3, offset=-0.5, arc=5.0), OBLONG),
    "list of angles": (FanBeam(5, 7, 10.0, 0.1, angles=(0.1, 1.4, 2.2, 3.6, 5.0)), SQUARE),
    "parallel, bins finer than pixels": (ParallelBeam(5, 12, 0.45, start=0.2), OBLONG),
    "parallel, bins coarser than pixels": (ParallelBeam(3, 5, 1.2), SQUARE),
    # There cos and sin differ by rounding alone, and both directions must take the same side.
    "parallel, exactly 45 degrees": (ParallelBeam(4, 7, 0.7), SQUARE),
}


@pytest.fixture(autouse=True)
def small_shares(monkeypatch: pytest.MonkeyPatch) -> None:
    cut(monkeypatch, rows=4, columns=8, group=4)


def cut(monkeypatch: pytest.MonkeyPatch, rows: int, columns: int, group: int) -> None:
    """Cut even these images and batches into several programs."""
    for name, plan in launch.PLANS.items():
        monkeypatch.setitem(launch.PLANS, name, plan._replace(rows=rows, columns=columns, group=group))


def both(
    kind: Kind, geometry: Geometry, grid: ImageGrid, dtype: torch.dtype = torch.float32
) -> tuple[LinearMap, LinearMap]:
    ours, reference = (build(Operator(kind, geometry, grid, name), DEVICE, dtype) for name in ("triton", "reference"))
    return ours, reference


@pytest.mark.parametrize("kind", ["project", "invert"])
@pytest.mark.parametrize(("geometry", "grid"), SCANS.values(), ids=SCANS)
def test_kernels_equal_the_reference_in_both_directions(kind: Kind, geometry: Geometry, grid: ImageGrid) -> None:
    torch.manual_seed(0)
    ours, reference = both(kind, geometry, grid)
    x = torch.randn(3, *reference.domain_shape, device=DEVICE)
    y = torch.randn(3, *reference.range_shape, device=DEVICE)
    for found, expected in (
        (ours.forward(x), reference.forward(x)),
        (ours.adjoint(y), reference.adjoint(y)),
    ):
        assert found.shape == expected.shape
        assert (found - expected).norm() <= 1e-5 * expected.norm()


@pytest.mark.parametrize("kind", ["project", "invert"])
def test_adjoint_is_exact(kind: Kind) -> None:
    torch.manual_seed(1)
    for dtype, tolerance in ((torch.float32, 1e-6), (torch.float64, 1e-14)):
        ours, _ = both(kind, ARC, SQUARE, dtype)
        x = torch.randn(1, *ours.domain_shape, dtype=dtype, device=DEVICE)
        y = torch.randn(1, *ours.range_shape, dtype=dtype, device=DEVICE)
        forward, adjoint = ours.forward(x), ours.adjoint(y)
        scale = forward.double().norm() * y.double().norm()
        assert abs((forward.double() * y).sum() - (x * adjoint.double()).sum()) <= tolerance * scale


def test_first_and_second_derivatives() -> None:
    torch.manual_seed(0)
    fan, grid = FanBeam(4, 5, 10.0, 0.1), ImageGrid(3, 3, 1.0)
    layer = RadonInversion(fan, grid, backend="triton")

    def invert(y: Tensor) -> Tensor:
        return layer(y)

    def line_integrals(x: Tensor) -> Tensor:
        return project(x, fan, grid, backend="triton")

    for function, shape in ((invert, fan.shape), (line_integrals, grid.shape)):
        x = torch.randn(shape, dtype=torch.float64, device=DEVICE, requires_grad=True)
        assert gradcheck(function, (x,), fast_mode=True)
        assert gradgradcheck(function, (x,), fast_mode=True)


@pytest.mark.parametrize("kind", ["project", "invert"])
def test_neither_neighbours_nor_the_cut_of_the_work_change_a_bit(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    if kind == "project":
        ours: LinearMap = JosephProjection(ARC, OBLONG, DEVICE, torch.float32)
    else:
        parallel = ParallelBeam(4, 7, 0.7, start=0.1)
        ours = BackProjection(parallel, OBLONG, 16, DEVICE, torch.float32)
    x = torch.randn(3, *ours.domain_shape, device=DEVICE)
    x[..., 0] = x[..., 8:] = 0  # what frames the bins
    y = torch.randn(3, *ours.range_shape, device=DEVICE)
    whole = ours.forward(x), ours.adjoint(y)
    alone = ours.forward(x[2:]), ours.adjoint(y[2:])
    assert all(torch.equal(one[0], of_all[2]) for one, of_all in zip(alone, whole, strict=True))
    cut(monkeypatch, rows=2, columns=16, group=2)
    assert all(map(torch.equal, (ours.forward(x), ours.adjoint(y)), whole))


def test_ray_that_misses_the_metal_sums_to_exactly_zero() -> None:
    metal = torch.zeros(SQUARE.shape, device=DEVICE)
    metal[1:3, 4:5] = 1
    fan = ARC
    found = project(metal, fan, SQUARE, backend="triton")
    assert torch.equal(found > 0, project(metal, fan, SQUARE, backend="reference") > 0)
    assert found.min() == 0


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_compiles_into_one_graph_with_the_same_gradient() -> None:
    torch.manual_seed(0)
    fan, grid = FanBeam(4, 5, 10.0, 0.1), ImageGrid(3, 3, 1.0)
    layer = RadonInversion(fan, grid, backend="triton")

    def loss(sinogram: Tensor) -> Tensor:
        return (project(layer(sinogram).relu(), fan, grid, backend="triton") - sinogram).square().sum()

    sinogram = torch.randn(2, *fan.shape, device=DEVICE, requires_grad=True)
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    expected, gradient = (torch.autograd.grad(f(sinogram), sinogram)[0] for f in (loss, compiled))
    assert torch.allclose(gradient, expected, rtol=1e-5)


@pytest.mark.skipif(not ON_GPU, reason="CUDA graphs need a GPU")
def test_captured_graph_replays_forward_and_backward_on_new_data() -> None:
    torch.manual_seed(0)
    layer = RadonInversion(ARC, SQUARE)
    static = torch.randn(3, *ARC.shape, device=DEVICE, requires_grad=True)

    def step() -> tuple[Tensor, Tensor]:
        image = layer(static)
        return image, torch.autograd.grad(image.square().sum(), static)[0]

    side = torch.cuda.Stream()
    with torch.cuda.stream(side):
        step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured = step()
    with torch.no_grad():
        static.copy_(torch.randn_like(static))
    graph.replay()
    assert all(torch.equal(a, b) for a, b in zip(captured, step(), strict=True))


@pytest.mark.skipif(not ON_GPU, reason="needs a GPU")
def test_chosen_on_a_gpu() -> None:
    for kind in ("project", "invert"):
        assert backend_for(kind, ARC, SQUARE, "cuda").name == "triton"
