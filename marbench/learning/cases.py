"""Training cases: a slice and a metal drawn at random, simulated. Each is a pure function of (world, index)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from marbench.anatomy.slices import Slice, SliceSource
from marbench.cases.anatomical import pose
from marbench.cases.own_metals import made_of
from marbench.cases.placement import Pose, place
from marbench.cases.simulator import MetalFree, Simulator
from marbench.cases.sources import open_source
from marbench.errors import SpecError
from marbench.learning.packing import Packed, join, pack
from marbench.method.fingerprint import code_without_prose
from marbench.phantoms.metals import Metal, coverage, library, mask
from marbench.phantoms.patients import RandomScenes
from marbench.spec import Spec
from marbench.spec_sections import SegmentationSection

__all__ = ["BLOCK", "DEFAULT_MIX", "TrainingCases", "World"]

BLOCK = 64
"""Cases that are simulated and stored together."""
METALS_PER_SLICE = 4
"""Consecutive cases that share a slice: projecting the slice costs as much as putting metal into it."""
POOL_VERSION = 1

DEFAULT_MIX = {"spec": 0.5, "scenes": 0.5}
"""Half of the cases from the benchmark's own training patients, half from randomised scenes: networks that saw only
procedural patients damage real bone."""

_SCALE = (0.8, 1.25)
_SCENES = (2500, 10000)
"""Bodies and slices of the randomised scenes: more than a training sees."""
_SOURCES = ("spec", "scenes")


@dataclass(frozen=True)
class World:
    """What the training cases are: equal worlds have equal cases, whatever method trains on them.

    Attributes
    ----------
    spec : Spec
        The benchmark: scan, physics, training patients.
    seed : int
    mix : mapping
        Source of slices → share: ``spec`` are the benchmark's training patients, ``scenes`` randomised ones.
    """

    spec: Spec
    seed: int = 0
    mix: Mapping[str, float] = field(default_factory=lambda: dict(DEFAULT_MIX))

    def __post_init__(self) -> None:
        shares = [self.mix.get(name, 0.0) for name in _SOURCES]
        if set(self.mix) - set(_SOURCES) or min(shares) < 0 or abs(sum(shares) - 1) > 1e-9:
            raise SpecError(f"The mix needs shares of {', '.join(_SOURCES)} that add up to 1. Got {dict(self.mix)}.")
        if self.spec.segmentation != SegmentationSection():
            raise SpecError(
                f"{self.spec.name}: networks learn with the true mask of the metal. Train on a benchmark without "
                "[segmentation]; its weights serve this one, too."
            )

    @cached_property
    def slices(self) -> dict[str, list[tuple[str, str, str | None]]]:
        """Source → its training slices, (patient, slice, region whose implants it gets; None: those for any slice).

        Found once: worker processes get them with the world.
        """
        return {name: _slices_of(source, self.spec) for name, source in _open_sources(self).items()}

    @cached_property
    def key(self) -> str:
        """SHA-256 of all that decides the cases, the code of the simulation included; 16 hex digits.

        Raises
        ------
        SpecError
            The benchmark has no training slices.
        DataError
            Its data cannot be read.
        """
        identity = {
            "spec": self.spec.hash,
            "seed": self.seed,
            "mix": {name: self.mix.get(name, 0.0) for name in _SOURCES},
            "version": POOL_VERSION,
            "block": BLOCK,
            "code": _code_digest(),
            # Where the slices come from files, the benchmark's hash does not say which ones train, nor their regions.
            "slices": self.slices,
        }
        return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]


class TrainingCases:
    """Simulates the cases of a world."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.simulator = Simulator(world.spec)
        self._sources = _open_sources(world)

    def block(self, number: int) -> Packed:
        """Simulate the cases ``BLOCK · number …``, packed."""
        per_block = BLOCK // METALS_PER_SLICE
        cases = [case for k in range(per_block) for case in self.cases_of_slice(number * per_block + k)]
        return join(cases)

    def cases_of_slice(self, number: int) -> list[Packed]:
        """Simulate the cases that share the slice drawn as the ``number``-th."""
        rng = self._rng("slice", number)
        one, metals = self._draw_slice(rng)
        free = self.simulator.without_metal(one)
        image, sinogram = self.simulator.truth(free, rng)
        first = number * METALS_PER_SLICE
        return [self._case(free, metals, image, sinogram, first + k) for k in range(METALS_PER_SLICE)]

    def _draw_slice(self, rng: np.random.Generator) -> tuple[Slice, tuple[Metal, ...]]:
        """Return a slice and the metals that may go into it."""
        names = list(self._sources)
        name = names[int(rng.choice(len(names), p=[self.world.mix[name] for name in names]))]
        slices = self.world.slices[name]
        patient_id, slice_id, region = slices[int(rng.integers(len(slices)))]
        return self._sources[name].load(patient_id, slice_id, self.world.spec.grid), library("train", region)

    def _case(
        self, free: MetalFree, metals: tuple[Metal, ...], image: torch.Tensor, sinogram: torch.Tensor, index: int
    ) -> Packed:
        spec, rng = self.world.spec, self._rng("metal", index)
        metal = metals[int(rng.integers(len(metals)))]
        angle, mirror = float(rng.uniform(0, 2 * np.pi)), bool(rng.random() < 0.5)
        scale = float(np.exp(rng.uniform(*np.log(_SCALE))))
        pixel = spec.metals.reference_pixel_cm
        if metal.place:  # which decides how it is turned
            lies = pose(metal, free.slice.image, spec.grid, pixel, rng, scale)
        else:
            shift = place(metal, free.slice.image, spec.grid, pixel, rng, angle, scale, mirror)
            lies = Pose(shift, angle, mirror)
        areas = made_of(coverage(metal, spec.grid, pixel, lies.shift, lies.angle, scale, lies.mirror), spec.metals)
        total: NDArray[np.float32] = np.asarray(np.sum(list(areas.values()), axis=0, dtype=np.float32))
        measured, trace = self.simulator.with_metal(free, areas, rng)
        return pack(measured, sinogram, image, trace, torch.from_numpy(mask(areas)), torch.from_numpy(total > 0))

    def _rng(self, stream: str, number: int) -> np.random.Generator:
        """Return the random numbers of one purpose, independent of all others and of who asks."""
        streams = ("slice", "metal")
        # No hash of a spec or of code: what is added to either must not change what networks see.
        entropy = [self.world.seed, self.world.spec.seed, streams.index(stream), number]
        return np.random.Generator(np.random.PCG64(np.random.SeedSequence(entropy)))


def _open_sources(world: World) -> dict[str, SliceSource]:
    sources: dict[str, SliceSource] = {}
    if world.mix.get("spec", 0.0) > 0:
        sources["spec"] = open_source(world.spec)
    if world.mix.get("scenes", 0.0) > 0:
        sources["scenes"] = RandomScenes(world.spec.seed, {"train": _SCENES})
    return sources


def _slices_of(source: SliceSource, spec: Spec) -> list[tuple[str, str, str | None]]:
    anatomical = spec.metals.placement == "anatomical"
    slices = [
        (patient, name, source.region(patient, name) if anatomical else None)
        for patient, names in source.patients("train").items()
        for name in names
    ]
    if not slices:
        raise SpecError(f"The benchmark {spec.name!r} has no training slices: give split.train patients and slices.")
    return slices


@cache
def _code_digest() -> str:
    """Return a hash of the code and tables that simulate, so that a changed simulator never meets cases of the old.

    Without comments and docstrings: a training that is to go on in its own world is not held to those.
    """
    package = Path(__file__).resolve().parents[1]
    files = [package / f"{name}.py" for name in ("geometry", "masks", "reconstruction", "tensors")]
    files += [Path(__file__), Path(__file__).with_name("packing.py")]
    for room in ("anatomy", "cases", "ct", "phantoms", "physics"):
        files += sorted(path for path in (package / room).rglob("*") if path.suffix in (".py", ".toml", ".csv", ".npy"))
    digest = hashlib.sha256()
    for path in files:
        is_code = path.suffix == ".py"
        digest.update(code_without_prose(path.read_text("utf-8")).encode() if is_code else path.read_bytes())
    return digest.hexdigest()
