"""Frequency split NMAR (Meyer et al., 2012): fine detail of the uncorrected image returns near metal."""

import torch
from scipy.ndimage import gaussian_filter

from marbench import Method, Scan
from marbench.toolbox.guides import tissue_guide
from marbench.toolbox.interpolation import normalized_interpolation


class FrequencySplitNMAR(Method):
    """f = LP(f_N) + W·HP(f_0) + (1 − W)·HP(f_N): low frequencies of NMAR, high ones of the uncorrected image by metal.

    LP is a Gaussian of standard deviation σ and HP what it takes away; W = G_s(M)/max G_s(M) with the metal mask M is 1
    where most metal lies about, less at its edges and where it is thin, and falls to 0 away from it. The split is that
    of E. Meyer et al., Med. Phys. 39 (2012) 1904–1916.
    """

    split: float
    reach: float

    def reduce(self, scan: Scan) -> torch.Tensor:
        """Return the NMAR image with the detail of the uncorrected one near metal."""
        operators, pixel = self.context.operators, self.context.grid.pixel
        guide = tissue_guide(operators, scan.sinogram, scan.metal_trace, scan.metal_mask)
        nmar = operators.reconstruct(normalized_interpolation(scan.sinogram, scan.metal_trace, guide))
        weight = _blurred(scan.metal_mask.to(nmar.dtype), self.reach / pixel)
        weight = weight / weight.amax(dim=(-2, -1), keepdim=True).clamp(min=1e-12)
        # HP is linear: what is added is the detail of the difference.
        difference = scan.image - nmar
        return nmar + weight * (difference - _blurred(difference, self.split / pixel))


def _blurred(images: torch.Tensor, sigma: float) -> torch.Tensor:
    """Return G_σ ∗ f of every image of a batch, σ in pixels."""
    smooth = gaussian_filter(images.cpu().numpy(), sigma=(0, sigma, sigma), mode="nearest")
    return torch.from_numpy(smooth).to(images)
