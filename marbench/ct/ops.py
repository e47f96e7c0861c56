"""The operators as PyTorch ops: ``marbench::forward`` and ``marbench::adjoint``, each the other's derivative.

An op receives a tensor and a *key*: a text that says which operator is meant and from which it can be
built in any process. Operators are built at their first use and shared from then on.

The key rather than the operator travels, so that ``torch.compile``, ``torch.export``, worker processes and
pickled modules see two opaque functions of a tensor and a string.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from marbench.ct.backends import Backend, Kind, Operator, build
from marbench.ct.linear import LinearMap, Shape
from marbench.errors import GeometryError
from marbench.geometry import FanBeam, Geometry, ImageGrid, ParallelBeam
from marbench.reconstruction import Window

__all__ = ["apply", "apply_adjoint", "check_array", "operator", "operator_key", "working_dtype"]

_GEOMETRIES: dict[str, type[FanBeam] | type[ParallelBeam]] = {"fan": FanBeam, "parallel": ParallelBeam}


def operator_key(
    kind: Kind,
    geometry: Geometry,
    grid: ImageGrid,
    backend: Backend = "auto",
    window: Window = "ram-lak",
    extrapolate: bool = False,
) -> str:
    """Return the text that names an operator. Numbers are written in full, so equal keys are equal operators."""
    parts = {"beam": "fan" if isinstance(geometry, FanBeam) else "parallel"}
    parts |= asdict(Operator(kind, geometry, grid, backend, window, extrapolate))
    return json.dumps(parts, default=lambda value: value.tolist())  # NumPy scalars and arrays


# What torch.compiler.assume_constant_result does, without its import of torch._dynamo: a third of the start-up time.
operator_key._dynamo_marked_constant = True  # type: ignore[attr-defined]


# An operator of 416² pixels and 320 × 321 rays holds 120 MB. Few processes need more than two benchmarks' worth.
@lru_cache(maxsize=16)
def operator(key: str, device: torch.device, dtype: torch.dtype) -> LinearMap:
    """Return the operator of a key, built once per device and dtype (float32 or float64)."""
    return build(_parse(key), device, dtype)


def _forward(x: Tensor, key: str) -> Tensor:
    domain, range_ = _shapes(key)
    return _compute(x, key, domain, range_, adjoint=False)


def _adjoint(y: Tensor, key: str) -> Tensor:
    domain, range_ = _shapes(key)
    return _compute(y, key, range_, domain, adjoint=True)


def _fake_forward(x: Tensor, key: str) -> Tensor:
    return x.new_empty(x.shape[:-2] + _shapes(key)[1], dtype=working_dtype(x.dtype))


def _fake_adjoint(y: Tensor, key: str) -> Tensor:
    return y.new_empty(y.shape[:-2] + _shapes(key)[0], dtype=working_dtype(y.dtype))


def _keep_key(ctx: Any, inputs: tuple[Tensor, str], output: Tensor) -> None:
    ctx.key = inputs[1]


def _backward_of_forward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
    return torch.ops.marbench.adjoint(gradient, ctx.key), None


def _backward_of_adjoint(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
    return torch.ops.marbench.forward(gradient, ctx.key), None


# Not the decorator torch.library.custom_op, which does the same: the first call of such an op imports the
# whole compiler, which takes seconds.
for _name, _kernel, _fake, _backward in (
    ("marbench::forward", _forward, _fake_forward, _backward_of_forward),
    ("marbench::adjoint", _adjoint, _fake_adjoint, _backward_of_adjoint),
):
    torch.library.define(_name, "(Tensor x, str key) -> Tensor")
    torch.library.impl(_name, "default", _kernel)
    torch.library.register_fake(_name, _fake)
    torch.library.register_autograd(_name, _backward, setup_context=_keep_key)


class _Linear(torch.autograd.Function):
    """An operator (or its adjoint) as `torch.func` wants it: an op alone gives no forward derivatives, and no vmap."""

    @staticmethod
    def forward(x: Tensor, key: str, transposed: bool) -> Tensor:
        op = torch.ops.marbench.adjoint if transposed else torch.ops.marbench.forward
        result: Tensor = op(x, key)
        return result

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, str, bool], output: Tensor) -> None:
        _, ctx.key, ctx.transposed = inputs

    # A linear map is its own derivative forwards, and its adjoint is the one backwards.
    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return _applied(gradient, ctx.key, not ctx.transposed), None, None

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor, *_: None) -> Tensor:
        return _applied(tangent, ctx.key, ctx.transposed)

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int, ...], x: Tensor, key: str, transposed: bool) -> tuple[Tensor, int]:
        # Any number of leading axes is a batch.
        return _applied(x.movedim(in_dims[0], 0), key, transposed), 0


def _applied(x: Tensor, key: str, transposed: bool) -> Tensor:
    result: Tensor = _Linear.apply(x, key, transposed)  # type: ignore[no-untyped-call]
    return result


def apply(x: Tensor, key: str) -> Tensor:
    """Apply an operator; the gradient comes back in the dtype of ``x``."""
    return _apply(x, key, transposed=False)


def apply_adjoint(y: Tensor, key: str) -> Tensor:
    """Apply the transposed operator; the gradient comes back in the dtype of ``y``."""
    return _apply(y, key, transposed=True)


def _apply(x: Tensor, key: str, transposed: bool) -> Tensor:
    # Converted out here, where autograd sees it; inside the op it would not.
    x = x.to(working_dtype(x.dtype))
    if torch.compiler.is_compiling():  # the compiler takes ops as they are, and functions with a jvp not at all
        return _Linear.forward(x, key, transposed)
    return _applied(x, key, transposed)


def working_dtype(dtype: torch.dtype) -> torch.dtype:
    """Return float64 for float64, else float32: a half-precision ramp filter amplifies its own rounding."""
    return torch.float64 if dtype == torch.float64 else torch.float32


def check_array(what: str, array: Tensor, shape: Shape) -> None:
    """Raise GeometryError unless the array is a floating-point tensor ``(..., *shape)``."""
    if not isinstance(array, Tensor):
        raise GeometryError(f"Expected {what} as a torch.Tensor. Got {type(array).__name__}; see torch.from_numpy.")
    if tuple(array.shape[-2:]) != shape:
        expected = ", ".join(map(str, shape))
        raise GeometryError(f"Expected {what} (..., {expected}). Got {tuple(array.shape)}.")
    if not array.is_floating_point():
        raise GeometryError(f"Expected {what} of a floating-point dtype. Got {array.dtype}; convert it with .float().")


def _compute(x: Tensor, key: str, shape_in: Shape, shape_out: Shape, *, adjoint: bool) -> Tensor:
    dtype = working_dtype(x.dtype)
    # An empty batch: kernels cannot be launched on nothing.
    if x.shape[:-2].numel() == 0:
        return x.new_zeros(x.shape[:-2] + shape_out, dtype=dtype)
    linear = operator(key, x.device, dtype)
    batch = x.to(dtype).reshape(-1, *shape_in).contiguous()
    with _full_precision(x.device):
        result = linear.adjoint(batch) if adjoint else linear.forward(batch)
    return result.view(x.shape[:-2] + shape_out)


@contextmanager
def _full_precision(device: torch.device) -> Iterator[None]:
    """Switch autocast, TF32 and bfloat16 off."""
    with torch.autocast(device.type, enabled=False):
        if not _switches.enter(device):
            yield
            return
        try:
            yield
        finally:
            _switches.leave()


class _Switches:
    """The switches of the process, which its threads share: the first one in sets them, the last one out restores."""

    def __init__(self) -> None:
        self._lock, self._inside = threading.Lock(), 0
        self._switch: str = "highest"
        self._before: list[tuple[Any, str]] = []

    def enter(self, device: torch.device) -> bool:
        """Set the switches, and return whether `leave` has to follow."""
        with self._lock:
            # On CPUs with matrix units for bfloat16 "medium" costs hundreds of HU; nobody has touched what is as it
            # was. What another thread has set is not: it would be restored in the middle of a product.
            if not self._inside and device.type != "cuda" and _is_untouched():
                return False
            if not self._inside:
                self._set()
            self._inside += 1
            return True

    def leave(self) -> None:
        """Restore them, if no other thread computes."""
        with self._lock:
            self._inside -= 1
            if not self._inside:
                torch.set_float32_matmul_precision(self._switch)
                for backend, precision in self._before:
                    backend.fp32_precision = precision

    def _set(self) -> None:
        # PyTorch has two switches for TF32, and cuBLAS refuses to work while they differ. The old one sets both, and
        # cannot be read by those who have used the new one. Before 2.9 there was the old one alone.
        backends = [torch.backends.cuda.matmul, _mkldnn()] if _mkldnn() else []
        self._before = [(backend, backend.fp32_precision) for backend in backends]
        try:
            self._switch = torch.get_float32_matmul_precision()
        except RuntimeError:
            self._switch = "highest"
        torch.set_float32_matmul_precision("highest")


_switches = _Switches()


def _is_untouched() -> bool:
    mkldnn = _mkldnn()
    return mkldnn.fp32_precision in ("none", "ieee") if mkldnn else torch.get_float32_matmul_precision() == "highest"


def _mkldnn() -> Any:
    """Return the new switch of products on the CPU; None before PyTorch 2.9."""
    return getattr(torch.backends.mkldnn, "matmul", None)


@lru_cache(maxsize=256)
def _parse(key: str) -> Operator:
    parts = json.loads(key)
    parts["geometry"] = _GEOMETRIES[parts.pop("beam")](**parts["geometry"])
    if not isinstance(parts["window"], str):  # JSON has lists
        parts["window"] = tuple(map(tuple, parts["window"]))
    return Operator(**{**parts, "grid": ImageGrid(**parts["grid"])})


def _shapes(key: str) -> tuple[Shape, Shape]:
    meant = _parse(key)
    image, sinogram = meant.grid.shape, meant.geometry.shape
    return (image, sinogram) if meant.kind == "project" else (sinogram, image)
