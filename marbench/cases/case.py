"""The vocabulary of a benchmark: what a method may see, what it may not, and both with an identity."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from marbench.errors import DataError
from marbench.tensors import as_mask, check_alike, check_batch, check_finite, check_real, refuse_attenuation

__all__ = ["Case", "CaseInfo", "CaseKey", "Scan", "Truth"]


_STARVED = (
    "Rays that no photon came through have no logarithm: count one photon for them, or fill them, as methods do that "
    "replace the trace."
)


@dataclass(frozen=True, eq=False)
class Scan:
    """What a method may see. Every tensor has a leading batch axis.

    Masks of 0 and 1, or of 0 and 255, are made boolean; nothing else is converted.

    Attributes
    ----------
    sinogram : float32 Tensor ``(batch, views, bins)``
        Measured line integrals after water beam-hardening correction.
    metal_mask : bool Tensor ``(batch, rows, columns)``
        Pixels that are at least half metal, or what a benchmark's ``[segmentation]`` finds.
    metal_trace : bool Tensor ``(batch, views, bins)``
        Rays that meet metal, see `marbench.spec.MetalsSection`.
    image : float32 Tensor ``(batch, rows, columns)``
        The uncorrected reconstruction of ``sinogram``, HU.

    Raises
    ------
    DataError
        A part is not as described: no tensor, without a batch axis, of another shape or type, not finite, or an image
        in other units than HU. (Values are looked at on the CPU only.)
    """

    sinogram: torch.Tensor
    metal_mask: torch.Tensor
    metal_trace: torch.Tensor
    image: torch.Tensor

    def __post_init__(self) -> None:
        sinogram, image = check_real(self.sinogram, "Scan.sinogram"), check_real(self.image, "Scan.image")
        check_batch(sinogram, "Scan.sinogram", "batch, views, bins")
        check_batch(image, "Scan.image", "batch, rows, columns")
        for name, beside, other in (("metal_trace", sinogram, "sinogram"), ("metal_mask", image, "image")):
            mask = as_mask(getattr(self, name), f"Scan.{name}")
            check_alike(mask, beside, f"Scan.{name} and Scan.{other}")
            object.__setattr__(self, name, mask)  # the dataclass is frozen
        if len(sinogram) != len(image):
            raise DataError(f"Scan: expected as many sinograms as images. Got {len(sinogram)} and {len(image)}.")
        check_finite(sinogram, "Scan.sinogram", _STARVED)
        check_finite(image, "Scan.image")
        refuse_attenuation(image, "Scan.image")

    def __len__(self) -> int:
        return self.sinogram.shape[0]

    def to(self, device: torch.device | str) -> Scan:
        """Return the scan on another device."""
        return Scan(*(tensor.to(device) for tensor in vars(self).values()))

    def copy_to(self, device: torch.device | str) -> Scan:
        """Return a copy on a device, on this one too: whoever gets it may work in place."""
        return Scan(*(tensor.to(device, copy=True) for tensor in vars(self).values()))


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
