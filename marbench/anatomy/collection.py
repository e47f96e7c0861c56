"""What collections of real CT slices share: identity by content, screening, splits, the way onto the grid."""

from __future__ import annotations

import hashlib
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from marbench.anatomy.resample import Fit, resample
from marbench.anatomy.screening import unfit
from marbench.anatomy.slices import Slice, Split
from marbench.anatomy.split import Counts, choose_evenly, divide
from marbench.errors import DataError, nearest
from marbench.geometry import ImageGrid

__all__ = ["DEFAULT_WINDOW", "NativeSlice", "SliceCollection", "StoredSlice", "digest_of", "safe_name"]

DEFAULT_WINDOW = (-160.0, 240.0)
"""Soft tissue, width 400 HU at level 40."""

DIGEST_LENGTH = 8


@dataclass(frozen=True, eq=False)
class NativeSlice:
    """A slice as the scanner reconstructed it.

    Attributes
    ----------
    image : float32 array ``(rows, columns)``
        HU, nothing below −1000; the patient's right on the left, anterior (or whatever the file shows on top) up.
    spacing : (row, column)
        Pixel size in cm.
    digest : str
        First 8 hex digits of the SHA-256 of the file.
    window : (low, high)
        HU.
    region : str
    """

    image: NDArray[np.float32]
    spacing: tuple[float, float]
    digest: str
    window: tuple[float, float] = DEFAULT_WINDOW
    region: str = "unknown"


class StoredSlice(Protocol):
    """Where one slice lies on disk. Cheap to hold; only ``read`` touches pixels."""

    @property
    def name(self) -> str:
        """A safe name, unique in the collection: the slice id without the digest."""
        ...

    def read(self) -> NativeSlice:
        """Read and check the slice; DataError names the file."""
        ...


class SliceCollection(ABC):
    """A `SliceSource` over files. A format says which patients there are and where their slices lie.

    Pixels are read only where they are needed: to screen the slices that a split may use, and to load one.

    Parameters
    ----------
    path : Path
        The folder.
    counts : mapping of split to (patients, slices)
        None takes all that remain.
    seed : int
        Decides which patients go where.
    fit : {"physical", "image"}
        See `marbench.anatomy.resample.resample`.
    """

    def __init__(self, path: str | Path, counts: Counts, seed: int, fit: Fit) -> None:
        if fit not in get_args(Fit):
            raise DataError(f"unknown fit {fit!r}; {nearest(str(fit), get_args(Fit))}")
        self.path = Path(path)
        if not self.path.is_dir():
            raise DataError(f"{self.path} is not a folder; {type(self).__name__} reads a folder of CT slices.")
        self.counts = dict(counts)
        self.seed = seed
        self.fit: Fit = fit
        self._stored: dict[str, tuple[StoredSlice, ...]] = {}
        self._examined: dict[str, tuple[str, str | None]] = {}
        self._chosen: dict[Split, dict[str, tuple[str, ...]]] = {}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.path)!r})"

    @abstractmethod
    def patient_ids(self) -> Sequence[str]:
        """Return every patient, in any split or none."""

    @abstractmethod
    def stored_slices(self, patient_id: str) -> Sequence[StoredSlice]:
        """Return the slices of one patient in anatomical order."""

    @property
    def left_out(self) -> dict[str, str]:
        """Why slices that were examined so far are not used, by slice id: metal, or no patient in the picture."""
        return {slice_id: reason for slice_id, reason in self._examined.values() if reason is not None}

    def patients(self, split: Split) -> Mapping[str, Sequence[str]]:
        """Return the slice ids of every patient of a split, in anatomical order."""
        if split not in self._chosen:
            self._chosen[split] = self._choose(split)
        return self._chosen[split]

    def load(self, patient_id: str, slice_id: str, grid: ImageGrid) -> Slice:
        """Return one slice on a grid.

        Raises
        ------
        DataError
            When there is no such slice, or its file is broken or has changed since it was listed.
        """
        native = self._find(patient_id, slice_id)
        image = resample(native.image, native.spacing, grid, self.fit)
        return Slice(image, native.window, patient_id, slice_id, native.region)

    @cached_property
    def division(self) -> Mapping[Split, Sequence[str]]:
        """The patients of every split."""
        return divide(self.patient_ids(), self.counts, self.seed)

    def _choose(self, split: Split) -> dict[str, tuple[str, ...]]:
        wanted = self.counts.get(split, (0, 0))[1]
        candidates = {patient: self._slices_of(patient) for patient in (self.division[split] if wanted != 0 else ())}
        chosen = choose_evenly(candidates, wanted, lambda stored: self._examine(stored)[1] is None)
        found = sum(map(len, chosen.values()))
        if wanted is not None and found < wanted:
            raise DataError(
                f"the {split} split asks for {wanted} slices, but its {len(candidates)} patients have {found} that can "
                f"be used ({len(self.left_out)} left out: metal, or no patient in the picture). Ask for fewer slices, "
                "for more patients, or add data."
            )
        return {patient: tuple(self._examine(stored)[0] for stored in chosen[patient]) for patient in sorted(chosen)}

    def _slices_of(self, patient_id: str) -> tuple[StoredSlice, ...]:
        if patient_id not in self._stored:
            self._stored[patient_id] = tuple(self.stored_slices(patient_id))
        return self._stored[patient_id]

    def _examine(self, stored: StoredSlice) -> tuple[str, str | None]:
        """Return the id of a slice and why it is left out, reading it once per process."""
        if stored.name not in self._examined:
            native = stored.read()
            self._examined[stored.name] = f"{stored.name}-{native.digest}", unfit(native.image, native.spacing)
        return self._examined[stored.name]

    def _find(self, patient_id: str, slice_id: str) -> NativeSlice:
        name, _, digest = slice_id.rpartition("-")
        if patient_id not in self.patient_ids():
            raise DataError(f"no patient {patient_id!r} in {self}. There are {len(self.patient_ids())} patients.")
        for stored in self._slices_of(patient_id):
            if stored.name == name:
                native = stored.read()
                if native.digest == digest:
                    return native
                raise DataError(
                    f"slice {slice_id} of {self} has changed: its file now has the digest {native.digest}. "
                    "Restore the file, or start a new run with the new data."
                )
        raise DataError(f"no slice {slice_id!r} of patient {patient_id!r} in {self}.")


def digest_of(content: bytes) -> str:
    """Return the first 8 hex digits of the SHA-256."""
    return hashlib.sha256(content).hexdigest()[:DIGEST_LENGTH]


def safe_name(text: str) -> str:
    """Return a name of letters, digits, ``.``, ``_`` and ``-`` only; distinct texts keep distinct names.

    >>> safe_name("TCGA-09-2043")
    'TCGA-09-2043'
    >>> safe_name("Müller^A")
    'M_ller_A-f069a407'
    """
    cleaned = re.sub(r"[^A-Za-z0-9._-]", "_", text).lstrip("._-")[:64]
    return cleaned if cleaned and cleaned == text else f"{cleaned}-{digest_of(text.encode())}".lstrip("-")
