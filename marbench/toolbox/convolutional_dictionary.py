"""Images with metal artifacts as image plus convolutional dictionary: the iteration that separates them, unfolded.

Outside metal the uncorrected image is Y = X + A, and the artifact A = Σₙ Cₙ ∗ Mₙ is made of few filters Cₙ and of
sparse maps Mₙ of where they lie (H. Wang et al., DICDNet, IEEE Trans. Med. Imaging 41 (2022) 869–880).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import nn
from torch.nn import functional

from marbench.ct.operators import Operators
from marbench.tensors import as_mask, check_alike, check_batch, check_real
from marbench.toolbox.interpolation import linear_interpolation
from marbench.toolbox.unfolding import Lifting, ProximalNetwork, hu_to_levels, replace_variable, variable

__all__ = [
    "FILTER_SIZE",
    "FILTER_UNIT",
    "Beginning",
    "Scene",
    "Separation",
    "Stage",
    "Unfolding",
    "analyze",
    "scene_of",
    "smooth_filters",
    "synthesize",
]

FILTER_SIZE = 9
# Filters enter divided by this, "to control the update speed"; the step lengths below are meant likewise.
FILTER_UNIT = 10.0
STEP_UNIT = 10.0
# In the paper absolute errors are sums over 16 patches of 64² pixels, with weight 5e-4; as means they have this one.
_ABSOLUTE = 5e-4 * 16 * 64**2


@dataclass(frozen=True, eq=False)
class Scene:
    """What is to be separated; all ``(batch, 1, rows, columns)``, in grey levels.

    Attributes
    ----------
    measured : Tensor
        Y, the uncorrected image.
    start : Tensor
        The image to begin with, X_LI.
    outside : float Tensor
        I: 1 where there is no metal, 0 where there is.
    """

    measured: torch.Tensor
    start: torch.Tensor
    outside: torch.Tensor


@dataclass(frozen=True, eq=False)
class Separation:
    """Where the iteration stands.

    Attributes
    ----------
    lifted : Tensor ``(batch, 1 + auxiliaries, rows, columns)``
        X and its auxiliary channels.
    maps : Tensor ``(batch, maps, rows, columns)``
        M.
    artifact : Tensor ``(batch, 1, rows, columns)``
        A; before the first stage nothing.
    """

    lifted: torch.Tensor
    maps: torch.Tensor
    artifact: torch.Tensor

    @property
    def image(self) -> torch.Tensor:
        """X, ``(batch, 1, rows, columns)``."""
        return variable(self.lifted)


@dataclass(frozen=True, eq=False)
class Unfolding:
    """The image that comes out, and what is learned from on the way: (weight, estimate) of X and of A.

    Attributes
    ----------
    image : Tensor ``(batch, 1, rows, columns)``
    images, artifacts : lists of (float, Tensor)
    """

    image: torch.Tensor
    images: list[tuple[float, torch.Tensor]] = field(default_factory=list)
    artifacts: list[tuple[float, torch.Tensor]] = field(default_factory=list)

    def loss(self, measured: torch.Tensor, truth: torch.Tensor, outside: torch.Tensor) -> torch.Tensor:
        """Return Σ w (‖X − X*‖² + c ‖X − X*‖₁) + Σ w c ‖A − (Y − X*)‖₁, means over the pixels outside metal.

        c = 32.8 equals the paper's sums over 16 patches of 64² pixels.
        """
        image_errors = [(weight, outside * (x - truth)) for weight, x in self.images]
        artifact_errors = [(weight, outside * (a - (measured - truth))) for weight, a in self.artifacts]
        terms = [weight * error.square().sum() for weight, error in image_errors]
        terms += [_ABSOLUTE * weight * error.abs().sum() for weight, error in image_errors + artifact_errors]
        return torch.stack(terms).sum() / outside.sum().clamp(min=1)


class Beginning(nn.Module):
    """X₀ from X_LI, and M₁ = prox(C₀ᵀ ReLU(I(Y − X₀) − τ)) from what X₀ leaves unexplained.

    Parameters
    ----------
    maps, auxiliaries, blocks : int
    threshold : float
        At which the maps' thresholds begin.
    """

    def __init__(self, maps: int, auxiliaries: int, blocks: int, threshold: float) -> None:
        super().__init__()
        self.lifting = Lifting(auxiliaries, blocks)
        self.filters = smooth_filters(maps)
        self.threshold = nn.Parameter(torch.ones(()))
        self.network = ProximalNetwork(maps, blocks, threshold)

    def forward(self, scene: Scene) -> Separation:
        """Return X₀ and M₁; there is no artifact yet."""
        lifted = self.lifting(scene.start)
        unexplained = scene.outside * (scene.measured - variable(lifted))
        maps = self.network(analyze(torch.relu(unexplained - self.threshold), self.filters / FILTER_UNIT))
        return Separation(lifted, maps, torch.zeros_like(scene.measured))


class Stage(nn.Module):
    """One iteration: a step of the maps, unless they are new, then a step of the image.

    M ← prox(M − η_M/10 Cᵀ I(A − (Y − X)));  A = Σₙ Cₙ ∗ Mₙ;  X ← prox(X − η_X/10 I(X − (Y − A)))

    Parameters
    ----------
    maps, auxiliaries, blocks : int
    threshold, rate : float
        At which the maps' thresholds and η_X begin.
    moves_maps : bool
        Whether there is a step of the maps.
    """

    def __init__(
        self, maps: int, auxiliaries: int, blocks: int, threshold: float, rate: float, *, moves_maps: bool = True
    ) -> None:
        super().__init__()
        self.image_rate = nn.Parameter(torch.tensor(rate))
        self.image_network = ProximalNetwork(1 + auxiliaries, blocks)
        self.maps_network: ProximalNetwork | None = None
        if moves_maps:
            self.maps_rate = nn.Parameter(torch.tensor(1.0))
            self.maps_network = ProximalNetwork(maps, blocks, threshold)

    def forward(self, scene: Scene, now: Separation, filters: torch.Tensor) -> Separation:
        """Return what follows ``now`` under filters ``(1 or batch, maps, size, size)``."""
        maps, x = now.maps, now.image
        if self.maps_network is not None:
            misfit = scene.outside * (synthesize(maps, filters) - (scene.measured - x))
            maps = self.maps_network(maps - self.maps_rate / STEP_UNIT * analyze(misfit, filters))
        artifact = synthesize(maps, filters)
        x = x - self.image_rate / STEP_UNIT * scene.outside * (x - (scene.measured - artifact))
        return Separation(self.image_network(replace_variable(now.lifted, x)), maps, artifact)


def scene_of(
    operators: Operators,
    sinogram: torch.Tensor,
    trace: torch.Tensor,
    image: torch.Tensor,
    metal_mask: torch.Tensor,
) -> Scene:
    """Return the uncorrected image and the LI image in grey levels, and where there is no metal.

    Parameters
    ----------
    operators : Operators
    sinogram : Tensor ``(batch, views, bins)``
    trace : bool Tensor, same shape
    image : Tensor ``(batch, rows, columns)``
        HU.
    metal_mask : bool Tensor, same shape

    Raises
    ------
    DataError
        As `linear_interpolation`, or image or mask is not as described.
    """
    check_batch(check_real(image, "image"), "image", "batch, rows, columns")
    metal_mask = as_mask(metal_mask, "metal_mask")
    check_alike(metal_mask, image, "metal_mask and image")
    start = operators.reconstruct(linear_interpolation(sinogram, trace))
    measured, begun = hu_to_levels(torch.stack([image, start]), operators.water)[..., None, :, :].unbind()
    return Scene(measured, begun, (~metal_mask)[:, None].to(measured.dtype))


def smooth_filters(count: int) -> nn.Parameter:
    """Return random filters ``(1, count, 9, 9)`` of norm 1 under a Gaussian window, to be learned."""
    axis = torch.arange(FILTER_SIZE) - FILTER_SIZE // 2
    window = torch.exp(-(axis[:, None] ** 2 + axis**2) / (2 * 2.0**2))
    filters = torch.randn(count, FILTER_SIZE, FILTER_SIZE) * window
    return nn.Parameter((filters / filters.flatten(1).norm(dim=1)[:, None, None])[None])


def synthesize(maps: torch.Tensor, filters: torch.Tensor) -> torch.Tensor:
    """Return Σₙ Cₙ ∗ Mₙ, zero outside the image.

    Parameters
    ----------
    maps : Tensor ``(batch, maps, rows, columns)``
    filters : Tensor ``(1 or batch, maps, size, size)``
        Of odd size; one set for all images, or one for each.

    Returns
    -------
    Tensor ``(batch, 1, rows, columns)``
    """
    size = filters.shape[-1]
    # The products with all taps, as matrices, then shifted and added: one output channel starves a convolution.
    products = torch.bmm(_for_each(filters, maps).mT, maps.flatten(2))
    # Under autocast the products are rounded, and so are filters that are products themselves; the sum is not.
    products = products.to(torch.promote_types(filters.dtype, torch.float32))
    return functional.fold(products, maps.shape[-2:], size, padding=size // 2)


def analyze(image: torch.Tensor, filters: torch.Tensor) -> torch.Tensor:
    """Apply the adjoint of `synthesize`: ``(batch, 1, rows, columns)`` → ``(batch, maps, rows, columns)``."""
    size = filters.shape[-1]
    windows = functional.unfold(image, size, padding=size // 2)
    rows, columns = image.shape[-2:]
    return torch.bmm(_for_each(filters, image), windows).reshape(len(image), -1, rows, columns)


def _for_each(filters: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
    """Return the filters of every image, ``(batch, maps, size²)``, without a copy of shared ones.

    `torch.matmul` makes one large product of shared filters and all images, and copies both for it: that took a quarter
    of the time of training DICDNet.
    """
    return filters.flatten(2).expand(len(images), -1, -1)
