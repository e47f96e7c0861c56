"""A U-Net that restores the sinogram along the metal trace, after Park et al. (Med. Phys. 2018)."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn

from marbench import Context, Scan
from marbench.method.learned import Batch, LearnedMethod, Objective
from marbench.toolbox.interpolation import linear_interpolation
from marbench.toolbox.muon import adam_or_muon
from marbench.toolbox.unets import SinogramUNet


class SinogramRepair(LearnedMethod):
    """Corrects the LI sinogram within the trace, from what was measured there and around."""

    width: int
    optimizer: str

    def build(self, context: Context) -> None:
        """Create the network; it begins as LI."""
        self.context = context
        # Sinograms are shown to the network in units of a path of water across the field of view: 1 is a thick patient.
        self.water_path = context.operators.water * max(context.grid.field_of_view)
        network = SinogramUNet(self.width, pyramid=False, channels=2, periodic=context.geometry.is_circle)
        self.network = network.to(context.device)

    def networks(self) -> dict[str, nn.Module]:
        """Return the network."""
        return {"sinogram": self.network}

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Return Adam or Muon."""
        return {self.optimizer: adam_or_muon(self.network.parameters(), self.parameters)}

    def objectives(self, batch: Batch) -> Iterator[Objective]:
        """Yield the mean absolute error of the line integrals in the trace."""
        error = (self._restore(batch.scan) - batch.truth.sinogram).abs()
        trace = batch.scan.metal_trace
        loss = torch.where(trace, error, 0).sum() / trace.sum().clamp(min=1)
        yield Objective(self.optimizer, loss, {"sinogram": loss.detach()})

    def reduce(self, scan: Scan) -> torch.Tensor:
        """Return the reconstruction of the restored sinogram."""
        with torch.no_grad():
            return self.context.operators.reconstruct(self._restore(scan))

    def _restore(self, scan: Scan) -> torch.Tensor:
        measured, trace = scan.sinogram, scan.metal_trace
        filled = linear_interpolation(measured, trace)
        seen = torch.stack([filled, measured], dim=1) / self.water_path
        correction = self.network(seen, trace[:, None].to(seen.dtype))[:, 0]
        return torch.where(trace, filled + correction.to(filled.dtype), measured)
