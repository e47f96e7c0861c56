"""The images that the gallery shows: int16 HU, one file per case and method, and the sinograms of the case."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from marbench.cases.case import Case, CaseKey
from marbench.machine.files import npz, safe_name, write_atomically
from marbench.results.rows import Key

__all__ = ["Gallery", "ImageChoice", "case_picture", "gallery_cases", "method_picture"]

ImageChoice = Literal["gallery", "all", "none"]

_CASE_FILE = "_case.npz"


def gallery_cases(cases: Sequence[CaseKey], slices: Iterable[int]) -> frozenset[str]:
    """Return the ids of the cases to show: of the chosen slices, the first metal of every size group.

    Parameters
    ----------
    cases : sequence of CaseKey
        All cases of a suite.
    slices : iterable of int
        Which slices of the suite, by their position; what is out of range is ignored.
    """
    order = list(dict.fromkeys(case.slice_id for case in cases))
    chosen = {order[position] for position in slices if position < len(order)}
    first = {(case.slice_id, case.size_group): case.case_id for case in reversed(cases) if case.slice_id in chosen}
    return frozenset(first.values())


@dataclass(frozen=True)
class Gallery:
    """The images of a results folder. One that is lost or damaged is made again by the next run.

    Attributes
    ----------
    folder : Path
        ``<out>/images``.
    cases : frozenset of str
        The cases whose images are kept.
    """

    folder: Path
    cases: frozenset[str]

    def missing(self, keys: Iterable[Key]) -> frozenset[Key]:
        """Return the keys whose image is wanted, and not there or of another version of the method."""
        return frozenset(key for key in keys if key.case_id in self.cases and not self._holds(key))

    def write(self, files: Mapping[str, bytes]) -> None:
        """Keep pictures: name below the folder → content. What a case has in common is written once."""
        for name, content in files.items():
            path = self.folder / name
            if path.name != _CASE_FILE or not zipfile.is_zipfile(path):
                write_atomically(path, content, durable=False)

    def _path(self, key: Key) -> Path:
        return self.folder / _method_file(key)

    def _holds(self, key: Key) -> bool:
        try:
            with np.load(self._path(key), allow_pickle=False) as file:
                return str(file["method_hash"]) == key.method_hash
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return False


def case_picture(case: Case) -> dict[str, bytes]:
    """Return the file of truth, uncorrected image, metal, window and sinograms of a case: name → content."""
    truth = case.known_truth
    arrays = {
        "truth": _hu(truth.image[0].cpu().numpy()),
        "uncorrected": _hu(case.scan.image[0].cpu().numpy()),
        "metal": case.scan.metal_mask[0].cpu().numpy(),
        "window": np.array(case.info.window, dtype=np.float64),
        "sinogram": _thousandths(case.scan.sinogram[0].cpu().numpy()),
        "truth_sinogram": _thousandths(truth.sinogram[0].cpu().numpy()),
        "metal_trace": case.scan.metal_trace[0].cpu().numpy(),
    }
    return {f"{case.id}/{_CASE_FILE}": npz(arrays)}


def method_picture(key: Key, image: NDArray[np.float32]) -> dict[str, bytes]:
    """Return the file of a method's image of a case: name → content."""
    arrays = {"image": _hu(image), "method": np.array(key.method), "method_hash": np.array(key.method_hash)}
    return {_method_file(key): npz(arrays)}


def _method_file(key: Key) -> str:
    return f"{key.case_id}/{safe_name(key.method)}.npz"


def _hu(image: NDArray[np.floating[Any]]) -> NDArray[np.int16]:
    limits = np.iinfo(np.int16)
    rounded: NDArray[np.int16] = np.clip(np.rint(image), limits.min, limits.max).astype(np.int16)
    return rounded


def _thousandths(sinogram: NDArray[np.floating[Any]]) -> NDArray[np.int16]:
    """Return line integrals in units of 0.001; a scanner's largest ones are far below 32."""
    return _hu(1000 * sinogram)
