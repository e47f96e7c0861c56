"""Completion of the sinogram by sparsity in an undecimated wavelet frame, guided by a prior (Mehranian, 2013)."""

import torch

from marbench import Method, Scan
from marbench.toolbox.guides import tissue_guide
from marbench.toolbox.interpolation import normalized_interpolation


class GuidedWaveletCompletion(Method):
    """Fills the trace so that few coefficients of the sinogram are large, where the prior has no detail.

    From NMAR on, u ← p + T(W*H(Wu) − p), T being the trace, again and again. W is the undecimated Haar frame, W* its
    adjoint and inverse. H sets details below tₖ·s/(|Wq| + s) to zero, q being the projection of the NMAR prior, and tₖ
    falls from step to step, by the same factor. Frame, weights and ℓ0 are those of A. Mehranian et al., IEEE Trans.
    Med. Imaging 32 (2013) 1707–1722, who split the problem after Douglas and Rachford.
    """

    levels: int
    steps: int
    first: float
    last: float
    scale: float

    def reduce(self, scan: Scan) -> torch.Tensor:
        """Return the reconstruction of the sinogram after the last step."""
        operators, trace = self.context.operators, scan.metal_trace
        guide = tissue_guide(operators, scan.sinogram, trace, scan.metal_mask)
        sinogram = normalized_interpolation(scan.sinogram, trace, guide)
        expected, _ = analyse(self._extended(guide), self.levels)
        # Thresholds were chosen on mini, where 7.86432 is the line integral of water across the image.
        thick = operators.water * max(self.context.grid.field_of_view) / 7.86432
        first, last, scale = self.first * thick, self.last * thick, self.scale * thick
        weights = [scale / (each.abs() + scale) for each in expected]
        for step in range(self.steps):
            threshold = first * (last / first) ** (step / max(1, self.steps - 1))
            details, rest = analyse(self._extended(sinogram), self.levels)
            sparse = [each * (each.abs() > threshold * weight) for each, weight in zip(details, weights, strict=True)]
            views, bins = sinogram.shape[1:]
            sinogram = torch.where(trace, synthesise(sparse, rest)[:, :views, :bins], scan.sinogram)
        return operators.reconstruct(sinogram)

    def _extended(self, sinogram: torch.Tensor) -> torch.Tensor:
        """Mirror the detector at its end, and the views too unless they are a circle: the frame wraps round."""
        wide = torch.cat([sinogram, sinogram.flip(-1)], dim=-1)
        return wide if self.context.geometry.is_circle else torch.cat([wide, wide.flip(-2)], dim=-2)


def analyse(image: torch.Tensor, levels: int) -> tuple[list[torch.Tensor], torch.Tensor]:
    """Return Wx: of every level the three details ``(3, batch, rows, columns)``, and the mean that is left."""
    details = []
    for level in range(levels):
        low, high = _split(image, 2**level, -2)
        image, across = _split(low, 2**level, -1)
        details.append(torch.stack([across, *_split(high, 2**level, -1)]))
    return details, image


def synthesise(details: list[torch.Tensor], image: torch.Tensor) -> torch.Tensor:
    """Return W*c, which is x for c = Wx."""
    for level, (across, down, diagonal) in reversed(list(enumerate(details))):
        low, high = _join(image, across, 2**level, -1), _join(down, diagonal, 2**level, -1)
        image = _join(low, high, 2**level, -2)
    return image


def _split(image: torch.Tensor, shift: int, axis: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return half the sum and half the difference of pixels some way apart."""
    moved = image.roll(-shift, axis)
    return (image + moved) / 2, (image - moved) / 2


def _join(low: torch.Tensor, high: torch.Tensor, shift: int, axis: int) -> torch.Tensor:
    """Apply the adjoint of `_split`."""
    return (low + high + (low - high).roll(shift, axis)) / 2
