"""The torch-radon adapter finds a fork's conventions by itself, and refuses a package that has none of them.

What these tests check: that of each published interface (names, arguments, sign of angles, place of the source, scale
of back-projections) the adapter makes the operator of the plain reference, up to the 1 % of bilinear sampling. They do
so with a stand-in, written from the forks' documentation, that computes on the CPU: torch-radon has no wheel. What they
cannot check is that a release still has the interface it documents; the last test does, where package and GPU are.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import sys
from collections.abc import Callable
from types import ModuleType

import pytest
import torch
from ct_phantoms import BODY
from torch_radon_stand_in import version_1, version_2

from marbench.ct import RadonInversion, backend_for, ops, project
from marbench.errors import GeometryError, MarbenchError
from marbench.geometry import FanBeam, Geometry, ImageGrid, ParallelBeam

GRID = ImageGrid(64, 64, 0.24)
FLAT = FanBeam(48, 85, 39.69, 0.4, "flat", 70.0, start=0.2)
PARALLEL = ParallelBeam(40, 69, 0.23, start=0.1)
ARC = FanBeam(96, 65, 39.69, 0.0068)

Install = Callable[[ModuleType], None]


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Install:
    def install_(module: ModuleType) -> None:
        module.__spec__ = importlib.machinery.ModuleSpec("torch_radon", None)
        monkeypatch.setitem(sys.modules, "torch_radon", module)
        ops.operator.cache_clear()

    yield install_
    ops.operator.cache_clear()


@pytest.mark.parametrize("module", [version_1, version_2], ids=["1.x", "2.x"])
@pytest.mark.parametrize("geometry", [FLAT, PARALLEL], ids=["flat fan", "parallel"])
def test_projection_of_every_fork_agrees_with_the_reference(
    module: Callable[[], ModuleType], geometry: Geometry, install: Install
) -> None:
    install(module())
    image = sum(disc.pixels(GRID) for disc in BODY).float()
    ours, theirs = (project(image, geometry, GRID, backend=name) for name in ("reference", "torch_radon"))
    assert (ours - theirs).norm() < 0.01 * ours.norm()


@pytest.mark.parametrize("module", [version_1, version_2], ids=["1.x", "2.x"])
@pytest.mark.parametrize("geometry", [ARC, FLAT, PARALLEL], ids=["arc fan", "flat fan", "parallel"])
def test_inversion_takes_their_back_projection_for_any_beam(
    module: Callable[[], ModuleType], geometry: Geometry, install: Install
) -> None:
    install(module())
    sinograms = torch.stack([scale * sum(disc.chords(geometry) for disc in BODY).float() for scale in (1, 2)])
    ours, theirs = (RadonInversion(geometry, GRID, backend=name)(sinograms) for name in ("reference", "torch_radon"))
    assert (ours - theirs).norm() < 0.01 * ours.norm()


def test_gradient_is_their_other_operator(install: Install) -> None:
    install(version_2())
    sinogram = torch.rand(ARC.shape, requires_grad=True)
    weights = sum(disc.pixels(GRID) for disc in BODY).float()
    gradients = []
    for name in ("reference", "torch_radon"):
        (RadonInversion(ARC, GRID, backend=name)(sinogram) * weights).sum().backward()
        gradients.append(sinogram.grad)
        sinogram.grad = None
    # No exact transpose, and the ramp filter amplifies the difference: the same direction, roughly.
    assert torch.cosine_similarity(gradients[0].flatten(), gradients[1].flatten(), dim=0) > 0.9


def test_package_that_agrees_under_no_convention_is_refused(install: Install) -> None:
    install(version_2(twist=0.3))
    with pytest.raises(MarbenchError, match="differs from the reference by"):
        project(torch.zeros(GRID.shape), PARALLEL, GRID, backend="torch_radon")


def test_what_the_package_cannot_do_is_said(install: Install) -> None:
    install(version_1())
    with pytest.raises(GeometryError, match="flat detectors only"):
        project(torch.zeros(GRID.shape), ARC, GRID, backend="torch_radon")
    with pytest.raises(GeometryError, match="divisible by 16"):
        project(torch.zeros(60, 60), PARALLEL, ImageGrid(60, 60, 0.24), backend="torch_radon")


def test_never_chosen_unasked(install: Install) -> None:
    install(version_2())
    assert backend_for("project", FLAT, GRID).name != "torch_radon"
    assert backend_for("project", FLAT, GRID, backend="torch_radon").name == "torch_radon"


@pytest.mark.skipif(importlib.util.find_spec("torch_radon") is not None, reason="torch_radon is installed")
def test_absence_is_said_with_where_to_find_it() -> None:
    with pytest.raises(MarbenchError, match="torch_radon is not installed"):
        backend_for("invert", FLAT, GRID, backend="torch_radon")


@pytest.mark.parametrize("geometry", [FLAT, PARALLEL], ids=["flat fan", "parallel"])
def test_real_package_agrees_with_the_reference(geometry: Geometry) -> None:
    pytest.importorskip("torch_radon", reason="torch_radon has no wheel; install it from source to compare")
    if not torch.cuda.is_available():
        pytest.skip("torch_radon computes on CUDA devices only")
    image = sum(disc.pixels(GRID) for disc in BODY).float().cuda()
    ours, theirs = (project(image, geometry, GRID, backend=name) for name in ("reference", "torch_radon"))
    assert (ours - theirs).norm() < 0.02 * ours.norm()
