"""The operators inside PyTorch: derivatives, compilation, precision, batches, processes."""

from __future__ import annotations

import copy
import pickle
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import pytest
import torch
from ct_phantoms import dudonet
from torch import Tensor
from torch.autograd import forward_ad, gradcheck, gradgradcheck

from marbench.ct import RadonInversion, back_project, ops, project, projection_norm
from marbench.ct.backends import Backend
from marbench.ct.operators import Operators
from marbench.errors import GeometryError
from marbench.geometry import FanBeam, Geometry, ImageGrid, ParallelBeam

TINY = FanBeam(8, 7, 10.0, 0.1)
GRID = ImageGrid(6, 6, 0.6)


def maps(geometry: Geometry, grid: ImageGrid) -> dict[str, tuple[Callable[[Tensor], Tensor], tuple[int, int]]]:
    layer = RadonInversion(geometry, grid)
    return {
        "project": (lambda x: project(x, geometry, grid), grid.shape),
        "back_project": (lambda y: back_project(y, geometry, grid), geometry.shape),
        "invert": (layer, geometry.shape),
        "adjoint of invert": (layer.adjoint, grid.shape),
    }


NAMES = list(maps(TINY, GRID))


@pytest.fixture
def threads() -> Iterator[Callable[[int], None]]:
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "geometry",
    [TINY, FanBeam(7, 6, 10.0, 0.8, "flat", 12.0, 0.3), ParallelBeam(5, 7, 0.6)],
    ids=["arc", "flat", "parallel"],
)
def test_first_and_second_derivatives(name: str, geometry: Geometry) -> None:
    torch.manual_seed(0)
    function, shape = maps(geometry, GRID)[name]
    x = torch.randn(2, *shape, dtype=torch.float64, requires_grad=True)
    assert gradcheck(function, (x,), fast_mode=True)
    assert gradgradcheck(function, (x,), fast_mode=True)


@pytest.mark.parametrize("kind", ["project", "invert"])
def test_ops_keep_the_contract_of_torch_library(kind: ops.Kind) -> None:
    key = ops.operator_key(kind, TINY, GRID)
    shapes = (GRID.shape, TINY.shape) if kind == "project" else (TINY.shape, GRID.shape)
    for op, shape in zip((torch.ops.marbench.forward, torch.ops.marbench.adjoint), shapes, strict=True):
        torch.library.opcheck(op.default, (torch.randn(2, *shape, requires_grad=True), key))


NEEDS_DATACLASSES = pytest.mark.skipif(torch.__version__ < "2.13", reason="this compiler knows no frozen dataclasses")


@pytest.mark.parametrize("again", [None, pytest.param(project, marks=NEEDS_DATACLASSES)], ids=["layer", "and project"])
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:Guards may run slower")
def test_compiles_into_one_graph_with_the_same_gradient(again: Callable[..., Tensor] | None) -> None:
    torch.manual_seed(0)
    layer = RadonInversion(TINY, GRID)

    def loss(sinogram: Tensor) -> Tensor:
        image = layer(sinogram).relu()
        return ((again(image, TINY, GRID) - sinogram) if again else image).square().sum()

    sinogram = torch.randn(3, *TINY.shape, requires_grad=True)
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    expected, gradient = (torch.autograd.grad(f(sinogram), sinogram)[0] for f in (loss, compiled))
    assert torch.allclose(gradient, expected, rtol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_image_of_a_batch_equals_the_image_alone_bit_for_bit(name: str, threads: Callable[[int], None]) -> None:
    torch.manual_seed(0)
    function, shape = maps(*dudonet(2))[name]
    batch = torch.rand(5, *shape)
    threads(1)
    alone = function(batch[3])
    assert torch.equal(function(batch)[3], alone)
    threads(2)
    assert torch.equal(function(batch[3]), alone)
    assert torch.equal(function(batch[2:])[1], alone)


@pytest.mark.parametrize("name", NAMES)
def test_reference_backend_has_the_same_bits_in_any_batch_and_on_any_threads(
    name: str, threads: Callable[[int], None]
) -> None:
    torch.manual_seed(0)
    fan, _ = dudonet(4)
    function, shape = maps(fan, ImageGrid(104, 98, 0.15))[name]
    batch = torch.rand(3, *shape)
    threads(1)
    alone = function(batch[1])
    threads(2)
    assert torch.equal(function(batch)[1], alone)


@pytest.mark.parametrize("name", NAMES)
def test_any_layout_and_any_number_of_leading_axes(name: str) -> None:
    torch.manual_seed(0)
    function, shape = maps(TINY, GRID)[name]
    x = torch.randn(2, 3, *shape)
    whole = function(x)
    assert whole.shape[:2] == (2, 3)
    assert torch.equal(function(x.mT.contiguous().mT), whole)
    assert torch.equal(function(x[:, 1]), whole[:, 1])
    assert torch.equal(function(x[1, 2]), whole[1, 2])
    assert torch.equal(function(x[:1, :1].expand(2, 4, *shape))[1, 3], whole[0, 0])
    assert function(x[:0]).shape == (0, 3, *whole.shape[2:])


def test_gradient_of_a_sum_is_the_adjoint_of_ones() -> None:
    """Autograd hands the op an expanded gradient without memory of its own."""
    x = torch.randn(GRID.shape, requires_grad=True)
    project(x, TINY, GRID).sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad, back_project(torch.ones(TINY.shape), TINY, GRID))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_and_returned_in_float32(name: str, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    function, shape = maps(TINY, GRID)[name]
    x = torch.randn(shape).to(dtype).requires_grad_()
    y = function(x)
    assert y.dtype == torch.float32
    assert torch.equal(y, function(x.float()))
    y.sum().backward()
    assert x.grad is not None
    assert x.grad.dtype == dtype
    if name == "project":
        operators, hu = Operators(TINY, GRID), torch.full(GRID.shape, 41.0).to(dtype)
        assert torch.equal(operators.project(hu), operators.project(hu.float()))


@pytest.mark.parametrize("name", NAMES)
def test_autocast_changes_nothing(name: str) -> None:
    torch.manual_seed(0)
    function, shape = maps(*dudonet(8))[name]
    x = torch.randn(shape, requires_grad=True)
    plain = function(x)
    (gradient,) = torch.autograd.grad(plain.sum(), x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = function(x)
        (gradient_inside,) = torch.autograd.grad(inside.sum(), x)
    assert inside.dtype == torch.float32
    assert torch.equal(inside, plain)
    assert torch.equal(gradient_inside, gradient)


def test_layer_survives_copies_and_pickling() -> None:
    layer = RadonInversion(TINY, GRID)
    sinogram = torch.rand(TINY.shape)
    for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert torch.equal(other(sinogram), layer(sinogram))
    assert not layer.state_dict()


def test_operators_are_built_once_and_shared() -> None:
    key = ops.operator_key("invert", TINY, GRID)
    same = ops.operator_key("invert", FanBeam(8, 7, 10.0, 0.1), ImageGrid(6, 6, 0.6))
    cpu = torch.device("cpu")
    assert ops.operator(key, cpu, torch.float32) is ops.operator(same, cpu, torch.float32)
    other = ops.operator_key("invert", FanBeam(8, 7, 10.0, 0.1 + 1e-16 * 2), GRID)
    assert other != key


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")  # PyTorch's own
@pytest.mark.parametrize("name", NAMES)
def test_torch_func_and_forward_mode_give_the_derivatives_of_a_linear_map(name: str) -> None:
    torch.manual_seed(0)
    function, shape = maps(TINY, GRID)[name]
    x, v = torch.randn(2, *shape, dtype=torch.float64)
    # Of a linear map the derivative in a direction is the map of that direction; the rows of its matrix are jacobians.
    assert torch.allclose(torch.func.jvp(function, (x,), (v,))[1], function(v))
    with forward_ad.dual_level():
        tangent = forward_ad.unpack_dual(function(forward_ad.make_dual(x, v))).tangent
        assert torch.allclose(tangent, function(v))
    image, pull_back = torch.func.vjp(function, x)
    assert torch.allclose((pull_back(image)[0] * v).sum(), (image * function(v)).sum())
    matrix = torch.func.jacrev(function)(x)
    assert torch.allclose(torch.einsum("abcd,cd->ab", matrix, v), function(v))
    assert torch.allclose(torch.func.jacfwd(function)(x), matrix)
    # ‖A x‖²: gradient 2 Aᵀ A x, Hessian 2 Aᵀ A.
    assert torch.allclose(
        torch.func.hessian(lambda z: function(z).square().sum())(x).flatten(2).flatten(0, 1),
        2 * matrix.flatten(2).flatten(0, 1).T @ matrix.flatten(2).flatten(0, 1),
    )


@pytest.mark.parametrize("name", NAMES)
def test_vmap_over_any_axis_equals_a_batch(name: str) -> None:
    torch.manual_seed(0)
    function, shape = maps(TINY, GRID)[name]
    batch = torch.randn(3, *shape)
    assert torch.equal(torch.func.vmap(function)(batch), function(batch))
    assert torch.equal(
        torch.func.vmap(function, in_dims=2, out_dims=1)(batch.movedim(0, 2)), function(batch).movedim(0, 1)
    )
    loss = torch.func.grad(lambda z: function(z).square().sum())
    assert torch.allclose(torch.func.vmap(loss)(batch), torch.stack([loss(each) for each in batch]))


@pytest.mark.parametrize("switch", ["medium", "high", "bf16"])
def test_products_are_taken_in_full_precision_whatever_the_process_has_set(
    switch: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Few CPUs have the units that would round to bfloat16, so this looks at what is set while the product is taken."""
    if not hasattr(torch.backends.mkldnn, "matmul"):
        pytest.skip("before PyTorch 2.9 there is no such switch")
    seen = []
    multiply = torch.mm
    mkldnn = torch.backends.mkldnn.matmul  # type: ignore[attr-defined]

    def watched(*arguments: Any, **named: Any) -> Tensor:
        seen.append(mkldnn.fp32_precision)
        return multiply(*arguments, **named)

    monkeypatch.setattr(torch, "mm", watched)
    before = torch.get_float32_matmul_precision()
    try:
        if switch == "bf16":
            mkldnn.fp32_precision = "bf16"
        else:
            torch.set_float32_matmul_precision(switch)
        chosen = mkldnn.fp32_precision
        RadonInversion(TINY, GRID)(torch.ones(TINY.shape))
        assert set(seen) == {"ieee"}
        assert mkldnn.fp32_precision == chosen  # and it is as it was for everybody else
    finally:
        mkldnn.fp32_precision = "none"
        torch.set_float32_matmul_precision(before)


def test_threads_that_end_in_any_order_compute_in_full_precision_and_leave_what_was_set() -> None:
    """The first one in is the first one out: it must not take full precision from the other, nor be kept by it."""
    if not hasattr(torch.backends.mkldnn, "matmul"):
        pytest.skip("before PyTorch 2.9 there is no such switch")
    mkldnn = torch.backends.mkldnn.matmul  # type: ignore[attr-defined]
    entered, first_is_out = threading.Event(), threading.Event()

    def second() -> str:
        with ops._full_precision(torch.device("cpu")):
            entered.set()
            assert first_is_out.wait(20)
            return str(mkldnn.fp32_precision)

    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("medium")
        chosen = mkldnn.fp32_precision
        with ThreadPoolExecutor(1) as pool:
            with ops._full_precision(torch.device("cpu")):
                inside = pool.submit(second)
                assert entered.wait(20)
            first_is_out.set()
            assert inside.result() == "ieee"
        assert mkldnn.fp32_precision == chosen != "ieee"
    finally:
        mkldnn.fp32_precision = "none"
        torch.set_float32_matmul_precision(before)


@pytest.mark.parametrize("backend", ["sparse", "reference"])
@pytest.mark.parametrize("geometry", [TINY, FanBeam(7, 6, 10.0, 0.8, "flat", 12.0, 0.3)], ids=["symmetric", "not"])
def test_what_torch_makes_by_default_changes_no_operator(
    geometry: Geometry, backend: Backend, other_defaults: Callable[[], AbstractContextManager[None]]
) -> None:
    image, sinogram = torch.rand(GRID.shape), torch.rand(geometry.shape)

    def results() -> tuple[list[Tensor], float]:
        ops.operator.cache_clear()
        layer = RadonInversion(geometry, GRID, backend=backend)
        there = project(image, geometry, GRID, backend=backend), layer.adjoint(image)
        back = back_project(sinogram, geometry, GRID, backend=backend), layer(sinogram)
        return [*there, *back], projection_norm(geometry, GRID)

    expected, norm = results()
    with other_defaults():
        found = results()
    assert found[1] == norm
    assert all(torch.equal(one, other) for one, other in zip(found[0], expected, strict=True))


def test_what_is_no_tensor_is_refused() -> None:
    for wrong in (np.zeros(GRID.shape, np.float32), [[0.0]]):
        with pytest.raises(GeometryError, match=r"Expected image as a torch\.Tensor"):
            project(wrong, TINY, GRID)
