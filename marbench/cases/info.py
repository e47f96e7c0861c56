"""What a case is called and what is known of it: without its arrays, and so without torch."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["ID", "CaseInfo", "CaseKey"]

ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
"""What a case, a slice, a patient or a metal may be called: safe as a file name."""


@dataclass(frozen=True, slots=True)
class CaseKey:
    """What is known of a case before it is made.

    Attributes
    ----------
    case_id : str
        Unique within a benchmark, and safe as a file name.
    size_group : int
        1 holds the largest metals.
    """

    case_id: str
    patient_id: str
    slice_id: str
    metal_id: str
    size_group: int


@dataclass(frozen=True)
class CaseInfo:
    """Identity and properties of a case.

    Attributes
    ----------
    key : CaseKey
        Also at hand as ``case_id``, ``patient_id`` and so on.
    metal_area_px : int
        Pixels of the metal mask on this benchmark's grid.
    metal_area_mm2 : float
        Area of the metal by its sub-pixel coverage.
    window : (low, high)
        Display window of the slice, HU.
    pixel_mm : float or None
        Side of a pixel of the images; None where it is not known.
    """

    key: CaseKey
    metal_area_px: int
    metal_area_mm2: float
    materials: tuple[str, ...]
    region: str
    window: tuple[float, float]
    pixel_mm: float | None = None

    @property
    def case_id(self) -> str:
        """See `CaseKey`."""
        return self.key.case_id

    @property
    def patient_id(self) -> str:
        """See `CaseKey`."""
        return self.key.patient_id

    @property
    def slice_id(self) -> str:
        """See `CaseKey`."""
        return self.key.slice_id

    @property
    def metal_id(self) -> str:
        """See `CaseKey`."""
        return self.key.metal_id

    @property
    def size_group(self) -> int:
        """See `CaseKey`."""
        return self.key.size_group
