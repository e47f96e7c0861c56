"""DICDNet (Wang et al., IEEE TMI 2022): an unfolded separation of image and artifact, whose dictionary is learned."""

from __future__ import annotations

from marbench.toolbox.separation import SeparatingMethod

from .network import DictionaryNetwork


class DICDNet(SeparatingMethod):
    """Separates with one dictionary for all images."""

    maps: int

    def make_network(self) -> DictionaryNetwork:
        """Return the network."""
        return DictionaryNetwork(self.stages, self.blocks, self.maps, self.channels, self.image_rate)
