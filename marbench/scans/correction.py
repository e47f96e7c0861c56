r"""From a slice with metal to a scan that methods take, and from their image back to the slice.

A slice x is averaged onto the grid of a benchmark (D) and projected (P); the sinogram s = P D x, in which nothing is
measured anew, is what methods get, with its reconstruction u = R s. From a method's image c the slice becomes ::

    y = x + U (c − u − β k)   outside the metal,    y = x   within it

U is interpolation by cubic splines from the grid back to the pixels of the slice. What is added is a difference of two
images on one grid, so that averaging, projection and reconstruction, which blur both alike, blur nothing of x: a method
that changes nothing, c = u, gives back x.

k = R P D m is what the metal itself leaves on the grid, m being what metal and its blurred edge add to their
surroundings. Methods may take the metal out of their image, as most do, or leave it; either is not scored. Without k
the difference would hold a hole of thousands of HU, smeared over pixels of the grid that are larger than those of the
slice, and a dark rim would surround the metal that is put back. β is how much of the metal the method took or left,
by least squares over the pixels that hold metal: β = ⟨c − u, k⟩ / ⟨k, k⟩.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from marbench.anatomy.resample import Placement, averaged, interpolated, placement_of
from marbench.cases.case import Case, Scan
from marbench.cases.info import CaseInfo, CaseKey
from marbench.cases.scanner import operators_of
from marbench.ct.operators import Operators
from marbench.errors import DataError
from marbench.physics.materials import relative_attenuation
from marbench.scans.series import Change, Picture
from marbench.spec import Spec

__all__ = ["MetalSlice", "Reprojector"]

EDGE_CM = 0.15
"""How far the blurred edge of metal reaches beyond its threshold: the point spread of scanners has half that width."""

LIGHTEST_METAL = "titanium"
"""What a ray must meet as much of as a benchmark's metal trace asks. Other implants weaken it more."""

Image = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class MetalSlice:
    """A slice on the grid of a benchmark.

    Attributes
    ----------
    picture : Picture
    metal : bool array
        In the pixels of the picture.
    place : Placement
        How the picture lies on the grid.
    scan : Scan
        Batch of one.
    imprint : float32 array ``grid.shape``
        k: what the metal itself leaves on the grid, HU.
    coverage : float32 array ``grid.shape``
        Share of each pixel that metal covers.
    beyond : float
        Share of the metal that lies beyond the grid.
    """

    picture: Picture
    metal: NDArray[np.bool_]
    place: Placement
    scan: Scan
    imprint: Image
    coverage: Image
    beyond: float

    def case(self, name: str) -> Case:
        """Return the slice as a case without truth."""
        key = CaseKey(name, "patient", name, "metal", 1)
        pixels, native = int(self.scan.metal_mask.sum()), self.picture.native
        area = 100 * float(self.metal.sum()) * native.spacing[0] * native.spacing[1]
        return Case(self.scan, None, CaseInfo(key, pixels, area, (), native.region, native.window))


class Reprojector:
    """Puts slices onto the grid of a benchmark and takes images back from it.

    Parameters
    ----------
    spec : Spec
        Its geometry, grid, reconstruction and ``anatomy.fit`` count, and ``metals.trace_threshold``.
    device : torch.device
    """

    def __init__(self, spec: Spec, device: torch.device) -> None:
        self.spec, self.device = spec, device

    @cached_property
    def operators(self) -> Operators:
        """The projector and the inversion."""
        return operators_of(self.spec)

    def prepare(self, picture: Picture, metal: NDArray[np.bool_]) -> MetalSlice:
        """Return a slice as methods take it.

        Raises
        ------
        DataError
            The metal lies outside the field of view.
        """
        native, grid = picture.native, self.spec.grid
        place = placement_of(native.image, native.spacing, grid, self.spec.anatomy.fit)
        if picture.sinogram is not None:
            # What was reconstructed on the grid lies on it, wherever the body is.
            place = Placement(native.spacing, ((grid.rows - 1) / 2, (grid.columns - 1) / 2))
        coverage = averaged(metal.astype(np.float32), place, grid, around=0.0)
        if not coverage.any():
            raise DataError("its metal lies outside the field of view")
        excess = averaged(_excess(native.image, metal, native.spacing), place, grid, around=0.0)
        if picture.sinogram is None:
            sinogram = self._project(averaged(native.image, place, grid))
        else:
            sinogram = torch.from_numpy(picture.sinogram)[None].to(self.device)
        mask = torch.from_numpy(_pieces(metal, coverage, place, grid.shape))[None].to(self.device)
        scan = Scan(sinogram, mask, self._trace(coverage), self.operators.reconstruct(sinogram))
        # `excess` is a difference of HU, so that water enters neither way: 1 HU is µ_w / 1000.
        scale = self.operators.water / 1000
        imprint = self.operators.inversion(self.operators.project_mu(self._tensor(excess) * scale)) / scale
        within = float(coverage.sum()) * grid.pixel**2 / (float(metal.sum()) * place.spacing[0] * place.spacing[1])
        return MetalSlice(picture, metal, place, scan, _array(imprint), coverage, max(0.0, 1 - within))

    def change(self, prepared: MetalSlice, corrected: Image) -> Change:
        """Return U (c − u − β k), 0 in metal and padding."""
        difference = corrected - _array(prepared.scan.image)
        within = prepared.coverage > 0
        metal = prepared.imprint[within]
        taken = float(np.vdot(difference[within], metal) / max(np.vdot(metal, metal), 1.0))
        rest = difference - taken * prepared.imprint
        change = interpolated(rest, prepared.place, self.spec.grid, prepared.metal.shape)
        change[prepared.metal | prepared.picture.outside] = 0
        return change

    def residual(self, prepared: MetalSlice, corrected: Image) -> tuple[Image, float]:
        """Return P D y − s, 0 within the metal trace, and how large it is: ‖P D y − s‖ / ‖s‖ outside the trace.

        Parameters
        ----------
        prepared : MetalSlice
        corrected : array
            y, in the pixels of the picture.
        """
        measured = prepared.scan.sinogram
        again = self._project(averaged(corrected, prepared.place, self.spec.grid))
        outside = ~prepared.scan.metal_trace
        difference = (again - measured) * outside
        share = float(difference.norm() / (measured * outside).norm().clamp(min=1e-6))
        return _array(difference), share

    def _project(self, image: Image) -> torch.Tensor:
        return self.operators.project(self._tensor(image))

    def _tensor(self, image: Image) -> torch.Tensor:
        return torch.from_numpy(image)[None].to(self.device)

    def _trace(self, coverage: Image) -> torch.Tensor:
        """Return the rays that the lightest metal would weaken by more than the benchmark's trace threshold."""
        physics = self.spec.physics
        metal = self.spec.material(LIGHTEST_METAL)
        _, attenuation = relative_attenuation(metal, physics.beam.energies, physics.reference_kev)
        integrals = self.operators.project_mu(self._tensor(coverage) * attenuation)
        return integrals > self.spec.metals.trace_threshold


def _excess(image: Image, metal: NDArray[np.bool_], spacing: tuple[float, float]) -> Image:
    """Return what metal and its blurred edge have more than the nearest pixel that is neither."""
    bright = ndimage.distance_transform_edt(~metal, sampling=spacing) <= EDGE_CM
    nearest = ndimage.distance_transform_edt(bright, sampling=spacing, return_distances=False, return_indices=True)
    return np.asarray(np.where(bright, np.maximum(image - image[tuple(nearest)], 0), 0), dtype=np.float32)


def _pieces(metal: NDArray[np.bool_], coverage: Image, place: Placement, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Return the pixels of the grid that are at least half metal, and of every smaller piece the one it covers most."""
    mask = coverage >= 0.5
    labels, count = ndimage.label(coverage > 0, structure=np.ones((3, 3)))
    for piece in range(1, count + 1):
        here = labels == piece
        if not (mask & here).any():
            mask[np.unravel_index(np.argmax(np.where(here, coverage, 0)), shape)] = True
    return mask


def _array(tensor: torch.Tensor) -> Image:
    """Return the only item of a batch."""
    return np.asarray(tensor[0].cpu().numpy(), dtype=np.float32)
