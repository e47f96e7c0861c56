"""OSCNet and OSCNet+ (Wang et al., MICCAI 2022, IEEE TMI 2024): DICDNet with filters that come in all rotations."""

from __future__ import annotations

from marbench.toolbox.separation import SeparatingMethod

from .network import OrientedNetwork


class OSCNet(SeparatingMethod):
    """Separates with filters in several orientations; with ``plus`` they follow the image."""

    filters: int
    plus: bool

    def make_network(self) -> OrientedNetwork:
        """Return the network."""
        return OrientedNetwork(self.stages, self.blocks, self.filters, self.channels, self.image_rate, self.plus)
