"""The network of OSCNet and OSCNet+: the dictionary of DICDNet, of filters that are rotated copies of a few."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from marbench.toolbox.convolutional_dictionary import FILTER_SIZE, FILTER_UNIT, Beginning, Scene, Stage, Unfolding
from marbench.toolbox.unfolding import ProximalNetwork, variable

SPARSITY = 0.5
ROTATIONS = 8
# Fourier series with 5 frequencies each way; of the 50 cosines and sines 25 differ.
HIGHEST_FREQUENCY = 2
FUNCTIONS = (2 * HIGHEST_FREQUENCY + 1) ** 2


class OrientedNetwork(nn.Module):
    """Separates image and artifact in stages; a last network retouches the image.

    With 10 stages, 3 blocks, 4 filters in 8 rotations and 32 auxiliaries it has 1,274,841 parameters, or 1,276,215
    where it predicts the filters.

    Parameters
    ----------
    stages, blocks, filters, auxiliaries : int
    rate : float
        η_X, to begin with.
    predicts : bool
        Whether the filters are predicted from every image, before every stage: OSCNet+.
    """

    def __init__(self, stages: int, blocks: int, filters: int, auxiliaries: int, rate: float, predicts: bool) -> None:
        super().__init__()
        maps = filters * ROTATIONS
        self.beginning = Beginning(maps, auxiliaries, blocks, SPARSITY)
        self.coefficients = Predicted(filters) if predicts else Learned(filters)
        self.offset = nn.Parameter(torch.zeros(()))  # what all filters add to an artifact
        self.stages = nn.ModuleList(
            Stage(maps, auxiliaries, blocks, SPARSITY, rate, moves_maps=number > 0) for number in range(stages)
        )
        self.retouch = ProximalNetwork(1 + auxiliaries, blocks)
        # Not in the weights: it is no choice.
        self.register_buffer("basis", rotated_basis(), persistent=False)

    def forward(self, scene: Scene) -> Unfolding:
        """Return the image and all that is learned from."""
        now = self.beginning(scene)
        images, artifacts = [(0.1, now.image)], []
        # To add a constant to A or to subtract it from Y is the same: only A − (Y − X) counts.
        scene = Scene(scene.measured - self.offset, scene.start, scene.outside)
        for stage in self.stages:
            filters = rotate(self.coefficients(now.image, scene.measured), self.basis)
            now = stage(scene, now, filters / FILTER_UNIT)
            images.append((0.1, now.image))
            artifacts.append((0.1, now.artifact + self.offset))
        result = variable(self.retouch(now.lifted))
        return Unfolding(result, [*images, (1.0, result)], [*artifacts, (1.0, artifacts[-1][1])])


class Learned(nn.Module):
    """Coefficients of the filters, the same for all images: OSCNet."""

    def __init__(self, filters: int) -> None:
        super().__init__()
        # Variance 2 / FUNCTIONS, as for a layer before a ReLU.
        self.values = nn.Parameter((2 * torch.rand(1, filters, FUNCTIONS) - 1) * (6 / FUNCTIONS) ** 0.5)

    def forward(self, image: torch.Tensor, measured: torch.Tensor) -> torch.Tensor:
        """Return ``(1, filters, FUNCTIONS)``, whatever the images."""
        return self.values


class Predicted(nn.Module):
    """Coefficients of the filters by three convolutions without activations, their mean, a layer: OSCNet+."""

    def __init__(self, filters: int) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(*(nn.Conv2d(before, 6, 3, padding=1) for before in (2, 6, 6)))
        self.layer = nn.Linear(6, filters * FUNCTIONS)

    def forward(self, image: torch.Tensor, measured: torch.Tensor) -> torch.Tensor:
        """Return ``(batch, filters, FUNCTIONS)``, of norm 1 for every filter."""
        features = self.convolutions(torch.cat([image, measured], dim=1)).mean(dim=(2, 3))
        coefficients = torch.relu(self.layer(features)).unflatten(1, (-1, FUNCTIONS))
        return functional.normalize(coefficients, dim=2, eps=1e-6)


def rotate(coefficients: torch.Tensor, basis: torch.Tensor) -> torch.Tensor:
    """Return all rotations of filters: ``(n, filters, FUNCTIONS)`` → ``(n, filters · ROTATIONS, size, size)``."""
    filters = coefficients.to(basis.dtype) @ basis.flatten(1)
    return filters.unflatten(2, basis.shape[1:]).flatten(1, 2)


def rotated_basis() -> torch.Tensor:
    """Return cosines and sines on a disc with a soft edge, in all rotations, ``(FUNCTIONS, ROTATIONS, size, size)``.

    They are made orthonormal, over all rotations together, with the least change of each (Löwdin); the principal
    components of the paper span the same, but two of the same variance are in no certain order.

    References
    ----------
    Q. Xie et al., "Fourier Series Expansion Based Filter Parametrization for Equivariant Convolutions", IEEE Trans.
    Pattern Anal. Mach. Intell. 45 (2023) 4537–4551.
    """
    axis = np.linspace(-1, 1, FILTER_SIZE)
    x, y = np.meshgrid(axis, axis)
    angle = 2 * np.pi * np.arange(ROTATIONS)[:, None, None] / ROTATIONS
    turned_x, turned_y = np.cos(angle) * x - np.sin(angle) * y, np.sin(angle) * x + np.cos(angle) * y
    edge = np.exp(-np.maximum(x**2 + y**2 - 1, 0) / 0.2)
    step, top = np.pi * (1 - 1 / (2 * HIGHEST_FREQUENCY + 1)), HIGHEST_FREQUENCY
    waves = [(k, n) for k in range(top + 1) for n in range(-top, top + 1) if k > 0 or n >= 0]  # −(k, n) is the same
    phases = [step * (k * turned_x + n * turned_y) for k, n in waves]
    functions = np.stack([np.cos(phase) for phase in phases] + [np.sin(phase) for phase in phases[1:]]) * edge
    flat = functions.reshape(FUNCTIONS, -1)
    values, vectors = np.linalg.eigh(flat @ flat.T)
    orthonormal = vectors @ np.diag(values**-0.5) @ vectors.T @ flat
    return torch.from_numpy(orthonormal.reshape(functions.shape)).float()
