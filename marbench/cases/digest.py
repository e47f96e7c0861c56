"""What identifies a case by its content: a digest that survives another processor, and nothing else.

A cryptographic hash of floating-point arrays would change with the last bit, hence with the processor, the number of
threads and the version of a library. So a digest is a handful of random projections (Johnson & Lindenstrauss, 1984):
sums of an array with fixed random signs, over the root of its size. Rounding moves them by less than a thousandth of a
step; another noise stream, a moved implant or a changed contour moves them by many steps.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:  # tables of results compare digests, and do without torch
    import torch

    from marbench.cases.case import Case

__all__ = ["TOLERANCE", "case_digest", "digests_agree"]

TOLERANCE = 2
"""By how many steps two digests of one case may differ, in each of their parts."""

# One step of a projection: in line integrals, in HU, and in pixels or rays of a mask over the root of their number.
_SINOGRAM, _IMAGE, _MASK = 5e-4, 0.05, 5e-3
_DIGITS = 8
_NOTHING = "-" * _DIGITS


def case_digest(case: Case) -> str:
    """Return the digest of a case: what a method sees and what it is scored against; 48 characters.

    Parts, 8 hex digits each: sinogram, metal trace, metal mask, uncorrected image, true image, pixels with any metal.
    Dashes stand for a truth that is not known.
    """
    scan, truth = case.scan, case.truth
    parts = [
        _projection(scan.sinogram, _SINOGRAM, 0),
        _projection(scan.metal_trace, _MASK, 1),
        _projection(scan.metal_mask, _MASK, 2),
        _projection(scan.image, _IMAGE, 3),
        _projection(truth.image, _IMAGE, 4) if truth else _NOTHING,
        _projection(truth.metal, _MASK, 5) if truth else _NOTHING,
    ]
    return "".join(parts)


def digests_agree(one: str, other: str) -> bool:
    """Tell whether two digests are of one case, up to the rounding of different machines.

    >>> digests_agree("0000000a" * 6, "0000000b" * 6), digests_agree("0000000a" * 6, "0000001a" * 6)
    (True, False)
    """
    if one == other:
        return True
    if len(one) != len(other) or len(one) % _DIGITS:
        return False
    pairs = ((one[at : at + _DIGITS], other[at : at + _DIGITS]) for at in range(0, len(one), _DIGITS))
    return all(first == second or _near(first, second) for first, second in pairs)


def _projection(array: torch.Tensor, step: float, stream: int) -> str:
    values = array.detach().cpu().numpy().astype(np.float64).ravel()
    steps = round(float(values @ _signs(values.size, stream)) / math.sqrt(values.size) / step)
    # Two's complement, so that a part is always as long; what is beyond it is no picture of a patient.
    return f"{min(max(steps, -(2**31)), 2**31 - 1) & 0xFFFFFFFF:0{_DIGITS}x}"


@lru_cache(maxsize=16)
def _signs(size: int, stream: int) -> NDArray[np.float64]:
    bits = np.random.Generator(np.random.PCG64(stream)).integers(0, 2, size, dtype=np.uint8)
    signs: NDArray[np.float64] = np.where(bits, 1.0, -1.0)
    return signs


def _near(one: str, other: str) -> bool:
    try:
        difference = (int(one, 16) - int(other, 16) + 2**31) % 2**32 - 2**31
    except ValueError:
        return False
    return abs(difference) <= TOLERANCE
