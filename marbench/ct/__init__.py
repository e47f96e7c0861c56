"""Linear operators of fan-beam and parallel-beam CT, differentiable, with exact adjoints.

>>> import math, torch
>>> from marbench.geometry import FanBeam, ImageGrid
>>> fan = FanBeam(views=40, bins=41, source_distance=39.69, pitch=math.radians(0.8))
>>> grid = ImageGrid(52, 52, 0.295)
>>> sinogram = project(torch.full(grid.shape, 0.192), fan, grid)
>>> sinogram.shape
torch.Size([40, 41])
>>> RadonInversion(fan, grid)(sinogram).shape
torch.Size([52, 52])

Images are attenuation µ in 1/cm here; everywhere above this package they are HU.
"""

from marbench.ct.backends import BackendChoice, backend_for
from marbench.ct.inversion import RadonInversion
from marbench.ct.projection import back_project, project, projection_norm

__all__ = ["BackendChoice", "RadonInversion", "back_project", "backend_for", "project", "projection_norm"]
