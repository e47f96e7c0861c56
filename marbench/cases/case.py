"""The vocabulary of a benchmark: what a method may see, what it may not, and both with an identity."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from marbench.errors import DataError

__all__ = ["Case", "CaseInfo", "CaseKey", "Scan", "Truth"]


@dataclass(frozen=True, eq=False)
class Scan:
    """What a method may see. Every tensor has a leading batch axis.

    Attributes
    ----------
    sinogram : float32 Tensor ``(batch, views, bins)``
        Measured line integrals after water beam-hardening correction.
    metal_mask : bool Tensor ``(batch, rows, columns)``
        Pixels that are at least half metal.
    metal_trace : bool Tensor ``(batch, views, bins)``
        Rays that meet metal, see `marbench.spec.MetalsSection`.
    image : float32 Tensor ``(batch, rows, columns)``
        The uncorrected reconstruction of ``sinogram``, HU.
    """

    sinogram: torch.Tensor
    metal_mask: torch.Tensor
    metal_trace: torch.Tensor
    image: torch.Tensor

    def __len__(self) -> int:
        return self.sinogram.shape[0]

    def to(self, device: torch.device | str) -> Scan:
        """Return the scan on another device."""
        return Scan(*(tensor.to(device) for tensor in (self.sinogram, self.metal_mask, self.metal_trace, self.image)))

    def copy_to(self, device: torch.device | str) -> Scan:
        """Return a copy on a device, on this one too: whoever gets it may work in place."""
        tensors = (self.sinogram, self.metal_mask, self.metal_trace, self.image)
        return Scan(*(tensor.to(device, copy=True) for tensor in tensors))


@dataclass(frozen=True, eq=False)
class Truth:
    """What a method may not see.

    Attributes
    ----------
    image : float32 Tensor ``(batch, rows, columns)``
        What the scan would have shown without metal, HU.
    sinogram : float32 Tensor ``(batch, views, bins)``
        The corrected line integrals without metal.
    metal : bool Tensor ``(batch, rows, columns)``
        Pixels that hold any metal, however little: they are not scored.
    """

    image: torch.Tensor
    sinogram: torch.Tensor
    metal: torch.Tensor


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
    """

    key: CaseKey
    metal_area_px: int
    metal_area_mm2: float
    materials: tuple[str, ...]
    region: str
    window: tuple[float, float]

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


@dataclass(frozen=True, eq=False)
class Case:
    """One test of a method: a scan, what it is, and its truth where that is known."""

    scan: Scan
    truth: Truth | None
    info: CaseInfo

    @property
    def id(self) -> str:
        """The case id."""
        return self.info.case_id

    @property
    def known_truth(self) -> Truth:
        """The truth, for those who cannot do without.

        Raises
        ------
        DataError
            Nobody knows it: the case is a scan of a patient, say.
        """
        if self.truth is None:
            raise DataError(f"case {self.id} has no known truth, and so nothing to compare an image with.")
        return self.truth
