"""From anatomy, metal, physics and geometry to sinograms: the scanner of a benchmark."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from marbench.anatomy.slices import Slice
from marbench.cases.measurement import Measurement
from marbench.cases.scanner import operators_of
from marbench.errors import DataError
from marbench.machine.devices import device_of
from marbench.masks import area_fractions
from marbench.physics.hounsfield import hu_to_mu, split_tissue
from marbench.physics.materials import relative_attenuation
from marbench.spec import Spec

__all__ = ["MetalFree", "Simulator"]

_TISSUES = ("water", "bone")


@dataclass(frozen=True, eq=False)
class MetalFree:
    """A slice and its scan without metal, shared by all cases of the slice.

    Attributes
    ----------
    slice : Slice
    water, bone : Tensor ``(rows, columns)``
        Attenuation in 1/cm of the two parts of tissue.
    paths : Tensor ``(2, views, bins)``
        Their line integrals at the reference energy.
    polychromatic : Tensor ``(views, bins)``
        Noise-free polychromatic line integrals, against those of air.
    """

    slice: Slice
    water: torch.Tensor
    bone: torch.Tensor
    paths: torch.Tensor
    polychromatic: torch.Tensor


class Simulator:
    """The scanner of a benchmark: what is in the image is projected, and the rays are measured."""

    def __init__(self, spec: Spec, device: torch.device | str = "cpu") -> None:
        self.spec = spec
        self.device = device_of(device)
        self.operators = operators_of(spec)
        self.beam = spec.physics.beam
        self.measurement = Measurement(spec, self.device)

    def without_metal(self, slice_: Slice) -> MetalFree:
        """Project a slice as it is."""
        physics = self.spec.physics
        image = torch.from_numpy(slice_.image).to(self.device)
        mu = hu_to_mu(image, physics.water_attenuation)
        if physics.tissue == "water":
            water, bone = mu.clamp(min=0), torch.zeros_like(mu)
        else:
            water, bone = split_tissue(mu, physics.water_attenuation)
        paths = self._project(torch.stack([water, bone]))
        return MetalFree(slice_, water, bone, paths, self.measurement.line_integrals(paths, _TISSUES))

    def truth(self, free: MetalFree, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the image in HU and the sinogram that a perfect method would give back."""
        if self.spec.truth.image == "anatomy":
            image = torch.from_numpy(free.slice.image).to(self.device)
            return image, self.operators.project_mu(free.water + free.bone)
        sinogram = self.measurement.measured(free.polychromatic, rng if self.spec.truth.noise else None)
        return self.operators.reconstruct(sinogram), sinogram

    def with_metal(
        self, free: MetalFree, metal: Mapping[str, NDArray[Any]], rng: np.random.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Scan a slice with metal in it.

        Parameters
        ----------
        free : MetalFree
        metal : mapping
            Material → fraction of each pixel's area, ``(rows, columns)``; masks will do, see
            `marbench.masks.area_fractions`.
        rng : numpy Generator
            Source of the photon noise.

        Returns
        -------
        sinogram, trace : Tensor ``(views, bins)``
            Corrected line integrals, and whether a ray belongs to the metal trace.

        Raises
        ------
        DataError
            A material is unknown, a mask is none or has another shape, or they add up to more than 1.
        """
        physics, materials = self.spec.physics, tuple(self.spec.material(name) for name in metal)
        areas = self._areas(metal).to(self.device)
        total, removed = areas.sum(dim=0), self.spec.metals.tissue_under_metal == "removed"
        displaced = [free.water * total, free.bone * total] if removed else []
        paths = self._project(torch.stack([*areas, *displaced]))
        metal_paths = paths[: len(materials)]
        attenuation = [relative_attenuation(one, self.beam.energies, physics.reference_kev)[1] for one in materials]
        metal_paths = metal_paths * torch.tensor(attenuation, dtype=areas.dtype, device=self.device)[:, None, None]
        whole_metal = metal_paths.sum(dim=0)
        # Joseph's weights are not negative, so a ray that misses the metal sums to exactly 0.
        meets = whole_metal > 0
        if self.spec.metals.edge_bins == "quartered":
            metal_paths = _quartered(metal_paths, meets)
            whole_metal = metal_paths.sum(dim=0)
        tissue_paths = free.paths - paths[len(materials) :] if removed else free.paths
        # Rays that miss the metal are those of the scan without it.
        line_integrals = free.polychromatic.clone()
        line_integrals[meets] = self.measurement.line_integrals(
            torch.cat([tissue_paths[:, meets], metal_paths[:, meets]]), (*_TISSUES, *materials), meets
        )
        return self.measurement.measured(line_integrals, rng), whole_metal > self.spec.metals.trace_threshold

    def trace_of(self, mask: NDArray[np.bool_], metal: Mapping[str, NDArray[Any]]) -> torch.Tensor:
        """Return the rays that meet a mask other than the metal's own, ``(views, bins)``.

        The rule is that of `with_metal`, for whole pixels filled with the metal's materials in their proportions.
        """
        physics, areas = self.spec.physics, self._areas(metal)
        shares = areas.sum(dim=(1, 2)) / areas.sum()
        weights = [
            relative_attenuation(self.spec.material(name), self.beam.energies, physics.reference_kev)[1]
            for name in metal
        ]
        attenuation = float(shares @ torch.tensor(weights, dtype=areas.dtype, device=areas.device))
        filled = torch.from_numpy(mask).to(self.device, areas.dtype)
        path = self.operators.project_mu(attenuation * filled)
        if self.spec.metals.edge_bins == "quartered":
            path = _quartered(path, path > 0)
        return path > self.spec.metals.trace_threshold

    def _areas(self, metal: Mapping[str, NDArray[Any]]) -> torch.Tensor:
        """Return what each material covers, ``(materials, rows, columns)``."""
        if not metal:
            raise DataError("with_metal needs a mask of at least one material. Got none.")
        fractions = [area_fractions(mask, f"with_metal: {name}") for name, mask in metal.items()]
        for name, area in zip(metal, fractions, strict=True):
            if area.shape != self.spec.grid.shape:
                raise DataError(
                    f"with_metal: {name}: expected a mask of shape {self.spec.grid.shape}. Got {area.shape}."
                )
        areas = torch.from_numpy(np.stack(fractions))
        if float(areas.sum(dim=0).max()) > 1 + 1e-3:
            raise DataError(f"with_metal: the masks of {', '.join(metal)} overlap: a pixel is covered once at most.")
        return areas

    def _project(self, images: torch.Tensor) -> torch.Tensor:
        """Return the line integrals of images ``(images, rows, columns)``; one of nothing takes no time."""
        # Where all tissue is water, or no bone gives way to metal, an image is empty.
        there = images.flatten(1).any(dim=1)
        paths = images.new_zeros(len(images), *self.spec.geometry.shape)
        paths[there] = self.operators.project_mu(images[there])
        return paths


def _quartered(paths: torch.Tensor, trace: torch.Tensor) -> torch.Tensor:
    """Return paths through metal ``(…, views, bins)``, a quarter of them at the edges of the trace."""
    return torch.where(_edges(trace), paths / 4, paths)


def _edges(trace: torch.Tensor) -> torch.Tensor:
    """Return the bins of a trace ``(views, bins)`` that an erosion by three bins along the detector takes away.

    What lies beyond the detector erodes nothing, as in the published code.
    """
    beyond = torch.ones_like(trace[:, :1])
    left, right = torch.cat([beyond, trace[:, :-1]], dim=1), torch.cat([trace[:, 1:], beyond], dim=1)
    return trace & ~(left & right)
