"""ACDNet (Wang et al., IJCAI 2022): DICDNet whose filters adapt to every image."""

from __future__ import annotations

from marbench.toolbox.separation import SeparatingMethod

from .network import AdaptiveNetwork


class ACDNet(SeparatingMethod):
    """Separates with filters that are mixed anew for every image."""

    maps: int
    atoms: int

    def make_network(self) -> AdaptiveNetwork:
        """Return the network."""
        return AdaptiveNetwork(self.stages, self.blocks, self.maps, self.atoms, self.channels, self.image_rate)
