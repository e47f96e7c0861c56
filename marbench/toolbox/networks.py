"""What several networks share: the scale on which they see HU images, and the residual dense network."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

__all__ = ["ResidualDenseNetwork", "compress_hu", "expand_hu", "pad_to_least", "pad_to_multiple", "start_at_zero"]

# Soft tissue stays linear; air, bone and metal are drawn in: −1000, 1000, 3000, 30000 HU become −1.4, 1.4, 2.5, 4.8.
_LINEAR_RANGE_HU = 500.0


def compress_hu(image: torch.Tensor) -> torch.Tensor:
    """Return ``asinh(HU / 500)``: what a network sees, so that no bone or metal lies far outside what it was shown."""
    return torch.asinh(image / _LINEAR_RANGE_HU)


def expand_hu(image: torch.Tensor) -> torch.Tensor:
    """Return HU in float32 (or wider), the inverse of `compress_hu`."""
    return torch.sinh(image if image.dtype == torch.float64 else image.float()) * _LINEAR_RANGE_HU


def pad_to_multiple(image: torch.Tensor, multiple: int) -> torch.Tensor:
    """Repeat the last row and column of ``(batch, channels, rows, columns)`` until both sizes are multiples."""
    rows, columns = image.shape[-2:]
    return functional.pad(image, (0, -columns % multiple, 0, -rows % multiple), mode="replicate")


def pad_to_least(image: torch.Tensor, size: int) -> torch.Tensor:
    """Repeat the last row and column of ``(batch, channels, rows, columns)`` until neither is shorter than ``size``."""
    rows, columns = image.shape[-2:]
    if rows >= size and columns >= size:
        return image
    return functional.pad(image, (0, max(size - columns, 0), 0, max(size - rows, 0)), mode="replicate")


def start_at_zero(convolution: nn.Conv2d) -> nn.Conv2d:
    """Set weights and bias to 0, so that a network that predicts a correction begins with none."""
    nn.init.zeros_(convolution.weight)
    if convolution.bias is not None:
        nn.init.zeros_(convolution.bias)
    return convolution


class ResidualDenseNetwork(nn.Module):
    """A residual dense network at one resolution, without normalisation; it begins as the zero map.

    Parameters
    ----------
    channels : int
        Input channels; the output has one.
    width, growth : int
        Channels between the blocks (G₀), and those that each layer of a block adds (G).
    blocks, layers : int
        Residual dense blocks (D), and layers in each (C).

    References
    ----------
    Y. Zhang et al., "Residual Dense Network for Image Super-Resolution", CVPR 2018.
    """

    def __init__(self, channels: int, width: int, growth: int, blocks: int, layers: int) -> None:
        super().__init__()
        self.shallow = nn.Conv2d(channels, width, 3, padding=1)
        self.entry = nn.Conv2d(width, width, 3, padding=1)
        self.blocks = nn.ModuleList(_ResidualDenseBlock(width, growth, layers) for _ in range(blocks))
        self.fusion = nn.Sequential(nn.Conv2d(blocks * width, width, 1), nn.Conv2d(width, width, 3, padding=1))
        self.output = start_at_zero(nn.Conv2d(width, 1, 3, padding=1))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Map ``(batch, channels, rows, columns)`` to ``(batch, 1, rows, columns)``."""
        shallow = self.shallow(image)
        features = [self.entry(shallow)]
        for block in self.blocks:
            features.append(block(features[-1]))
        result: torch.Tensor = self.output(shallow + self.fusion(torch.cat(features[1:], dim=1)))
        return result


class _ResidualDenseBlock(nn.Module):
    """Every layer reads what all layers before it gave; a 1 × 1 convolution fuses them; plus the input."""

    def __init__(self, width: int, growth: int, layers: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv2d(width + index * growth, growth, 3, padding=1) for index in range(layers))
        self.fusion = nn.Conv2d(width + layers * growth, width, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        dense = x
        for layer in self.layers:
            dense = torch.cat([dense, torch.relu(layer(dense))], dim=1)
        fused: torch.Tensor = self.fusion(dense)
        return x + fused
