"""DuDoDp (Liu et al., IEEE TMI 2024): a diffusion model of clean images fills the metal trace."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import nn

from marbench import Context, Scan
from marbench.method.learned import Batch, LearnedMethod, Objective, random_patches
from marbench.toolbox.harmonic import HarmonicCompletion
from marbench.toolbox.interpolation import linear_interpolation
from marbench.toolbox.muon import adam_or_muon

from .network import Denoiser

# The network sees (HU + 500) / 500: air is −1, water 1. Levels of noise are in this unit, too.
HALF_WATER_HU = 500.0
TRAINED_LEVELS = (0.01, 2.0)

# All chosen on validation cases of `mini`: how often an image is denoised, from and to which level of noise, and κ² by
# which the residual fades from the border of the trace inwards.
STEPS = 12
LOUDEST, QUIETEST = 0.8, 0.08
SCREENING = 0.2


class DiffusionPrior(LearnedMethod):
    """Adds noise, denoises, fills the trace from the projection and reconstructs, with ever less noise."""

    width: int
    patch: int
    optimizer: str

    def build(self, context: Context) -> None:
        """Create the network, and the noise: one seed for every scan, so that a result depends on the scan alone."""
        self.context = context
        self.network = Denoiser(self.width).to(context.device, memory_format=torch.channels_last)
        noise = torch.randn(STEPS, *context.grid.shape, generator=torch.Generator().manual_seed(0))
        self.noise = noise.to(context.device)

    def networks(self) -> dict[str, nn.Module]:
        """Return the denoiser."""
        return {"prior": self.network}

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Return Adam or Muon."""
        return {self.optimizer: adam_or_muon(self.network.parameters(), self.parameters)}

    def objectives(self, batch: Batch) -> Iterator[Objective]:
        """Yield the squared error of denoising, (1 + 1/σ²)(D − x)²; of a batch the images without metal alone count."""
        (clean,) = random_patches(self.patch, _relative(batch.truth.image))
        least, most = map(math.log, TRAINED_LEVELS)
        level = (least + (most - least) * torch.rand(len(clean), 1, 1)).exp().to(clean)
        denoised = self.network(clean + level * torch.randn_like(clean), level)
        loss = ((denoised - clean).square() * (1 + 1 / level.square())).mean()
        yield Objective(self.optimizer, loss, {"image": loss.detach()})

    def reduce(self, scan: Scan) -> torch.Tensor:
        """Return the reconstruction after the last step; the first one begins from that of the interpolated sinogram.

        A step is x ← FBP(p outside the trace, u within), where u continues p into the trace so that u − q fades there,
        and q = P D(x + σε). What is measured outside the trace stays.
        """
        operators, is_circle = self.context.operators, self.context.geometry.is_circle
        complete = HarmonicCompletion(scan.metal_trace, is_circle=is_circle, screening=SCREENING)
        with torch.no_grad():
            image = operators.reconstruct(linear_interpolation(scan.sinogram, scan.metal_trace))
            for step, noise in enumerate(self.noise):
                level = image.new_full((len(image), 1, 1), LOUDEST * (QUIETEST / LOUDEST) ** (step / (STEPS - 1)))
                denoised = self.network(_relative(image) + level * noise, level)
                prior = operators.project((denoised - 1) * HALF_WATER_HU)
                image = operators.reconstruct(complete(scan.sinogram, prior))
        return image


def _relative(image: torch.Tensor) -> torch.Tensor:
    """Return HU as the network sees them."""
    return image / HALF_WATER_HU + 1
