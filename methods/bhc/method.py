"""Beam-hardening correction of metal by a polynomial in its path length, and nothing else."""

import torch

from marbench import Method, Scan
from marbench.toolbox.metal_hardening import metal_beam_hardening


class MetalBeamHardeningCorrection(Method):
    """Makes what metal adds to the sinogram proportional to its path length m; no ray is replaced.

    p − p_LI is fitted in the trace by Σ cₖmᵏ, and p' = p − Σ cₖmᵏ + am with the line am that fits p − p_LI best. The
    fit is that of the corrected channel of Y. Zhang, H. Yu, IEEE Trans. Med. Imaging 37 (2018) 1370–1381.
    """

    order: int

    def reduce(self, scan: Scan) -> torch.Tensor:
        """Return the reconstruction of the corrected sinogram."""
        operators = self.context.operators
        path = operators.project_mu(scan.metal_mask.to(scan.sinogram.dtype))
        # Scan by scan: the sums of a batch may be rounded otherwise than those of one scan.
        parts = zip(scan.sinogram.split(1), scan.metal_trace.split(1), path.split(1), strict=True)
        corrected = [metal_beam_hardening(*part, order=self.order, line="mean") for part in parts]
        return operators.reconstruct(torch.cat(corrected))
