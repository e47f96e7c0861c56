"""From anatomy, metal, physics and geometry to cases.

Every case is a pure function of the benchmark and its own ids: it is the same to the bit alone, in a batch, in another
order or in another process.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

import numpy as np
import torch
from numpy.typing import NDArray

from marbench.anatomy.metals import Metal, coverage, library, mask
from marbench.anatomy.placement import place
from marbench.anatomy.slices import Slice, SliceSource, Split
from marbench.ct.cuda import check_device
from marbench.ct.operators import Operators
from marbench.errors import SpecError
from marbench.physics.beam_hardening import correct_water
from marbench.physics.hounsfield import hu_to_mu, split_tissue
from marbench.physics.materials import relative_attenuation
from marbench.physics.spectrum import load_spectrum
from marbench.physics.transmission import photon_noise, polychromatic
from marbench.scan import Case, CaseInfo, Scan, Truth
from marbench.spec import Spec, load_spec

__all__ = ["CaseKey", "MetalFree", "Simulator", "Suite", "open_source"]

_TISSUES = ("water", "bone")
_VALIDATION_METALS = slice(4, None, 9)
# Consecutive cases share a slice; a few are kept so that interleaved access does not simulate them again.
_KEPT_SLICES = 4


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
        Noise-free polychromatic line integrals.
    """

    slice: Slice
    water: torch.Tensor
    bone: torch.Tensor
    paths: torch.Tensor
    polychromatic: torch.Tensor


class Simulator:
    """The scanner of a benchmark: polychromatic projection, photon noise and water correction."""

    def __init__(self, spec: Spec, device: torch.device | str = "cpu") -> None:
        self.spec = spec
        self.device = torch.device(device)
        check_device(self.device)
        self.operators = Operators(spec.geometry, spec.grid, spec.physics.water_attenuation)
        self._energies = load_spectrum(spec.physics.spectrum).energies

    def without_metal(self, slice_: Slice) -> MetalFree:
        """Project a slice as it is."""
        physics = self.spec.physics
        image = torch.from_numpy(slice_.image).to(self.device)
        water, bone = split_tissue(hu_to_mu(image, physics.water_attenuation), physics.water_attenuation)
        paths = self.operators.project_mu(torch.stack([water, bone]))
        line_integrals = polychromatic(paths, _TISSUES, physics.spectrum, physics.reference_kev)
        return MetalFree(slice_, water, bone, paths, line_integrals)

    def truth(self, free: MetalFree, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the image in HU and the sinogram that a perfect method would give back."""
        if self.spec.truth.image == "anatomy":
            image = torch.from_numpy(free.slice.image).to(self.device)
            return image, self.operators.project_mu(free.water + free.bone)
        sinogram = self.measure(free.polychromatic, rng if self.spec.truth.noise else None)
        return self.operators.reconstruct(sinogram), sinogram

    def with_metal(
        self, free: MetalFree, metal: Mapping[str, NDArray[np.float32]], rng: np.random.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Scan a slice with metal in it.

        Parameters
        ----------
        free : MetalFree
        metal : mapping
            Material → fraction of each pixel's area, ``(rows, columns)``.
        rng : numpy Generator
            Source of the photon noise.

        Returns
        -------
        sinogram, trace : Tensor ``(views, bins)``
            Corrected line integrals, and whether a ray belongs to the metal trace.
        """
        physics, materials = self.spec.physics, tuple(metal)
        areas = torch.stack([torch.from_numpy(metal[name]) for name in materials]).to(self.device)
        total = areas.sum(dim=0)
        paths = self.operators.project_mu(torch.cat([areas, torch.stack([free.water * total, free.bone * total])]))
        metal_paths, displaced = paths[: len(materials)], paths[len(materials) :]
        attenuation = [relative_attenuation(name, self._energies, physics.reference_kev)[1] for name in materials]
        metal_paths = metal_paths * torch.tensor(attenuation, dtype=areas.dtype, device=self.device)[:, None, None]
        whole_metal = metal_paths.sum(dim=0)
        # Joseph's weights are not negative, so a ray that misses the metal sums to exactly 0.
        meets = whole_metal > 0
        tissue_paths = free.paths
        if self.spec.metals.tissue_under_metal == "removed":
            tissue_paths = tissue_paths - displaced
        # Rays that miss the metal are those of the scan without it.
        line_integrals = free.polychromatic.clone()
        line_integrals[meets] = polychromatic(
            torch.cat([tissue_paths[:, meets], metal_paths[:, meets]]),
            (*_TISSUES, *materials),
            physics.spectrum,
            physics.reference_kev,
        )
        return self.measure(line_integrals, rng), whole_metal > self.spec.metals.trace_threshold

    def without_metals(self, slices: Sequence[Slice]) -> list[MetalFree]:
        """Project slices as they are, all at once."""
        physics = self.spec.physics
        images = torch.from_numpy(np.stack([each.image for each in slices])).to(self.device)
        water, bone = split_tissue(hu_to_mu(images, physics.water_attenuation), physics.water_attenuation)
        paths = self.operators.project_mu(torch.stack([water, bone]))
        line_integrals = polychromatic(paths, _TISSUES, physics.spectrum, physics.reference_kev)
        return [MetalFree(each, water[k], bone[k], paths[:, k], line_integrals[k]) for k, each in enumerate(slices)]

    def with_metals(
        self,
        free: Sequence[MetalFree],
        metals: Sequence[Mapping[str, NDArray[np.float32]]],
        rng: torch.Generator | None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Scan many slices, each with its metal in it, all at once: for training sets that a GPU simulates.

        What `with_metal` does case by case, but for the noise, which is drawn on the device, so that it belongs to
        the batch and not to the case, and for the last bits. Nothing is read back from the device.

        Parameters
        ----------
        free : sequence of MetalFree
        metals : sequence of mappings, as many
            Material → fraction of each pixel's area, ``(rows, columns)``.
        rng : torch Generator or None
            On this simulator's device; None adds no noise.

        Returns
        -------
        sinograms, traces : Tensor ``(n, views, bins)``
        """
        physics, materials = self.spec.physics, sorted({name for metal in metals for name in metal})
        nothing = np.zeros(self.spec.grid.shape, np.float32)
        stacked = np.stack([[metal.get(name, nothing) for metal in metals] for name in materials])
        areas = torch.from_numpy(stacked).to(self.device)
        water, bone = (torch.stack([getattr(each, part) for each in free]) for part in _TISSUES)
        total = areas.sum(dim=0)
        paths = self.operators.project_mu(torch.cat([areas, torch.stack([water * total, bone * total])]))
        metal_paths, displaced = paths[: len(materials)], paths[len(materials) :]
        attenuation = [relative_attenuation(name, self._energies, physics.reference_kev)[1] for name in materials]
        tissue_paths = torch.stack([each.paths for each in free], dim=1)
        if self.spec.metals.tissue_under_metal == "removed":
            tissue_paths = tissue_paths - displaced
        scaled = torch.stack([path * factor for path, factor in zip(metal_paths, attenuation, strict=True)])
        whole_metal = scaled.sum(dim=0)
        through_metal = polychromatic(
            torch.cat([tissue_paths, scaled]),
            (*_TISSUES, *materials),
            physics.spectrum,
            physics.reference_kev,
        )
        line_integrals = torch.where(whole_metal > 0, through_metal, torch.stack([each.polychromatic for each in free]))
        return self.measure(line_integrals, rng), whole_metal > self.spec.metals.trace_threshold

    def measure(self, line_integrals: torch.Tensor, rng: np.random.Generator | torch.Generator | None) -> torch.Tensor:
        """Count photons, without noise where ``rng`` is None or the spec says so, and correct for beam hardening."""
        physics = self.spec.physics
        noisy = photon_noise(line_integrals, physics.photons, physics.scatter, rng if physics.noise else None)
        return correct_water(noisy, physics.spectrum, physics.reference_kev)


@dataclass(frozen=True)
class CaseKey:
    """What is known of a case before it is simulated."""

    case_id: str
    patient_id: str
    slice_id: str
    metal_id: str
    size_group: int


class Suite(Sequence[Case]):
    """The cases of a benchmark: every slice of a split with every metal, slices outermost.

    Parameters
    ----------
    spec : str, Path or Spec
        A benchmark, its name, or its file.
    split : {"test", "val", "train"}
        ``test`` takes the test metals; ``train`` the training metals, ``val`` every ninth of them.
    device : torch.device or str
        Where to simulate.

    Examples
    --------
    >>> suite = Suite("mini")
    >>> len(suite), suite.keys()[0].case_id
    (200, 'test-p000-s0_test-01-hip')
    """

    def __init__(self, spec: str | Path | Spec, split: Split = "test", device: torch.device | str = "cpu") -> None:
        self.spec = load_spec(spec)
        self.split: Split = split
        self.simulator = Simulator(self.spec, device)
        self.source = open_source(self.spec)
        metals = library("test") if split == "test" else library("train")
        self.metals: tuple[Metal, ...] = metals[_VALIDATION_METALS] if split == "val" else metals
        self._slices = [(patient, name) for patient, names in self.source.patients(split).items() for name in names]
        self._recent: OrderedDict[str, tuple[MetalFree, torch.Tensor, torch.Tensor]] = OrderedDict()

    def keys(self) -> tuple[CaseKey, ...]:
        """Return the ids of all cases, without simulating any."""
        return tuple(self._key(index) for index in range(len(self)))

    def __len__(self) -> int:
        return len(self._slices) * len(self.metals)

    @overload
    def __getitem__(self, index: int) -> Case: ...
    @overload
    def __getitem__(self, index: slice) -> list[Case]: ...
    def __getitem__(self, index: int | slice) -> Case | list[Case]:
        """Simulate one case, or those of a slice."""
        if isinstance(index, slice):
            return [self[position] for position in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(f"The suite {self.spec.name!r} ({self.split}) has {len(self)} cases. Got index {index}.")
        return self._simulate(self._key(index % len(self)), self.metals[index % len(self.metals)])

    def _key(self, index: int) -> CaseKey:
        patient_id, slice_id = self._slices[index // len(self.metals)]
        order = index % len(self.metals)
        metal_id = self.metals[order].id
        # The libraries are sorted by size; group 1 is to hold the largest metals.
        rank = order if self.split == "test" else len(self.metals) - 1 - order
        group = rank * self.spec.metals.size_groups // len(self.metals) + 1
        return CaseKey(f"{slice_id}_{metal_id}", patient_id, slice_id, metal_id, group)

    def _simulate(self, key: CaseKey, metal: Metal) -> Case:
        spec, grid = self.spec, self.spec.grid
        free, truth_image, truth_sinogram = self._without_metal(key.patient_id, key.slice_id)
        reference_pixel = spec.metals.reference_pixel_cm
        shift = place(metal, free.slice.image, grid, reference_pixel, self._rng("placement", key.slice_id, metal.id))
        areas = coverage(metal, grid, reference_pixel, shift)
        if spec.metals.material != "own":
            areas = {spec.metals.material: np.sum(list(areas.values()), axis=0, dtype=np.float32)}
        metal_mask, total = mask(areas), np.sum(list(areas.values()), axis=0)
        sinogram, trace = self.simulator.with_metal(free, areas, self._rng("noise", key.slice_id, metal.id))
        device = self.simulator.device
        scan = Scan(
            sinogram=sinogram[None],
            metal_mask=torch.from_numpy(metal_mask)[None].to(device),
            metal_trace=trace[None],
            image=self.simulator.operators.reconstruct(sinogram)[None],
        )
        truth = Truth(truth_image[None], truth_sinogram[None], torch.from_numpy(total > 0)[None].to(device))
        info = CaseInfo(
            case_id=key.case_id,
            patient_id=key.patient_id,
            slice_id=key.slice_id,
            metal_id=key.metal_id,
            size_group=key.size_group,
            metal_area_px=int(metal_mask.sum()),
            metal_area_mm2=float(total.sum(dtype=np.float64)) * (grid.pixel * 10) ** 2,
            materials=tuple(areas),
            region=free.slice.region,
            window=free.slice.window,
        )
        return Case(scan, truth, info)

    def _without_metal(self, patient_id: str, slice_id: str) -> tuple[MetalFree, torch.Tensor, torch.Tensor]:
        if slice_id not in self._recent:
            free = self.simulator.without_metal(self.source.load(patient_id, slice_id, self.spec.grid))
            self._recent[slice_id] = (free, *self.simulator.truth(free, self._rng("truth", slice_id)))
            if len(self._recent) > _KEPT_SLICES:
                self._recent.popitem(last=False)
        return self._recent[slice_id]

    def _rng(self, stream: str, *ids: str) -> np.random.Generator:
        """Return the random numbers of one purpose for one case, independent of all others."""
        digest = hashlib.sha256("\0".join((stream, *ids)).encode()).digest()
        words = np.frombuffer(digest, dtype="<u4").tolist()
        return np.random.Generator(np.random.PCG64(np.random.SeedSequence([self.spec.seed, *words])))


def open_source(spec: Spec) -> SliceSource:
    """Return where a benchmark's slices come from.

    Raises
    ------
    SpecError
        A procedural benchmark asks for "all" patients or slices.
    DataError
        The folder that the spec names has no usable slices.
    """
    counts, path, fit = spec.split.counts(), spec.anatomy.path, spec.anatomy.fit
    if spec.anatomy.source == "procedural":
        from marbench.anatomy.patients import ProceduralPatients

        limits = {}
        for split, (patients, slices) in counts.items():
            if patients is None or slices is None:
                raise SpecError(f'{spec.name}: split.{split}: procedural patients have no "all"; give numbers')
            limits[split] = (patients, slices)
        return ProceduralPatients(spec.seed, limits)
    assert path is not None  # by the spec's validator
    if spec.anatomy.source == "dicom":
        from marbench.anatomy.dicom import DicomFolder

        return DicomFolder(path, counts, spec.seed, fit)
    if spec.anatomy.source == "nifti":
        from marbench.anatomy.nifti import NiftiFolder

        return NiftiFolder(path, counts, spec.seed, fit)
    from marbench.anatomy.deeplesion import DeepLesion

    return DeepLesion(path, counts, spec.seed, fit)
