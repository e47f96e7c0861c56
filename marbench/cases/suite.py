"""The cases of a benchmark.

Every case is a pure function of the benchmark and its own ids: it is the same to the bit alone, in a batch, in another
order or in another process.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

import numpy as np
import torch

from marbench.anatomy.slices import Split
from marbench.cases.case import Case, CaseInfo, Scan, Truth
from marbench.cases.placement import place
from marbench.cases.simulator import MetalFree, Simulator
from marbench.cases.sources import open_source
from marbench.phantoms.metals import Metal, coverage, library, mask
from marbench.spec import Spec, load_spec

__all__ = ["CaseKey", "Suite"]

# Consecutive cases share a slice; a few are kept so that interleaved access does not simulate them again.
_KEPT_SLICES = 4


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
        Every split has patients and metals of its own.
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
        self.metals: tuple[Metal, ...] = library(split)
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
        # Group 1 is to hold the largest metals; only those to train with begin with the smallest.
        rank = len(self.metals) - 1 - order if self.split == "train" else order
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
