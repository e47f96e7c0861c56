"""A method that works on the uncorrected image."""

import torch
from torch.nn import functional

from marbench import Method, Scan


class MyMethod(Method):
    """What stands in ``[parameters]`` of method.toml and is annotated here is an attribute of this type."""

    strength: float

    def reduce(self, scan: Scan) -> torch.Tensor:
        """Return HU, ``(batch, rows, columns)``, on the device of the scan."""
        image = scan.image[:, None]
        smooth = functional.avg_pool2d(image, 3, stride=1, padding=1, count_include_pad=False)[:, 0]
        corrected = scan.image + self.strength * (smooth - scan.image)
        return torch.where(scan.metal_mask, scan.image, corrected)
