"""The images that the gallery shows: int16 HU, one file per case and method, and the sinograms of the case."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from marbench.cases.info import CaseKey
from marbench.errors import StoreError
from marbench.machine.files import within, write_atomically
from marbench.results.pictures import (
    CASE_FILE,
    StoredCase,
    encode_case,
    encode_image,
    image_file,
    load_case,
    load_image,
)
from marbench.results.rows import Key

if TYPE_CHECKING:  # pages show pictures, and do without torch
    from marbench.cases.case import Case, CaseSource

__all__ = ["Gallery", "ImageChoice", "case_picture", "gallery_cases", "method_picture", "stored_case", "wanted_cases"]

ImageChoice = Literal["gallery", "all", "none"]


def gallery_cases(cases: Sequence[CaseKey], slices: Iterable[int]) -> frozenset[str]:
    """Return the ids of the cases to show: of the chosen slices, the first metal of every size group.

    Parameters
    ----------
    cases : sequence of CaseKey
        All cases of a suite.
    slices : iterable of int
        Which slices of the suite, by their position; what is out of range is ignored.
    """
    # The order of the suite, which is anatomical: ids of files sort otherwise.
    order = list(dict.fromkeys(case.slice_id for case in cases))
    chosen = {order[position] for position in slices if position < len(order)}
    first = {(case.slice_id, case.size_group): case.case_id for case in reversed(cases) if case.slice_id in chosen}
    return frozenset(first.values())


def wanted_cases(choice: ImageChoice, source: CaseSource, asked: Iterable[CaseKey]) -> frozenset[str]:
    """Return the ids of the cases whose images are to be kept: the gallery's, all that are asked for, or none."""
    if choice == "gallery":
        return gallery_cases(source.case_keys, source.spec.report.gallery_slices)
    return frozenset(case.case_id for case in asked) if choice == "all" else frozenset()


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
        """Return the keys whose image is wanted, and not there whole and of this version of the method.

        Where the pictures of the case itself are not whole, one of its methods stands for it: to draw that one again,
        the case is simulated.
        """
        wanted: dict[str, list[Key]] = {}
        for key in keys:
            if key.case_id in self.cases:
                wanted.setdefault(key.case_id, []).append(key)
        # Read whole, not only looked at: a picture that is damaged inside is missing too.
        found = {key for own in wanted.values() for key in own if not self._holds(key)}
        for case_id, own in wanted.items():
            # Not all of them: one call is enough to have the case simulated.
            if found.isdisjoint(own) and not self._holds_case(f"{case_id}/{CASE_FILE}"):
                found.add(min(own, key=lambda key: key.method))
        return frozenset(found)

    def write(self, files: Mapping[str, bytes]) -> None:
        """Keep pictures: name below the folder → content. What a case has in common is written once.

        Raises
        ------
        StoreError
            The folder cannot be written, or a link in it leads elsewhere.
        """
        for name, content in files.items():
            if not (name.endswith(f"/{CASE_FILE}") and self._holds_case(name)):
                write_atomically(self._path(name), content, durable=False)

    def holding(self, cases: Iterable[CaseKey], methods: Iterable[str]) -> frozenset[str]:
        """Return the ids of the cases of which an image of one of the methods is there, of whatever version."""
        files = [image_file(method) for method in methods]
        ids = (case.case_id for case in cases)
        return frozenset(case_id for case_id in ids if any(self._path(f"{case_id}/{file}").exists() for file in files))

    def _path(self, name: str) -> Path:
        # Case ids and labels are safe names, but the folder may hold a link of that name.
        return within(self.folder.parent, f"{self.folder.name}/{name}")

    def _holds(self, key: Key) -> bool:
        try:
            return load_image(self._path(_method_file(key)))[1] == key.method_hash
        except StoreError:
            return False

    def _holds_case(self, name: str) -> bool:
        try:
            load_case(self._path(name))
        except StoreError:
            return False
        return True


def stored_case(case: Case, regions: Mapping[str, NDArray[np.bool_]] | None = None) -> StoredCase:
    """Return truth, uncorrected image, metal, window, sinograms and regions of a case as they are stored."""
    truth = case.known_truth
    return StoredCase(
        truth=_hu(truth.image[0].cpu().numpy()),
        uncorrected=_hu(case.scan.image[0].cpu().numpy()),
        metal=case.scan.metal_mask[0].cpu().numpy(),
        window=case.info.window,
        sinogram=_thousandths(case.scan.sinogram[0].cpu().numpy()),
        truth_sinogram=_thousandths(truth.sinogram[0].cpu().numpy()),
        metal_trace=case.scan.metal_trace[0].cpu().numpy(),
        regions=regions or {},
    )


def case_picture(case: Case, regions: Mapping[str, NDArray[np.bool_]]) -> dict[str, bytes]:
    """Return the file of a case's pictures, see `stored_case`: name → content."""
    return {f"{case.id}/{CASE_FILE}": encode_case(stored_case(case, regions))}


def method_picture(key: Key, image: NDArray[np.float32]) -> dict[str, bytes]:
    """Return the file of a method's image of a case: name → content."""
    return {_method_file(key): encode_image(_hu(image), key.method, key.method_hash)}


def _method_file(key: Key) -> str:
    return f"{key.case_id}/{image_file(key.method)}"


def _hu(image: NDArray[np.floating[Any]]) -> NDArray[np.int16]:
    # Steps of 1 HU are far below the noise of a scan; what lies beyond int16 is no tissue and no metal.
    limits = np.iinfo(np.int16)
    rounded: NDArray[np.int16] = np.clip(np.rint(image), limits.min, limits.max).astype(np.int16)
    return rounded


def _thousandths(sinogram: NDArray[np.floating[Any]]) -> NDArray[np.int16]:
    """Return line integrals in units of 0.001; a scanner's largest ones are far below 32."""
    return _hu(1000 * sinogram)
