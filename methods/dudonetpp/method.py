"""DuDoNet++ (Lyu et al., MICCAI 2020): DuDoNet that is shown the path in metal and keeps the measured data in sight."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn
from torch.nn import functional

from marbench import Context, Scan
from marbench.method.learned import Batch, LearnedMethod, Objective, mean_outside_metal, random_patches
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
    sinogram_norm: str
    sinogram_upsampling: str
    image_width: int
    base: str
    optimizer: str
    patch: int

    def build(self, context: Context) -> None:
        """Create both networks; they begin as LI, or as no correction."""
        self.context = context
        # Sinograms are shown to the network in units of a path of water across the field of view: 1 is a thick patient.
        self.water_path = context.operators.water * max(context.grid.field_of_view)
        channels = 2 if self.base == "li" else 1
        network = SinogramUNet(
            self.sinogram_width,
            channels=channels,
            periodic=context.geometry.is_circle,
            normalised=self.sinogram_norm == "batch",
            subpixel=self.sinogram_upsampling == "subpixel",
        )
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
        truth, scan = batch.truth, batch.scan
        s_se, x_se = self._restored(scan)
        # Most of the time of a step is the image network's, and most of a large slice is air.
        target, metal, *seen = random_patches(
            self.patch, truth.image, truth.metal, x_se, scan.image, scan.metal_mask, around=truth.metal
        )
        x_out = self._refined(*seen)
        terms = {
            "sinogram": (s_se - truth.sinogram).abs().mean(),
            "radon": mean_outside_metal((x_se - truth.image).abs(), truth.metal) / 1000,
            "image": mean_outside_metal((x_out - target).abs(), metal) / 1000,
        }
        loss = torch.stack(list(terms.values())).sum()
        yield Objective(self.optimizer, loss, {name: term.detach() for name, term in terms.items()})

    def reduce(self, scan: Scan) -> torch.Tensor:
        """Return X_out."""
        with torch.no_grad():
            return self._refined(self._restored(scan)[1], scan.image, scan.metal_mask)

    def _restored(self, scan: Scan) -> tuple[torch.Tensor, torch.Tensor]:
        """Return S_se and X_se."""
        operators, measured = self.context.operators, scan.sinogram
        # M_p: the length in metal of every ray, cm.
        path = operators.project_mu(scan.metal_mask.to(measured.dtype))
        base, seen = measured, [measured]
        if self.base == "li":
            base = linear_interpolation(measured, scan.metal_trace)
            seen = [base, measured]
        correction = self.sinogram_network(torch.stack(seen, dim=1) / self.water_path, path[:, None])[:, 0]
        s_se = torch.where(scan.metal_trace, base + correction.to(base.dtype), measured)
        return s_se, operators.reconstruct(s_se)

    def _refined(self, x_se: torch.Tensor, uncorrected: torch.Tensor, metal: torch.Tensor) -> torch.Tensor:
        """Return X_out."""
        images = [compress_hu(image)[:, None] for image in (x_se, uncorrected)]
        correction = self.image_network(*images, metal[:, None].to(x_se.dtype))[:, 0]
        refined: torch.Tensor = x_se + CORRECTION_HU * correction.to(x_se.dtype)
        return refined
