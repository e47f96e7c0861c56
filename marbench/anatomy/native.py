"""A slice as it lies in a file: where, how it is read, and whether its values can be believed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from marbench.anatomy.proof import clipped, doubt, unlikely_size
from marbench.anatomy.resample import AIR_HU
from marbench.errors import DataError
from marbench.machine.text import said_by

__all__ = ["DEFAULT_WINDOW", "NativeSlice", "StoredSlice", "UnreadableFile", "content_of"]

DEFAULT_WINDOW = (-160.0, 240.0)
"""Soft tissue, width 400 HU at level 40."""


@dataclass(frozen=True, eq=False)
class NativeSlice:
    """A slice as the scanner reconstructed it.

    Attributes
    ----------
    image : float32 array ``(rows, columns)``
        HU, nothing below −1000; the patient's right on the left, anterior (or whatever the file shows on top) up.
    spacing : (row, column)
        Pixel size in cm.
    window : (low, high)
        HU.
    region : str
    doubt : str, optional
        Why it is no picture in HU, or not of a scanner: then no part of it may be used.
    clipped : str, optional
        The same of a picture whose highest value fills a part of it: bone that a window cut off, unless it is metal.
    """

    image: NDArray[np.float32]
    spacing: tuple[float, float]
    window: tuple[float, float] = DEFAULT_WINDOW
    region: str = "unknown"
    doubt: str | None = None
    clipped: str | None = None

    @classmethod
    def of(
        cls,
        image: NDArray[np.float32],
        spacing: tuple[float, float],
        window: tuple[float, float] = DEFAULT_WINDOW,
        region: str = "unknown",
        padding: NDArray[np.bool_] | None = None,
    ) -> Self:
        """Return a slice of values that a header calls HU: checked, with air where nothing was scanned.

        Parameters
        ----------
        image : float32 array ``(rows, columns)``
            Not clipped; the caller's no longer.
        spacing, window, region
            As the attributes.
        padding : bool array ``(rows, columns)``, optional
            What the header says is outside the scanned field.
        """
        outside = np.zeros(image.shape, dtype=bool) if padding is None else padding
        why = unlikely_size(spacing, image.shape) or doubt(image, outside)
        cut = None if why else clipped(image, outside)
        image[outside] = AIR_HU
        return cls(np.maximum(image, np.float32(AIR_HU)), spacing, window, region, why, cut)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the pixels in HU, their number and their size; 64 hex digits.

        Nothing else counts: no name of a file or folder, no text of a header.
        """
        # Six digits: a spacing that was computed from an affine differs in its last bits from machine to machine.
        size = f"{self.image.shape} {self.spacing[0]:.6g} {self.spacing[1]:.6g}"
        pixels = np.ascontiguousarray(self.image, dtype="<f4") + np.float32(0)  # there is no −0 HU
        return hashlib.sha256(size.encode() + pixels.tobytes()).hexdigest()


class StoredSlice(Protocol):
    """Where one slice lies on disk. Cheap to hold; only ``read`` touches pixels."""

    @property
    def name(self) -> str:
        """Which slice of its patient it is, in safe characters and without the patient's name: ``s4-i0012``.

        Slices of several volumes or studies may share it. Their pixels, and no name of a file, tell them apart.
        """
        ...

    @property
    def file(self) -> Path:
        """The file that it lies in."""
        ...

    @property
    def remedy(self) -> str:
        """What to do where the values are no HU."""
        ...

    def read(self) -> NativeSlice:
        """Read and check the slice; DataError says what is wrong with it, and not where it lies."""
        ...


class UnreadableFile(DataError):
    """A file of a collection cannot be used. Its place is kept apart: it is for the owner of the data alone."""

    def __init__(self, file: Path, reason: str) -> None:
        super().__init__(file, reason)
        self.file, self.reason = file, reason

    def __str__(self) -> str:
        return f"{self.file}: {self.reason}"


def content_of(file: Path) -> bytes:
    """Return what a file holds; DataError says why it cannot be read."""
    try:
        return file.read_bytes()
    except OSError as error:
        raise DataError(
            f"the file cannot be read ({said_by(error)}). Restore it or take it out of the folder."
        ) from error
