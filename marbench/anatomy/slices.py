"""What every source of anatomy delivers: a slice in HU, and where it comes from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from marbench.geometry import ImageGrid

__all__ = ["Slice", "SliceSource", "Split"]

Split = Literal["train", "val", "test"]


@dataclass(frozen=True, eq=False)
class Slice:
    """One metal-free CT slice on an image grid.

    Attributes
    ----------
    image : float32 array ``(rows, columns)``
        HU; air is −1000, nothing lies below.
    window : (low, high)
        Display window in HU that suits the slice.
    patient_id, slice_id : str
        Identity; letters, digits, ``.``, ``_`` and ``-`` only. ``slice_id`` is unique within a benchmark.
    region : str
        Body region, e.g. ``"hip"``; ``"unknown"`` where the source does not tell.
    content : str
        Of a slice from a file the digest of its pixels: what the random numbers of its cases are drawn from, so that
        the same pixels make the same cases whatever the file, its header and this machine call them. Empty for a
        procedural slice, whose id says all.
    """

    image: NDArray[np.float32]
    window: tuple[float, float]
    patient_id: str
    slice_id: str
    region: str = "unknown"
    content: str = ""


class SliceSource(Protocol):
    """Where slices come from. Patients, not slices, are divided between the splits."""

    def patients(self, split: Split) -> Mapping[str, Sequence[str]]:
        """Return the slice ids of every patient of a split, in a fixed order."""
        ...

    def region(self, patient_id: str, slice_id: str) -> str:
        """Return the body region of a slice without loading it: told by the source, or at worst from the picture."""
        ...

    def load(self, patient_id: str, slice_id: str, grid: ImageGrid) -> Slice:
        """Return one slice on a grid: a pure function of its arguments."""
        ...
