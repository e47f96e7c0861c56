"""The cases of a benchmark.

Every case is a pure function of the benchmark and its own ids: it is the same to the bit alone, in a batch, in another
order or in another process.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from marbench.anatomy.collection import SliceCollection
from marbench.anatomy.slices import Slice, Split
from marbench.cases.anatomical import pose
from marbench.cases.case import Case, CaseSource, Scan, Truth
from marbench.cases.info import CaseInfo, CaseKey
from marbench.cases.own_metals import AnyMetal, MaskMetal, draw, hold_inside, made_of, metals_of
from marbench.cases.placement import Pose, place
from marbench.cases.segmentation import segmented
from marbench.cases.simulator import MetalFree, Simulator
from marbench.cases.sources import bind, check_split, open_source
from marbench.errors import DataError
from marbench.machine.text import clean_line
from marbench.phantoms.implants.metal import Metal
from marbench.phantoms.metals import mask
from marbench.spec import Spec, load_spec

__all__ = ["Suite"]

# Consecutive cases share a slice; a few are kept so that interleaved access does not simulate them again.
_KEPT_SLICES = 4
_MESSAGE_LIMIT = 1000


class Suite(CaseSource):
    """The cases of a benchmark: every slice of a split with every metal of its set, slices outermost.

    Parameters
    ----------
    spec : str, Path or Spec
        A benchmark, its name, or its file.
    split : {"test", "val", "train"}
        Every split has patients and metals of its own.
    device : torch.device or str
        Where to simulate.

    Attributes
    ----------
    spec : Spec
        The benchmark, bound to its data: see `marbench.cases.sources.bind`.
    metals : tuple of Metal or MaskMetal
        The set of the first slice. All sets are of one size; where `metals.placement` is "any" there is but one, and
        to test with, that of ``[[metals.own]]`` where the benchmark has it.

    Raises
    ------
    SpecError
        There is no such benchmark or split.
    DataError
        The files that the benchmark names cannot be used, or are others than it was made with.

    Examples
    --------
    >>> suite = Suite("mini")
    >>> suite
    <Suite 'mini', test: 200 cases = 20 slices of 12 patients × 10 metals>
    >>> suite.case_keys[0].case_id
    'test-p000-s0_test-abdomen-01-drug-pump'
    """

    has_truth = True

    def __init__(self, spec: str | Path | Spec, split: Split = "test", device: torch.device | str = "cpu") -> None:
        check_split(split)
        named = load_spec(spec)
        self.source = open_source(named)
        self.spec = bind(named, self.source)
        self.split: Split = split
        self.simulator = Simulator(self.spec, device)
        self._sets: dict[str | None, tuple[AnyMetal, ...]] = {}
        self._slices = [(patient, name) for patient, names in self.source.patients(split).items() for name in names]
        self.metals: tuple[AnyMetal, ...] = self.metals_of(*self._slices[0]) if self._slices else ()
        self._recent: OrderedDict[str, tuple[MetalFree, torch.Tensor, torch.Tensor]] = OrderedDict()

    def __repr__(self) -> str:
        patients = len({patient for patient, _ in self._slices})
        return (
            f"<Suite {self.spec.name!r}, {self.split}: {len(self)} cases = {len(self._slices)} slices of {patients} "
            f"patients × {len(self.metals)} metals>"
        )

    @property
    def notices(self) -> tuple[str, ...]:
        """What of the files was passed over, left out or assumed; the lines name no file and may be published."""
        return self.source.notices(self.spec.grid) if isinstance(self.source, SliceCollection) else ()

    @cached_property
    def case_keys(self) -> tuple[CaseKey, ...]:
        """The ids of all cases, without simulating any."""
        orders = range(len(self.metals))
        return tuple(
            self._key(where, metals[k], k)
            for where in self._slices
            for metals in [self.metals_of(*where)]
            for k in orders
        )

    def metals_of(self, patient_id: str, slice_id: str) -> tuple[AnyMetal, ...]:
        """Return the metals that go into a slice: those of its region of the body, or the same for all."""
        anatomical = self.spec.metals.placement == "anatomical"
        region = self.source.region(patient_id, slice_id) if anatomical else None
        if region not in self._sets:
            self._sets[region] = metals_of(self.spec, self.split, region)
        return self._sets[region]

    def __len__(self) -> int:
        return len(self._slices) * len(self.metals)

    def _case(self, index: int) -> Case:
        which, order = divmod(index, len(self.metals))
        where = self._slices[which]
        metal = self.metals_of(*where)[order]
        return self._simulate(self._key(where, metal, order), metal)

    def pose_of(self, metal: AnyMetal, one: Slice) -> Pose:
        """Return how a metal lies in a slice, without simulating it."""
        rng = self._rng("placement", _origin(one), metal.id)
        arguments = one.image, self.spec.grid, self.spec.metals.reference_pixel_cm, rng
        if isinstance(metal, Metal) and metal.place:
            return pose(metal, *arguments)
        return Pose(place(metal, *arguments))

    def _key(self, where: tuple[str, str], metal: AnyMetal, order: int) -> CaseKey:
        count = len(self.metals)
        # Group 1 is to hold the largest metals; only those to train with begin with the smallest.
        rank = count - 1 - order if self.split == "train" else order
        group = rank * self.spec.metals.size_groups // count + 1
        patient_id, slice_id = where
        return CaseKey(f"{slice_id}_{metal.id}", patient_id, slice_id, metal.id, group)

    def _simulate(self, key: CaseKey, metal: AnyMetal) -> Case:
        spec, grid = self.spec, self.spec.grid
        free, truth_image, truth_sinogram = self._without_metal(key.patient_id, key.slice_id)
        origin = _origin(free.slice)
        lies = self.pose_of(metal, free.slice)
        areas = draw(metal, grid, spec.metals.reference_pixel_cm, lies.shift, lies.angle, mirror=lies.mirror)
        if isinstance(metal, MaskMetal):
            hold_inside(metal, np.sum(list(areas.values()), axis=0), free.slice.image, grid)
        areas = made_of(areas, spec.metals, own=isinstance(metal, MaskMetal))
        metal_mask, total = mask(areas), np.sum(list(areas.values()), axis=0)
        sinogram, trace = self.simulator.with_metal(free, areas, self._rng("noise", origin, metal.id))
        device, image = self.simulator.device, self.simulator.operators.reconstruct(sinogram)
        told = segmented(metal_mask, image.cpu().numpy(), spec.segmentation)
        if told is not None:
            trace = self.simulator.trace_of(told, areas)
        scan = Scan(
            sinogram=sinogram[None],
            metal_mask=torch.from_numpy(metal_mask if told is None else told)[None].to(device),
            metal_trace=trace[None],
            image=image[None],
        )
        # The truth is kept for the next metals: whoever gets the case may change what is in it.
        own_image, own_sinogram = truth_image.clone(), truth_sinogram.clone()
        truth = Truth(own_image[None], own_sinogram[None], torch.from_numpy(total > 0)[None].to(device))
        info = CaseInfo(
            key=key,
            metal_area_px=int(metal_mask.sum()),
            metal_area_mm2=float(total.sum(dtype=np.float64)) * (grid.pixel * 10) ** 2,
            materials=tuple(areas),
            region=free.slice.region,
            window=free.slice.window,
            pixel_mm=grid.pixel * 10,
        )
        return Case(scan, truth, info)

    def _without_metal(self, patient_id: str, slice_id: str) -> tuple[MetalFree, torch.Tensor, torch.Tensor]:
        if slice_id not in self._recent:
            free = self.simulator.without_metal(self._load(patient_id, slice_id))
            self._recent[slice_id] = (free, *self.simulator.truth(free, self._rng("truth", _origin(free.slice))))
            if len(self._recent) > _KEPT_SLICES:
                self._recent.popitem(last=False)
        return self._recent[slice_id]

    def _load(self, patient_id: str, slice_id: str) -> Slice:
        try:
            return self.source.load(patient_id, slice_id, self.spec.grid)
        except DataError as error:
            # What it says may be published; its traceback, too.
            said = clean_line(str(error), _MESSAGE_LIMIT)
            raise DataError(said if slice_id in said else f"slice {slice_id}: {said}") from None

    def _rng(self, stream: str, *ids: str) -> np.random.Generator:
        """Return the random numbers of one purpose for one case, independent of all others."""
        digest = hashlib.sha256("\0".join((stream, *ids)).encode()).digest()
        words = np.frombuffer(digest, dtype="<u4").tolist()
        return np.random.Generator(np.random.PCG64(np.random.SeedSequence([self.spec.seed, *words])))


def _origin(one: Slice) -> str:
    """Return what the random numbers of a slice's cases are drawn from: its pixels, or the id of a procedural one."""
    return one.content or one.slice_id
