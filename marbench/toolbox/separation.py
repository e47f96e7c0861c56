"""What the methods that separate image and artifact by an unfolded convolutional dictionary have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator

import torch
from torch import nn

from marbench.cases.case import Scan
from marbench.method.contract import Context
from marbench.method.learned import Batch, LearnedMethod, Objective, mean_outside_metal, random_patches
from marbench.toolbox.convolutional_dictionary import Scene, scene_of
from marbench.toolbox.muon import adam_or_muon
from marbench.toolbox.unfolding import hu_to_levels, levels_to_hu

__all__ = ["SeparatingMethod"]

ADAM_BETAS = (0.5, 0.999)


class SeparatingMethod(LearnedMethod):
    """Separates the uncorrected image, beginning with that of LI, and is trained on patches by the loss of all stages.

    A subclass gives `make_network`. H. Wang et al., IEEE Trans. Med. Imaging 41 (2022) 869–880.
    """

    stages: int
    blocks: int
    channels: int
    image_rate: float
    patch: int
    optimizer: str

    @abstractmethod
    def make_network(self) -> nn.Module:
        """Return an `Unfolding` of the parameters: a network from a `Scene` to its estimate."""

    def build(self, context: Context) -> None:
        """Create the network."""
        self.context = context
        self.network = self.make_network().to(context.device)

    def networks(self) -> dict[str, nn.Module]:
        """Return the network."""
        return {"image": self.network}

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Return Adam as in the papers, or Muon."""
        return {self.optimizer: adam_or_muon(self.network.parameters(), self.parameters, ADAM_BETAS)}

    def objectives(self, batch: Batch) -> Iterator[Objective]:
        """Yield the loss of all stages on one patch of each slice; ``image`` is the error that remains, grey levels."""
        with torch.no_grad():
            scene = self._scene(batch.scan)
        truth = hu_to_levels(batch.truth.image, self.context.operators.water)[:, None]
        parts = scene.measured, scene.start, scene.outside, truth, batch.truth.metal[:, None]
        measured, start, outside, truth, metal = random_patches(self.patch, *parts)
        estimate = self.network(Scene(measured, start, outside))
        loss = estimate.loss(measured, truth, (~metal).to(truth.dtype))
        error = mean_outside_metal((estimate.image.detach() - truth).abs(), metal)
        yield Objective(self.optimizer, loss, {"image": error})

    def reduce(self, scan: Scan) -> torch.Tensor:
        """Return the image after the last stage."""
        with torch.no_grad():
            image: torch.Tensor = self.network(self._scene(scan)).image
        return levels_to_hu(image[:, 0], self.context.operators.water)

    def _scene(self, scan: Scan) -> Scene:
        parts = scan.sinogram, scan.metal_trace, scan.image, scan.metal_mask
        return scene_of(self.context.operators, *parts)
