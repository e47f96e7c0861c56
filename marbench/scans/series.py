"""What every kind of scan delivers: slices to correct, and a way to write the corrected ones beside them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from marbench.anatomy.dicom_slice import reaching_border
from marbench.anatomy.native import NativeSlice
from marbench.anatomy.proof import LOWEST_AIR_HU
from marbench.report.page import Output

__all__ = ["RESEARCH", "Change", "Picture", "Series", "Version", "Writer", "untouched"]

RESEARCH = "For research only, not for diagnosis"
"""What every output says."""

Change = NDArray[np.float32]
"""What a method changes, ``(rows, columns)`` in HU."""


@dataclass(frozen=True, eq=False)
class Picture:
    """A slice to be corrected.

    Attributes
    ----------
    native : NativeSlice
        HU, nothing below −1000, the right way up.
    outside : bool array ``(rows, columns)``
        Padding, which is no part of the scan and stays as it is.
    sinogram : float32 array ``(views, bins)``, optional
        Measured line integrals, where there are any.
    """

    native: NativeSlice
    outside: NDArray[np.bool_]
    sinogram: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class Version:
    """What made an image: a method by its label and title, and all that its result depends on, as text."""

    label: str
    title: str
    made_of: str


class Writer(Protocol):
    """Takes the changes of one method, slice by slice in order."""

    def add(self, index: int, change: Change | None) -> None:
        """Write a slice plus a change; None leaves it as it is."""

    def discard(self) -> None:
        """Take back what was written."""

    def close(self) -> None:
        """Finish what is left to be written."""


class Series(Protocol):
    """The slices of one scan.

    Attributes
    ----------
    kind : str
        For the page: ``DICOM series``.
    notices : tuple of str
        What is missing or had to be assumed. They name neither patient nor file.
    file : Path
        Where it lies: for errors alone, which its owner sees.
    """

    kind: str
    notices: tuple[str, ...]
    file: Path

    def __len__(self) -> int: ...

    def label(self, index: int) -> str:
        """Return what a slice is called, without a name of somebody."""

    def picture(self, index: int) -> Picture:
        """Read a slice; DataError names the file."""

    def writer(self, version: Version, output: Output) -> Writer:
        """Return what writes the corrected scan."""


def untouched(image: NDArray[np.float32], padding: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return what is no part of a scan: what the header calls padding, and what lies far below air at the border.

    Many scanners fill what lies outside of their circle with −2048 or −3024, and no attribute says so.
    """
    return padding | reaching_border(image < LOWEST_AIR_HU)
