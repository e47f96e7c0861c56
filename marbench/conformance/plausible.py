"""Whether answers can be pictures of their cases at all: in HU, and where they should be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from marbench.cases.case import Case
from marbench.conformance.verdict import Finding, failed, ok
from marbench.metrics.lints import Fault, faults

__all__ = ["check_plausible"]

# Where a method has its numbers from; images made elsewhere have them from a file.
_ADVICE = {
    "field of view": "See the size of a pixel: self.context.grid.pixel, in cm.",
    "rotated": "Turn it back: row 0 is anterior, column 0 the patient's right, and angles are those of the geometry.",
}


def check_plausible(cases: Sequence[Case], images: Sequence[NDArray[np.float32]]) -> Finding:
    """Compare images with the truths of their cases, see `marbench.metrics.lints`.

    Bodies are nearly symmetric, and some implants leave little of an image: what is wrong with a method is wrong with
    most of its images.
    """
    found = [fault for case, image in zip(cases, images, strict=True) if (fault := _fault(case, image)) is not None]
    if 2 * len(found) <= len(cases):
        return ok("plausible", f"{len(cases)} images in HU, where their truths lie")
    name, _ = Counter(fault.name for fault in found).most_common(1)[0]
    fault = next(fault for fault in found if fault.name == name)
    return failed("plausible", f"{name}: {fault.seen}", _ADVICE.get(name, fault.remedy))


def _fault(case: Case, image: NDArray[np.float32]) -> Fault | None:
    truth = case.known_truth
    return next(iter(faults(image, truth.image[0].cpu().numpy(), case.scan.metal_mask[0].cpu().numpy())), None)
