"""The vocabulary of a benchmark: what a method may see, what it may not, and both with an identity."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

import torch

from marbench.anatomy.slices import Split
from marbench.cases.info import CaseInfo, CaseKey
from marbench.errors import DataError
from marbench.spec import Spec
from marbench.tensors import as_mask, check_alike, check_batch, check_finite, check_real, refuse_attenuation

__all__ = ["Case", "CaseSource", "Scan", "Truth"]

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
        Pixels that are at least half metal, and of a piece that covers none by half the fullest one; or what a
        benchmark's ``[segmentation]`` finds.
    metal_trace : bool Tensor ``(batch, views, bins)``
        Rays whose line integral through metal exceeds ``metals.trace_threshold``, see `marbench.spec.MetalsSection`.
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


class CaseSource(Sequence[Case]):
    """The cases of one benchmark in order: simulated (`Suite`), or read from files (`FileCases`, `RecordedCases`).

    Any case can be made alone, in any order, and is the caller's own: whatever is done to it, the next one is whole.

    Attributes
    ----------
    spec : Spec
        The benchmark, bound to its data.
    split : {"test", "val", "train"}
        Which of its cases.
    """

    spec: Spec
    split: Split

    @property
    @abstractmethod
    def has_truth(self) -> bool:
        """Whether it is known what images are to be compared with."""

    @property
    @abstractmethod
    def notices(self) -> tuple[str, ...]:
        """What of the files was passed over, left out or assumed; the lines may be published."""

    @property
    @abstractmethod
    def case_keys(self) -> tuple[CaseKey, ...]:
        """What the cases are, in their order, without making any."""

    @property
    def places(self) -> Sequence[int]:
        """Where each of them stands in the benchmark: of a folder others may have been taken away."""
        return range(len(self))

    @overload
    def __getitem__(self, index: int) -> Case: ...
    @overload
    def __getitem__(self, index: slice) -> list[Case]: ...
    def __getitem__(self, index: int | slice) -> Case | list[Case]:
        """Return one case, or those of a slice.

        Raises
        ------
        DataError
            One cannot be read or made; the message names it, or its file, and what to do.
        """
        if isinstance(index, slice):
            return [self._case(position) for position in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(f"{self!r} has {len(self)} cases. Got index {index}.")
        return self._case(index % len(self))

    @abstractmethod
    def _case(self, index: int) -> Case:
        """Read or make one case, counted from the first."""
