"""Cases that lie in files: what `marbench export` writes, and scans whose truth nobody knows."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from marbench.anatomy.files import matching
from marbench.anatomy.slices import Split
from marbench.cases.case import Case, CaseSource, Scan, Truth
from marbench.cases.info import ID, CaseInfo, CaseKey
from marbench.cases.sources import check_split
from marbench.errors import DataError, StoreError
from marbench.machine.arrays import read_npz
from marbench.machine.files import read_file
from marbench.spec import Spec
from marbench.spec_file import read_spec, refuse_other_rules

__all__ = ["RecordedCases", "read_facts"]

_TRUTH = ("truth_hu", "truth_sinogram_line_integral", "metal_any")
_TEXT_BYTES = 1 << 16
"""The most that the texts of a case may take."""


class RecordedCases(CaseSource):
    """The cases of one split of a folder that `marbench export` wrote as ``npz``, in the benchmark's order.

    Of a case whose file lacks ``truth_hu``, ``truth_sinogram_line_integral`` and ``metal_any`` the truth is not known.

    Parameters
    ----------
    folder : str or Path
        Holds ``spec.toml`` and ``<split>/<case_id>.npz``.
    split : {"test", "val", "train"}
    device : torch.device or str
        Where the tensors are wanted.

    Attributes
    ----------
    spec : Spec

    Raises
    ------
    DataError
        The folder holds no cases of the split, or a file in it is none.
    StoreError
        Its ``spec.toml`` cannot be read, or the cases were made under other rules, which do not compare.
    """

    notices: tuple[str, ...] = ()
    has_truth = True  # of single cases it may be unknown

    def __init__(self, folder: str | Path, split: Split = "test", device: torch.device | str = "cpu") -> None:
        check_split(split)
        self.folder, self.split, self.device = Path(folder), split, torch.device(device)
        try:
            spec = read_spec(self.folder)
        except StoreError as error:
            raise StoreError(f"{self.folder}: {str(error).rstrip('.')}. Export the cases again.") from error
        if spec is None:
            raise DataError(f"{self.folder} holds no cases (no spec.toml). `marbench export --out` writes some.")
        self.spec: Spec = spec
        refuse_other_rules(self.folder, self.spec, "Export the cases again.")
        paths = matching(self.folder, f"{split}/*.npz")
        facts = sorted((read_facts(path) for path in paths), key=lambda one: (one["case_index"], one["case_id"]))
        if not facts:
            raise DataError(f"{self.folder} holds no cases of the split {split!r} (no {split}/*.npz).")
        self._places = tuple(int(one["case_index"]) for one in facts)
        self._infos = [replace(_info(one), pixel_mm=10 * self.spec.grid.pixel) for one in facts]

    def __repr__(self) -> str:
        return f"<RecordedCases {self.spec.name!r}, {self.split}: {len(self)} cases>"

    @cached_property
    def case_keys(self) -> tuple[CaseKey, ...]:
        """The ids of all cases."""
        return tuple(info.key for info in self._infos)

    @property
    def places(self) -> tuple[int, ...]:
        """Where each case stands in the benchmark: others may have been taken away."""
        return self._places

    def __len__(self) -> int:
        return len(self._infos)

    def _case(self, index: int) -> Case:
        info = self._infos[index]
        rays, pixels = self.spec.geometry.shape, self.spec.grid.shape
        shapes = {
            "sinogram_line_integral": rays,
            "metal_trace": rays,
            "metal_mask": pixels,
            "image_hu": pixels,
            **dict(zip(_TRUTH, (pixels, rays, pixels), strict=True)),
        }
        arrays = _read(self.folder / self.split / f"{info.case_id}.npz", info.case_id, shapes)
        tensors = {name: torch.from_numpy(array)[None].to(self.device) for name, array in arrays.items()}
        scan = Scan(*(tensors[name] for name in ("sinogram_line_integral", "metal_mask", "metal_trace", "image_hu")))
        truth = None
        if _TRUTH[0] in tensors:
            truth = Truth(*(tensors[name] for name in _TRUTH))
        return Case(scan, truth, info)


def read_facts(path: Path) -> dict[str, Any]:
    """Return what a case's file, ``.npz`` or ``.json``, says of it: its place, ids, size group, metal, region, window.

    Raises
    ------
    DataError
        The file is damaged, or not a case of marbench.
    """
    try:
        if path.suffix == ".json":
            text = np.array(read_file(path, _TEXT_BYTES).decode())
        else:
            text = read_npz(path, ["info_json"])["info_json"]
        if text.ndim or text.nbytes > _TEXT_BYTES:
            raise ValueError("its texts are too long")
        facts = json.loads(str(text))
        _info(facts)
    except (
        AttributeError,
        KeyError,
        OSError,
        OverflowError,
        RecursionError,
        StoreError,
        TypeError,
        ValueError,
    ) as error:
        raise DataError(f"{path} is no case of marbench ({error}). Remove it, or make it again.") from None
    if facts["case_id"] != path.stem:
        raise DataError(f"{path} holds the case {facts['case_id']}. Give the file its name back.")
    return dict(facts)


def _info(facts: dict[str, Any]) -> CaseInfo:
    """Return what a case is; ValueError, KeyError or TypeError where the facts are none."""
    names = ("case_id", "patient_id", "slice_id", "metal_id")
    for name in names:
        if not ID.fullmatch(facts[name]):
            raise ValueError(f"{name} is no id")
    low, high = map(float, facts["window"])
    area = float(facts["metal_area_mm2"])
    if not (math.isfinite(low) and math.isfinite(high) and low < high and math.isfinite(area)):
        raise ValueError("window or area are no numbers")
    int(facts["case_index"])
    case_id, patient_id, slice_id, metal_id = (facts[name] for name in names)
    key = CaseKey(case_id, patient_id, slice_id, metal_id, int(facts["size_group"]))
    materials = tuple(map(str, facts["materials"]))
    return CaseInfo(key, int(facts["metal_area_px"]), area, materials, str(facts["region"]), (low, high))


def _read(path: Path, case_id: str, shapes: dict[str, tuple[int, int]]) -> dict[str, NDArray[Any]]:
    """Return the arrays of a case by name, float32 or bool, of the shapes that they must have."""
    try:
        # Before anything is unpacked: a small file may hold terabytes of zeros.
        arrays = read_npz(path, list(shapes), sum(8 * math.prod(shape) + _TEXT_BYTES for shape in shapes.values()))
    except StoreError as error:
        raise DataError(f"case {case_id}: its file is damaged ({error}). Make it again.") from None
    missing = [name for name in shapes if name not in arrays]
    if missing and missing != list(_TRUTH):
        raise DataError(f"case {case_id}: its file lacks {', '.join(missing)}. Make it again.")
    return {name: _checked(case_id, name, array, shapes[name]) for name, array in arrays.items()}


def _checked(case_id: str, name: str, array: NDArray[Any], shape: tuple[int, int]) -> NDArray[Any]:
    kind, wanted = ("b", np.dtype(bool)) if name.startswith("metal") else ("f", np.dtype(np.float32))
    if array.dtype.kind != kind or array.shape != shape or not np.isfinite(array).all():
        raise DataError(
            f"case {case_id}: expected {name} of shape {shape}, {wanted} and finite. Got {array.shape}, {array.dtype}. "
            "The file is of another benchmark, or damaged: make it again."
        )
    return np.array(array, dtype=wanted, order="C")  # what is read is read-only, and a tensor is not
