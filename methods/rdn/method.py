"""RDN-CT: the residual dense network of Zhang et al. (CVPR 2018) on images with metal artifacts."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn

from marbench import Context, Scan
from marbench.method.learned import Batch, LearnedMethod, Objective, mean_outside_metal, random_patches
from marbench.toolbox.muon import adam_or_muon
from marbench.toolbox.networks import ResidualDenseNetwork, compress_hu, expand_hu


class ResidualDenseCT(LearnedMethod):
    """Corrects the uncorrected image on a compressed HU scale."""

    width: int
    growth: int
    blocks: int
    layers: int
    optimizer: str
    patch: int

    def build(self, context: Context) -> None:
        """Create the network; it begins as no correction."""
        self.context = context
        network = ResidualDenseNetwork(1, self.width, self.growth, self.blocks, self.layers)
        self.network = network.to(context.device)

    def networks(self) -> dict[str, nn.Module]:
        """Return the network."""
        return {"image": self.network}

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Return Adam with the defaults of the paper, or Muon."""
        return {self.optimizer: adam_or_muon(self.network.parameters(), self.parameters)}

    def objectives(self, batch: Batch) -> Iterator[Objective]:
        """Yield the L1 loss on one patch of each slice."""
        image, target = compress_hu(batch.scan.image), compress_hu(batch.truth.image)
        image, target, metal = random_patches(self.patch, image, target, batch.truth.metal)
        loss = mean_outside_metal((self._correct(image) - target).abs(), metal)
        yield Objective(self.optimizer, loss, {"image": loss.detach()})

    def reduce(self, scan: Scan) -> torch.Tensor:
        """Return the corrected image; the network is convolutional, so whole slices of any size will do."""
        with torch.no_grad():
            return expand_hu(self._correct(compress_hu(scan.image)))

    def _correct(self, image: torch.Tensor) -> torch.Tensor:
        correction: torch.Tensor = self.network(image[:, None])[:, 0]
        return image + correction.to(image.dtype)
