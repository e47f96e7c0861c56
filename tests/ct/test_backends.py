"""The choice of a backend is explained, and one that cannot serve is refused."""

from __future__ import annotations

import pytest
import torch
from ct_phantoms import dudonet

from marbench.ct import RadonInversion, backend_for, ops, project
from marbench.errors import GeometryError
from marbench.geometry import FanBeam, ImageGrid

FAN, GRID = dudonet()


def test_symmetric_scan_is_served_by_stored_weights() -> None:
    for kind in ("project", "invert"):
        assert backend_for(kind, FAN, GRID).name == "sparse"


def test_an_asymmetric_scan_is_stored_whole_and_inverted_through_symmetric_parallel_views() -> None:
    odd = FanBeam(321, 321, 39.69, FAN.pitch, start=0.1)
    assert "share the symmetry" in backend_for("invert", odd, GRID).reason
    choice = backend_for("project", odd, GRID)
    assert choice.name == "sparse"
    assert choice.reason == "no symmetry: 321 views are not divisible by 4; 686 MB a matrix"


def test_weights_that_would_not_fit_are_not_stored() -> None:
    choice = backend_for("project", FanBeam(2000, 1801, 55.0, 0.0005), ImageGrid(1024, 1024, 0.05))
    assert choice.name == "reference"
    assert "GB" in choice.reason


def test_backend_that_cannot_serve_is_refused_with_the_reason() -> None:
    with pytest.raises(GeometryError, match="more than 1 GB"):
        RadonInversion(FAN, ImageGrid(1400, 1600, 0.01), backend="sparse")
    with pytest.raises(GeometryError, match="did you mean 'sparse'"):
        project(torch.zeros(GRID.shape), FAN, GRID, backend="sparce")  # type: ignore[arg-type]


def test_operators_stay_small() -> None:
    """Projector and inversion with their adjoints, at the size of the DuDoNet paper."""
    total = 0
    for kind, shape in (("project", GRID.shape), ("invert", FAN.shape)):
        key = ops.operator_key(kind, FAN, GRID)
        ops.apply_adjoint(ops.apply(torch.zeros(shape), key), key)
        total += ops.operator(key, torch.device("cpu"), torch.float32).nbytes
    assert 200e6 < total < 250e6
