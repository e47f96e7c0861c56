"""Cases side by side, as a `torch.utils.data.DataLoader` hands them to a network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from marbench.cases.case import Case, Scan, Truth
from marbench.cases.info import CaseInfo
from marbench.errors import DataError

__all__ = ["CaseBatch", "collate", "joined"]


@dataclass(frozen=True, eq=False)
class CaseBatch:
    """Several cases of one benchmark, in order.

    Attributes
    ----------
    scan : Scan
        Of all cases, along the batch axis.
    truth : Truth or None
        Likewise; None where the truth is not known.
    infos : tuple of CaseInfo
    """

    scan: Scan
    truth: Truth | None
    infos: tuple[CaseInfo, ...]

    def __len__(self) -> int:
        return len(self.infos)


def collate(cases: Sequence[Case]) -> CaseBatch:
    """Return cases as one batch: ``DataLoader(suite, batch_size=8, num_workers=2, collate_fn=marbench.collate)``.

    Raises
    ------
    DataError
        There are none, they are of different geometries, or only of some the truth is known.

    Examples
    --------
    >>> import marbench
    >>> batch = collate(marbench.Suite("mini")[:2])
    >>> batch.scan.sinogram.shape, len(batch.infos)
    (torch.Size([2, 256, 192]), 2)
    """
    if not cases:
        raise DataError("collate needs at least one case. Got none.")
    if len({(case.scan.sinogram.shape[1:], case.scan.image.shape[1:]) for case in cases}) > 1:
        raise DataError(f"cases of different geometries are no batch: {', '.join(case.id for case in cases)}.")
    known = [case.truth for case in cases if case.truth is not None]
    if len(known) not in (0, len(cases)):
        raise DataError(f"the truth of only {len(known)} of {len(cases)} cases is known: batch them apart.")
    truth = Truth(*joined(known)) if known else None
    return CaseBatch(Scan(*joined([case.scan for case in cases])), truth, tuple(case.info for case in cases))


def joined(parts: Sequence[Scan | Truth]) -> list[torch.Tensor]:
    """Return the tensors of several scans, or of several truths, along the batch axis."""
    return [torch.cat(tensors) for tensors in zip(*(vars(part).values() for part in parts), strict=True)]
