"""The network of InDuDoNet and InDuDoNet+: image and normalised sinogram in turn, through the projection and back."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from marbench.ct import back_project, projection_norm
from marbench.ct.operators import Operators
from marbench.toolbox.unets import ImageUNet
from marbench.toolbox.unfolding import Lifting, ProximalNetwork, replace_variable, variable

# Step lengths enter divided by this, as in the public code.
STEP_UNIT = 10.0
# η₂ of the public code at first; the step of `ScaledProjection` goes with this rate.
FIRST_IMAGE_RATE = 5.0
# What water has in the prior, at first: then the prior's projection is at most about 2, and steps of η₁ = 1 converge.
WATER_IN_PRIOR = 0.4
# Least of the prior's projection, beside the body: nothing is divided by less, and Y S begins as the sinogram of LI.
LEAST_NORM = 0.1

Pair = tuple[torch.Tensor, torch.Tensor]  # of the image and of the sinogram


class ScaledProjection:
    """P of a scan for images and sinograms in grey levels, its exact adjoint, and how an image follows a sinogram.

    Parameters
    ----------
    operators : Operators
    unit : float
        The line integral that has 255 levels.
    step : float
        Along Pᵀ, in 1/‖P‖², or along the Radon inversion; below 2 either converges.
    filtered : bool
        Go along the inversion, Pᵀ behind a ramp filter: few steps suffice, where Pᵀ needs dozens for fine details.
    """

    def __init__(self, operators: Operators, unit: float, step: float, filtered: bool) -> None:
        self.operators, self.unit, self.filtered = operators, unit, filtered
        self.step = step if filtered else step * (unit / projection_norm(operators.geometry, operators.grid)) ** 2

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Project ``(batch, 1, rows, columns)`` to ``(batch, 1, views, bins)``."""
        return self.operators.project_mu(image) / self.unit

    def adjoint(self, sinogram: torch.Tensor) -> torch.Tensor:
        """Apply the exact adjoint."""
        return back_project(sinogram, self.operators.geometry, self.operators.grid) / self.unit

    def descent(self, misfit: torch.Tensor) -> torch.Tensor:
        """Return by how much the image is to sink where its projection exceeds the sinogram by ``misfit``."""
        towards: torch.Tensor = self.operators.inversion(misfit * self.unit) if self.filtered else self.adjoint(misfit)
        return self.step * towards


@dataclass(frozen=True, eq=False)
class Measurement:
    """What the network is given, in grey levels: X_ma, X_LI, S_ma, S_LI, Tr and, for InDuDoNet+, the NMAR prior.

    Images are ``(batch, 1, rows, columns)``, sinograms ``(batch, 1, views, bins)``; Tr is 0 in the metal trace, else 1.
    """

    image: torch.Tensor
    start: torch.Tensor
    sinogram: torch.Tensor
    interpolated: torch.Tensor
    outside: torch.Tensor
    prior: torch.Tensor | None


class Stage(nn.Module):
    """One iteration: a step of the normalised sinogram, then one of the image.

    S ← prox(S − η₁/10 [Y(Y S − P X) + α Tr² Y(Y S − S_ma)]);  X ← prox(X − η₂/5 · descent(P X − Y S))
    """

    def __init__(self, auxiliaries: tuple[int, int], blocks: int) -> None:
        super().__init__()
        self.sinogram_rate = nn.Parameter(torch.tensor(1.0))
        self.image_rate = nn.Parameter(torch.tensor(FIRST_IMAGE_RATE))
        self.trust = nn.Parameter(torch.tensor(0.5))  # α
        self.image_network, self.sinogram_network = (ProximalNetwork(1 + each, blocks) for each in auxiliaries)

    def forward(self, now: Pair, given: Measurement, norms: torch.Tensor, operator: ScaledProjection) -> Pair:
        """Return the next image and normalised sinogram, both with their auxiliaries; ``norms`` is Y."""
        x, s = map(variable, now)
        projected = operator.forward(x)
        gradient = norms * (norms * s - projected)
        gradient = gradient + self.trust * given.outside.square() * norms * (norms * s - given.sinogram)
        s = s - self.sinogram_rate / STEP_UNIT * gradient
        sinogram = self.sinogram_network(replace_variable(now[1], s))
        x = x - self.image_rate / FIRST_IMAGE_RATE * operator.descent(projected - norms * variable(sinogram))
        return self.image_network(replace_variable(now[0], x)), sinogram


class DualDomainNetwork(nn.Module):
    """Image and normalised sinogram in stages.

    With 10 stages of 4 blocks, 32 auxiliaries and a prior of width 32 it has 1,752,929 parameters with the NMAR prior,
    5,094,977 without.

    Parameters
    ----------
    stages, blocks : int
    auxiliaries : pair of int
        Of the image and of the sinogram.
    width : int
        Channels of the network that makes the prior: a weight of the NMAR prior (``plus``), or a correction of X_LI.
    water : float
        Its grey levels.
    """

    def __init__(
        self,
        stages: int,
        blocks: int,
        auxiliaries: tuple[int, int],
        width: int,
        plus: bool,
        scan: ScaledProjection,
        water: float,
    ) -> None:
        super().__init__()
        self.operator, self.water = scan, water
        self.prior = _weighting(width) if plus else ImageUNet(2, width)
        # What is left of the paper's batch normalisation, which would make an image depend on others in its batch.
        self.scale, self.offset = nn.Parameter(torch.tensor(WATER_IN_PRIOR)), nn.Parameter(torch.tensor(0.0))
        self.images, self.sinograms = (Lifting(each, blocks) for each in auxiliaries)
        self.stages = nn.ModuleList(Stage(auxiliaries, blocks) for _ in range(stages))

    def forward(self, given: Measurement) -> list[Pair]:
        """Return X and Y S after every stage, ``(batch, 1, rows, columns)`` and ``(batch, 1, views, bins)``."""
        prior = torch.relu(self.scale * self._prior(given) / self.water + self.offset)
        norms = self.operator.forward(prior).clamp(min=LEAST_NORM)
        # S is flat where the prior is right, as in NMAR.
        now = self.images(given.start), self.sinograms(given.interpolated / norms)
        found = []
        for stage in self.stages:
            now = stage(now, given, norms, self.operator)
            found.append((variable(now[0]), norms * variable(now[1])))
        return found

    def _prior(self, given: Measurement) -> torch.Tensor:
        if given.prior is not None:
            return self.prior(given.image / self.water).to(given.prior.dtype) * given.prior
        # The U-Net sees and gives units of water.
        images = torch.cat([given.image, given.start], dim=1) / self.water
        return given.start + self.water * self.prior(images).to(given.start.dtype)


def _weighting(width: int) -> nn.Sequential:
    """Return a network of three convolutions on X_ma; it begins as the weight 1."""
    last = nn.Conv2d(width, 1, 3, padding=1)
    nn.init.zeros_(last.weight)
    nn.init.ones_(last.bias)  # type: ignore[arg-type]
    convolutions = nn.Conv2d(1, width, 3, padding=1), nn.Conv2d(width, width, 3, padding=1)
    return nn.Sequential(convolutions[0], nn.ReLU(), convolutions[1], nn.BatchNorm2d(width), nn.ReLU(), last)
