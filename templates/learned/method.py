"""A method that learns: ``marbench train`` does the rest."""

from collections.abc import Iterator

import torch
from torch import nn

from marbench import Batch, Context, LearnedMethod, Objective, Scan
from marbench.toolbox.interpolation import linear_interpolation


class MyMethod(LearnedMethod):
    """What stands in ``[parameters]`` of method.toml and is annotated here is an attribute of this type."""

    width: int
    learning_rate: float

    def build(self, context: Context) -> None:
        """Create the network; it begins as no correction."""
        self.context = context
        first, last = nn.Conv2d(1, self.width, 3, padding=1), nn.Conv2d(self.width, 1, 3, padding=1)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        middle = nn.Conv2d(self.width, self.width, 3, padding=1)
        self.network = nn.Sequential(first, nn.ReLU(), middle, nn.ReLU(), last).to(context.device)

    def networks(self) -> dict[str, nn.Module]:
        """Return what a weights file holds."""
        return {"image": self.network}

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Return Adam, at its largest learning rate."""
        return {"adam": torch.optim.Adam(self.network.parameters(), self.learning_rate)}

    def objectives(self, batch: Batch) -> Iterator[Objective]:
        """Yield the mean absolute error outside of metal, in 1000 HU."""
        error = (self.reduce(batch.scan) - batch.truth.image).abs() / 1000
        loss = error[~batch.truth.metal].mean()
        yield Objective("adam", loss, {"l1": loss.detach()})

    def reduce(self, scan: Scan) -> torch.Tensor:
        """Return HU, ``(batch, rows, columns)``, on the device of the scan."""
        image = self.context.operators.reconstruct(linear_interpolation(scan.sinogram, scan.metal_trace))
        return image + 1000 * self.network(image[:, None] / 1000)[:, 0].to(image.dtype)
