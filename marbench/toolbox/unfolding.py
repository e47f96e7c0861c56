"""Parts of unfolded optimisations: iterations whose proximal maps are small networks, trained end to end."""

from __future__ import annotations

import torch
from torch import nn

from marbench.physics.hounsfield import hu_to_mu, mu_to_hu

__all__ = ["Lifting", "ProximalNetwork", "hu_to_levels", "levels_to_hu", "replace_variable", "variable"]

# Grey levels of an attenuation of 1/cm; water has 49, and the unit in which batch normalisations correct is 20 HU.
_LEVELS = 255.0


def hu_to_levels(image: torch.Tensor, water: float) -> torch.Tensor:
    """Return 255 µ, with µ clipped to 0 … 1/cm: the scale on which the networks of Wang et al. see images.

    Parameters
    ----------
    image : Tensor
        HU.
    water : float
        µ of water, 1/cm.
    """
    return hu_to_mu(image, water).clamp(0, 1) * _LEVELS


def levels_to_hu(image: torch.Tensor, water: float) -> torch.Tensor:
    """Return HU, the inverse of `hu_to_levels` where that clips nothing."""
    return mu_to_hu(image / _LEVELS, water)


class ProximalNetwork(nn.Module):
    """A network in the place of a proximal map: x ← ReLU(x + F(x)), several times; it begins as ReLU(x).

    F is convolution, batch normalisation, ReLU, convolution, batch normalisation: 18 c² + 6 c parameters a block of c
    channels.

    Parameters
    ----------
    channels, blocks : int
    threshold : float, optional
        τ: then follows ReLU(x − τ), with a τ for each channel that begins as this and is learned. It makes x sparse.

    References
    ----------
    H. Wang et al., "DICDNet: Deep Interpretable Convolutional Dictionary Network for Metal Artifact Reduction in CT
    Images", IEEE Trans. Med. Imaging 41 (2022) 869–880.
    """

    def __init__(self, channels: int, blocks: int, threshold: float | None = None) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(_residual(channels) for _ in range(blocks))
        self.threshold = None if threshold is None else nn.Parameter(torch.full((channels, 1, 1), threshold))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map ``(batch, channels, rows, columns)`` to the same shape; nothing in the result is negative."""
        # The order in which convolutions are fast and leave what they give. Without it every one of them copied, a
        # quarter of the time.
        x = x.contiguous(memory_format=torch.channels_last)
        for block in self.blocks:
            # Under autocast the block is rounded, x is not: at 49 levels bfloat16 has steps of 5 HU.
            x = torch.relu_(x + block(x))
        return x if self.threshold is None else torch.relu_(x - self.threshold)


class Lifting(nn.Module):
    """Begins a variable of one channel: auxiliary channels join it, then comes a first proximal network.

    The auxiliaries are 3 × 3 filters of the variable, at the beginning means. From here on `variable` and
    `replace_variable` tell it from what only the networks use.

    Parameters
    ----------
    auxiliaries, blocks : int
    """

    def __init__(self, auxiliaries: int, blocks: int) -> None:
        super().__init__()
        self.filters = nn.Conv2d(1, auxiliaries, 3, padding=1, bias=False)
        nn.init.constant_(self.filters.weight, 1 / 9)
        self.network = ProximalNetwork(1 + auxiliaries, blocks)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map ``(batch, 1, rows, columns)`` to ``(batch, 1 + auxiliaries, rows, columns)``."""
        lifted: torch.Tensor = self.network(torch.cat([x, self.filters(x)], dim=1))
        return lifted


def variable(lifted: torch.Tensor) -> torch.Tensor:
    """Return the variable, ``(batch, 1, rows, columns)``, without its auxiliaries."""
    return lifted[:, :1]


def replace_variable(lifted: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Return the auxiliaries with another variable in front."""
    return torch.cat([x, lifted[:, 1:]], dim=1)


def _residual(channels: int) -> nn.Sequential:
    last = nn.BatchNorm2d(channels)
    # Begins as no correction, so that the whole begins as the optimisation that it unfolds.
    nn.init.zeros_(last.weight)
    return nn.Sequential(
        nn.Conv2d(channels, channels, 3, padding=1),
        nn.BatchNorm2d(channels),
        nn.ReLU(inplace=True),
        nn.Conv2d(channels, channels, 3, padding=1),
        last,
    )
