"""CNNMAR (Zhang & Yu, IEEE TMI 2018): a network makes a prior image, whose projection fills the metal trace."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn
from torch.nn import functional

from marbench import Context, Scan
from marbench.method.learned import Batch, LearnedMethod, Objective, mean_outside_metal, random_patches
from marbench.toolbox.interpolation import additive_interpolation, linear_interpolation
from marbench.toolbox.metal_hardening import metal_beam_hardening
from marbench.toolbox.priors import flat_water_prior

from .network import FusionNetwork

# Soft edge of the flattened water: 5 pixels of 0.08 cm in the paper.
TRANSITION_CM = 0.4


class CNNMAR(LearnedMethod):
    """Fuses the uncorrected, the beam-hardening corrected and the LI image into a prior for the sinogram."""

    width: int
    learning_rate: float
    optimizer: str
    patch: int

    def build(self, context: Context) -> None:
        """Create the network."""
        self.context = context
        self.network = FusionNetwork(self.width).to(context.device)

    def networks(self) -> dict[str, nn.Module]:
        """Return the network."""
        return {"prior": self.network}

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Return SGD with momentum as in the paper, or Adam."""
        weights = self.network.parameters()
        if self.optimizer == "sgd":
            return {"sgd": torch.optim.SGD(weights, self.learning_rate, momentum=0.9)}
        return {"adam": torch.optim.Adam(weights, self.learning_rate)}

    def objectives(self, batch: Batch) -> Iterator[Objective]:
        """Yield the squared error on one patch of each slice, in units of µ of water."""
        target = _relative(batch.truth.image)
        with torch.no_grad():
            inputs = self._inputs(batch.scan)
        inputs, target, metal = random_patches(self.patch, inputs, target, batch.truth.metal)
        loss = mean_outside_metal((self._fuse(inputs) - target).square(), metal)
        yield Objective(self.optimizer, loss, {"image": loss.detach()})

    def reduce(self, scan: Scan) -> torch.Tensor:
        """Return the reconstruction of the sinogram, its trace filled by p_prior + LI(p − p_prior)."""
        operators = self.context.operators
        with torch.no_grad():
            image = (self._fuse(self._inputs(scan)) - 1) * 1000
            prior = flat_water_prior(image, scan.metal_mask, max(TRANSITION_CM / self.context.grid.pixel, 1.0))
            prior_sinogram = operators.project(prior)
            return operators.reconstruct(additive_interpolation(scan.sinogram, scan.metal_trace, prior_sinogram))

    def _inputs(self, scan: Scan) -> torch.Tensor:
        """Return ``(batch, 3, rows, columns)``: the three images in units of µ of water, metal taken as water."""
        operators = self.context.operators
        metal_path = operators.project_mu(scan.metal_mask.to(scan.sinogram.dtype))
        hardening = metal_beam_hardening(scan.sinogram, scan.metal_trace, metal_path)
        interpolated = linear_interpolation(scan.sinogram, scan.metal_trace)
        corrected = operators.reconstruct(torch.stack([hardening, interpolated], dim=1))
        images = _relative(torch.cat([scan.image[:, None], corrected], dim=1)).clamp(min=0)
        return torch.where(_dilate(scan.metal_mask)[:, None], 1.0, images)

    def _fuse(self, inputs: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.network(inputs)[:, 0]
        return result.to(inputs.dtype)


def _relative(image: torch.Tensor) -> torch.Tensor:
    """Return HU in units of µ of water."""
    return image / 1000 + 1


def _dilate(mask: torch.Tensor) -> torch.Tensor:
    """Dilate by a cross of 3 × 3 pixels."""
    padded = functional.pad(mask, (1, 1, 1, 1))
    rows, columns = mask.shape[-2:]
    offsets = ((1, 1), (0, 1), (2, 1), (1, 0), (1, 2))
    return torch.stack([padded[:, r : r + rows, c : c + columns] for r, c in offsets]).any(dim=0)
