"""The networks of pix2pix: a U-Net generator and a discriminator of patches."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

_WIDEST = 8  # channels grow to eight times the width, then stay


class Generator(nn.Module):
    """A U-Net of strided and transposed 4 × 4 convolutions, ended by tanh.

    With ``width=64`` and ``depth=8`` it has 54,407,809 parameters. Sizes must be multiples of ``2**depth``.
    """

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        widths = [width * min(2**level, _WIDEST) for level in range(depth)]
        self.down = nn.ModuleList()
        self.up = nn.ModuleList()  # outermost first
        for level, after in enumerate(widths):
            outermost, innermost = level == 0, level == depth - 1
            before = 1 if outermost else widths[level - 1]
            # As in pix2pix, only the outermost convolution upwards has a bias.
            down: list[nn.Module] = [nn.Conv2d(before, after, 4, 2, 1, bias=False)]
            if not (outermost or innermost):
                down.append(nn.BatchNorm2d(after))
            below = after if innermost else 2 * after
            up: list[nn.Module] = [nn.ConvTranspose2d(below, before, 4, 2, 1, bias=outermost)]
            if not outermost:
                up.append(nn.BatchNorm2d(before))
            # Noise enters as dropout, in those of the three blocks above the innermost one that are widest.
            if depth - 4 <= level < depth - 1 and before == width * _WIDEST:
                up.append(nn.Dropout(0.5))
            self.down.append(nn.Sequential(*down))
            self.up.append(nn.Sequential(*up))
        self.apply(_initialize)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Map ``(batch, 1, rows, columns)`` to values in (−1, 1)."""
        scales: list[torch.Tensor] = []
        x = image
        for level, block in enumerate(self.down):
            x = block(x if level == 0 else functional.leaky_relu(x, 0.2))
            scales.append(x)
        for level in reversed(range(len(self.up))):
            x = self.up[level](torch.relu(x))
            if level:
                x = torch.cat([scales[level - 1], x], dim=1)
        return torch.tanh(x)


class Discriminator(nn.Module):
    """PatchGAN: one logit for every patch of 70 × 70 pixels of a pair of images.

    With ``width=64`` it has 2,764,609 parameters.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(2, width, 4, 2, 1), nn.LeakyReLU(0.2)]
        for before, after, stride in ((1, 2, 2), (2, 4, 2), (4, 8, 1)):
            layers += [
                nn.Conv2d(before * width, after * width, 4, stride, 1, bias=False),
                nn.BatchNorm2d(after * width),
                nn.LeakyReLU(0.2),
            ]
        self.layers = nn.Sequential(*layers, nn.Conv2d(8 * width, 1, 4, 1, 1))
        self.apply(_initialize)

    def forward(self, condition: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
        """Judge images, given the images that they were made from; both ``(batch, 1, rows, columns)``."""
        logits: torch.Tensor = self.layers(torch.cat([condition, image], dim=1))
        return logits


def _initialize(module: nn.Module) -> None:
    """Draw convolutions from N(0, 0.02) and the scales of batch normalisations from N(1, 0.02)."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
