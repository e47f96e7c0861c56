"""NMAR, then a network on its image, after Gjesteby et al. (2017)."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn

from marbench import Context, Scan
from marbench.method.learned import Batch, LearnedMethod, Objective, mean_outside_metal, random_patches
from marbench.toolbox.guides import tissue_guide
from marbench.toolbox.interpolation import normalized_interpolation
from marbench.toolbox.muon import adam_or_muon
from marbench.toolbox.networks import compress_hu, expand_hu, start_at_zero


class ResidualNetwork(nn.Module):
    """Normalised 3 × 3 convolutions with growing, then shrinking distance of their taps, which see along streaks.

    It begins as the zero map.

    Parameters
    ----------
    width : int
        Channels.
    scales : int
        Taps lie 1, 2, 4, … 2^(scales − 1) pixels apart, and back.
    """

    def __init__(self, width: int, scales: int) -> None:
        super().__init__()
        distances = [2**scale for scale in (*range(scales), *reversed(range(scales - 1)))]
        layers: list[nn.Module] = []
        for before, distance in zip([1, *[width] * len(distances)], distances, strict=False):
            # Without normalisation every ReLU of the deeper layers was silent after 200 steps.
            convolution = nn.Conv2d(before, width, 3, padding=distance, dilation=distance, bias=False)
            layers += [convolution, nn.BatchNorm2d(width), nn.ReLU()]
        self.layers = nn.Sequential(*layers, start_at_zero(nn.Conv2d(width, 1, 3, padding=1)))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Map ``(batch, 1, rows, columns)`` to a correction of the same shape."""
        result: torch.Tensor = self.layers(image)
        return result


class NormalizedThenNetwork(LearnedMethod):
    """Corrects the NMAR image on a compressed HU scale."""

    width: int
    scales: int
    patch: int
    optimizer: str

    def build(self, context: Context) -> None:
        """Create the network; it begins as NMAR."""
        self.context = context
        self.network = ResidualNetwork(self.width, self.scales).to(context.device)

    def networks(self) -> dict[str, nn.Module]:
        """Return the network."""
        return {"image": self.network}

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Return Adam or Muon."""
        return {self.optimizer: adam_or_muon(self.network.parameters(), self.parameters)}

    def objectives(self, batch: Batch) -> Iterator[Objective]:
        """Yield the mean absolute error on one patch of each slice."""
        image, target = compress_hu(self._normalized(batch.scan)), compress_hu(batch.truth.image)
        image, target, metal = random_patches(self.patch, image, target, batch.truth.metal)
        loss = mean_outside_metal((self._correct(image) - target).abs(), metal)
        yield Objective(self.optimizer, loss, {"image": loss.detach()})

    def reduce(self, scan: Scan) -> torch.Tensor:
        """Return the corrected NMAR image."""
        with torch.no_grad():
            return expand_hu(self._correct(compress_hu(self._normalized(scan))))

    def _normalized(self, scan: Scan) -> torch.Tensor:
        """Return the NMAR image, HU."""
        operators, rays = self.context.operators, (scan.sinogram, scan.metal_trace)
        with torch.no_grad():
            guide = tissue_guide(operators, *rays, scan.metal_mask)
            return operators.reconstruct(normalized_interpolation(*rays, guide))

    def _correct(self, image: torch.Tensor) -> torch.Tensor:
        correction: torch.Tensor = self.network(image[:, None])[:, 0]
        return image + correction.to(image.dtype)
