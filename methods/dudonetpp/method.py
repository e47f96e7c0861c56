"""DuDoNet++ (Lyu et al., MICCAI 2020): DuDoNet that is shown the path in metal and keeps the measured data in sight."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn
from torch.nn import functional

from marbench import Context, Scan
from marbench.method.learned import Batch, LearnedMethod, Objective, mean_outside_metal
from marbench.toolbox.interpolation import linear_interpolation
from marbench.toolbox.muon import adam_or_muon
from marbench.toolbox.networks import compress_hu
from marbench.toolbox.unets import ImageUNet, SinogramUNet

ADAM_BETAS = (0.5, 0.999)
# IE-Net gives corrections in this unit: streaks have tens to hundreds of HU.
CORRECTION_HU = 300.0


class ImageNetwork(nn.Module):
    """IE-Net: the restored and the uncorrected image, each with the metal through a convolution of its own, then U-Net.

    It begins as the zero map.

    Parameters
    ----------
    width : int
        Channels of each entry, and of the U-Net at full resolution.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.restored, self.uncorrected = (nn.Conv2d(2, width, 3, padding=1) for _ in range(2))
        self.unet = ImageUNet(2 * width, width)

    def forward(self, restored: torch.Tensor, uncorrected: torch.Tensor, metal: torch.Tensor) -> torch.Tensor:
        """Map three times ``(batch, 1, rows, columns)`` to a correction of the same shape."""
        entries = [
            entry(torch.cat([image, metal], dim=1))
            for entry, image in ((self.restored, restored), (self.uncorrected, uncorrected))
        ]
        result: torch.Tensor = self.unet(functional.relu(torch.cat(entries, dim=1)))
        return result


class DuDoNetPlusPlus(LearnedMethod):
    """Restores the sinogram within the metal trace, then the image, of which the uncorrected one is shown as well."""

    sinogram_width: int
    image_width: int
    base: str
    optimizer: str

    def build(self, context: Context) -> None:
        """Create both networks; they begin as LI, or as no correction."""
        self.context = context
        # Sinograms are shown to the network in units of a path of water across the field of view: 1 is a thick patient.
        self.water_path = context.operators.water * max(context.grid.field_of_view)
        channels = 2 if self.base == "li" else 1
        network = SinogramUNet(self.sinogram_width, channels=channels, periodic=context.geometry.is_circle)
        self.sinogram_network = network.to(context.device)
        self.image_network = ImageNetwork(self.image_width).to(context.device)

    def networks(self) -> dict[str, nn.Module]:
        """Return SE-Net and IE-Net."""
        return {"sinogram": self.sinogram_network, "image": self.image_network}

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Return one optimiser for both networks: Adam as in the paper, or Muon."""
        weights = [weight for network in self.networks().values() for weight in network.parameters()]
        return {self.optimizer: adam_or_muon(weights, self.parameters, ADAM_BETAS)}

    def objectives(self, batch: Batch) -> Iterator[Objective]:
        """Yield the sum of the absolute errors of sinogram, restored image and corrected image.

        Line integrals and HU/1000 make the three alike in size.
        """
        truth, (s_se, x_se, x_out) = batch.truth, self._estimates(batch.scan)
        terms = {
            "sinogram": (s_se - truth.sinogram).abs().mean(),
            "radon": mean_outside_metal((x_se - truth.image).abs(), truth.metal) / 1000,
            "image": mean_outside_metal((x_out - truth.image).abs(), truth.metal) / 1000,
        }
        loss = torch.stack(list(terms.values())).sum()
        yield Objective(self.optimizer, loss, {name: term.detach() for name, term in terms.items()})

    def reduce(self, scan: Scan) -> torch.Tensor:
        """Return X_out."""
        with torch.no_grad():
            return self._estimates(scan)[2]

    def _estimates(self, scan: Scan) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return S_se, X_se and X_out."""
        operators, measured = self.context.operators, scan.sinogram
        # M_p: the length in metal of every ray, cm.
        metal = scan.metal_mask[:, None].to(measured.dtype)
        path = operators.project_mu(metal[:, 0])
        base, seen = measured, [measured]
        if self.base == "li":
            base = linear_interpolation(measured, scan.metal_trace)
            seen = [base, measured]
        correction = self.sinogram_network(torch.stack(seen, dim=1) / self.water_path, path[:, None])[:, 0]
        s_se = torch.where(scan.metal_trace, base + correction.to(base.dtype), measured)
        x_se = operators.reconstruct(s_se)
        restored, uncorrected = compress_hu(x_se)[:, None], compress_hu(scan.image)[:, None]
        correction = self.image_network(restored, uncorrected, metal)[:, 0]
        return s_se, x_se, x_se + CORRECTION_HU * correction.to(x_se.dtype)
