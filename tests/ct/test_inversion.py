"""The Radon inversion layer against closed forms and an independent implementation."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from ct_phantoms import BODY, Disc, dudonet
from skimage.transform import iradon

from marbench.ct import RadonInversion
from marbench.ct.backends import Backend
from marbench.ct.filtering import ramp
from marbench.errors import GeometryError
from marbench.geometry import FanBeam, Geometry, ImageGrid, ParallelBeam

ARC, GRID = dudonet()
GEOMETRIES = {
    "arc": ARC,
    "arc, half-step start": FanBeam(320, 321, 39.69, ARC.pitch, start=math.pi / 320),
    "arc, odd views": FanBeam(321, 321, 39.69, ARC.pitch, start=0.4),
    "arc, even bins": FanBeam(322, 320, 39.69, ARC.pitch),
    "flat": FanBeam(320, 321, 39.69, 43.44 / 321, "flat", 79.38),
    "parallel": ParallelBeam(180, 321, 0.0693),
    "parallel, odd views": ParallelBeam(181, 321, 0.0693, start=0.1),
}


@pytest.mark.parametrize("geometry", GEOMETRIES.values(), ids=GEOMETRIES)
def test_disc_keeps_its_value_and_place(geometry: Geometry) -> None:
    disc = Disc(2.1, 1.3, 2.6, 0.2)
    # Storing all weights takes longer than one image on the fly, at this size.
    backend: Backend = "reference" if geometry == GEOMETRIES["parallel, odd views"] else "auto"
    image = RadonInversion(geometry, GRID, backend=backend)(disc.chords(geometry).float()).double()
    assert image[disc.covers(GRID, 0.3)].mean().item() == pytest.approx(0.2, rel=1e-3)
    near = image * disc.covers(GRID, -0.5)
    centroid = torch.stack([(near * torch.from_numpy(GRID.x)).sum(), (near.T * torch.from_numpy(GRID.y)).sum()])
    error = centroid / near.sum() - torch.tensor([disc.x, disc.y])
    assert error.abs().max() <= 0.05 * GRID.pixel


def test_asymmetric_phantom_is_neither_turned_nor_mirrored() -> None:
    truth = sum(disc.pixels(GRID) for disc in BODY)
    image = RadonInversion(ARC, GRID)(sum(disc.chords(ARC) for disc in BODY).float())
    flat = torch.stack([disc.covers(GRID, -0.2) & ~disc.covers(GRID, 0.2) for disc in BODY]).sum(0) == 0
    assert (image - truth)[flat].square().mean().sqrt() < 0.015 * 0.2
    wrong = [torch.rot90(image, k) for k in (1, 2, 3)] + [image.flip(0), image.flip(1), image.T]
    errors = [(other - truth).square().mean() for other in (image, *wrong)]
    assert min(errors[1:]) > 20 * errors[0]


def test_scikit_image_iradon_agrees() -> None:
    grid, beam = ImageGrid(129, 129, 0.1), ParallelBeam(180, 129, 0.1)
    sinogram = sum(disc.chords(beam) for disc in BODY)
    theirs = iradon(sinogram.numpy().T, theta=np.degrees(beam.theta), filter_name="ramp", circle=True) / grid.pixel
    ours = RadonInversion(beam, grid)(sinogram)
    inside = Disc(0, 0, 6.2, 1).covers(grid, 0)
    assert (ours - torch.from_numpy(theirs))[inside].abs().max() <= 2e-3 * theirs.max()


@pytest.mark.parametrize("backend", ["auto", "reference"])
@pytest.mark.parametrize("grid", [ImageGrid(14, 14, 0.5), ImageGrid(15, 11, 0.5)], ids=str)
@pytest.mark.parametrize(
    "geometry",
    [
        FanBeam(16, 21, 10.0, 0.04),
        FanBeam(15, 20, 10.0, 0.04, start=0.3),
        FanBeam(12, 21, 10.0, 0.7, "flat", 18.0, start=math.pi / 12),
        ParallelBeam(9, 20, 0.5, start=0.2),
        ParallelBeam(8, 21, 0.5),
    ],
    ids=str,
)
def test_adjoint_is_exact_and_backends_agree(geometry: Geometry, grid: ImageGrid, backend: Backend) -> None:
    torch.manual_seed(1)
    layer, reference = (RadonInversion(geometry, grid, backend=name) for name in (backend, "reference"))
    for dtype, tolerance in ((torch.float32, 1e-5), (torch.float64, 1e-12)):
        y, x = torch.rand(geometry.shape, dtype=dtype), torch.rand(grid.shape, dtype=dtype)
        image, sinogram = layer(y), layer.adjoint(x)
        scale = image.double().norm() * x.double().norm()
        assert abs((image.double() * x).sum() - (y * sinogram.double()).sum()) <= tolerance * scale
        assert (image - reference(y)).abs().max() <= 1e-5 * image.abs().max()


def test_ram_lak_is_a_ramp_without_bias() -> None:
    """Its frequency response is |f| up to Nyquist, and so vanishes at 0 as the kernel grows."""
    row = ramp(2049, 0.5)[1024]
    response = np.abs(np.fft.fft(np.fft.ifftshift(row))) * 0.5
    np.testing.assert_allclose(response, np.abs(np.fft.fftfreq(2049, 0.5)), atol=4e-4)


def test_wrong_sinogram_is_named() -> None:
    with pytest.raises(GeometryError, match=r"Expected sinogram \(\.\.\., 320, 321\)\. Got \(2, 321, 320\)\."):
        RadonInversion(ARC, GRID)(torch.zeros(2, 321, 320))
