"""DuDoNet (Lin et al., CVPR 2019): a sinogram network and an image network, joined by the Radon inversion layer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import nn

from marbench import Context, Scan
from marbench.method.learned import Batch, LearnedMethod, Objective, mean_outside_metal, random_patches
from marbench.toolbox.interpolation import linear_interpolation
from marbench.toolbox.muon import adam_or_muon
from marbench.toolbox.networks import ResidualDenseNetwork, compress_hu
from marbench.toolbox.unets import ImageUNet, SinogramUNet, in_subpixels

ADAM_BETAS = (0.5, 0.999)
# IE-Net gives corrections in this unit: streaks have tens to hundreds of HU.
CORRECTION_HU = 300.0


@dataclass(frozen=True)
class Variant:
    """A row of the ablation, Table 1 of the paper: which networks there are, and what they minimise."""

    sinogram_network: bool = True
    mask_pyramid: bool = True
    image_network: bool = True
    radon_consistency: bool = False


VARIANTS = {
    "A": Variant(mask_pyramid=False, image_network=False),
    "B": Variant(image_network=False),
    "C": Variant(sinogram_network=False),
    "D": Variant(mask_pyramid=False),
    "E": Variant(),
    "F": Variant(mask_pyramid=False, radon_consistency=True),
    "G": Variant(radon_consistency=True),
}


@dataclass(frozen=True, eq=False)
class Estimate:
    """What is known before the image network: X of the input and, with a sinogram network, Y_out and X̂, in HU."""

    x: torch.Tensor
    y_out: torch.Tensor | None = None
    x_hat: torch.Tensor | None = None


class DuDoNet(LearnedMethod):
    """Enhances the sinogram within the metal trace, then the image; both networks are trained together."""

    sinogram_width: int
    sinogram_norm: str
    sinogram_upsampling: str
    image_width: int
    rdn_blocks: int
    rdn_layers: int
    body: str
    input: str
    optimizer: str
    patch: int

    def build(self, context: Context) -> None:
        """Create the networks that the variant has; they begin as LI (or as no correction, without LI)."""
        self.context = context
        self.variant = VARIANTS[str(self.parameters["variant"])]
        # Sinograms are shown to the network in units of a path of water across the field of view: 1 is a thick patient.
        self.water_path = context.operators.water * max(context.grid.field_of_view)
        self.sinogram_network: nn.Module | None = None
        self.image_network: nn.Module | None = None
        if self.variant.sinogram_network:
            normalised = self.sinogram_norm == "batch"
            subpixel = self.sinogram_upsampling == "subpixel"
            network = SinogramUNet(
                self.sinogram_width, self.variant.mask_pyramid, normalised=normalised, subpixel=subpixel
            )
            self.sinogram_network = network.to(context.device)
        if self.variant.image_network:
            channels, width = 1 + self.variant.sinogram_network, self.image_width
            if self.body == "rdn":
                body: nn.Module = ResidualDenseNetwork(channels, width, width, self.rdn_blocks, self.rdn_layers)
            else:
                body = ImageUNet(channels, width)
            self.image_network = body.to(context.device)

    def networks(self) -> dict[str, nn.Module]:
        """Return SE-Net and IE-Net, as far as the variant has them."""
        both = {"sinogram": self.sinogram_network, "image": self.image_network}
        return {name: network for name, network in both.items() if network is not None}

    def adopt(self, state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Return weights whose last layer of SE-Net is interpolated as subpixels, where that is what is trained."""
        bias, weight = "sinogram.up.4.bias", "sinogram.up.4.weight"
        if self.sinogram_upsampling == "subpixel" and len(state.get(bias, ())) == 1:
            return state | {bias: state[bias].repeat(4), weight: in_subpixels(state[weight])}
        return state

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Return one optimiser for both networks: Adam as in the paper, or Muon."""
        weights = [weight for network in self.networks().values() for weight in network.parameters()]
        return {self.optimizer: adam_or_muon(weights, self.parameters, ADAM_BETAS)}

    def objectives(self, batch: Batch) -> Iterator[Objective]:
        """Yield the sum of the sinogram loss, the Radon consistency loss and the image loss (eq. 4, 6 and 8).

        Line integrals and HU/1000 make the three alike in size.
        """
        truth, estimate = batch.truth, self._estimate(batch.scan)
        terms: dict[str, torch.Tensor] = {}
        if estimate.y_out is not None:
            terms["sinogram"] = (estimate.y_out - truth.sinogram).abs().mean()
        if estimate.x_hat is not None and self.variant.radon_consistency:
            terms["radon"] = mean_outside_metal((estimate.x_hat - truth.image).abs(), truth.metal) / 1000
        if self.image_network is not None:
            # Nine tenths of the time of a step are the image network's, and most of a large slice is air.
            seen = [estimate.x] if estimate.x_hat is None else [estimate.x, estimate.x_hat]
            target, metal, x, *x_hat = random_patches(self.patch, truth.image, truth.metal, *seen, around=truth.metal)
            x_out = self._refine(x, *x_hat)
            terms["image"] = mean_outside_metal((x_out - target).abs(), metal) / 1000
        loss = torch.stack(list(terms.values())).sum()
        yield Objective(self.optimizer, loss, {name: term.detach() for name, term in terms.items()})

    def reduce(self, scan: Scan) -> torch.Tensor:
        """Return X_out, or X̂ where the variant has no image network."""
        with torch.no_grad():
            estimate = self._estimate(scan)
            if self.image_network is not None:
                return self._refine(estimate.x, estimate.x_hat)
        assert estimate.x_hat is not None  # every variant has a network
        return estimate.x_hat

    def _estimate(self, scan: Scan) -> Estimate:
        y, x = self._input(scan)
        if self.sinogram_network is None:
            return Estimate(x)
        # G_s(Y, M) = Y + network(Y, M); measured data stay as they are:
        # Y_out = M G_s(Y, M) + (1 − M) Y, eq. (3) of the paper.
        trace = scan.metal_trace.to(y.dtype)
        correction = self.sinogram_network(y[:, None] / self.water_path, trace[:, None])[:, 0]
        y_out = torch.where(scan.metal_trace, y + correction.to(y.dtype), y)
        return Estimate(x, y_out, self.context.operators.reconstruct(y_out))

    def _refine(self, x: torch.Tensor, x_hat: torch.Tensor | None = None) -> torch.Tensor:
        """Return X_out = X + G_i(X̂, X), eq. (7), X being X_LI."""
        assert self.image_network is not None
        images = [compress_hu(image) for image in (x_hat, x) if image is not None]
        correction = self.image_network(torch.stack(images, dim=1))[:, 0]
        refined: torch.Tensor = x + CORRECTION_HU * correction.to(x.dtype)
        return refined

    def _input(self, scan: Scan) -> tuple[torch.Tensor, torch.Tensor]:
        """Return Y_LI and X_LI, or the raw sinogram and image."""
        if self.input == "raw":
            return scan.sinogram, scan.image
        interpolated = linear_interpolation(scan.sinogram, scan.metal_trace)
        return interpolated, self.context.operators.reconstruct(interpolated)
