"""The network of DICDNet."""

from __future__ import annotations

from torch import nn

from marbench.toolbox.convolutional_dictionary import (
    FILTER_UNIT,
    Beginning,
    Scene,
    Stage,
    Unfolding,
    smooth_filters,
)
from marbench.toolbox.unfolding import ProximalNetwork, variable

SPARSITY = 0.5


class DictionaryNetwork(nn.Module):
    """Separates image and artifact in stages that share one dictionary; a last network retouches the image.

    With 10 stages, 3 blocks, 32 maps and 32 auxiliaries it has 1,277,332 parameters.

    Parameters
    ----------
    stages, blocks, maps, auxiliaries : int
    rate : float
        η_X, to begin with.
    """

    def __init__(self, stages: int, blocks: int, maps: int, auxiliaries: int, rate: float) -> None:
        super().__init__()
        self.beginning = Beginning(maps, auxiliaries, blocks, SPARSITY)
        self.filters = smooth_filters(maps)
        # The first stage finds new maps: there is nothing to move.
        self.stages = nn.ModuleList(
            Stage(maps, auxiliaries, blocks, SPARSITY, rate, moves_maps=number > 0) for number in range(stages)
        )
        self.retouch = ProximalNetwork(1 + auxiliaries, blocks)

    def forward(self, scene: Scene) -> Unfolding:
        """Return the image and all that is learned from."""
        now = self.beginning(scene)
        images, artifacts = [(0.1, now.image)], []
        for stage in self.stages:
            now = stage(scene, now, self.filters / FILTER_UNIT)
            images.append((0.1, now.image))
            artifacts.append((0.1, now.artifact))
        result = variable(self.retouch(now.lifted))
        return Unfolding(result, [*images, (1.0, result)], [*artifacts, (1.0, now.artifact)])
