"""Half-precision storage of the Triton kernels: how far it is off, and that it keeps laws, range and neighbours."""

from __future__ import annotations

import pytest
import torch

from marbench.ct import RadonInversion, backend_for, project
from marbench.ct.backends import Kind, Storage, build
from marbench.ct.linear import LinearMap
from marbench.errors import GeometryError
from marbench.geometry import FanBeam, ImageGrid

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
FAN, GRID = FanBeam(4, 5, 10.0, 0.1), ImageGrid(4, 4, 0.8)

# The largest relative rounding of one value, 2⁻¹¹ and 2⁻⁸.
ROUNDING: dict[Storage, float] = {"float16": 2**-11, "bfloat16": 2**-8}

needs_triton = pytest.mark.usefixtures("triton_here")
in_half = pytest.mark.parametrize("storage", list(ROUNDING))
of_each_kind = pytest.mark.parametrize("kind", ["project", "invert"])


@pytest.fixture
def triton_here(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("triton", reason='no triton here: pip install "marbench[triton]"')
    from marbench.ct.triton.launch import PLANS

    for name, plan in PLANS.items():
        monkeypatch.setitem(PLANS, name, plan._replace(rows=4, columns=4, group=4))


def kernels(kind: Kind, storage: Storage) -> LinearMap:
    return build(kind, FAN, GRID, "triton", DEVICE, torch.float32, storage)


def reference(kind: Kind) -> LinearMap:
    return build(kind, FAN, GRID, "reference", DEVICE, torch.float32)


def arrays(linear: LinearMap) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    x, y = (torch.randn(3, *shape, device=DEVICE) for shape in (linear.domain_shape, linear.range_shape))
    return x, y


@needs_triton
@in_half
@of_each_kind
def test_result_is_float32_and_off_by_the_rounding_of_the_format(kind: Kind, storage: Storage) -> None:
    ours, plain = kernels(kind, storage), reference(kind)
    x, y = arrays(plain)
    for found, expected in ((ours.forward(x), plain.forward(x)), (ours.adjoint(y), plain.adjoint(y))):
        assert found.dtype == torch.float32
        error = (found - expected).norm() / expected.norm()
        assert ROUNDING[storage] / 50 < error < ROUNDING[storage]


@needs_triton
@in_half
@of_each_kind
def test_adjoint_is_exact_up_to_the_rounding(kind: Kind, storage: Storage) -> None:
    ours = kernels(kind, storage)
    x, y = arrays(ours)
    forward, adjoint = ours.forward(x).double(), ours.adjoint(y).double()
    assert abs((forward * y).sum() - (x * adjoint).sum()) < 2 * ROUNDING[storage] * forward.norm() * y.norm()


@needs_triton
@in_half
def test_values_that_the_format_holds_are_not_changed(storage: Storage) -> None:
    ours, plain = kernels("project", storage), reference("project")
    x, y = (each.to(getattr(torch, storage)).float() for each in arrays(plain))
    assert torch.allclose(ours.forward(x), plain.forward(x), rtol=1e-5, atol=1e-6)
    assert torch.allclose(ours.adjoint(y), plain.adjoint(y), rtol=1e-5, atol=1e-6)


@needs_triton
@in_half
@of_each_kind
@pytest.mark.parametrize("scale", [1e-12, 1e9])
def test_neither_tiny_gradients_nor_huge_values_leave_the_range(kind: Kind, storage: Storage, scale: float) -> None:
    ours, plain = kernels(kind, storage), reference(kind)
    x, y = (scale * each for each in arrays(ours))
    for found, expected in ((ours.forward(x), plain.forward(x)), (ours.adjoint(y), plain.adjoint(y))):
        assert (found - expected).norm() < ROUNDING[storage] * expected.norm()


@needs_triton
@of_each_kind
def test_item_of_a_batch_depends_on_no_other(kind: Kind) -> None:
    ours = kernels(kind, "float16")  # the format that brings each into its range
    x, y = arrays(ours)
    loud = torch.tensor([1e6, 0.0, 1.0], device=DEVICE).view(-1, 1, 1)
    for found, alone in (
        (ours.forward(x * loud), ours.forward(x[2:])),
        (ours.adjoint(y * loud), ours.adjoint(y[2:])),
    ):
        assert torch.allclose(found[2], alone[0], rtol=1e-5, atol=1e-6)
        assert not found[1].any()


@needs_triton
@in_half
def test_layer_gives_the_gradient_of_its_storage_and_float64_is_never_rounded(storage: Storage) -> None:
    layer = RadonInversion(FAN, GRID, backend="triton", storage=storage)
    plain = RadonInversion(FAN, GRID, backend="reference")
    sinogram = torch.rand(2, *FAN.shape, device=DEVICE, requires_grad=True)
    weights = torch.rand(2, *GRID.shape, device=DEVICE)
    (found,), (expected,) = (torch.autograd.grad((each(sinogram) * weights).sum(), sinogram) for each in (layer, plain))
    assert 0 < (found - expected).norm() < ROUNDING[storage] * expected.norm()
    precise = sinogram.detach().double()
    assert torch.allclose(layer(precise), plain(precise), rtol=1e-12, atol=1e-14)


@pytest.mark.skipif(backend_for("project", FAN, GRID, DEVICE).name == "triton", reason="kernels serve here")
@in_half
def test_auto_takes_float32_where_no_kernels_run(storage: Storage) -> None:
    image = torch.rand(GRID.shape, device=DEVICE)
    assert torch.equal(project(image, FAN, GRID, storage=storage), project(image, FAN, GRID))


def test_storage_that_there_is_not_is_refused() -> None:
    with pytest.raises(GeometryError, match=r"The sparse backend has no float16 storage\. Use the backend auto"):
        RadonInversion(FAN, GRID, backend="sparse", storage="float16")
    with pytest.raises(GeometryError, match="did you mean 'bfloat16'"):
        project(torch.zeros(GRID.shape), FAN, GRID, storage="bfloat6")  # type: ignore[arg-type]
