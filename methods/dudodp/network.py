"""The denoiser of the diffusion model."""

from __future__ import annotations

import torch
from torch import nn

from marbench.toolbox.unets import ImageUNet


class Denoiser(nn.Module):
    """D(x, σ) = x/s² + (σ/s) F(x/s, ln σ), s² = 1 + σ²: what F sees and gives has a spread of 1 at every level σ.

    It begins as D = x/s², the best linear guess. F is a U-Net. T. Karras et al., "Elucidating the design space of
    diffusion-based generative models", NeurIPS 2022, with data of spread 1.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.unet = ImageUNet(channels=2, width=width)

    def forward(self, noisy: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
        """Return what is expected of the image below the noise.

        Parameters
        ----------
        noisy : Tensor ``(batch, rows, columns)``
        level : Tensor ``(batch, 1, 1)``
            Standard deviation of the noise.
        """
        spread = (1 + level.square()).sqrt()
        told = (level.log() / 4).expand_as(noisy)
        seen = torch.stack([noisy / spread, told], dim=1).contiguous(memory_format=torch.channels_last)
        found = self.unet(seen)[:, 0].to(noisy.dtype)
        return noisy / spread.square() + level / spread * found
