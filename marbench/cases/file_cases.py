"""The cases of a benchmark that somebody else has scanned or simulated: files of theirs, in our conventions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from marbench.anatomy.slices import Split
from marbench.cases.array_files import lying_as_ours, read_array
from marbench.cases.belonging import LIGHTEST_METAL, Belonging
from marbench.cases.case import Case, CaseSource, Scan, Truth
from marbench.cases.info import CaseInfo, CaseKey
from marbench.cases.recorded_files import Entry, assumptions, content_digest, described, listed
from marbench.cases.scanner import operators_of
from marbench.cases.sources import bind_to, check_split
from marbench.errors import DataError, SpecError, StoreError
from marbench.machine.devices import device_of
from marbench.machine.text import few
from marbench.physics.hounsfield import mu_to_hu
from marbench.physics.materials import relative_attenuation
from marbench.spec import Spec
from marbench.spec_file import read_spec
from marbench.spec_recorded import ImageFile, RaysFile
from marbench.spec_sections import SegmentationSection
from marbench.tensors import refuse_attenuation, refuse_counts

__all__ = ["FileCases"]

_MOST_PER_CM = 60.0
"""Of a picture of µ: metal and its streaks have a tenth of it, and soft tissue in HU reaches it."""
_UNKNOWN = "unknown"
_OF_AN_EXPORT: dict[str, Any] = {
    "geometry_section": True,
    "grid_section": True,
    "physics": {"water_attenuation"},
    "reconstruction": True,
    "truth": True,
}
"""What of a benchmark says what the arrays of its export are."""


class FileCases(CaseSource):
    """The cases of a benchmark with ``[recorded]``, slices outermost, the largest metal first.

    The sinogram of a case is what the files hold, in our order of views and bins. Cases fall into
    ``metals.size_groups`` groups by the area of their mask, as many in each: ten masks on every slice make pairs.

    Parameters
    ----------
    spec : Spec
        Has ``recorded``.
    split : {"test", "val", "train"}
    device : torch.device or str

    Attributes
    ----------
    spec : Spec
        Bound to the files to test with: ``recorded.data`` is their digest.
    notices : tuple of str
        What was assumed of the cases, and how many of them are left out.

    Raises
    ------
    SpecError
        The benchmark does not say where its files lie, or there is no such split.
    DataError
        The folder holds no cases, a file is missing, or the files are others than the benchmark was made with.
    """

    notices: tuple[str, ...] = ()

    def __init__(self, spec: Spec, split: Split = "test", device: torch.device | str = "cpu") -> None:
        check_split(split)
        assert spec.recorded is not None  # by the contract
        if spec.recorded.path is None:
            raise SpecError(
                f"{spec.name}: where its recorded cases lie is not named here, as in every results folder: give the "
                "spec file with recorded.path"
            )
        self.split, self.device = split, device_of(device)
        self.root = Path(spec.recorded.path)
        self.arrays = described(spec.recorded)
        exported = _exported_of(spec, self.root) if spec.recorded.format == "export" else None
        self._segmented = exported is not None and exported.segmentation != SegmentationSection()
        self.operators = operators_of(spec)
        self._section = spec.recorded
        counts = spec.split.counts()
        tested = listed(spec.recorded, self.arrays, "test", counts["test"])
        self.spec = bind_to(spec, "recorded", content_digest(self.root, tested), "files")
        entries = tested if split == "test" else listed(spec.recorded, self.arrays, split, counts[split])
        self.notices = assumptions(spec.recorded, self.arrays, split, entries)
        # Of whoever exported the cases their order and groups are known.
        self._areas = {} if entries[0].facts else {entry.case_id: self._area(entry) for entry in entries}
        self._entries = entries if entries[0].facts else self._by_size(entries)
        self._groups = self._size_groups()

    def __repr__(self) -> str:
        return f"<FileCases {self.spec.name!r}, {self.split}: {len(self)} cases>"

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def has_truth(self) -> bool:
        """Whether the files hold a truth of the kind that the benchmark compares with."""
        return bool(self._truths)

    @property
    def _truths(self) -> list[str]:
        """Return the roles of which the truth is taken, the first that is there."""
        # Compared is what one and the same program has reconstructed, wherever there is a choice: two differ by 12 HU.
        wanted = ["truth"] if self._section.image == "theirs" else ["truth_sinogram", "truth"]
        return [each for each in (["anatomy"] if self.spec.truth.image == "anatomy" else wanted) if each in self.arrays]

    @cached_property
    def case_keys(self) -> tuple[CaseKey, ...]:
        """The ids of all cases."""
        return tuple(self._key(index) for index in range(len(self)))

    def _case(self, index: int) -> Case:
        entry, key = self._entries[index], self.case_keys[index]
        arrays = self._read(entry)
        if not (entry.facts or arrays["mask"].any()):
            raise DataError(f"{entry.files['mask']} (mask) holds no metal: take the case {entry.case_id} away.")
        scan = self._scan(arrays)
        info = self._info(entry, key, int(scan.metal_mask.sum()))
        attenuation = self._attenuation(info.materials)
        Belonging(entry.files, arrays, scan, self.spec, self.operators, attenuation, self._segmented).check()
        return Case(scan, self._truth(arrays, scan), info)

    def _read(self, entry: Entry) -> dict[str, torch.Tensor]:
        """Return what the files hold, ours in axes and units, on the device: role → tensor."""
        return {role: torch.from_numpy(self._array(entry, role)).to(self.device) for role in self.arrays}

    def _array(self, entry: Entry, role: str) -> NDArray[Any]:
        how, name = self.arrays[role], entry.files[role]
        shape = self.spec.geometry.shape if isinstance(how, RaysFile) else self.spec.grid.shape
        array = lying_as_ours(read_array(self.root / name, name, how, shape), name, how, entry.index(how), shape)
        if role in ("mask", "trace", "unscored"):
            return _mask(array, f"{name} ({role})")
        values = np.array(array, np.float32, order="C")
        if not np.isfinite(values).all():
            bad = int((~np.isfinite(values)).sum())
            raise DataError(
                f"{name} ({role}): {bad} of {values.size} values are NaN or infinite. Count one photon for rays that "
                "none came through, or copy the file again."
            )
        if isinstance(how, RaysFile):
            values *= np.float32(how.scale)
            refuse_counts(torch.from_numpy(values), f"{name} ({role})")
            return values
        return self._hu(values, how, f"{name} ({role})")

    def _hu(self, values: NDArray[np.float32], how: object, name: str) -> NDArray[np.float32]:
        if isinstance(how, ImageFile) and how.unit == "1/cm":
            if values.max() > _MOST_PER_CM:
                raise DataError(
                    f'{name}: unit is "1/cm", but values reach {values.max():.4g}, like HU. Give unit = "HU".'
                )
            return mu_to_hu(values, self._section.water_attenuation or self.spec.physics.water_attenuation)
        try:
            refuse_attenuation(torch.from_numpy(values), name)
        except DataError as error:
            raise DataError(f'{str(error).partition(": marbench")[0]}. Give unit = "1/cm" to its table.') from None
        return values

    def _attenuation(self, materials: Sequence[str]) -> float:
        """Return that of the lightest material of a case at the reference energy, in 1/cm; some metal's if unknown."""
        physics = self.spec.physics
        known = [self.spec.material(name) for name in materials if name != _UNKNOWN]
        energies, kev = physics.beam.energies, physics.reference_kev
        return min((relative_attenuation(one, energies, kev)[1] for one in known), default=LIGHTEST_METAL)

    def _scan(self, arrays: Mapping[str, torch.Tensor]) -> Scan:
        sinogram, mask = arrays["sinogram"], arrays["mask"]
        trace = arrays.get("trace")
        if trace is None:
            # As published code takes it: what meets a pixel of the mask, however little.
            trace = self.operators.project_mu(mask.float()) > 0
        image = arrays["uncorrected"] if self._section.image == "theirs" else self.operators.reconstruct(sinogram)
        return Scan(sinogram[None], mask[None], trace[None], image[None])

    def _truth(self, arrays: Mapping[str, torch.Tensor], scan: Scan) -> Truth | None:
        if not self.has_truth:
            return None
        source = self._truths[0]
        image = self.operators.reconstruct(arrays[source]) if source == "truth_sinogram" else arrays[source]
        sinogram, unscored = arrays.get("truth_sinogram"), arrays.get("unscored")
        if sinogram is None:
            sinogram = self.operators.project(image)
        return Truth(image[None], sinogram[None], scan.metal_mask.clone() if unscored is None else unscored[None])

    def _info(self, entry: Entry, key: CaseKey, pixels: int) -> CaseInfo:
        facts, material = entry.facts, self.spec.metals.material
        return CaseInfo(
            key=key,
            metal_area_px=pixels,
            metal_area_mm2=float(facts.get("metal_area_mm2", pixels * (self.spec.grid.pixel * 10) ** 2)),
            materials=tuple(facts.get("materials", (_UNKNOWN if material == "own" else material,))),
            region=str(facts.get("region", "")),
            window=tuple(facts["window"]) if facts else self._section.window_hu,
            pixel_mm=self.spec.grid.pixel * 10,
        )

    def _key(self, index: int) -> CaseKey:
        entry = self._entries[index]
        return CaseKey(entry.case_id, entry.patient_id, entry.slice_id, entry.metal_id, self._groups[index])

    def _area(self, entry: Entry) -> int:
        """Return the pixels of the mask of a case; 0 where it cannot be read, which reading the case tells."""
        try:
            return int(self._array(entry, "mask").sum())
        except DataError:
            return 0

    def _by_size(self, entries: list[Entry]) -> list[Entry]:
        """Return the cases of every slice with the largest metal first; slices stay in their order."""
        slices = list(dict.fromkeys(entry.slice_id for entry in entries))
        return sorted(entries, key=lambda entry: (slices.index(entry.slice_id), -self._areas[entry.case_id]))

    def _size_groups(self) -> list[int]:
        """Return the size group of every case: of equally many, 1 holds the largest; the last those without a mask."""
        if self._entries[0].facts:
            return [int(entry.facts["size_group"]) for entry in self._entries]
        groups, areas = self.spec.metals.size_groups, sorted(filter(None, self._areas.values()), reverse=True)
        larger = {area: rank for rank, area in reversed(list(enumerate(areas)))}
        group = {area: rank * groups // len(areas) + 1 for area, rank in larger.items()}
        return [group.get(self._areas[entry.case_id], groups) for entry in self._entries]


def _mask(array: NDArray[Any], name: str) -> NDArray[np.bool_]:
    """Return what is 0 and 1, or 0 and 255, as booleans."""
    values = np.unique(array)
    if not np.isin(values, (0, values.max())).all() or values.max() not in (0, 1, 255):
        raise DataError(f"{name}: a mask is 0 and 1, or 0 and 255. Got {len(values)} values up to {values.max():.4g}.")
    return np.array(array != 0, order="C")


def _exported_of(spec: Spec, folder: Path) -> Spec:
    """Return the benchmark that an export was made of; DataError where its arrays are not what ``spec`` takes them for.

    HU hang on µ of water and the inversion, rays on the geometry, and no array tells.
    """
    try:
        exported = read_spec(folder)
    except StoreError as error:
        raise DataError(f"{folder}: {str(error).rstrip('.')}. Export the cases again.") from error
    if exported is None:
        raise DataError(f"{folder} lacks spec.toml, which says what its arrays are. Restore it, or export them again.")
    here, there = (each.model_dump(by_alias=True, include=_OF_AN_EXPORT) for each in (spec, exported))
    unlike = [f"{table}.{key}" for table in here for key in here[table] if here[table][key] != there[table][key]]
    if unlike:
        raise DataError(
            f"{folder} is an export of {exported.name!r}, whose {few(unlike, 5)} "
            f"{'is' if len(unlike) == 1 else 'are'} not as in {spec.name!r}: its sinograms or HU would be taken for "
            "others. Let extends name the spec.toml of the export."
        )
    return exported
