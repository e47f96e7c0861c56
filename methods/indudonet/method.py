"""InDuDoNet and InDuDoNet+ (Wang et al., MICCAI 2021, Med. Image Anal. 2023): a dual domain iteration, unfolded."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn

from marbench import Context, Scan
from marbench.method.learned import Batch, LearnedMethod, Objective, mean_outside_metal
from marbench.toolbox.interpolation import linear_interpolation
from marbench.toolbox.muon import adam_or_muon
from marbench.toolbox.priors import tissue_prior
from marbench.toolbox.unfolding import hu_to_levels, levels_to_hu

from .network import DualDomainNetwork, Measurement, ScaledProjection

ADAM_BETAS = (0.5, 0.999)
SINOGRAM_LEVELS = 255.0
SINOGRAM_WEIGHT = 0.1
STAGE_WEIGHTS = (1.0, 0.1)  # of the last stage, and of the one before; the others have none


class InDuDoNet(LearnedMethod):
    """Improves image and normalised sinogram in turn, so that the projection of one agrees with the other."""

    stages: int
    blocks: int
    channels: int
    sinogram_channels: int
    prior_width: int
    image_step: float
    filtered: bool
    plus: bool
    optimizer: str

    def build(self, context: Context) -> None:
        """Create the network; the norm of P decides how long its steps are at first."""
        self.context = context
        water = context.operators.water
        # A path of water across the field of view has 255 levels.
        self.unit = water * max(context.grid.field_of_view)
        projection = ScaledProjection(context.operators, self.unit, self.image_step, self.filtered)
        kind = self.stages, self.blocks, (self.channels, self.sinogram_channels), self.prior_width, self.plus
        network = DualDomainNetwork(*kind, projection, float(hu_to_levels(torch.zeros(()), water)))
        self.network = network.to(context.device)

    def networks(self) -> dict[str, nn.Module]:
        """Return the network."""
        return {"dual": self.network}

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Return Adam as in the paper, or Muon."""
        return {self.optimizer: adam_or_muon(self.network.parameters(), self.parameters, ADAM_BETAS)}

    def objectives(self, batch: Batch) -> Iterator[Objective]:
        """Yield Σ w (‖X − X*‖² + 0.1 ‖Y S − S*‖²) over the last stages, in grey levels."""
        truth = batch.truth
        image, sinogram, metal = self._image(truth.image), self._sinogram(truth.sinogram), truth.metal[:, None]
        estimates = self.network(self._measurement(batch.scan))[::-1]
        losses = [
            weight
            * (mean_outside_metal((x - image).square(), metal) + SINOGRAM_WEIGHT * (s - sinogram).square().mean())
            for weight, (x, s) in zip(STAGE_WEIGHTS, estimates, strict=False)
        ]
        error = mean_outside_metal((estimates[0][0].detach() - image).abs(), metal)
        yield Objective(self.optimizer, torch.stack(losses).sum(), {"image": error})

    def reduce(self, scan: Scan) -> torch.Tensor:
        """Return the image after the last stage."""
        with torch.no_grad():
            image = self.network(self._measurement(scan))[-1][0]
        return levels_to_hu(image[:, 0], self.context.operators.water)

    def _measurement(self, scan: Scan) -> Measurement:
        with torch.no_grad():
            interpolated = linear_interpolation(scan.sinogram, scan.metal_trace)
            start = self.context.operators.reconstruct(interpolated)
            prior = self._image(tissue_prior(start, scan.metal_mask)) if self.plus else None
        outside = (~scan.metal_trace)[:, None].to(start.dtype)
        sinograms = self._sinogram(scan.sinogram), self._sinogram(interpolated), outside
        return Measurement(self._image(scan.image), self._image(start), *sinograms, prior)

    def _image(self, image: torch.Tensor) -> torch.Tensor:
        return hu_to_levels(image, self.context.operators.water)[:, None]

    def _sinogram(self, sinogram: torch.Tensor) -> torch.Tensor:
        return (sinogram * (SINOGRAM_LEVELS / self.unit))[:, None]
