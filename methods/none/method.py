"""No correction: the baseline below which no method may fall."""

import torch

from marbench import Method, Scan


class Uncorrected(Method):
    """Returns the uncorrected image."""

    def reduce(self, scan: Scan) -> torch.Tensor:
        """Return the image as it was reconstructed."""
        return scan.image
