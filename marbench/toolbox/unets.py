"""U-Nets: one for sinograms that is shown at every scale where metal is, one for images."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional

from marbench.toolbox.networks import pad_to_least, start_at_zero

__all__ = ["ImageUNet", "SinogramUNet", "in_subpixels"]


class SinogramUNet(nn.Module):
    """A U-Net of five 4 × 4 strided convolutions that is shown where metal is at every scale: SE-Net of DuDoNet.

    It begins as the zero map. With ``width=64`` and the pyramid it has 12,439,498 parameters.

    Parameters
    ----------
    width : int
        Channels after the first convolution.
    pyramid : bool
        Concatenate what is known of the metal, average-pooled, after every downward convolution.
    channels : int
        Sinograms that it sees.
    periodic : bool
        The first view follows the last one. Where the number of views is a multiple of 32 the network then commutes
        with a turn by 32 views.
    normalised : bool
        Batch normalisation without parameters after all convolutions but the last. Under an optimiser whose steps do
        not shrink with the gradient, as Muon, channels else grow from scale to scale until whole layers are negative,
        and silent behind their ReLU. Statistics of each sinogram by itself, instead of those of training, would take
        from the network how large a patient is.
    subpixel : bool
        The last convolution makes the four pixels of each place of half the resolution, instead of one pixel that is
        interpolated: what is finer than two bins can be drawn. See `in_subpixels`.

    References
    ----------
    W.-A. Lin et al., "DuDoNet", CVPR 2019, Table 4; Y. Lyu et al., "Encoding Metal Mask Projection for Metal Artifact
    Reduction in Computed Tomography", MICCAI 2020, for periodic views; W. Shi et al., "Real-Time Single Image and Video
    Super-Resolution Using an Efficient Sub-Pixel Convolutional Neural Network", CVPR 2016.
    """

    def __init__(
        self,
        width: int,
        pyramid: bool = True,
        channels: int = 1,
        periodic: bool = False,
        normalised: bool = False,
        subpixel: bool = False,
    ) -> None:
        super().__init__()
        self.pyramid, self.periodic, self.subpixel = pyramid, periodic, subpixel
        mask = int(pyramid)
        # Periodic views are padded by what follows, see `_wrapped`.
        padding = (0, 1) if periodic else 1
        widths = [width, 2 * width, 4 * width, 8 * width, 8 * width]
        inputs = [channels + 1, *(before + mask for before in widths[:-1])]
        self.down = nn.ModuleList(
            nn.Conv2d(before, after, 4, stride=2, padding=padding) for before, after in zip(inputs, widths, strict=True)
        )
        # Upwards, each convolution reads what came from below and what was seen at that scale on the way down.
        outputs = [8 * width, 4 * width, 2 * width, width, 4 if subpixel else 1]
        skips = [before + mask for before in widths[-2::-1]]
        inputs = [8 * width + mask, *(below + skip for below, skip in zip(outputs, skips, strict=False))]
        self.up = nn.ModuleList(
            nn.Conv2d(before, after, 3, padding=padding) for before, after in zip(inputs, outputs, strict=True)
        )
        start_at_zero(self.up[-1])  # type: ignore[arg-type]
        hidden = (*widths, *outputs[:-1]) if normalised else ()
        self.norms = nn.ModuleList(nn.BatchNorm2d(each, affine=False) for each in hidden)

    def forward(self, sinogram: torch.Tensor, metal: torch.Tensor) -> torch.Tensor:
        """Map sinograms, and the trace or the path in metal, to a correction.

        Parameters
        ----------
        sinogram : Tensor ``(batch, channels, views, bins)``
        metal : float Tensor ``(batch, 1, views, bins)``

        Returns
        -------
        Tensor ``(batch, 1, views, bins)``
        """
        views, bins = sinogram.shape[-2:]
        x = pad_to_least(torch.cat([sinogram, metal], dim=1), 2 ** len(self.down))
        if self.subpixel:  # twice half the resolution is all of it
            x = functional.pad(x, (0, x.shape[-1] % 2, 0, x.shape[-2] % 2))
        metal, scales = x[:, -1:], []
        for index, convolution in enumerate(self.down):
            scales.append(x)
            x = self._convolved(convolution, x if index == 0 else functional.leaky_relu(x, 0.2), index)
            if self.pyramid:
                pooled = functional.adaptive_avg_pool2d(metal[:, 0], (x.shape[-2], x.shape[-1])).to(x.dtype)
                # In the memory order of channels last, of which one channel alone would give no sign: else the joined
                # channels were copied into another order before every convolution.
                x = torch.cat([x, pooled[..., None].movedim(-1, 1)], dim=1)
        for index, convolution in enumerate(self.up[:-1], len(self.down)):
            skip = scales.pop()
            x = self._enlarged(torch.relu(x), skip.shape[-2:])
            x = torch.cat([self._convolved(convolution, x, index), skip], dim=1)
        return self._last(torch.relu(x), scales[0].shape[-2:])[..., :views, :bins]

    def _convolved(self, convolution: nn.Module, x: torch.Tensor, index: int) -> torch.Tensor:
        x = convolution(self._wrapped(x))
        # One number a channel, as the deepest scale of a small sinogram is, has no spread to train with.
        known = self.norms and (x[:, 0].numel() > 1 or not self.training)
        return self.norms[index](x) if known else x

    def _wrapped(self, x: torch.Tensor, views: int = 1) -> torch.Tensor:
        """Return ``x`` with the last views before the first ones, and the first after the last."""
        # Not `functional.pad`: that leaves the memory order of the convolutions, a quarter of the time of training.
        return torch.cat([x[..., -views:, :], x, x[..., :views, :]], dim=-2) if self.periodic else x

    def _enlarged(self, x: torch.Tensor, size: Sequence[int], margin: int = 0) -> torch.Tensor:
        """Interpolate to ``size``, and of periodic views ``margin`` more on either side."""
        if not self.periodic:
            return functional.interpolate(x, size=size, mode="bilinear")
        views, bins = size
        # One view more at either end, which becomes so many.
        more = round(views / x.shape[-2])
        wide = functional.interpolate(self._wrapped(x), size=(views + 2 * more, bins), mode="bilinear")
        return wide[..., more - margin : more + views + margin, :]

    def _last(self, x: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
        """Return ``self.up[-1]``, 3 × 3: of ``x`` to subpixels, or of the interpolated ``x`` to one channel.

        Interpolation and the mixing of channels commute: the nine products with the taps are made at the lower
        resolution, then enlarged, shifted and added. Training SE-Net was measured 1.5 times faster than with all
        channels enlarged.
        """
        convolution = self.up[-1]
        if self.subpixel:
            return functional.pixel_shuffle(convolution(self._wrapped(x)), 2)
        assert isinstance(convolution, nn.Conv2d) and convolution.bias is not None
        margin = int(self.periodic)
        views, bins = size[0] + 2 * margin, size[1]
        # `fold` moves tap (r, c) by (r − 1, c − 1), a convolution reads from there.
        taps = convolution.weight[0].flatten(1).flip(1).t()[..., None, None]
        products = self._enlarged(functional.conv2d(x, taps), size, margin)
        summed = functional.fold(products.flatten(2), (views, bins), 3, padding=1)
        return summed[..., margin : views - margin, :] + convolution.bias[:, None, None]


def in_subpixels(weight: torch.Tensor) -> torch.Tensor:
    """Return the 3 × 3 filter of an interpolated layer as the four of subpixels that do the same but at the border.

    Twice enlarged, half the resolution has ¼ and ¾ of two neighbours at every place, and the filter adds three such.

    Parameters
    ----------
    weight : Tensor ``(1, channels, 3, 3)``

    Returns
    -------
    Tensor ``(4, channels, 3, 3)``
    """
    even = [[0.75, 0.25, 0.0], [0.25, 0.75, 0.0], [0.0, 0.75, 0.25]]
    odd = [[0.25, 0.75, 0.0], [0.0, 0.75, 0.25], [0.0, 0.25, 0.75]]
    parts = weight.new_tensor([even, odd])
    return torch.einsum("cij,pia,qjb->pqcab", weight[0], parts, parts).flatten(0, 1)


class ImageUNet(nn.Module):
    """The U-Net of Ronneberger et al. with batch normalisation and bilinear upsampling: IE-Net of DuDoNet.

    It begins as the zero map. With ``width=64`` and two input channels it has 13,394,753 parameters.

    Parameters
    ----------
    channels : int
        Input channels; the output has one.
    width : int
        Channels at full resolution.
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        widths = [width, 2 * width, 4 * width, 8 * width, 8 * width]
        self.entry = _double_convolution(channels, width)
        self.down = nn.ModuleList(_double_convolution(before, after) for before, after in pairwise(widths))
        self.up = nn.ModuleList(
            _double_convolution(2 * skip, after)
            for skip, after in zip(widths[-2::-1], [4 * width, 2 * width, width, width], strict=True)
        )
        self.output = start_at_zero(nn.Conv2d(width, 1, 1))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Map ``(batch, channels, rows, columns)`` to ``(batch, 1, rows, columns)``."""
        rows, columns = image.shape[-2:]
        scales = [self.entry(pad_to_least(image, 2 ** len(self.down)))]
        for block in self.down:
            scales.append(block(functional.max_pool2d(scales[-1], 2)))
        x = scales.pop()
        for block in self.up:
            skip = scales.pop()
            x = functional.interpolate(x, size=skip.shape[-2:], mode="bilinear")
            x = block(torch.cat([skip, x], dim=1))
        result: torch.Tensor = self.output(x)
        return result[..., :rows, :columns]


def _double_convolution(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, 3, padding=1),
        nn.BatchNorm2d(after),
        nn.ReLU(inplace=True),
        nn.Conv2d(after, after, 3, padding=1),
        nn.BatchNorm2d(after),
        nn.ReLU(inplace=True),
    )
