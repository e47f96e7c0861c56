"""The stored images of a benchmark: which there are, and their arrays."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from marbench.machine.files import safe_name
from marbench.report.benchmark import Benchmark

__all__ = ["StoredCase", "read_case", "read_method", "stored_cases"]

_UNREADABLE = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile)


@dataclass(frozen=True, eq=False)
class StoredCase:
    """What is stored of a case.

    Attributes
    ----------
    truth, uncorrected : int16 array ``(rows, columns)``
        HU.
    metal : bool array ``(rows, columns)``
        Pixels that are at least half metal.
    window : (low, high)
        Display window, HU.
    sinogram, truth_sinogram : int16 array ``(views, bins)`` or None
        Line integrals in units of 0.001. Runs of early versions did not keep them.
    metal_trace : bool array ``(views, bins)`` or None
    """

    truth: NDArray[np.int16]
    uncorrected: NDArray[np.int16]
    metal: NDArray[np.bool_]
    window: tuple[float, float]
    sinogram: NDArray[np.int16] | None
    truth_sinogram: NDArray[np.int16] | None
    metal_trace: NDArray[np.bool_] | None


def stored_cases(benchmark: Benchmark) -> dict[str, tuple[Path, ...]]:
    """Return case id → the folders with its images, those of the newest run first. Torn files do not count."""
    known = set(map(str, benchmark.rows["case_id"].unique())) - {""}
    found: dict[str, tuple[Path, ...]] = {}
    for run in reversed(benchmark.folders):
        for path in sorted(run.glob("images/*/_case.npz")):
            if path.parent.name in known and zipfile.is_zipfile(path):
                found[path.parent.name] = (*found.get(path.parent.name, ()), path.parent)
    return found


def read_case(folders: tuple[Path, ...]) -> StoredCase | None:
    """Return what is stored of a case; None where nothing can be read."""
    for folder in folders:
        arrays = _read(folder / "_case.npz")
        try:
            low, high = map(float, arrays["window"])
            case = StoredCase(
                truth=arrays["truth"].astype(np.int16, casting="same_kind"),
                uncorrected=arrays["uncorrected"].astype(np.int16, casting="same_kind"),
                metal=arrays["metal"].astype(np.bool_),
                window=(low, high),
                sinogram=arrays.get("sinogram"),
                truth_sinogram=arrays.get("truth_sinogram"),
                metal_trace=arrays.get("metal_trace"),
            )
        except (KeyError, ValueError, TypeError):
            continue
        if case.truth.ndim == 2 and case.truth.shape == case.uncorrected.shape == case.metal.shape and low < high:
            return case
    return None


def read_method(
    folders: tuple[Path, ...], method: str, method_hash: str, shape: tuple[int, ...]
) -> NDArray[np.int16] | None:
    """Return a method's image in HU; None where there is none of this version of the method."""
    for folder in folders:
        arrays = _read(folder / f"{safe_name(method)}.npz")
        image = arrays.get("image")
        if image is None or str(arrays.get("method_hash", "")) != method_hash:
            continue
        if image.dtype == np.int16 and image.shape == shape:
            return np.asarray(image, dtype=np.int16)
    return None


def _read(path: Path) -> Mapping[str, NDArray[Any]]:
    try:
        # NumPy leaves a file that is no archive open, unless it is ours.
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except _UNREADABLE:
        return {}
