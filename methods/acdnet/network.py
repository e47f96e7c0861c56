"""The network of ACDNet: one dictionary for all images, and for each image the weights that make its filters of it."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from marbench.toolbox.convolutional_dictionary import (
    FILTER_UNIT,
    Beginning,
    Scene,
    Separation,
    Stage,
    Unfolding,
    analyze,
    smooth_filters,
)
from marbench.toolbox.unfolding import ProximalNetwork, variable

SPARSITY = 1.5
# The gradient is a sum over pixels: as a mean, and by this much less, it has the size of the weights.
WEIGHT_UNIT = 50.0


class AdaptiveNetwork(nn.Module):
    """Separates image and artifact: two stages with filters of their own, then stages with A = (K D) ∗ M.

    With 10 stages, 3 blocks, 6 maps, 32 atoms and 32 auxiliaries it has 1,602,809 parameters, the published number.

    Parameters
    ----------
    stages, blocks, maps, atoms, auxiliaries : int
    rate : float
        η_X, to begin with.
    """

    def __init__(self, stages: int, blocks: int, maps: int, atoms: int, auxiliaries: int, rate: float) -> None:
        super().__init__()
        sizes = maps, auxiliaries, blocks, SPARSITY
        self.beginning = Beginning(*sizes)
        self.first, self.second = Stage(*sizes, rate, moves_maps=False), Stage(*sizes, rate)
        self.convert = nn.Sequential(*(_identity(maps) for _ in range(2)))
        self.atoms = smooth_filters(atoms)
        self.threshold = nn.Parameter(torch.zeros(()))
        self.weights = nn.ModuleList(WeightStep(maps, atoms) for _ in range(stages))
        self.stages = nn.ModuleList(Stage(*sizes, rate) for _ in range(stages))
        self.retouch = ProximalNetwork(1 + auxiliaries, blocks)

    def forward(self, scene: Scene) -> Unfolding:
        """Return the image and all that is learned from."""
        own, atoms = self.beginning.filters / FILTER_UNIT, self.atoms / FILTER_UNIT
        now = self.beginning(scene)
        first = self.first(scene, now, own)
        second = self.second(scene, first, own)
        images = [(0.1, now.image), (0.1, first.image), (1.0, second.image)]
        artifacts = [(0.1, first.artifact), (1.0, second.artifact)]
        now = Separation(second.lifted, self.convert(torch.relu(second.maps)), second.artifact)
        weights: torch.Tensor | None = None
        for update, stage in zip(self.weights, self.stages, strict=True):
            weights = update(weights, now.maps, self._misfit(scene, now, weights), atoms)
            now = stage(scene, now, combine(weights, atoms))
            images.append((0.1, now.image))
            artifacts.append((0.1, now.artifact))
        result = variable(self.retouch(now.lifted))
        return Unfolding(result, [*images, (1.0, result)], [*artifacts, (1.0, now.artifact)])

    def _misfit(self, scene: Scene, now: Separation, weights: torch.Tensor | None) -> torch.Tensor:
        """Return I(Y − X − A): what the weights should explain; before there are any, I(Y − X) beyond a threshold."""
        unexplained = scene.outside * (scene.measured - now.image)
        if weights is None:
            return unexplained.sign() * torch.relu(unexplained.abs() - self.threshold)
        return unexplained - scene.outside * now.artifact


class WeightStep(nn.Module):
    """K ← prox(K + η/(50 n) ⟨D ∗ M, I(Y − X − A)⟩): one step of the weights, n being the number of pixels.

    The proximal network is a residual block of two layers; its result is not negative, and every map's weights have
    norm 1. Without weights the step begins at 0.

    Parameters
    ----------
    maps, atoms : int
    """

    def __init__(self, maps: int, atoms: int) -> None:
        super().__init__()
        count = maps * atoms
        self.rate = nn.Parameter(torch.tensor(5.0))
        self.layers = nn.Sequential(nn.Linear(count, count), nn.ReLU(), nn.Linear(count, count))
        self.threshold = nn.Parameter(torch.zeros(maps, atoms))

    def forward(
        self, weights: torch.Tensor | None, maps: torch.Tensor, misfit: torch.Tensor, atoms: torch.Tensor
    ) -> torch.Tensor:
        """Return new weights ``(batch, maps, atoms)``."""
        # ⟨D ∗ M, E⟩ = ⟨M, Dᵀ E⟩, which needs no image for each pair of map and atom.
        gradient = maps.flatten(2) @ analyze(misfit, atoms).flatten(2).mT
        step = self.rate / (WEIGHT_UNIT * misfit[0].numel()) * gradient
        moved = (step if weights is None else weights + step).flatten(1)
        found = torch.relu(moved + self.layers(moved)).view_as(gradient)
        return functional.normalize(torch.relu(found - self.threshold), dim=2, eps=1e-6)


def combine(weights: torch.Tensor, atoms: torch.Tensor) -> torch.Tensor:
    """Return the filters K D: ``(batch, maps, atoms)``, ``(1, atoms, size, size)`` → ``(batch, maps, size, size)``."""
    return (weights.to(atoms.dtype) @ atoms[0].flatten(1)).unflatten(2, atoms.shape[2:])


def _identity(maps: int) -> nn.Conv2d:
    convolution = nn.Conv2d(maps, maps, 1, bias=False)
    nn.init.dirac_(convolution.weight)
    return convolution
