"""Finding the sizes of implants: ``python -m marbench.phantoms.implants.fit`` prints what should be
changed in implants.toml.

The size of a mask is a staircase in the unit of the drawing; the step sought must be wide enough that no rounding can
leave it. Where an edge along the pixels makes the staircase jump over a size, the drawing is tilted a little.
"""

from __future__ import annotations

import numpy as np

from marbench.errors import DataError
from marbench.geometry import ImageGrid
from marbench.phantoms.implants.catalogue import Implant, implants
from marbench.phantoms.metals import coverage, mask

__all__ = ["fitted", "holds"]

REFERENCE = ImageGrid(416, 416, 1.0)
CANDIDATES = 121
SAFE = 2e-5
"""Relative distance to the edges of the step that a unit must keep at least."""

TILTS = (0.0, 1.3, -2.2, 3.1, -4.4, 5.7, -6.5, 7.9, -8.3, 9.1)


def fitted(implant: Implant) -> Implant:
    """Return the implant with a unit and a tilt that give its mask exactly the declared area.

    Raises
    ------
    DataError
        No unit does.
    """
    area = implant.facts.area
    for tilt in TILTS:
        unit = 1.0
        for _ in range(4):
            unit *= (area / max(_size(_with(implant, unit, tilt)), 1)) ** 0.5
        # One pixel more is a step of 1 / (2·area) in the unit.
        candidates = unit * (1.0 + np.linspace(-1, 1, CANDIDATES) * min(4.0 / area, 0.2))
        fits = np.array([_size(_with(implant, float(candidate), tilt)) == area for candidate in candidates])
        edges = np.flatnonzero(np.diff(np.concatenate(([False], fits, [False])))).reshape(-1, 2)
        if edges.size:
            first, end = max(edges, key=lambda run: run[1] - run[0])
            fit = _with(implant, round(float(candidates[first] + candidates[end - 1]) / 2, 6), tilt)
            if holds(fit):
                return fit
    raise DataError(f"No unit gives {implant.facts.title!r} exactly {area} px. Make the drawing less symmetric.")


def holds(implant: Implant) -> bool:
    """Tell whether the unit gives the declared area, and so do those beside it."""
    facts = implant.facts
    # The staircase is not quite monotone: both ends on the step do not suffice.
    units = [facts.unit * factor for factor in 1.0 + np.linspace(-SAFE, SAFE, 9)]
    return all(_size(_with(implant, unit, facts.tilt)) == facts.area for unit in units)


def _with(implant: Implant, unit: float, tilt: float) -> Implant:
    return implant.model_copy(update={"facts": implant.facts.model_copy(update={"unit": unit, "tilt": tilt})})


def _size(implant: Implant) -> int:
    return int(mask(coverage(implant.metal("fit"), REFERENCE, REFERENCE.pixel)).sum())


if __name__ == "__main__":
    for name, implant in implants().items():
        if not holds(implant):
            facts = fitted(implant).facts
            print(f"[{name}] area = {facts.area}, unit = {facts.unit}, tilt = {facts.tilt}")
