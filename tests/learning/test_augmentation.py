import math

import pytest
import torch

from marbench.ct import project
from marbench.geometry import FanBeam, Geometry, ImageGrid, ParallelBeam
from marbench.learning.augmentation import SquareSymmetries

GRID = ImageGrid(24, 24, 0.5)
SCANS = [
    FanBeam(32, 41, 40.0, math.radians(0.6)),
    FanBeam(36, 40, 40.0, 0.6, "flat", 60.0),
    FanBeam(32, 41, 40.0, math.radians(0.6), start=math.pi / 32),
    ParallelBeam(16, 41, 0.45),
]


@pytest.mark.parametrize("scan", SCANS, ids=["arc", "flat", "half-step", "parallel"])
def test_projecting_a_turned_image_turns_the_sinogram(scan: Geometry) -> None:
    images = torch.rand(1, *GRID.shape, dtype=torch.float64).expand(8, -1, -1)
    symmetries, elements = SquareSymmetries(scan, GRID), torch.arange(8)
    turned = project(symmetries.images(images, elements), scan, GRID)
    assert symmetries.count == 8
    torch.testing.assert_close(turned, symmetries.sinograms(project(images, scan, GRID), elements), rtol=0, atol=1e-9)
    assert len({image.numpy().tobytes() for image in symmetries.images(images, elements)}) == 8


@pytest.mark.parametrize("scan", [FanBeam(30, 41, 40.0, 0.01), FanBeam(32, 41, 40.0, 0.01, start=0.01)])
def test_a_scan_without_the_symmetry_is_left_as_it_is(scan: FanBeam) -> None:
    symmetries = SquareSymmetries(scan, GRID)
    image, sinogram = torch.rand(2, *GRID.shape), torch.rand(2, *scan.shape)
    elements = torch.zeros(2, dtype=torch.int64)
    assert symmetries.count == 1
    assert torch.equal(symmetries.images(image, elements), image)
    assert torch.equal(symmetries.sinograms(sinogram, elements), sinogram)
